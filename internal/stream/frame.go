package stream

// Kind says where a frame comes from, which decides what it counts for.
type Kind uint8

// The kinds of frames.
const (
	Live    Kind = iota // an event of a topic: waits within MaxPending
	Replay              // read back from a topic's log: bounded by the log, does not count
	Direct              // sent to the token: waits within MaxPending, undelivered ones are reported
	Control             // no event in it: an id-only block, a retry field, a heartbeat
)

// Frame is one encoded block of a stream, or a part of one that the next frame
// goes on with. It is made once for all streams that it goes to, and never
// changes. It is kept as a chunk of HTTP/1.1 (RFC 9112, 7.1), so that a parked
// stream can be written to without another copy.
type Frame struct {
	chunk    []byte // size line, block, CRLF
	from, to int32  // where in it the block is
	order    uint64
}

// Room is what NewFrame needs in front of a block: eight digits and CRLF.
const Room = 8 + len("\r\n")

// tail is what it needs behind.
const tail = "\r\n"

// NewFrame makes a frame of the block buf[from:], which must not be empty. It
// takes buf over: the Room bytes before from, and two behind the end, are
// written to. order is the frame's place among those of all topics, for Merge;
// 0 is none.
func NewFrame(buf []byte, from int, order uint64) *Frame {
	at := sizeLine(buf[:from], len(buf)-from)
	buf = append(buf, tail...)
	f := &Frame{chunk: buf[at:len(buf):len(buf)], from: int32(from - at), order: order}
	f.to = int32(len(f.chunk) - len(tail))
	return f
}

// sizeLine writes the size of a chunk to the end of buf and tells where it begins.
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

// WithHead makes two frames of one block: head, and f's block from rest on, which
// is shared with f. The second must be pushed right behind the first.
func (f *Frame) WithHead(head []byte, rest int) (first, second *Frame) {
	buf := make([]byte, Room, Room+len(head))
	buf = append(buf, head...)
	at := sizeLine(buf[:Room], len(head)+f.Len()-rest)
	first = &Frame{chunk: buf[at:], from: int32(Room - at), to: int32(len(buf) - at), order: f.order}
	second = &Frame{chunk: f.chunk[int(f.from)+rest:], order: f.order}
	second.to = int32(len(second.chunk) - len(tail))
	return first, second
}

// FrameOf makes a frame of a copy of block.
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

// bytes is the frame as it goes out: with or without its framing.
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

// frameCost is what a waiting frame counts beside its bytes, so that a flood of
// tiny events is bounded as well.
const frameCost = 32

func (i Item) cost() int64 {
	if i.Kind == Live || i.Kind == Direct {
		return int64(i.Frame.Len()) + frameCost
	}
	return 0
}
