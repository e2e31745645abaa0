// Package reliability describes its folder: programs that put a running Tidegate under
// load and inject faults, and a separate checker of the records. The checker finds
// answered events that were lost, repeated or out of order. The programs know of
// Tidegate only what docs/reference/protocol.md says, and import none of its code except
// for what builds the program and reserves ports.
//
// The programs:
//
//	load     publishes, follows streams, and records all answers and events
//	check    judges the records of load
//	kill     starts a server or a cluster, injects faults under load, then judges
//	tasks    starts tasks while servers are killed, and judges how each one ended
//	storm    lets thousands of clients that are behind resume at once
//	power    cuts the power of a server's disk, and looks for the answered events
//	hostile  attacks a server as one client can, and measures what others notice
//
// The shared packages:
//
//	record       the format of the records
//	workload     the load of load and kill
//	judge        the checks of check and kill
//	harness      starts processes and injects faults
//	eventsource  reads one stream, without defaults or reconnects
//	api          posts to the internal API of servers that may be down
//	callback     a backend that accepts every client
//	command      flags, help and exit codes
//
// docs/reference/reliability.md says what each program proves.
// docs/guides/check-reliability.md has the commands.
package reliability
