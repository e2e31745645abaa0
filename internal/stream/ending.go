package stream

import (
	"slices"

	"tidegate/internal/wire"
)

// ending is why a stream ends, in one byte: its place in the closed list of
// endings, from 1 on; 0 while it does not end.
type ending uint8

var endings = wire.Endings()

func endingOf(why wire.Ending) ending {
	i := slices.Index(endings, why)
	if i < 0 {
		panic("stream: ending is not in wire.Endings: " + string(why.Reason) + "/" + string(why.Detail))
	}
	return ending(i + 1)
}

func (e ending) wire() wire.Ending {
	if e == 0 {
		return wire.Ending{}
	}
	return endings[e-1]
}
