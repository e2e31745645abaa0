package main

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// Aims for people to compare with. Nothing fails because of them.
const (
	aimLatency = 100 * time.Millisecond
	aimMemory  = 256 << 20
	aimBack    = 5 * time.Second
)

// report prints the result and reports whether there were no faults.
func (s *server) report(w io.Writer, o options, r result) bool {
	h := s.honest
	h.mu.Lock()
	defer h.mu.Unlock()
	for p, name := range []string{baseline: "baseline", underAttack: "attack"} {
		f := h.figures[p]
		fmt.Fprintf(w, "  %-9s connect %s, send %s\n", name, quantiles(f.connects), quantiles(f.sends))
	}
	fmt.Fprintf(w, "  memory    %s before, %s at its peak%s\n", mebibytes(r.before.resident), mebibytes(r.during.peak), missed(r.during.peak > aimMemory, "aim 256 MiB"))
	fmt.Fprintf(w, "  after     streams and descriptors (%d, then %d, then %d) as before %s; memory (%s) %s\n",
		r.before.files, r.during.files, r.after.files, since(r.back, o), mebibytes(r.after.resident), since(r.memoryBack, o))
	fmt.Fprintf(w, "  attackers %s\n", &s.tally)
	fmt.Fprintf(w, "  honest    %d events answered, %d streams of listeners ended and were resumed\n", len(h.answered), h.ended)
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	for _, fault := range s.faults.examples {
		fmt.Fprintf(w, "  FAULT     %s\n", fault)
	}
	if more := s.faults.count - len(s.faults.examples); more > 0 {
		fmt.Fprintf(w, "  FAULT     and %d more\n", more)
	}
	return s.faults.count == 0
}

// quantiles formats the median, the 99th percentile and the maximum.
func quantiles(d latencies) string {
	if len(d) == 0 {
		return "never answered"
	}
	slices.Sort(d)
	at := func(q float64) time.Duration { return d[int(q*float64(len(d)-1))].Round(100 * time.Microsecond) }
	return fmt.Sprintf("p50 %s p99 %s max %s of %d%s", at(0.5), at(0.99), at(1), len(d), missed(at(0.99) > aimLatency, "aim 100 ms"))
}

func missed(so bool, aim string) string {
	if so {
		return " (" + aim + ")"
	}
	return ""
}

func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }

func since(d time.Duration, o options) string {
	if d < 0 {
		return fmt.Sprintf("not within %s", o.recover)
	}
	return fmt.Sprintf("after %s%s", d.Round(100*time.Millisecond), missed(d > aimBack, "aim 5 s"))
}
