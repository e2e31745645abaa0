package checksum

import (
	"fmt"
	"time"

	"tidegate/task"
)

const (
	pause    = 100 * time.Millisecond // between two reports, as a rule
	fewFiles = 200                    // up to so many, each file has a report of its own
	bigFile  = 64 << 20               // from so many bytes on, the end of a file is reported
)

// due reports whether it is time for a report.
func (j *job) due() bool { return time.Since(j.last) >= pause }

// mayReportEach reports whether there are few enough files for a report each.
func (j *job) mayReportEach() bool { return len(j.files) <= fewFiles }

// reportScan reports how much was found so far. How much there is in all is not
// known yet, so the value stays as it is.
func (j *job) reportScan(always bool) error {
	if !always && !j.due() {
		return nil
	}
	return j.send(task.Progress{Text: "Scanning", Fields: map[string]any{
		"indeterminate":   true,
		"files_found":     len(j.files),
		"bytes_found":     j.bytes,
		"elapsed_seconds": j.elapsed(),
	}})
}

// report says which file is being hashed, how many are done, and how many bytes.
func (j *job) report(path string, files int, bytes int64, always bool) error {
	if !always && !j.due() {
		return nil
	}
	return j.send(task.Progress{
		Text:   "Hashing " + path,
		Value:  new(j.share(files, bytes)),
		Fields: j.fields(path, files, bytes),
	})
}

// reportEnd is the last report.
func (j *job) reportEnd() error {
	text := fmt.Sprintf("Hashed %d files", len(j.hashed))
	if len(j.hashed) == 1 {
		text = "Hashed 1 file"
	}
	return j.send(task.Progress{
		Text:   text,
		Value:  new(1.0),
		Fields: j.fields("", len(j.files), j.bytes),
	})
}

func (j *job) fields(path string, files int, bytes int64) map[string]any {
	return map[string]any{
		"current_file":    path,
		"files_done":      files,
		"files_total":     len(j.files),
		"bytes_done":      bytes,
		"bytes_total":     j.bytes,
		"elapsed_seconds": j.elapsed(),
	}
}

// share is how much is done: of the bytes, or of the files if all are empty.
func (j *job) share(files int, bytes int64) float64 {
	if j.bytes > 0 {
		return float64(bytes) / float64(j.bytes)
	}
	return float64(files) / float64(max(len(j.files), 1))
}

func (j *job) send(p task.Progress) error {
	j.last = time.Now()
	return j.run.Progress(p)
}
