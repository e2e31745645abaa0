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

// record is the file boot.json of a data folder. It shows whether the machine went down
// while a process had the folder. Then acknowledged and sent events may be gone, and new
// events get their positions.
type record struct {
	Name       string     `json:"name"`    // of the server; it never changes
	BootID     string     `json:"boot_id"` // of the kernel that the process runs on; "" if unknown
	Clean      bool       `json:"clean"`   // it was stopped, and all was on the disk
	Durability Durability `json:"durability"`
	Prefix     string     `json:"prefix,omitzero"` // of the streams; it never changes
	// LogBytes bounds the log of one process, from when it was made; see Engine.LogBytes.
	LogBytes int64 `json:"log_bytes,omitzero"`
	// Redraw is true from when a loss was found possible until a new generation of event
	// ids has been drawn, over restarts if need be.
	Redraw bool `json:"redraw,omitzero"`
}

// begin reads the former process's record and writes that of this process, before anything
// else happens in the folder.
func (f *folder) begin(bootID string, durability Durability, prefix string) error {
	last, err := readRecord(f.dir)
	if err != nil {
		return err
	}
	if prefix, err = keptPrefix(f.dir, last.Prefix, prefix); err != nil {
		return err
	}
	if !last.Clean && durability == DurabilityPower {
		// The former process may have promised less: what it wrote may not be on the disk yet.
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
	// After a kill the record is right already, and the disk may be full.
	if f.record = next; next == last {
		return nil
	}
	return f.write()
}

// mayHaveLost reports whether acknowledged writes of the record's process may be lost, seen
// from a process on the kernel bootID. Where kernels have no ids the machine may have gone
// down at any time: a reset too many does less harm than skipped events.
func (r record) mayHaveLost(bootID string) bool {
	sameBoot := bootID != "" && bootID == r.BootID
	return !r.Clean && r.Durability != DurabilityPower && !sameBoot
}

// generationDrawn notes that the new generation is on the disk.
func (f *folder) generationDrawn() error {
	f.record.Redraw = false
	return f.write()
}

func recordPath(dir string) string { return filepath.Join(dir, "boot.json") }

// readRecord reads the record of a folder. If it is missing or damaged and there is data,
// a loss is possible.
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
		_ = os.Remove(path + ".new") // an unfinished file
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

// overwriteSynced writes to a file that is there, where the disk has no room for another
// one. A power failure meanwhile may leave a damaged record: then a loss is possible.
func overwriteSynced(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil {
		// A file that is truncated frees its block, and may not get one again.
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

// kernelBootID changes with each start of the machine. It is "" where the kernel has none.
func kernelBootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}
