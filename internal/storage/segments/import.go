package segments

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"tidegate/internal/topic"
)

// Imported is an event of another log, with the position that it has there.
type Imported struct {
	topic.Stored
	Key *[16]byte // as [topic.KeyID] has it; nil for none
}

// Import makes a log out of the events of another one, with their positions and
// times. opts.Dir must not have one. next returns them in the order of their positions, and
// io.EOF at the end. last is the newest position that the other log has used. Below
// discarded it may have dropped events for want of room. If Import fails or is killed, what
// is in the folder is no log and may be deleted: it lacks meta.json, which is written last.
func Import(opts Options, meta Meta, last, discarded uint64, next func() (Imported, error)) error {
	opts, err := opts.withDefaults()
	if err != nil {
		return err
	}
	if meta.Salt == 0 {
		meta.Salt = NewMeta().Salt
	}
	meta.Version = metaVersion
	if len(meta.Generation) != 8 {
		return fmt.Errorf("a generation of ids has 8 characters, not %q", meta.Generation)
	}
	if err := opts.FS.MkdirAll(opts.Dir); err != nil {
		return err
	}
	if _, err := readMeta(opts.FS, opts.Dir); !errors.Is(err, errNoMeta) {
		return fmt.Errorf("%s has an event log: %w", opts.Dir, fs.ErrExist)
	}
	if err := removeParts(opts.FS, opts.Dir); err != nil {
		return err
	}
	im := &importing{opts: opts, meta: meta, floors: floors{discarded: discarded}}
	if err := im.all(next); err != nil {
		if im.file != nil {
			_ = im.file.Close()
		}
		return err
	}
	return im.finish(max(last, im.last))
}

// removeParts removes the files of an Import that did not finish.
func removeParts(files FS, dir string) error {
	names, err := segmentNames(files, dir, true)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := files.Remove(segmentPath(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

type importing struct {
	opts   Options
	meta   Meta
	floors floors
	file   File
	size   int64
	last   uint64
	buf    []byte
}

func (im *importing) all(next func() (Imported, error)) error {
	for {
		e, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := im.take(&e); err != nil {
			return err
		}
	}
	return im.flush()
}

func (im *importing) take(e *Imported) error {
	if e.Seq <= im.last || e.Seq == 0 {
		return fmt.Errorf("position %d comes after %d", e.Seq, im.last)
	}
	if im.file == nil || im.size+int64(len(im.buf)) >= im.opts.segmentSize {
		if err := im.begin(e.Seq); err != nil {
			return err
		}
	}
	if e.Prev >= e.Seq {
		e.Prev, e.PrevKnown = 0, false
	}
	im.buf = appendEvent(im.buf, im.meta.Salt, &e.Stored, e.Key)
	im.last = e.Seq
	if len(im.buf) >= scanBuffer {
		return im.flush()
	}
	return nil
}

// begin begins a segment. The first one begins where the other log does.
func (im *importing) begin(base uint64) error {
	if err := im.seal(); err != nil {
		return err
	}
	fl := im.floors
	if im.last == 0 {
		fl.dropped = base
		im.floors = fl
	}
	h := header{base: base, prior: im.last, salt: im.meta.Salt, floors: fl}
	f, err := createSegment(im.opts.FS, filepath.Join(im.opts.Dir, segmentName(base)), h, 0, false)
	im.file, im.size = f, segmentHeader
	return err
}

func (im *importing) flush() error {
	if len(im.buf) == 0 {
		return nil
	}
	_, err := im.file.WriteAt(im.buf, im.size)
	im.size += int64(len(im.buf))
	im.buf = im.buf[:0]
	return err
}

func (im *importing) seal() error {
	if im.file == nil {
		return nil
	}
	err := im.flush()
	if err == nil {
		err = im.file.Datasync()
	}
	err = errors.Join(err, im.file.Close())
	im.file = nil
	return err
}

// finish has all of it on the disk and makes it a log. What the other log has used of
// positions is not used again.
func (im *importing) finish(last uint64) error {
	if im.file == nil || last > im.last {
		if err := im.begin(last + 1); err != nil {
			return err
		}
	}
	if err := im.seal(); err != nil {
		return err
	}
	head, err := openHead(im.opts.FS, im.opts.Dir, last)
	if err != nil {
		return err
	}
	if err := errors.Join(head.file.Datasync(), head.close()); err != nil {
		return err
	}
	if err := im.opts.FS.SyncDir(im.opts.Dir); err != nil {
		return err
	}
	return writeMeta(im.opts.FS, im.opts.Dir, im.meta)
}
