// Package reliability is a folder of programs that put a running Tidegate under
// load while it is killed, and of a separate checker that finds out whether
// anything that was answered was lost, repeated or disordered. They know of
// Tidegate what docs/reference/protocol.md says, and import nothing of its inside.
//
// The programs:
//
//	load     publishes and follows, and writes down what each side was told
//	check    judges what load wrote down
//	kill     starts a server or a cluster, breaks it at random moments under load, then checks
//	tasks    starts tasks while servers are killed, and looks at how each one ended
//	storm    lets thousands of clients that are behind resume at once
//	power    takes the power away from a server's disk, and looks for what was answered
//	hostile  attacks a server as one client can, and looks whether others notice
//
// The packages that they share:
//
//	record       the format of what is written down
//	workload     what load does
//	judge        what check does
//	bed          starts processes and breaks them
//	eventsource  reads one stream, and does nothing by itself
//	api          posts to the internal API of servers that may be away
//	callback     a backend that lets every client in
//	command      flags, help and exit codes
//
// docs/guides/check-reliability.md has the commands, docs/reference/figures.md the figures.
package reliability
