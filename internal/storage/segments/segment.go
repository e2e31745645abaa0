package segments

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A segment begins with
//
//	magic      8 bytes
//	base       8 bytes, the first position that it may hold
//	salt       4 bytes, the log's, see record.go
//	zero       4 bytes
//	prior      8 bytes, the newest position of the segment before
//	dropped    8 bytes, see floors: as they were when the segment was begun
//	discarded  8 bytes
//	zero       12 bytes
//	sum        4 bytes, CRC-32C of what is before
const (
	segmentMagic  = "TGSEG\x01\r\n"
	segmentHeader = 64
)

// segment is one file. What may change of it is guarded by the log's lock, unless
// it says otherwise.
type segment struct {
	id   uint32 // set once, like all of this group; not used again in this process
	base uint64
	path string
	file File
	salt uint32

	size         int64  // bytes of whole records; only the writer grows it
	last         uint64 // the newest position, or what the segment was closed with
	lastAt       int64  // when the newest event in it was stored
	events       int    // records of events in it
	live         int    // of them, in the index
	controlBytes int64  // bytes of control records that a rewrite has kept
	sealed       bool   // nothing is appended any more
	synced       bool   // it is known to be on the disk
	times        times
	users        int       // readers at it
	gone         bool      // replaced or dropped: its last user closes it
	holes        []control // what stays of it when it is rewritten
}

func segmentName(base uint64) string { return fmt.Sprintf("%016x", base) + segmentSuffix }

func segmentPath(dir, name string) string { return filepath.Join(dir, name) }

func isSegmentName(name string) bool {
	base, ok := baseOf(name)
	return ok && segmentName(base) == name
}

func baseOf(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	base, err := strconv.ParseUint(digits, 16, 64)
	return base, err == nil && base > 0
}

// header is what a segment's first bytes say.
type header struct {
	base, prior uint64
	salt        uint32
	floors
}

var errHeader = errors.New("segments: the header of the segment is damaged")

func (h header) append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, segmentMagic...)
	dst = binary.LittleEndian.AppendUint64(dst, h.base)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.salt))
	dst = binary.LittleEndian.AppendUint64(dst, h.prior)
	dst = binary.LittleEndian.AppendUint64(dst, h.dropped)
	dst = binary.LittleEndian.AppendUint64(dst, h.discarded)
	dst = append(dst, make([]byte, segmentHeader-4-(len(dst)-start))...)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

func parseHeader(b []byte) (h header, err error) {
	if len(b) < segmentHeader || string(b[:8]) != segmentMagic ||
		crc32.Checksum(b[:segmentHeader-4], castagnoli) != binary.LittleEndian.Uint32(b[segmentHeader-4:]) {
		return h, errHeader
	}
	h.base, h.salt = binary.LittleEndian.Uint64(b[8:]), uint32(binary.LittleEndian.Uint64(b[16:]))
	h.prior = binary.LittleEndian.Uint64(b[24:])
	h.dropped, h.discarded = binary.LittleEndian.Uint64(b[32:]), binary.LittleEndian.Uint64(b[40:])
	return h, nil
}

// createSegment makes a file with a header. It is on the disk if sync is true.
func createSegment(files FS, path string, h header, allocate int64, sync bool) (File, error) {
	f, err := files.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	if allocate > 0 {
		err = f.Allocate(allocate)
	}
	if err == nil {
		_, err = f.WriteAt(h.append(nil), 0)
	}
	if err == nil && sync {
		err = f.Datasync()
	}
	if err == nil && sync {
		err = files.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), files.Remove(path))
	}
	return f, nil
}
