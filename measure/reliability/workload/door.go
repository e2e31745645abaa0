package workload

import (
	"fmt"
	"strings"
)

// door is the way by which clients come to their topics. run keeps the topics of
// one run apart from those of another on the same server.
type door struct {
	tasks bool
	run   string
}

// topic names topic number n.
func (d door) topic(n int) string {
	if d.tasks {
		return fmt.Sprintf("task:load-%s-%d", d.run, n)
	}
	return fmt.Sprintf("load:%s-%d", d.run, n)
}

// target is what a client asks for.
func (d door) target(client int, topics []int) string {
	var b strings.Builder
	if d.tasks {
		fmt.Fprintf(&b, "/api/sse/stream?client=%d", client)
	} else {
		fmt.Fprintf(&b, "/api/sse/load?client=%d", client)
	}
	for _, t := range topics {
		if d.tasks {
			fmt.Fprintf(&b, "&task_id=load-%s-%d", d.run, t)
		} else {
			b.WriteString("&topic=" + d.topic(t))
		}
	}
	return b.String()
}
