package bench

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// httpPool is the pool for everything but plain HTTP/1.1: net/http does the
// protocol, with some goroutines for each stream, which is why it is good for a
// few thousand.
type httpPool struct {
	protocol string
	network  [2]byte
	input    chan []byte   // size 0: what came from control; closed at its end
	news     chan struct{} // size 1: something has happened
	life     context.Context
	end      context.CancelFunc
	working  sync.WaitGroup // all goroutines

	mu         sync.Mutex
	inboxes    []*inbox // guarded by mu, as all below; in the order of their ids
	transports []*http.Transport
	count      int // streams asked for by the command under way
	done       int
	began      time.Time
	opening    time.Time // when the last was opened
	tally
	err error
}

func newHTTPPool(protocol string) *httpPool {
	p := &httpPool{protocol: protocol, network: randomNetwork(), input: make(chan []byte), news: make(chan struct{}, 1)}
	p.life, p.end = context.WithCancel(context.Background())
	return p
}

// watch starts to read control. The reading ends when control does.
func (p *httpPool) watch(control io.Reader) error {
	p.working.Go(func() {
		defer close(p.input)
		for {
			buf := make([]byte, 4096)
			n, err := control.Read(buf)
			if err != nil {
				return
			}
			select {
			case p.input <- buf[:n]:
			case <-p.life.Done():
			}
		}
	})
	return nil
}

func (p *httpPool) poll(patience time.Duration) (input []byte, err error) {
	var late <-chan time.Time
	if patience >= 0 {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case more, ok := <-p.input:
		if !ok {
			return nil, io.EOF
		}
		input = more
	case <-p.news:
	case <-late:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return input, p.err
}

// update calls do and wakes poll.
func (p *httpPool) update(do func()) {
	p.mu.Lock()
	do()
	p.mu.Unlock()
	select {
	case p.news <- struct{}{}:
	default:
	}
}

// open has several goroutines open streams, each all streams of a connection,
// so that these do share it.
func (p *httpPool) open(cmd command) error {
	if cmd.Do != doOpen {
		return fmt.Errorf("%s is done with --protocol http1 only", cmd.Do)
	}
	fresh := make([]*inbox, cmd.Count)
	for i := range fresh {
		fresh[i] = &inbox{id: cmd.First + i}
	}
	p.update(func() {
		p.inboxes = append(p.inboxes, fresh...)
		p.count, p.done, p.began = cmd.Count, 0, time.Now()
	})
	groups := make(chan []*inbox)
	p.working.Go(func() {
		defer close(groups)
		for group := range slices.Chunk(fresh, max(1, cmd.ConnStreams)) {
			select {
			case groups <- group:
			case <-p.life.Done():
				return
			}
		}
	})
	for range min(cmd.Window, cmd.Count) {
		p.working.Go(func() {
			for group := range groups {
				p.openGroup(cmd.Endpoint, group)
			}
		})
	}
	return nil
}

func (p *httpPool) openGroup(d endpoint, group []*inbox) {
	transport := p.transport(d, group[0].id)
	p.update(func() { p.transports = append(p.transports, transport) })
	for _, c := range group {
		body, err := p.openOne(d, transport, c.id)
		if err != nil {
			p.update(func() { p.fail(fmt.Errorf("stream %d: %w", c.id, err)) })
			return
		}
		p.update(func() { p.done, p.opening = p.done+1, time.Now() })
		p.working.Go(func() { p.read(c, body) })
	}
}

// transport is one connection.
func (p *httpPool) transport(d endpoint, id int) *http.Transport {
	var dialer net.Dialer
	if host, _, err := net.SplitHostPort(d.Address); err == nil {
		if ip := source(net.ParseIP(host), p.network, id); ip != nil {
			dialer.LocalAddr = &net.TCPAddr{IP: ip}
		}
	}
	use := new(http.Protocols)
	switch p.protocol {
	case protocolH2:
		use.SetHTTP2(true)
	case protocolH2C:
		use.SetUnencryptedHTTP2(true)
	default:
		use.SetHTTP1(true)
	}
	return &http.Transport{
		DialContext:        dialer.DialContext,
		Protocols:          use,
		DisableCompression: true,
		// Nothing secret is sent, and the certificate may be made for this run.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}
}

func (p *httpPool) openOne(d endpoint, transport *http.Transport, id int) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(p.life, http.MethodGet, d.Base+d.target(id), nil)
	if err != nil {
		return nil, err
	}
	for _, h := range headers(id) {
		req.Header.Set(h.name, h.value)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if err := checkHead(resp.Status, resp.StatusCode == http.StatusOK, resp.Header.Get("Content-Type")); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	if want := p.protocol == protocolH2 || p.protocol == protocolH2C; want != (resp.ProtoMajor == 2) {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("the gateway answered in %s", resp.Proto)
	}
	return resp.Body, nil
}

// read takes what comes for one stream until it ends. An end that was not asked
// for is a fault.
func (p *httpPool) read(c *inbox, body io.ReadCloser) {
	defer body.Close()
	var marks []mark
	buf := make([]byte, 4<<10)
	for {
		n, err := body.Read(buf)
		p.update(func() {
			var broken error
			if marks, broken = c.take(&p.tally, marks, buf[:n]); broken != nil {
				p.fail(fmt.Errorf("stream %d: %w", c.id, broken))
			}
			if err != nil && p.life.Err() == nil {
				c.check.faults.Cut++
			}
		})
		if err != nil {
			return
		}
	}
}

// fail keeps the first error. The caller holds mu.
func (p *httpPool) fail(err error) {
	if p.err == nil && p.life.Err() == nil {
		p.err = err
	}
}

func (p *httpPool) opened() (done int, all bool, elapsed time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done, p.done == p.count, p.opening.Sub(p.began)
}

func (p *httpPool) received() (events, last int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tally.received()
}

func (p *httpPool) stall(int) error {
	return fmt.Errorf("%s is done with --protocol http1 only", doStall)
}

func (p *httpPool) resetLatencies() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tally.resetLatencies()
}

func (p *httpPool) report(sent []int64) reply {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sum(sent, slices.Values(p.inboxes))
}

// closeAll closes all streams, and their connections.
func (p *httpPool) closeAll() {
	p.end()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.transports {
		t.CloseIdleConnections()
	}
}

func (p *httpPool) close() {
	p.closeAll()
	p.working.Wait()
	p.closeAll() // connections whose streams have ended since are idle now
}
