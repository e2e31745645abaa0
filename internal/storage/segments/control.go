package segments

import "encoding/binary"

// control is a record that is not an event.
type control struct {
	kind  kind
	topic string // of a trim, or of a hole if it is known
	// from and to depend on the kind.
	//   - trim: unused, and the first position that is kept.
	//   - void, hole: the first and the last position.
	//   - floor: floors.dropped and floors.discarded.
	//   - end: the number of records, and the last position.
	from, to uint64
}

func appendControl(dst []byte, salt uint32, m control) []byte {
	return appendRecord(dst, salt, m.kind, func(b []byte) []byte {
		b = binary.AppendUvarint(b, m.from)
		b = binary.AppendUvarint(b, m.to)
		return append(b, m.topic...)
	})
}

func parseControl(k kind, b []byte) (m control, err error) {
	m.kind = k
	for _, n := range [...]*uint64{&m.from, &m.to} {
		if b, err = cutUvarint(b, n); err != nil {
			return m, err
		}
	}
	m.topic = string(b)
	return m, nil
}

// floors say which of the oldest positions were dropped on purpose.
type floors struct {
	dropped   uint64 // segments below were dropped on purpose
	discarded uint64 // events below may have been dropped for want of room, or lost
}

func (f *floors) raise(other floors) {
	f.dropped, f.discarded = max(f.dropped, other.dropped), max(f.discarded, other.discarded)
}

// maxControls bounds the control records that wait for the next group. A trim that finds no
// room is not noted: its events come back at a restart and are trimmed again.
const maxControls = 65_536
