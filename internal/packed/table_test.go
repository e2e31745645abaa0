package packed_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"tidegate/internal/packed"
)

func TestALineIsSharedFromItsSecondSight(t *testing.T) {
	t.Parallel()
	s := packed.New(packed.Options{})
	r := request("User-Agent", strings.Repeat("agent ", 20))
	first := s.Pack(r)
	if got := s.Stats(); got != (packed.Stats{}) {
		t.Errorf("after one request: Stats = %+v, want nothing in the table", got)
	}
	second := s.Pack(r)
	if got, want := s.Stats(), (packed.Stats{Lines: 2, Bytes: len("user-agent") + 120 + len("hosth")}); got != want {
		t.Errorf("after two requests: Stats = %+v, want %+v", got, want)
	}
	if packed.Size(first) < 120 || packed.Size(second) > 20 {
		t.Errorf("packed in %d, then %d bytes, want the line inline, then shared", packed.Size(first), packed.Size(second))
	}
	s.Release(second)
	checkEmpty(t, s)
	check(t, s, first, r)
}

// TestEveryLineIsSharedWhateverItsHash tries many seeds: lines of one request
// that belong in the same place of what is remembered must not push each other
// out.
func TestEveryLineIsSharedWhateverItsHash(t *testing.T) {
	t.Parallel()
	var pairs []string
	for i := range 30 {
		pairs = append(pairs, fmt.Sprint("X-", i), "value")
	}
	r := request(pairs...)
	for range 200 {
		s := packed.New(packed.Options{})
		s.Pack(r)
		s.Pack(r)
		if got := s.Stats().Lines; got != 31 { // with the host
			t.Fatalf("%d of 31 lines are shared after the second sight", got)
		}
	}
}

func TestLinesOfOneClientAreNeverShared(t *testing.T) {
	t.Parallel()
	s := packed.New(packed.Options{})
	for range 3 {
		s.Pack(request("Cookie", "session=secret", "Authorization", "Bearer secret", "Last-Event-Id", "17",
			"X-Forwarded-For", "192.0.2.1", "X-Request-Id", "a", "Traceparent", "b"))
	}
	if got := s.Stats(); got.Lines != 1 { // host
		t.Errorf("Stats = %+v, want one line, that of the host", got)
	}
}

func TestLongLinesAreNotShared(t *testing.T) {
	t.Parallel()
	s := packed.New(packed.Options{})
	r := request("User-Agent", strings.Repeat("x", 2<<10))
	for range 3 {
		s.Pack(r)
	}
	if got := s.Stats(); got.Lines != 1 { // host
		t.Errorf("Stats = %+v, want one line, that of the host", got)
	}
}

func TestTheTableIsBounded(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]packed.Options{
		"lines": {MaxLines: 10},
		"text":  {MaxText: 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := packed.New(opts)
			var kept []packed.Request
			for i := range 50 {
				r := request("User-Agent", fmt.Sprint("agent ", i))
				for range 2 {
					p := s.Pack(r)
					check(t, s, p, r)
					kept = append(kept, p)
				}
			}
			full := s.Stats()
			if full.Refused == 0 || full.Lines == 0 || full.Lines > 10 || full.Bytes > 200 {
				t.Errorf("Stats = %+v, want the table full and some lines refused", full)
			}
			if opts.MaxText > 0 && full.Bytes > opts.MaxText {
				t.Errorf("%d bytes of text, want at most %d", full.Bytes, opts.MaxText)
			}
			for _, p := range kept {
				s.Release(p)
			}
			checkEmpty(t, s)
			s.Pack(request("Accept", "new"))
			s.Pack(request("Accept", "new"))
			if got := s.Stats(); got.Lines != 2 || got.Refused != full.Refused {
				t.Errorf("after room was made: Stats = %+v, want 2 lines and no more refused", got)
			}
		})
	}
}

func TestOneRequestAddsFewLines(t *testing.T) {
	t.Parallel()
	s := packed.New(packed.Options{})
	var pairs []string
	for i := range 1000 {
		pairs = append(pairs, fmt.Sprint("X-", i), "v")
	}
	r := request(pairs...)
	s.Pack(r)
	p := s.Pack(r)
	if got := s.Stats().Lines; got != 32 {
		t.Errorf("a request with 1000 lines added %d, want 32", got)
	}
	check(t, s, p, r)
}

