package packed_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tidegate/internal/packed"
)

// request makes a GET of "/" with one header for each pair of name and value.
func request(pairs ...string) *http.Request {
	r := &http.Request{Method: "GET", RequestURI: "/", Host: "h", RemoteAddr: "10.0.0.1:80", Header: http.Header{}}
	for i := 0; i < len(pairs); i += 2 {
		r.Header[pairs[i]] = append(r.Header[pairs[i]], pairs[i+1])
	}
	return r
}

func TestRequestsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long ", 13000)
	tests := map[string]*http.Request{
		"empty":              {},
		"browser":            browser(t, 3),
		"no headers":         request(),
		"repeats":            request("Accept", "a", "Accept", "b", "Cookie", "c=1", "Cookie", "d=2", "X-Own", "e", "X-Own", "f"),
		"no values":          {Header: http.Header{"Accept": nil, "X-Own": {}}},
		"empty value":        request("Accept", "", "X-Own", ""),
		"host twice":         request("Host", "other", "host", "third"),
		"lower-case cookie":  request("cookie", "a", "cookie", "b"),
		"names are sorted":   request("Sec-Ch-Ua-Mobile", "1", "Sec-Ch-Ua", "2", "A", "3", "Z", "4", "Sec", "5"),
		"not ASCII":          request("Ärger-\u212a", "grün", "X-\xff", "\xff\xfe", "\x80", "\u2028\u2029\ufffd"),
		"escapes":            request("A\"\\", "\x00\x1f\x7f\b\f\n\r\t<>&'\"\\/"),
		"name and value cut": request("Ab", "c", "A", "bc", "Abc", ""),
		"long value":         request("Accept", long, "X-Own", long),
		"unusual method":     {Method: "BREW", RequestURI: "*"},
		"raw target":         {Method: "GET", RequestURI: "/a%2Fb?x=<&>\"\xff"},
	}
	for name, r := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := packed.New(packed.Options{})
			var kept []packed.Request
			for range 3 { // all inline, with new lines, with known lines
				p := s.Pack(r)
				check(t, s, p, r)
				kept = append(kept, p)
			}
			for _, p := range kept {
				check(t, s, p, r)
				s.Release(p)
			}
			checkEmpty(t, s)
		})
	}
}

func TestTheMethodsAreAsTheyWere(t *testing.T) {
	t.Parallel()
	s := packed.New(packed.Options{})
	for _, method := range []string{
		"", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "get", "M-SEARCH",
	} {
		r := &http.Request{Method: method}
		check(t, s, s.Pack(r), r)
	}
}

func TestRemoteAddressesAreAsTheyWere(t *testing.T) {
	t.Parallel()
	tests := []struct {
		addr string
		size int // of the packed request, when the rest of it takes 5 bytes
	}{
		{"", 1},
		{"192.0.2.1:65535", 6},
		{"[2001:db8::1]:443", 18},
		{"[::ffff:192.0.2.1]:443", 18},
		{"[2001:0DB8::1]:443", 1 + 18}, // not how it is written
		{"192.0.2.1:080", 1 + 13},
		{"[fe80::1%eth0]:443", 1 + 18},
		{"192.0.2.1", 1 + 9},
		{"@", 1 + 1},
		{"pipe\xff", 1 + 5},
	}
	for _, test := range tests {
		s := packed.New(packed.Options{})
		r := &http.Request{Method: "GET", RequestURI: "/", RemoteAddr: test.addr}
		p := s.Pack(r)
		check(t, s, p, r)
		if got, want := packed.Size(p), 5+test.size; got != want {
			t.Errorf("%q: packed in %d bytes, want %d", test.addr, got, want)
		}
	}
}

func TestTheZeroRequestIsEmpty(t *testing.T) {
	t.Parallel()
	s := packed.New(packed.Options{})
	var zero packed.Request
	if got, want := string(s.AppendJSON(nil, zero)), `{"url":"","headers":{}}`; got != want {
		t.Errorf("AppendJSON = %s, want %s", got, want)
	}
	if got := zero.URL() + zero.Method() + zero.RemoteAddr() + zero.LastEventID(); got != "" {
		t.Errorf("the zero request says %q, want nothing", got)
	}
	s.Release(zero)
}

