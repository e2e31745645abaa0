// Package wire has the types of the HTTP interface: callbacks, messages, answers, error codes, and the
// closed list of reasons for which a stream ends. It only reads and writes them. The page of errors is
// generated from it.
package wire