func TestUniqueLinesCostWhatTheyAre(t *testing.T) {
	t.Parallel()
	s := packed.New(packed.Options{})
	for n := range 100 {
		r, raw := unique(n, 64<<10)
		p := s.Pack(r)
		check(t, s, p, r)
		if got := packed.Size(p); got > raw+raw/50 {
			t.Errorf("a request of %d bytes was packed in %d, want at most 2 %% more", raw, got)
		}
	}
	if got := s.Stats(); got.Lines > 1 || got.Bytes > 100 {
		t.Errorf("Stats = %+v, want nothing but the host in the table", got)
	}
}

// unique makes a request of about size bytes that has no line in common with
// another; raw is its length in HTTP/1.1.
func unique(n, size int) (r *http.Request, raw int) {
	random := rand.New(rand.NewPCG(uint64(n), 1))
	r = request()
	raw = len("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	for i := 0; raw < size; i++ {
		name, value := fmt.Sprintf("X-%d-%d", n, i), strings.Repeat("v", random.IntN(200))
		r.Header.Set(name, value)
		raw += len(name) + len(": \r\n") + len(value)
	}
	return r, raw
}

func TestAllKindsOfNamesFitOneByte(t *testing.T) {
	t.Parallel()
	if packed.FirstRef > 64 {
		t.Errorf("%d names have a code, want at most 63: half of the tags of one byte are for lines", packed.FirstRef-1)
	}
	seen := map[string]bool{}
	for _, name := range packed.Names {
		if seen[name] || name != strings.ToLower(name) {
			t.Errorf("the name %q is there twice or not in lower case", name)
		}
		seen[name] = true
	}
}

func TestASecondReleaseIsFound(t *testing.T) {
	t.Parallel()
	s := packed.New(packed.Options{})
	s.Pack(request())
	p := s.Pack(request())
	s.Release(p)
	for name, use := range map[string]func(){
		"Release": func() { s.Release(p) },
		"Unpack":  func() { s.Unpack(p) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s after Release did not panic", name)
				}
			}()
			use()
		}()
	}
	if got := p.URL() + p.RemoteAddr(); got != "/10.0.0.1:80" {
		t.Errorf("URL and RemoteAddr after Release = %q, want them as before", got)
	}
	s.Pack(request()) // the lock is free
}

// TestPlacesAreReusedOnlyWhenFree holds the store against a model: random
// requests of few lines come and go, and all that are there stay as they were.
func TestPlacesAreReusedOnlyWhenFree(t *testing.T) {
	t.Parallel()
	churn(t, packed.New(packed.Options{MaxLines: 40}), 1, 1000)
}

func TestManyGoroutinesPackAndRelease(t *testing.T) {
	t.Parallel()
	s := packed.New(packed.Options{MaxLines: 40})
	var wg sync.WaitGroup
	for seed := range uint64(8) {
		wg.Go(func() { churn(t, s, seed, 150) })
	}
	wg.Go(func() {
		for range 400 {
			if got := s.Stats(); got.Lines > 40 {
				t.Errorf("Stats = %+v, want at most 40 lines", got)
			}
		}
	})
	wg.Wait()
	checkEmpty(t, s)
}

// churn packs and releases in random order, looks at what it holds, and
// releases all in the end.
func churn(t *testing.T, s *packed.Store, seed uint64, steps int) {
	type held struct {
		p packed.Request
		r *http.Request
	}
	random := rand.New(rand.NewPCG(seed, 2))
	var all []held
	for range steps {
		if len(all) > 0 && random.IntN(2) == 0 {
			i := random.IntN(len(all))
			check(t, s, all[i].p, all[i].r)
			s.Release(all[i].p)
			all = slices.Delete(all, i, i+1)
			continue
		}
		r := request("Accept", fmt.Sprint(random.IntN(20)), "X-Own", fmt.Sprint(random.IntN(20)),
			"User-Agent", fmt.Sprint(random.IntN(20)))
		all = append(all, held{s.Pack(r), r})
	}
	for _, h := range all {
		check(t, s, h.p, h.r)
		s.Release(h.p)
	}
}
