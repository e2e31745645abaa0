package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// usage is the memory and descriptors of a process at one time.
type usage struct {
	resident, peak int64 // bytes
	files          int   // open descriptors
}

// usageOf reads the usage of a process from /proc.
func usageOf(pid int) (usage, error) {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		return usage{}, err
	}
	var u usage
	for line := range strings.Lines(string(status)) {
		for name, into := range map[string]*int64{"VmRSS:": &u.resident, "VmHWM:": &u.peak} {
			if text, ok := strings.CutPrefix(line, name); ok {
				if _, err := fmt.Sscan(text, into); err != nil {
					return usage{}, fmt.Errorf("%s of %d: %w", name, pid, err)
				}
				*into <<= 10
			}
		}
	}
	files, err := os.ReadDir(filepath.Join(proc, "fd"))
	u.files = len(files)
	return u, err
}

// resetPeak resets the peak memory to the current one.
func resetPeak(pid int) error {
	return os.WriteFile(filepath.Join("/proc", strconv.Itoa(pid), "clear_refs"), []byte("5"), 0)
}
