package packed

import "tidegate/internal/wire"

// AppendJSON appends what an [encoding/json.Encoder] without HTML escapes writes for the
// result of [Store.Unpack]. It does not allocate if dst has room.
func (s *Store) AppendJSON(dst []byte, r Request) []byte {
	return s.AppendJSONWith(dst, r, r.URL(), nil)
}

// Header is a header of a request that was not packed with it.
type Header struct{ Name, Value string }

// AppendJSONWith is AppendJSON with another URL, and with more headers, which r must not
// have.
func (s *Store) AppendJSONWith(dst []byte, r Request, url string, more []Header) []byte {
	p := r.parts()
	dst = append(dst, `{"url":`...)
	dst = wire.AppendJSONString(dst, url)
	dst = append(dst, `,"headers":{`...)
	first := true
	for name, value := range s.headers(p) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(wire.AppendJSONString(dst, name), ':')
		dst = wire.AppendJSONString(dst, value)
	}
	for _, h := range more {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(wire.AppendJSONString(dst, h.Name), ':')
		dst = wire.AppendJSONString(dst, h.Value)
	}
	dst = append(dst, '}')
	if p.method != "" {
		dst = wire.AppendJSONString(append(dst, `,"method":`...), p.method)
	}
	switch {
	case p.form != addrText: // has nothing to escape
		dst = append(p.appendRemote(append(dst, `,"remote_addr":"`...)), '"')
	case p.remote != "":
		dst = wire.AppendJSONString(append(dst, `,"remote_addr":`...), p.remote)
	}
	return append(dst, '}')
}
