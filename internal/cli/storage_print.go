package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"tidegate/internal/terminal"
	"tidegate/internal/transfer"
)

// mostShown bounds the lines of one kind in a report for people.
const mostShown = 50

// printReport prints the report for people.
func printReport(out io.Writer, r *transfer.Report) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-11s "+format+"\n", append([]any{name}, args...)...)
	}
	line("log", "%s", r.Folder)
	if r.Generation != "" {
		line("generation", "%s", r.Generation)
	}
	line("events", "%d of %d topics", r.Events, len(r.Topics))
	line("positions", "%d to %d", r.First, r.Last)
	line("size", "%s, segments: %d", bytesText(r.Bytes), len(r.Segments))
	if r.Discarded > 0 {
		line("dropped", "for want of room, or lost: some below position %d", r.Discarded)
	}
	harmless, shown := 0, 0
	for _, d := range r.Damage {
		if d.Harmless {
			harmless++
			line("note", "%s", terminal.Line(transfer.DamageText(d)))
			continue
		}
		if shown++; shown <= mostShown {
			line("damage", "%s", terminal.Line(transfer.DamageText(d)))
		}
	}
	if more := r.Places - shown; more > 0 && shown > mostShown {
		line("damage", "and %d more places; --json has them", more)
	}
	holes := 0
	for _, t := range r.Topics {
		if t.Hole == 0 {
			continue
		}
		if holes++; holes <= mostShown {
			line("topic", "%s: events up to position %d may be missing, %d are there", terminal.Line(t.Topic), t.Hole, t.Events)
		}
	}
	if holes > mostShown {
		line("topic", "and %d more", holes-mostShown)
	}
	if r.Damaged() {
		line("so", "clients that lack what is missing get a reset when the server is started; nothing has to be done for that")
	} else {
		line("damage", "none")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func writeIndented(out io.Writer, v any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// exportTo writes an archive to a new file or to standard output. The file appears when it is
// complete.
func exportTo(ctx context.Context, sys System, path string, from *transfer.Source) (events uint64, err error) {
	if path == "" {
		return from.WriteArchive(ctx, sys.Stdout)
	}
	if _, err := os.Lstat(path); err == nil {
		return 0, fmt.Errorf("%s exists: remove it, or give another --out", path)
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // only this user can read it
	if err != nil {
		return 0, fmt.Errorf("--out: %w", err)
	}
	events, err = from.WriteArchive(ctx, file)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return 0, errors.Join(err, os.Remove(file.Name()))
	}
	return events, nil
}

// openInput opens what import reads.
func openInput(sys System, path string) (io.ReadCloser, error) {
	if path == "" {
		return io.NopCloser(sys.Stdin), nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--in: %w", err)
	}
	return file, nil
}
