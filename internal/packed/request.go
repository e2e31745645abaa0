package packed

import (
	"cmp"
	"encoding/binary"
	"iter"
	"maps"
	"net/netip"
	"net/url"
	"strings"

	"tidegate/internal/wire"
)

// Request is a packed request: 16 bytes here, and one object on the heap. It
// does not change and may be copied and used concurrently; its headers only
// until its [Store.Release]. The zero value is an empty request, which belongs
// to every [Store].
type Request struct{ data string }

// URL is the raw request target, byte for byte. It takes no memory.
func (r Request) URL() string { return r.parts().url }

// Method is the method as the client sent it.
func (r Request) Method() string { return r.parts().method }

// RemoteAddr is the client's address as net/http reported it.
func (r Request) RemoteAddr() string { return string(r.parts().appendRemote(nil)) }

// LastEventID is where the client resumes: the Last-Event-ID header or,
// without it, lastEventId or lastEventID in the query of the target. (A header that comes more
// than once, which no client sends, is read with its values joined.)
func (r Request) LastEventID() string {
	p := r.parts()
	for rest := p.fields; rest != ""; {
		var f packedField
		f, rest = nextField(rest)
		if f.tag == codeLastEventID && f.value != "" {
			return f.value
		}
	}
	_, query, _ := strings.Cut(p.url, "?")
	if !strings.Contains(query, "lastEventId=") && !strings.Contains(query, "lastEventID=") {
		return ""
	}
	values, _ := url.ParseQuery(query) // what can be read of it, as http.Request.URL.Query does
	return cmp.Or(values.Get("lastEventId"), values.Get("lastEventID"))
}

// Unpack returns the request as callbacks report it: the target byte for byte, the
// names of headers in lower case, the values of one name joined by ", " (of
// Cookie by "; "), and the host among the headers.
func (s *Store) Unpack(r Request) wire.Request {
	p := r.parts()
	headers := make(map[string]string, 16)
	maps.Insert(headers, s.headers(p))
	return wire.Request{URL: p.url, Headers: headers, Method: p.method, RemoteAddr: string(p.appendRemote(nil))}
}

// headers yields the names and values in the order of names.
func (s *Store) headers(p parts) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for rest := p.fields; rest != ""; {
			var f packedField
			f, rest = nextField(rest)
			if f.tag >= firstRef {
				f.name, f.value = s.table.line(f.tag - firstRef)
			}
			if !yield(f.name, f.value) {
				return
			}
		}
	}
}

// parts is a packed request, split.
type parts struct {
	method string
	form   byte   // of remote
	remote string // text, or address and port in binary form
	url    string
	fields string // for nextField
}

func (r Request) parts() (p parts) {
	if r.data == "" {
		return parts{}
	}
	head, rest := r.data[0], r.data[1:]
	if code := head & 0x0f; code == 0 {
		p.method, rest = cutText(rest)
	} else {
		p.method = methods[code-1]
	}
	switch p.form = head & 0xf0; p.form {
	case addr4:
		p.remote, rest = rest[:6], rest[6:]
	case addr6:
		p.remote, rest = rest[:18], rest[18:]
	default:
		p.remote, rest = cutText(rest)
	}
	p.url, p.fields = cutText(rest)
	return p
}

// appendRemote appends the text of the remote address.
func (p parts) appendRemote(dst []byte) []byte {
	if p.form == addrText {
		return append(dst, p.remote...)
	}
	var buf [18]byte
	n := copy(buf[:], p.remote) - 2
	ip, _ := netip.AddrFromSlice(buf[:n]) // 4 or 16 bytes
	return netip.AddrPortFrom(ip, binary.BigEndian.Uint16(buf[n:])).AppendTo(dst)
}

// packedField is one header. It has a name and a value unless tag refers to a
// line.
type packedField struct {
	tag         uint32
	name, value string
}

func nextField(fields string) (f packedField, rest string) {
	tag, rest := cutUvarint(fields)
	f.tag = uint32(tag)
	if f.tag >= firstRef {
		return f, rest
	}
	if f.tag == 0 {
		f.name, rest = cutText(rest)
	} else {
		f.name = names[f.tag-1]
	}
	f.value, rest = cutText(rest)
	return f, rest
}

func cutText(s string) (text, rest string) {
	n, s := cutUvarint(s)
	return s[:n], s[n:]
}

// cutUvarint is binary.Uvarint for strings.
func cutUvarint(s string) (n uint64, rest string) {
	for i := range len(s) {
		n |= uint64(s[i]&0x7f) << (7 * i)
		if s[i] < 0x80 {
			return n, s[i+1:]
		}
	}
	return 0, ""
}
