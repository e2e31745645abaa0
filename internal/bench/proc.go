package bench

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of CPU times in /proc/stat (USER_HZ), the same on every Linux.
const tick = 10 * time.Millisecond

var errProc = errors.New("not in the form of proc(5)")

// memory is what /proc/PID/status says of a process.
type memory struct {
	rss, peak int64 // bytes in RAM: now, and the most there ever was
	threads   int64
}

// parseStatus reads /proc/PID/status. A process that has ended, and only waits
// for its parent, has no memory: an error.
func parseStatus(s string) (memory, error) {
	var m memory
	found := 0
	for line := range strings.Lines(s) {
		name, value, _ := strings.Cut(line, ":")
		var to *int64
		unit := int64(1024)
		switch name {
		case "VmRSS":
			to = &m.rss
		case "VmHWM":
			to = &m.peak
		case "Threads":
			to, unit = &m.threads, 1
		default:
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
		if err != nil || n < 0 {
			return memory{}, errProc
		}
		*to = n * unit
		found++
	}
	if found != 3 {
		return memory{}, errProc
	}
	return m, nil
}

// parseMachine takes from /proc/stat how long the CPUs were busy with anything,
// work for other virtual machines included.
func parseMachine(s string) (time.Duration, error) {
	line, _, _ := strings.Cut(s, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, errProc
	}
	var busy int64
	// user nice system idle iowait irq softirq steal; guests count as user.
	for _, i := range []int{1, 2, 3, 6, 7, 8} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil || n < 0 {
			return 0, errProc
		}
		busy += n
	}
	return time.Duration(busy) * tick, nil
}

// parseLoad takes the load of the last minute from /proc/loadavg.
func parseLoad(s string) (float64, error) {
	first, _, _ := strings.Cut(s, " ")
	load, err := strconv.ParseFloat(first, 64)
	if err != nil || !(load >= 0) {
		return 0, errProc
	}
	return load, nil
}

// readProc reads a file below /proc and gives its text to parse.
func readProc[T any](path string, parse func(string) (T, error)) (value T, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return value, fmt.Errorf("bench needs Linux, and the processes that it measures: %w", err)
	}
	if value, err = parse(string(text)); err != nil {
		return value, fmt.Errorf("read %s: %w", path, err)
	}
	return value, nil
}

func memoryOf(pids []int) (sum memory, err error) {
	for _, pid := range pids {
		m, err := readProc(fmt.Sprintf("/proc/%d/status", pid), parseStatus)
		if err != nil {
			return memory{}, err
		}
		sum.rss += m.rss
		sum.peak += m.peak
		sum.threads += m.threads
	}
	return sum, nil
}

// filesOf counts the open files of processes.
func filesOf(pids []int) (sum int, err error) {
	for _, pid := range pids {
		list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil {
			return 0, fmt.Errorf("count open files: %w", err)
		}
		sum += len(list)
	}
	return sum, nil
}

// resetPeaks begins the peaks of memory anew. Where that is not allowed, they
// are those since the start.
func resetPeaks(pids []int) {
	for _, pid := range pids {
		_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0) // proc(5)
	}
}

// sample is the state of the clocks at one moment.
type sample struct {
	at                      time.Time
	gateway, bench, machine time.Duration // CPU time since their starts
}

func takeSample(gateway, bench []int) (s sample, err error) {
	var errs [3]error
	s.at = time.Now()
	s.gateway, errs[0] = cpuOf(gateway)
	s.bench, errs[1] = cpuOf(bench)
	s.machine, errs[2] = readProc("/proc/stat", parseMachine)
	return s, errors.Join(errs[:]...)
}

// usage is what was used between two samples.
type usage struct {
	elapsed time.Duration
	gateway time.Duration // CPU of the gateway
	bench   time.Duration // CPU of this program: clients, senders, backend
	foreign time.Duration // CPU of everybody else on the machine
}

func (s sample) until(end sample) usage {
	u := usage{elapsed: end.at.Sub(s.at), gateway: end.gateway - s.gateway, bench: end.bench - s.bench}
	u.foreign = max(0, end.machine-s.machine-u.gateway-u.bench)
	return u
}

// foreignShare is how much of the machine others had, from 0 to 1.
func (u usage) foreignShare() float64 {
	if u.elapsed <= 0 {
		return 0
	}
	return u.foreign.Seconds() / (u.elapsed.Seconds() * float64(runtime.NumCPU()))
}
