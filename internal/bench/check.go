package bench

import "fmt"

// checker follows the numbers of one stream's events. They begin at 1 and each
// comes once, in order. The zero value has seen nothing.
type checker struct {
	last    int64          // highest number so far
	missing map[int64]bool // lower numbers that were skipped; nil in a stream without faults
	faults  faults
}

// faults counts what went wrong with events.
type faults struct {
	Lost      int64 `json:"lost"`
	Repeated  int64 `json:"repeated"`
	Reordered int64 `json:"reordered"`
	Misled    int64 `json:"misled"` // were for another stream
	Alien     int64 `json:"alien"`  // were not sent by us, such as "reset"
	Cut       int64 `json:"cut"`    // streams that ended by themselves
}

func (f *faults) add(o faults) {
	f.Lost += o.Lost
	f.Repeated += o.Repeated
	f.Reordered += o.Reordered
	f.Misled += o.Misled
	f.Alien += o.Alien
	f.Cut += o.Cut
}

func (f faults) String() string {
	return fmt.Sprintf("%d lost, %d repeated, %d out of order, %d for another stream, %d not sent by bench, %d streams cut",
		f.Lost, f.Repeated, f.Reordered, f.Misled, f.Alien, f.Cut)
}

// maxJump bounds the skipped numbers that a checker records one by one.
const maxJump = 1 << 20

// see takes the number of the next event.
func (c *checker) see(seq int64) {
	switch {
	case seq == c.last+1:
		c.last = seq
	case seq > c.last+maxJump:
		c.faults.Alien++
	case seq > c.last:
		if c.missing == nil {
			c.missing = make(map[int64]bool)
		}
		for n := c.last + 1; n < seq; n++ {
			c.missing[n] = true
		}
		c.last = seq
	case c.missing[seq]:
		delete(c.missing, seq)
		c.faults.Reordered++
	default:
		c.faults.Repeated++
	}
}

// finish returns everything that was wrong, after events up to want were sent.
func (c *checker) finish(want int64) faults {
	f := c.faults
	f.Lost += int64(len(c.missing)) + max(0, want-c.last)
	f.Alien += max(0, c.last-want) // numbers that were never sent
	return f
}
