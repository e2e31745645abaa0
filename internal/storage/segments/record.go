package segments

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"tidegate/internal/topic"
)

// A record is
//
//	magic   1 byte, 0xE7
//	kind    1 byte
//	zero    2 bytes
//	length  4 bytes, of the body
//	sum     4 bytes, CRC-32C of the log's salt, the 8 bytes before, and the body
//	body
//
// and the body of an event
//
//	position  8 bytes
//	time      8 bytes, unix nanoseconds
//	flags     1 byte
//	number, predecessor, born, age   uvarints
//	key       16 bytes, if the flags say so
//	topic, name   uvarint length and the bytes
//	data      the rest
//
// Numbers are little-endian. The salt is drawn once for each log. So no client can send an event
// that looks like a record to a reader that skips damage.
const (
	recordMagic  = 0xE7
	recordHeader = 12
	eventFixed   = 17
)

// kind says what a record is.
type kind byte

const (
	kindEvent kind = iota + 1
	kindTrim       // events of a topic below a position are dropped
	kindVoid       // positions in a range were refused
	kindHole       // positions in a range were lost to damage
	kindFloor      // what is below was dropped on purpose, see floors
	kindEnd        // the last record of a segment that was left
	kindPad        // nothing
	kindsKnown
)

const (
	flagEvent = 1 << iota
	flagClose
	flagDelete
	flagPrevKnown
	flagKey
	flagsKnown = 1<<iota - 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// keyID is the hash of an idempotency key.
type keyID = [16]byte

// appendRecord frames what body appends.
func appendRecord(dst []byte, salt uint32, k kind, body func([]byte) []byte) []byte {
	start := len(dst)
	dst = append(dst, recordMagic, byte(k), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	dst = body(dst)
	return seal(dst, start, salt)
}

// seal fills in length and sum of the record that begins at start and ends the slice.
func seal(dst []byte, start int, salt uint32) []byte {
	binary.LittleEndian.PutUint32(dst[start+4:], uint32(len(dst)-start-recordHeader))
	binary.LittleEndian.PutUint32(dst[start+8:], sum(dst[start:], salt))
	return dst
}

// sum is the checksum of a whole record.
func sum(record []byte, salt uint32) uint32 {
	s := crc32.Update(salt, castagnoli, record[:8])
	return crc32.Update(s, castagnoli, record[recordHeader:])
}

// appendEvent renders an event with its key.
func appendEvent(dst []byte, salt uint32, e *topic.Stored, key *keyID) []byte {
	start := len(dst)
	dst = append(dst, recordMagic, byte(kindEvent), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint64(dst, e.Seq)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(e.At))
	var flags byte
	for i, set := range [...]bool{e.HasEvent, e.Close, e.Delete, e.PrevKnown, key != nil} { // in the order of the flags
		if set {
			flags |= 1 << i
		}
	}
	dst = append(dst, flags)
	for _, n := range [...]uint64{e.Number, e.Prev, e.DeletedTo, uint64(e.Age)} {
		dst = binary.AppendUvarint(dst, n)
	}
	if key != nil {
		dst = append(dst, key[:]...)
	}
	dst = binary.AppendUvarint(dst, uint64(len(e.Topic)))
	dst = append(dst, e.Topic...)
	dst = binary.AppendUvarint(dst, uint64(len(e.Name)))
	dst = append(dst, e.Name...)
	dst = append(dst, e.Data...)
	return seal(dst, start, salt)
}

// recordHead is what the first bytes of a record say.
type recordHead struct {
	kind kind
	size int // of the whole record
	sum  uint32
}

// headOf reads the first bytes of a record; ok is false if it cannot be one.
func headOf(b []byte, mostSize int64) (h recordHead, ok bool) {
	if len(b) < recordHeader || b[0] != recordMagic || b[2]|b[3] != 0 {
		return h, false
	}
	length := binary.LittleEndian.Uint32(b[4:])
	h = recordHead{kind: kind(b[1]), size: recordHeader + int(length), sum: binary.LittleEndian.Uint32(b[8:])}
	return h, h.kind > 0 && h.kind < kindsKnown && int64(h.size) <= mostSize
}

// errRecord: the checksum is right, but it is no record of this version.
var errRecord = errors.New("segments: not a record of this version")

// eventView is an event in the bytes of its record, which it points into.
type eventView struct {
	seq                 uint64
	at                  int64
	flags               byte
	number, prev, born  uint64
	age                 time.Duration
	key                 []byte // nil for none
	topic, name, detail []byte // detail is the data
}

// parseEvent reads the body of an event.
func parseEvent(b []byte) (v eventView, err error) {
	if len(b) < eventFixed {
		return v, errRecord
	}
	v.seq, v.at, v.flags = binary.LittleEndian.Uint64(b), int64(binary.LittleEndian.Uint64(b[8:])), b[16]
	if v.flags&^flagsKnown != 0 || v.seq == 0 {
		return v, errRecord
	}
	b = b[eventFixed:]
	var age uint64
	for _, n := range [...]*uint64{&v.number, &v.prev, &v.born, &age} {
		if b, err = cutUvarint(b, n); err != nil {
			return v, err
		}
	}
	v.age = time.Duration(age)
	if v.flags&flagKey != 0 {
		if len(b) < len(keyID{}) {
			return v, errRecord
		}
		v.key, b = b[:len(keyID{})], b[len(keyID{}):]
	}
	for _, text := range [...]*[]byte{&v.topic, &v.name} {
		if b, err = cutText(b, text); err != nil {
			return v, err
		}
	}
	v.detail = b
	if v.prev >= v.seq || v.age < 0 {
		return v, errRecord
	}
	return v, nil
}

func cutUvarint(b []byte, n *uint64) ([]byte, error) {
	size := 0
	if *n, size = binary.Uvarint(b); size <= 0 {
		return nil, errRecord
	}
	return b[size:], nil
}

func cutText(b []byte, text *[]byte) ([]byte, error) {
	var n uint64
	b, err := cutUvarint(b, &n)
	if err != nil || n > uint64(len(b)) {
		return nil, errRecord
	}
	*text = b[:n]
	return b[n:], nil
}

// expired reports whether the event is older than its age limit.
func (v *eventView) expired(now int64) bool { return v.age > 0 && v.at+int64(v.age) <= now }

// stored copies the event out of its record. name is its topic.
func (v *eventView) stored(name string) topic.Stored {
	text := make([]byte, 0, len(v.name)+len(v.detail))
	both := string(append(append(text, v.name...), v.detail...))
	return topic.Stored{
		Entry: topic.Entry{
			Topic: name, Name: both[:len(v.name)], Data: both[len(v.name):],
			HasEvent: v.flags&flagEvent != 0, Close: v.flags&flagClose != 0, Delete: v.flags&flagDelete != 0,
			Number: v.number, Prev: v.prev, DeletedTo: v.born, Age: v.age,
		},
		Seq: v.seq, At: v.at, PrevKnown: v.flags&flagPrevKnown != 0,
	}
}
