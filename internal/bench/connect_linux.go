package bench

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// opening is the command under way that opens streams.
type opening struct {
	endpoint endpoint
	address  syscall.Sockaddr
	ip       net.IP
	next     int // id of the next stream to open
	end      int // id behind the last
	done     int
	pending  int // connects under way
	churn    bool
	began    time.Time
	last     time.Time
}

// open begins to open streams; poll goes on with it.
func (p *epollPool) open(cmd command) error {
	address, err := net.ResolveTCPAddr("tcp", cmd.Endpoint.Address)
	if err != nil {
		return err
	}
	o := opening{endpoint: cmd.Endpoint, ip: address.IP, next: cmd.First, end: cmd.First + cmd.Count, churn: cmd.Do == doChurn, began: time.Now()}
	if ip := address.IP.To4(); ip != nil {
		o.address = &syscall.SockaddrInet4{Port: address.Port, Addr: [4]byte(ip)}
	} else {
		o.address = &syscall.SockaddrInet6{Port: address.Port, Addr: [16]byte(address.IP.To16())}
	}
	p.opening = o
	for range min(cmd.Window, cmd.Count) {
		p.clients = append(p.clients, client{})
		p.connect(len(p.clients) - 1)
	}
	return p.err
}

// opened reports the progress of open.
func (p *epollPool) opened() (done int, all bool, elapsed time.Duration) {
	o := &p.opening
	return o.done, o.pending == 0 && o.next == o.end, o.last.Sub(o.began)
}

// fail keeps the first error.
func (p *epollPool) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// connect opens the next stream in place i.
func (p *epollPool) connect(i int) {
	o, c := &p.opening, &p.clients[i]
	*c = client{inbox: inbox{id: o.next}}
	o.next++
	o.pending++
	family := syscall.AF_INET
	if o.ip.To4() == nil {
		family = syscall.AF_INET6
	}
	var err error
	c.fd, err = syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		c.state = gone
		p.fail(os.NewSyscallError("socket", err))
		return
	}
	if o.endpoint.Segment > 0 {
		if err := syscall.SetsockoptInt(c.fd, syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, o.endpoint.Segment); err != nil {
			p.fail(os.NewSyscallError("setsockopt", err))
			return
		}
	}
	if ip := source(o.ip, p.network, c.id); ip != nil {
		if err := bindAddress(c.fd, ip); err != nil {
			p.fail(err)
			return
		}
	}
	if err := syscall.Connect(c.fd, o.address); err != nil && !errors.Is(err, syscall.EINPROGRESS) {
		p.fail(fmt.Errorf("connect to %s: %w", o.endpoint.Address, err))
		return
	}
	p.arm(i, syscall.EPOLL_CTL_ADD, syscall.EPOLLOUT)
}

// bindAddress gives a socket its address, and leaves the port to connect. Bind
// would look for one that nothing else uses, which takes long when many do.
func bindAddress(fd int, ip net.IP) error {
	const ipBindAddressNoPort = 24 // IP_BIND_ADDRESS_NO_PORT, see ip(7)
	if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, ipBindAddressNoPort, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	return os.NewSyscallError("bind", syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte(ip.To4())}))
}

func (p *epollPool) arm(i, op int, events uint32) {
	err := syscall.EpollCtl(p.epoll, op, p.clients[i].fd, &syscall.EpollEvent{Events: events, Fd: int32(i)})
	if err != nil {
		p.fail(os.NewSyscallError("epoll_ctl", err))
	}
}

// ask sends the request: the connection is there, or has failed.
func (p *epollPool) ask(i int) {
	c := &p.clients[i]
	code, err := syscall.GetsockoptInt(c.fd, syscall.SOL_SOCKET, syscall.SO_ERROR)
	if err == nil && code != 0 {
		err = syscall.Errno(code)
	}
	if err != nil {
		p.fail(fmt.Errorf("connect to %s: %w", p.opening.endpoint.Address, err))
		return
	}
	request := p.opening.endpoint.appendRequest(p.buf[:0], c.id)
	n, err := syscall.Write(c.fd, request)
	if err == nil && n < len(request) { // a new connection's buffer takes it whole
		err = io.ErrShortWrite
	}
	if err != nil {
		p.fail(fmt.Errorf("send request %d: %w", c.id, err))
		return
	}
	c.state = asking
	p.arm(i, syscall.EPOLL_CTL_MOD, syscall.EPOLLIN)
}

// established counts a stream as open and goes on with the next.
func (p *epollPool) established(i int) {
	o, c := &p.opening, &p.clients[i]
	c.state = streaming
	o.pending--
	o.done++
	o.last = time.Now()
	if o.churn {
		p.closeClient(c)
		if o.next < o.end {
			p.connect(i)
		}
		return
	}
	if o.next < o.end {
		p.clients = append(p.clients, client{})
		p.connect(len(p.clients) - 1)
	}
}
