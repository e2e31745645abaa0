package packed

// Size is about what the target and the headers of a request take as JSON. Unlike
// what it takes in memory, it does not depend on what other requests share.
func (s *Store) Size(r Request) int {
	p := r.parts()
	n := len(p.url)
	for name, value := range s.headers(p) {
		n += len(name) + len(value) + len(`"":"",`)
	}
	return n
}
