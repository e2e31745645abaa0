package bench

import (
	"fmt"
	"os"
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
