// Package segments keeps the events of a process that shares its storage with no other: a
// [topic.Store] over files of its own. It knows nothing of NATS.
//
// # Files
//
// A folder holds meta.json, which says what ids begin with, and segments: files of
// records, named by the first position that they may hold. Records are only ever
// appended to the newest segment. Each has a checksum, and says which event of its
// topic came before it; so damage is noticed, and which topic it hit.
//
// Dropped events (trimmed, expired, deleted) stay in their file until less than half of it is
// left. Then the file is compacted while appends go on, or several small ones are merged.
// Positions do not change.
//
// # Memory
//
// The index has 16 bytes for each event and some 150 for each topic. It is made
// from the files when the log is opened.
//
// # Appends
//
// Appends that wait at one moment are one group: one write, and one fdatasync if each event has
// to survive a power failure. A caller that finds no writer writes for all that wait, passes
// the events to the hub, and hands over. A failed write fails for its group; the next group
// tries again.
//
// # Damage
//
// A damaged record is left out and makes a hole. Readers of its topic notice it because the next
// record names it as its predecessor; if there is no next one, by [Log.Lost]. Holes are noted
// in the log, because the file may be rewritten.
package segments
