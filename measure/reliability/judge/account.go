package judge

import (
	"slices"

	"tidegate/measure/reliability/record"
)

// account is what the callbacks of one stream came to.
type account struct {
	accepted   bool     // a connect was answered 2xx
	early      bool     // a disconnect came before that
	told       int      // disconnects that did not say that they may be a repeat
	unsure     int      // of these, ones whose answer may not have arrived, so that a repeat is right
	again      int      // disconnects that said so
	firstAgain bool     // the first one to come was such a one
	by         []string // gateways that told one without saying so
	retold     int      // ones that a gateway told again, where answers may have been lost on their way
}

func (a *account) book(cb record.Callback, cuts bool) {
	ok := cb.Status >= 200 && cb.Status < 300
	switch {
	case cb.Action == record.Connect:
		a.accepted = a.accepted || ok && cb.Sent
		return
	case !ok:
		return // refused, so it comes again
	case !a.accepted:
		a.early = true
	}
	switch {
	case cb.Redelivered:
		a.firstAgain = a.firstAgain || a.told == 0
		a.again++
	case cuts && slices.Contains(a.by, cb.Gateway):
		a.retold++
	case cb.Sent:
		a.told++
		a.by = append(a.by, cb.Gateway)
	default:
		a.told++
		a.unsure++
	}
}

// judge adds the account to the report.
func (a *account) judge(r *Report, name string) {
	if a.accepted {
		r.Accepted++
	}
	disconnects := a.told + a.again
	if disconnects > 0 {
		r.Disconnected++
	}
	if !a.accepted && disconnects > 0 {
		r.NeverAccepted++
	}
	repeats := a.again
	if a.firstAgain {
		repeats-- // it was the one that counts
	}
	r.Redelivered += repeats
	r.Retold += a.retold
	switch {
	case a.accepted && disconnects == 0:
		r.fault(DisconnectsMissing, "stream %s: its connect was accepted, and no disconnect was told", name)
	case a.told-a.unsure > 1, a.firstAgain && a.told-a.unsure > 0:
		r.fault(DisconnectsDoubled, "stream %s: %d disconnects, %d of them marked as redelivered", name, disconnects, a.again)
	case a.accepted && a.early:
		r.fault(DisconnectsEarly, "stream %s: its disconnect was told before its connect was answered", name)
	}
}
