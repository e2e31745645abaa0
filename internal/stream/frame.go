package stream

// Kind is where a frame comes from, which decides how it is counted.
type Kind uint8

// The kinds of frames.
const (
	Live    Kind = iota // an event of a topic: counts against MaxPending
	Replay              // read back from a topic's log, which bounds it: does not count
	Direct              // sent to the token: counts against MaxPending; undelivered ones are reported
	Control             // no event in it: an id-only block, a retry field, a heartbeat
)

// Frame is one encoded block of a stream, or the first part of one that the next frame
// continues. It is made once for all its streams, and never changes, so that it may be
// used concurrently. It is stored as a chunk of HTTP/1.1 (RFC 9112, section 7.1): a
// parked stream is written to without another copy.
type Frame struct {
	chunk    []byte // size line, block, CRLF
	from, to int32  // where in it the block is
	order    uint64
}

// Room is how many bytes NewFrame needs before a block: eight digits and CRLF.
const Room = 8 + len("\r\n")

// tail is what it adds after the block.
const tail = "\r\n"

// NewFrame returns a frame of the block buf[from:], which must not be empty. It takes
// buf over: it writes to the Room bytes before from, and two after the end. order is
// the frame's place among those of all topics, for Merge; 0 is none.
func NewFrame(buf []byte, from int, order uint64) *Frame {
	at := sizeLine(buf[:from], len(buf)-from)
	buf = append(buf, tail...)
	f := &Frame{chunk: buf[at:len(buf):len(buf)], from: int32(from - at), order: order}
	f.to = int32(len(f.chunk) - len(tail))
	return f
}

// sizeLine writes the size of a chunk to the end of buf, and returns where it starts.
func sizeLine(buf []byte, size int) int {
	const digits = "0123456789abcdef"
	at := len(buf) - len(tail)
	copy(buf[at:], tail)
	for ; size > 0; size >>= 4 {
		at--
		buf[at] = digits[size&15]
	}
	return at
}

// WithHead returns two frames of one block: head, and f's block from rest on, which is
// shared with f. The second must be pushed directly after the first.
func (f *Frame) WithHead(head []byte, rest int) (first, second *Frame) {
	buf := make([]byte, Room, Room+len(head))
	buf = append(buf, head...)
	at := sizeLine(buf[:Room], len(head)+f.Len()-rest)
	first = &Frame{chunk: buf[at:], from: int32(Room - at), to: int32(len(buf) - at), order: f.order}
	second = &Frame{chunk: f.chunk[int(f.from)+rest:], order: f.order}
	second.to = int32(len(second.chunk) - len(tail))
	return first, second
}

// FrameOf returns a frame of a copy of block.
func FrameOf(block []byte, order uint64) *Frame {
	buf := make([]byte, Room, Room+len(block)+len(tail))
	return NewFrame(append(buf, block...), Room, order)
}

// Block is the encoded block. It must not be changed.
func (f *Frame) Block() []byte { return f.chunk[f.from:f.to] }

// Len is the length of the block.
func (f *Frame) Len() int { return int(f.to - f.from) }

// Order is the frame's place among the frames of all topics; 0 is none.
func (f *Frame) Order() uint64 { return f.order }

// bytes is the frame as it is written: with or without its chunk framing.
func (f *Frame) bytes(chunked bool) []byte {
	if chunked {
		return f.chunk
	}
	return f.Block()
}

// Item is a frame on its way to one stream.
type Item struct {
	Frame *Frame
	Kind  Kind
}

// frameCost is what a waiting frame counts besides its bytes, so that a flood of tiny
// events is bounded as well.
const frameCost = 32

func (i Item) cost() int64 {
	if i.Kind == Live || i.Kind == Direct {
		return int64(i.Frame.Len()) + frameCost
	}
	return 0
}
