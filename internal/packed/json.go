package packed

import "tidegate/internal/wire"

// AppendJSON appends the bytes that a [encoding/json.Encoder] without HTML
// escapes gives for what [Store.Unpack] returns, without making it: it takes no
// memory if dst has room.
func (s *Store) AppendJSON(dst []byte, r Request) []byte {
	p := r.parts()
	dst = append(dst, `{"url":`...)
	dst = wire.AppendJSONString(dst, p.url)
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
