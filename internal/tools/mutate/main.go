// Mutate checks the tests: it puts known mistakes into the code, one at a time, and
// demands that a test fails for each of them.
//
//	go run ./internal/tools/mutate                    all mutants
//	go run ./internal/tools/mutate -only 'topic/'     those whose name matches
//	go run ./internal/tools/mutate -sample 6          six of them, others for each commit
//	go run ./internal/tools/mutate -list              names, files and tests
//
// The working tree is not changed: the go command gets each mistake as an overlay. A
// mutant whose place is not in the code any more, or which does not compile, is an
// error of the list: the list follows the code.
package main

import (
	"context"
	"flag"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

func main() {
	only := flag.String("only", "", "run the mutants whose name matches this `REGEXP`")
	sample := flag.Int("sample", 0, "run so many mutants; which ones depends on the commit")
	list := flag.Bool("list", false, "print the mutants and stop")
	parallel := flag.Int("parallel", 2, "mutants at once")
	wide := flag.Bool("wide", false, "go on after the first failure, and name all tests that fail: to find a narrow -run for a new mutant")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "mutate: unexpected argument", flag.Arg(0))
		os.Exit(2)
	}
	if err := run(*only, *sample, *parallel, *list, *wide); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func run(only string, sample, parallel int, list, wide bool) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	chosen, err := choose(root, only, sample)
	if err != nil {
		return err
	}
	if list {
		for _, m := range chosen {
			fmt.Printf("%-55s %s -run '%s'\n", m.name, m.testPackage(), m.tests)
		}
		return nil
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if !wide {
		if err := baseline(ctx, root, chosen); err != nil {
			return err
		}
	}
	return report(ctx, root, chosen, parallel, wide)
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	return strings.TrimSpace(string(out)), err
}

// choose picks mutants by name, and of these a sample that changes with the commit.
func choose(root, only string, sample int) ([]mutant, error) {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return nil, err
	}
	chosen := slices.DeleteFunc(all(), func(m mutant) bool { return !pattern.MatchString(m.name) })
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no mutant has a name like %q", only)
	}
	if sample <= 0 || sample >= len(chosen) {
		return chosen, nil
	}
	head, _ := exec.Command("git", "-C", root, "rev-parse", "HEAD").Output() // without git: always the same
	slices.SortFunc(chosen, func(a, b mutant) int {
		return strings.Compare(orderOf(head, a), orderOf(head, b))
	})
	return chosen[:sample], nil
}

func orderOf(seed []byte, m mutant) string {
	h := fnv.New64a()
	_, _ = h.Write(seed)
	_, _ = h.Write([]byte(m.name))
	return fmt.Sprintf("%016x", h.Sum64())
}

// baseline demands that the tests pass without any mutant, and that there are some.
func baseline(ctx context.Context, root string, chosen []mutant) error {
	var done []string
	for _, m := range chosen {
		key := m.testPackage() + " " + m.tests
		if slices.Contains(done, key) {
			continue
		}
		done = append(done, key)
		switch r := test(ctx, root, m, "", false); {
		case r.verdict != survived:
			return fmt.Errorf("%s: its tests fail without it: %s", m.name, r.detail)
		case r.noTests:
			return fmt.Errorf("%s: no test of %s matches %q", m.name, m.testPackage(), m.tests)
		}
	}
	return nil
}

// report runs the mutants and prints what became of each.
func report(ctx context.Context, root string, chosen []mutant, parallel int, wide bool) error {
	begin, bad := time.Now(), 0
	var workers sync.WaitGroup
	var mu sync.Mutex // guards bad and the output
	next := make(chan mutant)
	for range max(1, parallel) {
		workers.Go(func() {
			for m := range next {
				start := time.Now()
				r := attempt(ctx, root, m, wide)
				mu.Lock()
				if r.verdict != caught {
					bad++
				}
				fmt.Printf("%-9s %5.1fs %s: %s\n", r.verdict, time.Since(start).Seconds(), m.name, r.detail)
				mu.Unlock()
			}
		})
	}
	for _, m := range chosen {
		if ctx.Err() != nil {
			break
		}
		next <- m
	}
	close(next)
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	fmt.Printf("%d mutants in %s\n", len(chosen), time.Since(begin).Round(time.Second))
	if bad > 0 {
		return fmt.Errorf("%d of %d mutants were not caught by a test", bad, len(chosen))
	}
	return nil
}
