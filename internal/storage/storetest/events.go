package storetest

import (
	"fmt"
	"strings"

	"tidegate/internal/topic"
)

// sameEvents compares events in all fields but the key, which a log need not give.
func sameEvents(got, want []topic.Stored) error {
	for i := range min(len(got), len(want)) {
		g, w := got[i], want[i]
		g.Key, w.Key = "", ""
		if g != w {
			return fmt.Errorf("event %d of %d is %s, want %s", i, len(got), show(g), show(w))
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("%d events %s, want %d %s", len(got), seqs(got), len(want), seqs(want))
	}
	return nil
}

func show(e topic.Stored) string {
	if len(e.Data) > 40 {
		e.Data = fmt.Sprintf("%s… (%d bytes)", e.Data[:40], len(e.Data))
	}
	return fmt.Sprintf("%+v", e)
}

func seqs(events []topic.Stored) string {
	var b strings.Builder
	for i, e := range events {
		if i == 20 {
			b.WriteString(" …")
			break
		}
		fmt.Fprintf(&b, " %d", e.Seq)
	}
	return "[" + strings.TrimSpace(b.String()) + "]"
}

// data is what events say, in one line.
func data(events []topic.Stored) string {
	words := make([]string, len(events))
	for i, e := range events {
		words[i] = e.Data
	}
	return strings.Join(words, " ")
}
