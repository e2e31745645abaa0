package packed

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"
)

// scratch is the memory that one call of Pack or Release works in. It has no
// pointers into a request.
type scratch struct {
	text   []byte   // names and values of all fields
	fields []field  // sorted by name
	out    []byte   // the packed request
	ids    []uint32 // lines to release
}

// field is a header with its name in lower case and its values joined.
type field struct {
	start, value, end uint32 // in text: where the name begins, the value begins, the value ends
	tag               uint32 // as it is written; until the table is asked, the name's code or 0
	hash              uint64 // of name and value; 0 if it is not to be shared
}

// read takes the headers of r in the form that callbacks have, which
// [Store.Unpack] documents. Those that keep does not have are left out; nil has all.
func (w *scratch) read(r *http.Request, keep map[string]bool) {
	w.text, w.fields = w.text[:0], w.fields[:0]
	start := len(w.text)
	w.text = append(w.text, "host"...)
	w.add(start, len(w.text), r.Host)
	for name, values := range r.Header {
		start := len(w.text)
		w.text = appendLower(w.text, name)
		value := len(w.text)
		if string(w.text[start:value]) == "host" || keep != nil && !keep[string(w.text[start:value])] {
			w.text = w.text[:start]
			continue
		}
		separator := ", "
		if name == "Cookie" {
			separator = "; "
		}
		for i, v := range values {
			if i > 0 {
				w.text = append(w.text, separator...)
			}
			w.text = append(w.text, v...)
		}
		w.add(start, value, "")
	}
	slices.SortFunc(w.fields, w.compare)
	w.fields = slices.CompactFunc(w.fields, w.sameName)
}

// add makes a field of what has been appended to text, and of more.
func (w *scratch) add(start, value int, more string) {
	w.text = append(w.text, more...)
	w.fields = append(w.fields, field{
		start: uint32(start), value: uint32(value), end: uint32(len(w.text)),
		tag: nameCodes[string(w.text[start:value])],
	})
}

func (w *scratch) name(f field) []byte { return w.text[f.start:f.value] }

// compare sorts by name, as encoding/json does with the keys of a map.
func (w *scratch) compare(a, b field) int {
	if a.tag != 0 && b.tag != 0 && a.tag != b.tag {
		return cmp.Compare(a.tag, b.tag)
	}
	if c := bytes.Compare(w.name(a), w.name(b)); c != 0 {
		return c
	}
	return bytes.Compare(w.text[a.value:a.end], w.text[b.value:b.end])
}

func (w *scratch) sameName(a, b field) bool {
	return a.tag == b.tag && (a.tag != 0 || bytes.Equal(w.name(a), w.name(b)))
}

// hash prepares the fields that may be shared for the table's look-up, which
// then holds its lock for less long.
func (w *scratch) hash(seed maphash.Seed) {
	for i := range w.fields {
		f := &w.fields[i]
		if !own[f.tag] && f.end-f.start <= maxLine {
			f.hash = maphash.Bytes(seed, w.text[f.start:f.end])
		}
	}
}

// encode writes the packed form, which the package comment shows. The result
// is valid until w is used again.
func (w *scratch) encode(r *http.Request) []byte {
	out := appendHead(w.out[:0], r.Method, r.RemoteAddr)
	out = appendText(out, r.RequestURI)
	for _, f := range w.fields {
		out = binary.AppendUvarint(out, uint64(f.tag))
		if f.tag == 0 {
			out = appendText(out, w.name(f))
		}
		if f.tag < firstRef {
			out = appendText(out, w.text[f.value:f.end])
		}
	}
	w.out = out
	return out
}

// The forms of a remote address, in the upper half of the head byte.
const (
	addrText = iota << 4
	addr4
	addr6
)

// appendHead writes the method and the remote address. An address goes into
// binary form if and only if that gives back the very same text.
func appendHead(out []byte, method, remote string) []byte {
	head := len(out)
	code := byte(methodCodes[method])
	out = append(out, code)
	if code == 0 {
		out = appendText(out, method)
	}
	addr, err := netip.ParseAddrPort(remote)
	if err != nil || !canonical(addr, remote) {
		return appendText(out, remote)
	}
	if addr.Addr().Is4() {
		out[head] |= addr4
		ip := addr.Addr().As4()
		out = append(out, ip[:]...)
	} else {
		out[head] |= addr6
		ip := addr.Addr().As16()
		out = append(out, ip[:]...)
	}
	return binary.BigEndian.AppendUint16(out, addr.Port())
}

// canonical says whether text is how addr is written, without a zone.
func canonical(addr netip.AddrPort, text string) bool {
	var buf [64]byte
	return addr.Addr().Zone() == "" && string(addr.AppendTo(buf[:0])) == text
}

func appendText[T []byte | string](out []byte, text T) []byte {
	return append(binary.AppendUvarint(out, uint64(len(text))), text...)
}

// appendLower is strings.ToLower without garbage for ASCII names, which are all
// that HTTP knows.
func appendLower(dst []byte, name string) []byte {
	start := len(dst)
	for i := range len(name) {
		c := name[i]
		if c >= utf8.RuneSelf {
			return append(dst[:start], strings.ToLower(name)...)
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}
