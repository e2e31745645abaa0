package workload

import (
	"fmt"
	"strings"
)

// naming makes the names of topics and the URLs of clients. run keeps the topics of
// one run apart from those of another run on the same server.
type naming struct {
	tasks bool // use the task streams of serve
	run   string
}

// topic returns the name of a topic.
func (n naming) topic(number int) string {
	if n.tasks {
		return fmt.Sprintf("task:load-%s-%d", n.run, number)
	}
	return fmt.Sprintf("load:%s-%d", n.run, number)
}

// target returns the path and query that a client requests for its topics.
func (n naming) target(client int, topics []int) string {
	var b strings.Builder
	if n.tasks {
		fmt.Fprintf(&b, "/api/sse/stream?client=%d", client)
	} else {
		fmt.Fprintf(&b, "/api/sse/load?client=%d", client)
	}
	for _, t := range topics {
		if n.tasks {
			fmt.Fprintf(&b, "&task_id=load-%s-%d", n.run, t)
		} else {
			b.WriteString("&topic=" + n.topic(t))
		}
	}
	return b.String()
}
