// Package segments keeps the events of a process that shares its storage with
// nobody: a [topic.Store] over files of its own.
//
// # Files
//
// A folder holds meta.json, which says what ids begin with, and segments: files of
// records, named by the first position that they may hold. Records are only ever
// appended to the newest segment. Each has a checksum, and says which event of its
// topic came before it; so what is damaged is noticed, and whose it was.
//
// What is dropped (trimmed, expired, deleted) stays in its file until less than half
// of that is left: then the file is written anew beside the appends, or several
// small ones are written into one. Positions stay what they are.
//
// # Memory
//
// The index has 16 bytes for each event and some 150 for each topic. It is made
// from the files when the log is opened.
//
// # Appends
//
// Appends that wait at one moment are one group: one write, and one fdatasync
// where the machine's power may fail. Who finds nobody writing writes for all who
// wait, gives the events to the hub, and hands over. A write that fails fails for
// its group; the next one tries again.
//
// # Damage
//
// A record that is damaged is left out. What it was is a hole: readers of its topic
// see it by the predecessor that the next record names; where there is no next one,
// by [Log.Lost]. Holes are noted in the log, for the file may be rewritten.
package segments
