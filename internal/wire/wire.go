// Package wire is what the gateway and those who call it say to each other:
// callbacks, messages, answers, error codes and the closed list of reasons for
// which a stream ends. It holds no behaviour beyond reading and writing them.
package wire
