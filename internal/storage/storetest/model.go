package storetest

import (
	"cmp"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Variables that say how long Model runs, and with what.
const (
	historiesVariable = "TIDETEST_STORE_HISTORIES" // how many histories
	seedVariable      = "TIDETEST_STORE_SEED"      // only this one
	stepsVariable     = "TIDETEST_STORE_STEPS"     // of each history
)

// Model runs random histories against a log, and compares it after each step with a
// plain list of what must be in it. Each history comes from a seed. One that fails
// is made smaller, as long as it fails, and is printed with its seed:
//
//	TIDETEST_STORE_SEED=17 go test -run TestModel ./mylog
//
// runs it again. TIDETEST_STORE_HISTORIES says how many there are.
func Model(t *testing.T, c Config) {
	t.Helper()
	first, count := 0, number(historiesVariable, cmp.Or(c.Histories, 24))
	if seed := number(seedVariable, -1); seed >= 0 {
		first, count = seed, 1
	}
	for seed := first; seed < first+count; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			h := newHistory(uint64(seed), number(stepsVariable, 60), c)
			err := try(t, "history", c, h)
			if err == nil {
				return
			}
			small, why := shrink(t, c, h, err)
			t.Errorf("seed %d: %v\nthe smallest history found that fails has %d of %d steps:\n%s\n%v",
				seed, err, len(small), len(h), show1(small), why)
		})
	}
}

func number(variable string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(variable)); err == nil {
		return n
	}
	return otherwise
}

// try runs a history on a new log.
func try(t *testing.T, name string, c Config, h []step) error {
	err := fmt.Errorf("the history did not come to its end; see its test")
	t.Run(name, func(t *testing.T) {
		run := func(t *testing.T) { err = newWorld(t, c).run(h) }
		if c.Bubble {
			synctest.Test(t, run)
		} else {
			run(t)
		}
	})
	return err
}

// shrinkVariable bounds how long a smaller history is looked for; default 20 s.
const shrinkVariable = "TIDETEST_STORE_SHRINK"

// shrink leaves out steps, many at first, as long as the history fails.
func shrink(t *testing.T, c Config, h []step, err error) ([]step, error) {
	long, bad := time.ParseDuration(os.Getenv(shrinkVariable))
	if bad != nil {
		long = 20 * time.Second
	}
	deadline := time.Now().Add(long)
	for size := len(h) / 2; size > 0; size /= 2 {
		for from := 0; from+size <= len(h) && time.Now().Before(deadline); {
			less := append(append([]step(nil), h[:from]...), h[from+size:]...)
			if e := try(t, "smaller", c, less); e != nil {
				h, err = less, e
			} else {
				from += size
			}
		}
	}
	return h, err
}

func show1(h []step) string {
	var b strings.Builder
	for _, s := range h {
		fmt.Fprintf(&b, "\t%v\n", s)
	}
	return strings.TrimRight(b.String(), "\n")
}
