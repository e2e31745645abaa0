package leftover

import (
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// None of these tests is parallel, and none can be: each looks at all that the
// process has.

func TestMain(m *testing.M) { os.Exit(RunWithDescriptors(m)) }

// passing are tests that pass and do something.
func passing(do func()) func() int {
	return func() int {
		do()
		return 0
	}
}

func TestAGoroutineThatStaysIsReportedWithItsStack(t *testing.T) {
	release := make(chan struct{})
	var out strings.Builder
	code := run(passing(func() { go forgotten(release) }), false, 50*time.Millisecond, &out)
	close(release) // it is gone when the tests of this package are over
	if code != 1 || !strings.Contains(out.String(), "leftover.forgotten(") {
		t.Errorf("exit code %d, %s; want 1 and the stack", code, out.String())
	}
	if strings.Contains(out.String(), "TestAGoroutineThatStaysIsReportedWithItsStack(") {
		t.Errorf("what was there before is reported: %s", out.String())
	}
}

func forgotten(release <-chan struct{}) { <-release }

func TestAGoroutineThatIsAboutToEndIsWaitedFor(t *testing.T) {
	var out strings.Builder
	slow := func() {
		timer := time.NewTimer(50 * time.Millisecond)
		go func() { <-timer.C }()
	}
	if code := run(passing(slow), true, patience, &out); code != 0 || out.Len() > 0 {
		t.Errorf("exit code %d, %s; want 0 and nothing", code, out.String())
	}
}

func TestADescriptorThatStaysOpenIsReported(t *testing.T) {
	file, err := os.Open("leftover.go")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var more *os.File
	open := func() { more, err = os.Open("leftover.go") }
	for _, withFiles := range []bool{false, true} {
		var out strings.Builder
		code := run(passing(open), withFiles, 50*time.Millisecond, &out)
		if err != nil {
			t.Fatal(err)
		}
		_ = more.Close()
		reported := code == 1 && strings.Contains(out.String(), "leftover.go")
		if want := withFiles && runtime.GOOS == "linux"; reported != want {
			t.Errorf("descriptors looked at: %v, exit code %d, %s", withFiles, code, out.String())
		}
	}
}

func TestTheExitCodeOfTestsThatFailIsTheirs(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	var out strings.Builder
	code := run(func() int { go forgotten(release); return 3 }, true, time.Hour, &out)
	if code != 3 || out.Len() > 0 {
		t.Errorf("exit code %d, %s; want 3 at once and nothing", code, out.String())
	}
}

func TestWhatTheDefaultClientKeepsIsNoLeftover(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	var out strings.Builder
	code := run(passing(func() {
		res, err := http.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}), true, patience, &out)
	if code != 0 {
		t.Errorf("exit code %d, %s; want 0", code, out.String())
	}
}

// TestAllStacksAreReported also when they are many.
func TestAllStacksAreReported(t *testing.T) {
	const many = 1000
	release := make(chan struct{})
	defer close(release)
	for range many {
		go forgotten(release)
	}
	found := 0
	for _, stack := range Goroutines() {
		if strings.Contains(stack, "created by tidegate/internal/leftover.TestAllStacksAreReported") {
			found++
		}
	}
	if found != many {
		t.Errorf("%d stacks, want %d", found, many)
	}
}
