package archive

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// Writer writes an archive. Close ends it.
type Writer struct {
	out    *bufio.Writer
	encode *json.Encoder
	events uint64
}

// NewWriter writes the first line.
func NewWriter(out io.Writer, h Header) (*Writer, error) {
	w := newWriter(out)
	h.Format, h.Version = Format, version
	return w, w.line(h)
}

// NewDump writes events without first and last line: for people, and for programs that do not import
// them.
func NewDump(out io.Writer) *Dump { return &Dump{*newWriter(out)} }

// Dump writes events.
type Dump struct{ w Writer }

// Write writes an event.
func (d *Dump) Write(e Event) error { return d.w.Write(e) }

// Flush writes buffered lines.
func (d *Dump) Flush() error { return d.w.flush() }

func newWriter(out io.Writer) *Writer {
	buffered := bufio.NewWriterSize(out, 64<<10)
	encode := json.NewEncoder(buffered)
	encode.SetEscapeHTML(false)
	return &Writer{out: buffered, encode: encode}
}

// Write writes an event. Events must come in the order of their positions.
func (w *Writer) Write(e Event) error {
	w.events++
	return w.line(lineOf(e))
}

// Events returns how many events were written.
func (w *Writer) Events() uint64 { return w.events }

// Close writes the last line.
func (w *Writer) Close() error {
	if err := w.line(trailer{End: true, Events: w.events}); err != nil {
		return err
	}
	return w.flush()
}

func (w *Writer) line(v any) error {
	if err := w.encode.Encode(v); err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	return nil
}

func (w *Writer) flush() error {
	if err := w.out.Flush(); err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	return nil
}
