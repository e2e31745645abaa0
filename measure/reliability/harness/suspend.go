package harness

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// stopPatience bounds how long a process may take to stop. It needs a processor for that,
// and others may be busy.
const stopPatience = time.Minute

// awaitStop waits until a process that was sent SIGSTOP has stopped.
//
// The kernel only notes the signal. One thread takes it when it gets a processor, and
// stops all; until then the others go on. So the first thread that has stopped shows that
// none comes back from the kernel any more. Where there is no /proc, nothing shows it.
func awaitStop(pid int) error {
	tasks := fmt.Sprintf("/proc/%d/task/", pid)
	if _, err := os.Stat("/proc/self/task"); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for end := time.Now().Add(stopPatience); ; time.Sleep(time.Millisecond) { // the kernel reports it by wait only, which also waits for system calls
		threads, err := filepath.Glob(tasks + "*/stat")
		if err != nil || len(threads) == 0 {
			return fmt.Errorf("%w: it is not in /proc", ErrEnded)
		}
		for _, path := range threads {
			stat, _ := os.ReadFile(path) // a thread may have ended
			switch state(stat) {
			case 'T':
				return nil
			case 'Z':
				return fmt.Errorf("%w: nobody has waited for it yet", ErrEnded)
			}
		}
		if time.Now().After(end) {
			return fmt.Errorf("still runs %s after SIGSTOP", stopPatience)
		}
	}
}

// state reads the state in a thread's /proc/PID/task/TID/stat, 0 if there is none: see
// proc_pid_stat(5).
func state(stat []byte) byte {
	i := bytes.LastIndexByte(stat, ')') // the name before it may have anything
	if i < 0 || i+2 >= len(stat) {
		return 0
	}
	return stat[i+2]
}
