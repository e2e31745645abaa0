package nats

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// record is the file boot.json of a data folder. It tells whether the machine
// went down while a process had the folder. That matters because events which were
// acknowledged and sent may then be gone, and their positions are given to others.
type record struct {
	Name       string     `json:"name"`    // of the server, for good
	BootID     string     `json:"boot_id"` // of the kernel that the process runs on; "" if unknown
	Clean      bool       `json:"clean"`   // it was stopped, and all was on the disk
	Durability Durability `json:"durability"`
	Prefix     string     `json:"prefix,omitzero"` // of the streams, for good
	// LogBytes bounds the log of one process, from when it was made; see Engine.LogBytes.
	LogBytes int64 `json:"log_bytes,omitzero"`
	// Redraw is true from when a loss was found possible until the generation
	// of event ids has been drawn anew, over restarts if need be.
	Redraw bool `json:"redraw,omitzero"`
}

// begin reads the record and writes that of this process, before anything else
// happens in the folder.
func (f *folder) begin(bootID string, durability Durability, prefix string) error {
	last, err := readRecord(f.dir)
	if err != nil {
		return err
	}
	if prefix, err = keptPrefix(f.dir, last.Prefix, prefix); err != nil {
		return err
	}
	if !last.Clean && durability == DurabilityPower {
		// What a process left that promised less may be on no disk yet.
		if err := f.sync(f.dir); err != nil {
			return fmt.Errorf("data folder: %w", err)
		}
	}
	next := record{
		Name:       last.Name,
		BootID:     bootID,
		Durability: durability,
		Prefix:     prefix,
		LogBytes:   last.LogBytes,
		Redraw:     last.Redraw || last.mayHaveLost(bootID),
	}
	if next.Name == "" {
		next.Name = "tidegate-" + RandomName()
	}
	// After a kill it says already what it should. The disk may be full then.
	if f.record = next; next == last {
		return nil
	}
	return f.write()
}

// mayHaveLost tells whether acknowledged writes of the record's process may be
// lost to one that runs on the kernel bootID. Where kernels have no ids it cannot be known that
// the machine did not go down, and ids that end too early do less harm than events
// that are skipped.
func (r record) mayHaveLost(bootID string) bool {
	sameBoot := bootID != "" && bootID == r.BootID
	return !r.Clean && r.Durability != DurabilityPower && !sameBoot
}

// redrawn notes that the generation was drawn anew and is on the disk.
func (f *folder) generationDrawn() error {
	f.record.Redraw = false
	return f.write()
}

func recordPath(dir string) string { return filepath.Join(dir, "boot.json") }

// readRecord reads the record of a folder. One that is missing or damaged though
// there is data counts as that of a process that may have lost something.
func readRecord(dir string) (record, error) {
	var r record
	text, err := os.ReadFile(recordPath(dir))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(storeDir(dir)); errors.Is(err, fs.ErrNotExist) && !HasOwnLog(dir) {
			return record{Clean: true}, nil // a new folder
		}
		return record{}, nil
	case err != nil:
		return r, fmt.Errorf("data folder: %w", err)
	case json.Unmarshal(text, &r) != nil:
		return record{}, nil
	}
	return r, nil
}

// write replaces the record, so that after a power failure there is the old one
// or the new one.
func (f *folder) write() error {
	text, err := json.Marshal(f.record)
	if err != nil {
		return fmt.Errorf("write boot record: %w", err)
	}
	path := recordPath(f.dir)
	err = writeSynced(path+".new", append(text, '\n'))
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		_ = os.Remove(path + ".new") // it is no use
		if overwriteSynced(path, append(text, '\n')) == nil {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("write boot record: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write boot record: %w", err)
	}
	return syncFile(f.dir)
}

// overwriteSynced writes to a file that is there, where the disk has no room for
// another one. A power failure in between may leave a damaged record, which counts as
// that of a process that may have lost something.
func overwriteSynced(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil {
		// A file that is cut gives its block back, and may not get it again.
		for len(text) < int(min(info.Size(), 4096)) {
			text = append(text, '\n')
		}
		_, err = file.WriteAt(text, 0)
	}
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

func writeSynced(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// kernelBootID changes with each start of the machine. It is "" where the kernel
// does not tell.
func kernelBootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}
