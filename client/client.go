package client

import (
	"cmp"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// Defaults of [Options].
const (
	DefaultTimeout = 10 * time.Second
	DefaultRetries = 3
)

// Options configure a [Client]. URL is required.
type Options struct {
	// URL is where the gateway's internal listener is: "http://127.0.0.1:8081",
	// "https://gateway.example:8081", or "unix:/run/tidegate/internal.sock". Leave out
	// "/internal": the client adds it.
	URL string

	// Secret is the gateway's --internal-secret. Default: none is sent.
	Secret string

	// SecretFunc, if set, is asked for the secret of each request, in place of Secret:
	// for secrets that change while the program runs. It must be safe for concurrent
	// use.
	SecretFunc func() string

	// TLS configures https: the authorities that are trusted, the certificate that is
	// shown. Default: the system's authorities. Not used with Transport.
	TLS *tls.Config

	// Transport carries the requests. Default: a pool of keep-alive connections of its
	// own, through the proxy of the environment, or to the Unix socket of URL.
	Transport http.RoundTripper

	// UserAgent names your program in the gateway's log. Default: that of net/http.
	UserAgent string

	// Timeout bounds one request, from the first byte to the last. Default
	// [DefaultTimeout].
	Timeout time.Duration

	// Retries is how often a call that failed for now is repeated. Default
	// [DefaultRetries]; less than 0 never repeats.
	//
	// A repeat waits 100 ms, then twice as long each time, with jitter, and at least
	// as long as a Retry-After asks for. If that is more than 30 s, the call fails at
	// once. Only these failures are repeated:
	//
	//   - the connection could not be opened, so nothing was sent;
	//   - the gateway refused for now and says by its code that it took nothing;
	//   - any other failure that may pass, of a call of which a repeat does no harm:
	//     listings, Subscribe, Unsubscribe, EndStream, DeleteTopic, and messages with an
	//     idempotency key.
	//
	// So that messages to topics belong to the last, the client gives each a random key.
	// It gives none to a message that has one or is transient, or if Retries is less than
	// 0. A gateway keeps a key for two minutes, and repeats end before that. It keeps a
	// million keys at most: a program that sends more than 8,000 messages a second for
	// long should repeat by itself.
	Retries int
}

// Client calls the internal API of one gateway. Its methods may be called
// concurrently. It has no goroutines of its own.
type Client struct {
	base      string
	secret    func() string
	userAgent string
	timeout   time.Duration
	retries   int
	http      *http.Client
	reachable atomic.Bool // whether the latest request got an answer
}

// New checks the options. It does not call the gateway.
func New(opts Options) (*Client, error) {
	base, socket, err := parseURL(opts.URL)
	if err != nil {
		return nil, err
	}
	transport := opts.Transport
	switch {
	case transport == nil:
		transport = newTransport(socket, opts.TLS)
	case socket != "":
		return nil, errors.New("client: URL names a Unix socket, which Transport must open: give an http URL beside a Transport")
	}
	switch {
	case !fitsHeader(opts.Secret):
		return nil, errSecretForm
	case !fitsHeader(opts.UserAgent):
		return nil, errors.New("client: UserAgent has a control character, such as a line feed")
	}
	secret := opts.SecretFunc
	if secret == nil {
		secret = func() string { return opts.Secret }
	}
	return &Client{
		base:      base,
		secret:    secret,
		userAgent: opts.UserAgent,
		timeout:   cmp.Or(max(opts.Timeout, 0), DefaultTimeout),
		retries:   max(cmp.Or(opts.Retries, DefaultRetries), 0),
		http: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Reachable reports whether the latest request got an answer of any kind. It is
// false before the first.
func (c *Client) Reachable() bool { return c.reachable.Load() }

// CloseIdleConnections closes the connections that no call is using. Call it when
// the client is no longer needed.
func (c *Client) CloseIdleConnections() { c.http.CloseIdleConnections() }

// errSecretForm is what a secret gets that was read from a file with its line feed.
var errSecretForm = errors.New("client: the secret has a control character, such as a line feed at its end")

// fitsHeader reports whether net/http sends value in a header.
func fitsHeader(value string) bool {
	return !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// parseURL refuses what would be calls to the wrong place. socket is the path of a
// Unix socket, "" for TCP.
func parseURL(raw string) (base, socket string, err error) {
	if path, ok := strings.CutPrefix(raw, "unix:"); ok {
		if path == "" || strings.ContainsAny(path, ":?#\x00") {
			return "", "", errors.New("client: URL of a Unix socket must be unix:/PATH, without : ? and # in the path")
		}
		return "http://localhost", path, nil
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return "", "", errors.New("client: URL must be http://HOST:PORT, https://HOST:PORT or unix:/PATH")
	case u.User != nil:
		return "", "", errors.New("client: URL must not contain a user; give the secret by its own option")
	case u.RawQuery != "" || u.Fragment != "":
		return "", "", errors.New("client: URL must not contain a query or a fragment")
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	if strings.Contains(path+"/", "/internal/") {
		return "", "", errors.New("client: URL must not contain /internal: the client adds it")
	}
	return u.Scheme + "://" + u.Host + path, "", nil
}
