package judge

import (
	"slices"

	"tidegate/measure/reliability/record"
)

// streamCallbacks sums up the callbacks of one stream.
type streamCallbacks struct {
	accepted         bool     // a connect was answered 2xx
	early            bool     // a disconnect arrived before that answer
	unmarked         int      // disconnects that are not marked as redelivered
	uncertain        int      // of these, ones whose answer may not have arrived, so that a repeat is right
	redelivered      int      // disconnects that are marked as redelivered
	redeliveredFirst bool     // the first disconnect was marked so
	gateways         []string // gateways that sent an unmarked disconnect
	repeated         int      // unmarked repeats of one gateway while the network was being cut
}

func (s *streamCallbacks) add(cb record.Callback, cuts bool) {
	ok := cb.Status >= 200 && cb.Status < 300
	switch {
	case cb.Action == record.Connect:
		s.accepted = s.accepted || ok && cb.Sent
		return
	case !ok:
		return // rejected, so the gateway sends it again
	case !s.accepted:
		s.early = true
	}
	switch {
	case cb.Redelivered:
		s.redeliveredFirst = s.redeliveredFirst || s.unmarked == 0
		s.redelivered++
	case cuts && slices.Contains(s.gateways, cb.Gateway):
		s.repeated++
	case cb.Sent:
		s.unmarked++
		s.gateways = append(s.gateways, cb.Gateway)
	default:
		s.unmarked++
		s.uncertain++
	}
}

// judge adds the callbacks of the stream and their faults to the report.
func (s *streamCallbacks) judge(r *Report, name string) {
	if s.accepted {
		r.Accepted++
	}
	disconnects := s.unmarked + s.redelivered
	if disconnects > 0 {
		r.Disconnected++
	}
	if !s.accepted && disconnects > 0 {
		r.NeverAccepted++
	}
	repeats := s.redelivered
	if s.redeliveredFirst {
		repeats-- // the first one is the disconnect itself
	}
	r.Redelivered += repeats
	r.Repeats += s.repeated
	switch {
	case s.accepted && disconnects == 0:
		r.fault(DisconnectsMissing, "stream %s: its connect was accepted, but no disconnect arrived", name)
	case s.unmarked-s.uncertain > 1, s.redeliveredFirst && s.unmarked-s.uncertain > 0:
		r.fault(DisconnectsDuplicated, "stream %s: %d disconnects, %d of them marked as redelivered", name, disconnects, s.redelivered)
	case s.accepted && s.early:
		r.fault(DisconnectsEarly, "stream %s: its disconnect arrived before its connect was answered", name)
	}
}
