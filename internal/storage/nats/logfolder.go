package nats

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tidegate/internal/former"
)

// A process that shares its events with no other keeps them in a folder of their own beside
// the server's: package segments. Older versions kept them in stream EV of the server in
// this process. That log is taken over once, see Adopt.

// logDir is where such a process keeps its events.
func logDir(dir string) string { return filepath.Join(dir, "log") }

// HasOwnLog reports whether a data folder has a log of one process.
func HasOwnLog(dir string) bool {
	_, err := os.Stat(logDir(dir))
	return err == nil
}

// LogDir is the folder of the log of one process, "" with an external server.
func (e *Engine) LogDir() string {
	if e.folder == nil {
		return ""
	}
	return logDir(e.folder.dir)
}

// NeedsGeneration reports whether a new generation of event ids has to be drawn: the machine
// went down, and acknowledged events may be lost.
func (e *Engine) NeedsGeneration() bool { return e.needsGeneration() }

// GenerationDrawn notes that it was drawn, after the log with it is on the disk.
func (e *Engine) GenerationDrawn() error { return e.folder.generationDrawn() }

// Room is how many bytes may be stored before the disk guard refuses more; ok is false
// if that is not known.
func (e *Engine) Room() (bytes int64, ok bool) {
	if e.folder == nil {
		return 0, false
	}
	disk, err := e.opts.space(e.opts.Dir)
	if err != nil || disk.total == 0 {
		return 0, false
	}
	guard := guard{minFree: e.opts.MinFree}
	return max(0, disk.free-guard.bound(disk.total)), true
}

// LogBytes is the bound of the log of this process, in bytes. It is what is configured, else
// what it was before, else had, else a share of the disk. had is the bound of a log that is
// taken over, 0 for none.
func (e *Engine) LogBytes(had int64) (int64, error) {
	bound := cmp.Or(e.opts.EventsBytes, e.folder.record.LogBytes, max(had, 0))
	if bound == 0 {
		bound = e.share(e.events())
	}
	if bound == e.folder.record.LogBytes {
		return bound, nil
	}
	e.folder.record.LogBytes = bound
	return bound, e.folder.write()
}

// Full is ENGINE_FULL while the disk guard refuses writes, else nil. It does not wait.
func (e *Engine) Full() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.condition.refuse == ErrDiskFull {
		return ErrDiskFull
	}
	return nil
}

// adopted is the file taken-over.json: the log on NATS that the log of this process was made
// from. It counts only if the latter is there.
type adopted struct {
	Stream     string `json:"stream"`
	Generation string `json:"generation"`
	Last       uint64 `json:"last"` // position of its newest event
}

func adoptedPath(dir string) string { return filepath.Join(dir, "taken-over.json") }

// Adopt makes the folder made the log of this process. It has a log that was made from the
// one on NATS and is on the disk. generation and last are those of the log on NATS, last
// being the position of its newest event. Whenever the process is killed, one of the two
// logs is whole. The caller deletes the log on NATS afterwards; if it does not get so far,
// the next start does.
func (e *Engine) Adopt(made, generation string, last uint64) error {
	dir := e.folder.dir
	text, err := json.Marshal(adopted{e.StreamName("EV"), generation, last})
	if err == nil {
		err = writeSynced(adoptedPath(dir), append(text, '\n'))
	}
	if err == nil {
		err = errors.Join(e.Sync(), syncFile(dir))
	}
	if err == nil {
		err = os.Rename(made, logDir(dir))
	}
	if err == nil {
		err = syncFile(dir)
	}
	if err != nil {
		return fmt.Errorf("take over the event log: %w", err)
	}
	return nil
}

// Adopted is the position of the newest event that was taken over from NATS, 0 for none. The
// ids of events up to it may have no seal.
func (e *Engine) Adopted() uint64 {
	from, _ := readAdopted(e.folder.dir) // if it is damaged, these ids lead to a reset
	return from.Last
}

func readAdopted(dir string) (from adopted, err error) {
	text, err := os.ReadFile(adoptedPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return from, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &from)
	}
	if err != nil {
		return adopted{}, fmt.Errorf("data folder: %s: %w", adoptedPath(dir), err)
	}
	return from, nil
}

// checkOwnLog checks, before the server starts, that a folder does not have two logs.
func (f *folder) checkOwnLog(listen string) error {
	if err := f.undoReplace(); err != nil || !HasOwnLog(f.dir) {
		return err
	}
	if listen != "" {
		return fmt.Errorf("data folder %s has its events in %s, which only one process can use, so --nats-listen %s would begin with none: "+
			"move them first, with tidegate storage export %[1]s and tidegate storage import --shared (docs/guides/backup.md), or leave --nats-listen out",
			f.dir, logDir(f.dir), listen)
	}
	return f.dropAdopted()
}

// dropAdopted deletes the log on NATS that was taken over, if a former process did not get
// so far. It leaves any other log alone.
func (f *folder) dropAdopted() error {
	name := streamName(f.record.Prefix, "EV")
	path := filepath.Join(streamsDir(storeDir(f.dir)), name)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	from, err := readAdopted(f.dir)
	if err != nil {
		return err
	}
	switch has, known := storedGeneration(path); {
	case !known && from.Stream != name:
		return nil
	case known && (has != from.Generation || from.Stream != name):
		return fmt.Errorf("data folder %s has two event logs, for an older version has run in it since %s was made: "+
			"move %[2]s away to go on with the events of that version, or %s to go on without them",
			f.dir, logDir(f.dir), path)
	}
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("data folder: delete the event log that was taken over: %w", err)
	}
	return syncFile(filepath.Dir(path))
}

// storedGeneration reads the generation of a stream from its files. known is false if they
// do not have it: the server deletes them one after the other.
func storedGeneration(stream string) (generation string, known bool) {
	text, err := os.ReadFile(filepath.Join(stream, "meta.inf"))
	if err != nil {
		return "", false
	}
	var meta struct {
		Metadata map[string]string `json:"metadata"`
	}
	if json.Unmarshal(text, &meta) != nil {
		return "", false
	}
	return meta.Metadata[former.MetadataKey(meta.Metadata, generationKey)], true
}
