package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

// cpuOf is the CPU time, user and system, that processes have used since their
// starts. It is read from their clocks, which count nanoseconds: /proc counts in
// steps of 10 ms, too coarse for what takes a fraction of a second.
func cpuOf(pids []int) (sum time.Duration, err error) {
	for _, pid := range pids {
		var t syscall.Timespec
		// The clock of a process: clock_getcpuclockid(3), and CPUCLOCK_SCHED in
		// Linux's include/linux/posix-timers.h.
		clock := int32(^pid<<3 | 2)
		_, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(clock), uintptr(unsafe.Pointer(&t)), 0)
		if errno != 0 {
			return 0, fmt.Errorf("read the CPU time of process %d, which may have ended: %w", pid, os.NewSyscallError("clock_gettime", errno))
		}
		sum += time.Duration(t.Nano())
	}
	return sum, nil
}

// yieldCPU lowers the priority of processes: nice(2) 19 for each of their threads. Later threads
// inherit it.
func yieldCPU(pids []int) error {
	for _, pid := range pids {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
		if err != nil {
			return err
		}
		for _, thread := range threads {
			tid, err := strconv.Atoi(filepath.Base(thread))
			if err != nil {
				return err
			}
			if err := syscall.Setpriority(syscall.PRIO_PROCESS, tid, 19); err != nil && !errors.Is(err, syscall.ESRCH) {
				return os.NewSyscallError("setpriority", err)
			}
		}
	}
	return nil
}
