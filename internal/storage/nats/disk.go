package nats

import (
	"time"

	"golang.org/x/sys/unix"

	"tidegate/internal/wire"
)

// space is the space of a file system, in bytes. free is what this user may still use.
type space struct{ free, total int64 }

// spaceOf asks the system.
func spaceOf(dir string) (space, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return space{}, err
	}
	size := int64(s.Bsize)
	return space{free: int64(s.Bavail) * size, total: int64(s.Blocks) * size}, nil
}

const (
	mostMinFree  = 64 << 20
	minFreeShare = 20 // of the whole
)

// guard decides whether there is room for more. Without it a full disk would fail a write,
// and after that the server takes no writes until it is restarted, whatever is freed.
type guard struct {
	minFree int64 // 0 for the default
	full    bool
}

// update takes the space that there is, and reports whether that is too little. Then it
// takes a quarter more than the bound to go on, so that the answer does not change with
// each event that expires.
func (g *guard) update(s space) (full bool) {
	bound := g.bound(s.total)
	if g.full {
		bound += bound / 4
	}
	g.full = s.free < bound
	return g.full
}

func (g *guard) bound(total int64) int64 {
	if g.minFree > 0 {
		return g.minFree
	}
	return min(mostMinFree, total/minFreeShare)
}

// ErrDiskFull refuses writes while the disk guard finds too little space.
var ErrDiskFull = &wire.Error{Status: 503, Code: wire.CodeEngineFull,
	Message: "The data folder's disk is nearly full: free some space", RetryAfter: 5 * time.Second}
