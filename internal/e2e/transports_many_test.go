package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// manyScenes are about what many streams cost.
var manyScenes = []scene{
	{name: "200 come and go", play: func(s *site) {
		const streams = 200
		goroutines := s.gauge("go_goroutines")
		l := s.newLine(false)
		var all []*guest
		for range streams {
			all = append(all, s.opensOn(l, "/x"))
		}
		if s.parks { // just behind the headers
			eventually(s.T, "all are parked", func() bool { return s.gauge("tidegate_streams_parked") == streams })
		}
		parked, grown := s.gauge("tidegate_streams_parked"), s.gauge("go_goroutines")-goroutines
		switch {
		case s.parks && (parked != streams || grown > streams/4):
			s.Errorf("%d parked and %d goroutines more, want all %d and hardly any", parked, grown, streams)
		case !s.parks && (parked != 0 || grown < streams*9/10): // others come and go
			s.Errorf("%d parked and %d goroutines more, want none and one for each of %d", parked, grown, streams)
		}
		s.batch(numbered(streams, func(i int) string { return toToken(all[i].token, "x") })...)
		for _, v := range all {
			s.note("%s", v.reads(1))
			v.leaves()
		}
		s.ended(all...)
		l.CloseIdleConnections() // with HTTP/2 it was one
		eventually(s.T, "all is given back", func() bool {
			return s.descriptors() == s.before && s.api.metric("tidegate_streams_parked") == "0" && s.api.idle()
		})
	}, want: strings.Repeat("data: x\n\n", 200) + strings.Repeat("disconnect client_closed \n", 200)},
}

// stop is the last scene.
var stop = scene{
	name: "a stop", play: func(s *site) {
		var all []*guest
		l := s.newLine(false)
		for range 20 {
			all = append(all, s.opensOn(l, "/x"))
		}
		s.api.mustSend(toToken(all[0].token, "before"))
		s.program.signal(syscall.SIGTERM)
		for _, v := range all {
			v.notesRest()
		}
		s.ended(all...)
		s.note("exit code %d\n", s.program.exit())
	}, want: "data: before\n\n" + strings.Repeat("retry: N\n\n(end)\n", 20) + strings.Repeat("disconnect server_closed drain\n", 20) + "exit code 0\n",
}

// gauge reads a metric that is a whole number.
func (s *site) gauge(series string) int {
	s.Helper()
	n, err := strconv.Atoi(s.api.metric(series))
	if err != nil {
		s.Fatalf("%s: %v", series, err)
	}
	return n
}

// descriptors are the program's open files, without its connections to the
// backend: those are pooled, and their number is not ours.
func (s *site) descriptors() int {
	s.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.program.cmd.Process.Pid))
	if err != nil {
		s.Fatal(err)
	}
	return len(open) - int(s.backendConns.Load())
}
