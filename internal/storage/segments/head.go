package segments

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime/debug"
)

// The file head has the newest position that was written, in two slots by turns, so
// that one of them is whole. It is written after each group and not synced: after a
// loss of power it may be behind. When it names a position that is not in the
// segments, their end is missing.
const (
	headName = "head"
	headSlot = 16
)

type headFile struct {
	file   File
	memory []byte // the file's, where the system maps files: no call for each group
	turn   int64
}

func (h *headFile) write(last uint64) (err error) {
	turn := h.turn ^ 1
	if h.memory != nil {
		err = writeMapped(h.memory[turn*headSlot:][:headSlot], last)
	} else {
		var b [headSlot]byte
		putHead(b[:], last)
		_, err = h.file.WriteAt(b[:], turn*headSlot)
	}
	if err == nil { // else this slot is written again: the other one is whole
		h.turn = turn
	}
	return err
}

// writeMapped writes a slot in the file's memory. If the file was truncated, or the disk fails,
// it returns an error; the process goes on.
func writeMapped(slot []byte, last uint64) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s cannot be written: %v", headName, r)
		}
	}()
	putHead(slot, last)
	return nil
}

func (h *headFile) close() error {
	return errors.Join(unmap(h.memory), h.file.Close())
}

// mapper is a file whose content can be memory of the process.
type mapper interface {
	Map(size int) ([]byte, error)
}

func putHead(b []byte, last uint64) {
	binary.LittleEndian.PutUint64(b, last)
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b[:8], castagnoli))
}

// openHead opens the file, or makes it with a position.
func openHead(files FS, dir string, last uint64) (*headFile, error) {
	f, err := files.OpenFile(filepath.Join(dir, headName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	var b [2 * headSlot]byte
	putHead(b[:headSlot], last)
	putHead(b[headSlot:], last)
	if _, err := f.WriteAt(b[:], 0); err != nil {
		_ = f.Close()
		return nil, err
	}
	h := &headFile{file: f}
	if m, ok := f.(mapper); ok {
		h.memory, _ = m.Map(len(b)) // else it is written
	}
	return h, nil
}

// readHead reads the newest position that was written; ok is false if there is no
// slot that is whole.
func readHead(files FS, dir string) (last uint64, ok bool) {
	b, err := readFile(files, filepath.Join(dir, headName), 2*headSlot)
	if err != nil {
		return 0, false
	}
	for ; len(b) >= headSlot; b = b[headSlot:] {
		if crc32.Checksum(b[:8], castagnoli) == binary.LittleEndian.Uint32(b[8:]) {
			last, ok = max(last, binary.LittleEndian.Uint64(b)), true
		}
	}
	return last, ok
}