func TestLastEventIDComesFromTheHeaderThenFromTheQuery(t *testing.T) {
	t.Parallel()
	tests := []struct{ header, target, want string }{
		{"", "/", ""},
		{"7", "/", "7"},
		{"7", "/?lastEventId=8", "7"},
		{"", "/?lastEventId=8", "8"},
		{"", "/?lastEventID=8", "8"},
		{"7", "/?lastEventID=8", "7"},
		{"", "/?lastEventId=&lastEventID=9", "9"},
		{"", "/?lastEventID=9&lastEventId=8", "8"},
		{"", "/?lasteventid=9", ""},
		{"", "/?a=%zz&lastEventId=a%2Fb+c&lastEventId=9", "a/b c"},
		{"", "/lastEventId=8", ""},
		{"", "/?xlastEventId=8", ""},
		{"", "/?lastEventId=", ""},
	}
	for _, test := range tests {
		s := packed.New(packed.Options{})
		r := request("Last-Event-Id", test.header)
		r.RequestURI = test.target
		if got := s.Pack(r).LastEventID(); got != test.want {
			t.Errorf("header %q, target %q: LastEventID = %q, want %q", test.header, test.target, got, test.want)
		}
	}
}

func TestNothingOfTheRequestIsKept(t *testing.T) {
	t.Parallel()
	s := packed.New(packed.Options{})
	r := request("Accept", "text/event-stream", "X-Own", "value")
	want := reference(request("Accept", "text/event-stream", "X-Own", "value"))
	p, shared := s.Pack(r), s.Pack(r)
	r.Header["Accept"][0], r.RequestURI, r.Host = "other", "/other", "other"
	delete(r.Header, "X-Own")
	for _, p := range []packed.Request{p, shared} {
		if got, want := string(s.AppendJSON(nil, p)), referenceJSON(t, want); got != want {
			t.Errorf("after a change of the http.Request: %s, want %s", got, want)
		}
	}
}

func FuzzPackedRequestsComeBack(f *testing.F) {
	f.Add("GET", "/a?b=<c>", "127.0.0.1:80", "example.com", "Accept: a\nAccept: b\nCookie: c\nCookie: d\nX-Own: \xff")
	f.Add("", "", "", "", "")
	f.Add("BREW", "*", "[::1]:1", "\u2028", "Host: h\nSec-Ch-Ua: \"x\"\nÄ: \x00\n\xff: \x7f\n: ")
	f.Add("POST", "/", "[fe80::1%25a]:0", "h", "last-event-id: 1\nAB: c\nA: bc")
	f.Fuzz(func(t *testing.T, method, target, remote, host, lines string) {
		r := &http.Request{Method: method, RequestURI: target, RemoteAddr: remote, Host: host, Header: http.Header{}}
		spelling := map[string]string{} // names that differ only in case cannot all be kept
		for line := range strings.SplitSeq(lines, "\n") {
			name, value, _ := strings.Cut(line, ": ")
			lower := strings.ToLower(name)
			if first, found := spelling[lower]; found {
				name = first
			}
			spelling[lower] = name
			r.Header[name] = append(r.Header[name], value)
		}
		s := packed.New(packed.Options{MaxLines: 16, MaxText: 256})
		var kept []packed.Request
		for range 3 {
			kept = append(kept, s.Pack(r))
		}
		for _, p := range kept {
			check(t, s, p, r)
			s.Release(p)
		}
		checkEmpty(t, s)
	})
}

func TestNamesThatDifferInCaseBecomeOne(t *testing.T) {
	t.Parallel()
	s := packed.New(packed.Options{})
	for range 20 { // the order of a map is random
		p := s.Pack(request("x-own", "2", "X-Own", "1", "X-OWN", "3"))
		if got := s.Unpack(p).Headers["x-own"]; got != "1" {
			t.Fatalf("x-own = %q, want the first of the values", got)
		}
	}
}

func ExampleStore() {
	store := packed.New(packed.Options{})
	r := &http.Request{
		Method: "GET", RequestURI: "/events", RemoteAddr: "192.0.2.1:4711", Host: "example.com",
		Header: http.Header{"Accept": {"text/event-stream"}},
	}
	p := store.Pack(r) // when the stream opens
	defer store.Release(p)
	fmt.Println(p.URL(), p.RemoteAddr())
	fmt.Printf("%s\n", store.AppendJSON(nil, p)) // when it has ended
	// Output:
	// /events 192.0.2.1:4711
	// {"url":"/events","headers":{"accept":"text/event-stream","host":"example.com"},"method":"GET","remote_addr":"192.0.2.1:4711"}
}
