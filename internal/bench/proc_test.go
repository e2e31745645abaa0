package bench

import (
	"errors"
	"os"
	"testing"
	"time"
)

const statusText = `Name:	tidegate
Umask:	0022
State:	S (sleeping)
VmPeak:	 1234567 kB
VmHWM:	  361112 kB
VmRSS:	  350000 kB
Threads:	11
voluntary_ctxt_switches:	5
`

func TestParseStatus(t *testing.T) {
	t.Parallel()
	got, err := parseStatus(statusText)
	if want := (memory{rss: 350000 << 10, peak: 361112 << 10, threads: 11}); err != nil || got != want {
		t.Errorf("parseStatus = %+v, %v, want %+v", got, err, want)
	}
	const ended = "Name:\ttidegate\nState:\tZ (zombie)\nThreads:\t1\n"
	for _, bad := range []string{"", ended, "VmRSS: x kB\nVmHWM: 1 kB\nThreads: 1\n"} {
		if got, err := parseStatus(bad); !errors.Is(err, errProc) {
			t.Errorf("parseStatus(%q) = %v, %v, want an error", bad, got, err)
		}
	}
}

func TestParseMachine(t *testing.T) {
	t.Parallel()
	// user nice system idle iowait irq softirq steal guest guest_nice
	got, err := parseMachine("cpu  100 20 3 99999 8888 4 5 68 7 0\ncpu0 50 10 1 1 1 1 1 1 1 1\n")
	if err != nil || got != 2*time.Second {
		t.Errorf("parseMachine = %v, %v, want 2s: all but idle, iowait and guests", got, err)
	}
	for _, bad := range []string{"", "cpu 1 2 3", "cpu0 1 2 3 4 5 6 7 8", "cpu a 2 3 4 5 6 7 8"} {
		if got, err := parseMachine(bad); !errors.Is(err, errProc) {
			t.Errorf("parseMachine(%q) = %v, %v, want an error", bad, got, err)
		}
	}
}

func TestParseLoad(t *testing.T) {
	t.Parallel()
	if got, err := parseLoad("3.83 5.25 3.16 6/106 457\n"); err != nil || got != 3.83 {
		t.Errorf("parseLoad = %v, %v, want 3.83", got, err)
	}
	for _, bad := range []string{"", "x 1 2", "-1 1 1", "NaN 1 1"} {
		if got, err := parseLoad(bad); !errors.Is(err, errProc) {
			t.Errorf("parseLoad(%q) = %v, %v, want an error", bad, got, err)
		}
	}
}

func FuzzProc(f *testing.F) {
	f.Add(statusText)
	f.Add("cpu  100 20 3 99999 8888 4 5 68 7 0\n")
	f.Add("3.83 5.25 3.16 6/106 457\n")
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = parseMachine(text)
		if m, err := parseStatus(text); err == nil && m.threads < 0 {
			t.Errorf("parseStatus = %+v", m)
		}
		if load, err := parseLoad(text); err == nil && !(load >= 0) {
			t.Errorf("parseLoad = %v", load)
		}
	})
}

func TestThisProcessIsRead(t *testing.T) {
	t.Parallel()
	self := []int{os.Getpid()}
	begin, err := takeSample(self, nil)
	if err != nil {
		t.Fatal(err)
	}
	for cpu := begin.gateway; cpu < begin.gateway+tick; { // work until it counts
		if cpu, err = cpuOf(self); err != nil {
			t.Fatal(err)
		}
	}
	end, err := takeSample(self, nil)
	if err != nil {
		t.Fatal(err)
	}
	used := begin.until(end)
	if used.gateway < tick || used.elapsed <= 0 || used.bench != 0 || used.foreign < 0 {
		t.Errorf("used %+v, want CPU of one tick at least", used)
	}
	m, err := memoryOf(self)
	if err != nil || m.rss < 1<<20 || m.peak < m.rss || m.threads < 1 {
		t.Errorf("memory %+v, %v", m, err)
	}
	if _, err := cpuOf([]int{1 << 22}); err == nil {
		t.Error("a process that is not there has CPU time")
	}
	if n, err := filesOf(self); err != nil || n < 3 {
		t.Errorf("%d open files, %v; want standard input, output and error at least", n, err)
	}
}

func TestForeignShare(t *testing.T) {
	t.Parallel()
	if got := (usage{}).foreignShare(); got != 0 {
		t.Errorf("share of no time = %v, want 0", got)
	}
	at := time.Now()
	begin := sample{at: at, gateway: time.Second, bench: time.Second, machine: 10 * time.Second}
	end := sample{at: at.Add(time.Second), gateway: 1500 * time.Millisecond, bench: 1200 * time.Millisecond, machine: 11 * time.Second}
	got := begin.until(end)
	want := usage{elapsed: time.Second, gateway: 500 * time.Millisecond, bench: 200 * time.Millisecond, foreign: 300 * time.Millisecond}
	if got != want {
		t.Errorf("used %+v, want %+v", got, want)
	}
	end.machine = begin.machine // its ticks come late
	if got := begin.until(end).foreign; got != 0 {
		t.Errorf("foreign = %v, want 0", got)
	}
}
