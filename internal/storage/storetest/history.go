package storetest

import (
	"fmt"
	"math/rand/v2"
)

// stepKind is what is done in a step.
type stepKind int

const (
	stepAppend stepKind = iota
	stepBatch
	stepBurst // several publishers at once
	stepTrim
	stepPurge
	stepDelete // and purge
	stepReopen
	stepKill
	stepFail // writes fail for a while
	stepSave
	stepRestore
	stepWait
	stepCheck
	stepLarge // an event that is too large
)

var stepNames = [...]string{
	"append", "batch", "burst", "trim", "purge", "delete", "reopen", "kill", "fail", "save", "restore", "wait", "check", "large",
}

// step is one step of a history. All that is random in it was drawn before.
type step struct {
	kind  stepKind
	what  []piece // to append
	topic int
	n     int
}

// piece is one entry of a step.
type piece struct {
	topic int
	key   int // 0: none
	close bool
	aged  int // minutes; 0: never
	size  int
}

func (s step) String() string {
	switch s.kind {
	case stepAppend, stepBatch, stepBurst, stepFail:
		return fmt.Sprintf("%s %+v", stepNames[s.kind], s.what)
	case stepTrim, stepPurge:
		return fmt.Sprintf("%s topic %d, %d", stepNames[s.kind], s.topic, s.n)
	case stepDelete, stepCheck, stepLarge:
		return fmt.Sprintf("%s topic %d", stepNames[s.kind], s.topic)
	case stepWait:
		return fmt.Sprintf("wait %d seconds", s.n)
	}
	return stepNames[s.kind]
}

const modelTopics = 4

// newHistory draws one.
func newHistory(seed uint64, steps int, c Config) []step {
	rng := rand.New(rand.NewPCG(seed, 0x5709e))
	// Each history has its own mix: with all of it in each, most would be short.
	mix := []struct {
		kind   stepKind
		weight int
	}{
		{stepAppend, 30}, {stepBatch, 20}, {stepBurst, rng.IntN(6)}, {stepTrim, rng.IntN(8)}, {stepPurge, rng.IntN(4)},
		{stepDelete, rng.IntN(5)}, {stepReopen, rng.IntN(8)}, {stepKill, rng.IntN(8)}, {stepFail, rng.IntN(5)},
		{stepSave, rng.IntN(2)}, {stepRestore, rng.IntN(2)}, {stepWait, rng.IntN(8)}, {stepCheck, 5}, {stepLarge, rng.IntN(2)},
	}
	total := 0
	for _, m := range mix {
		total += m.weight
	}
	style := style{closes: rng.IntN(12), keys: rng.IntN(40), ages: rng.IntN(30), large: rng.IntN(20), bubble: c.Bubble}
	var h []step
	for range steps {
		n, i := rng.IntN(total), 0
		for n >= mix[i].weight {
			n -= mix[i].weight
			i++
		}
		h = append(h, style.step(rng, mix[i].kind))
	}
	return h
}

// style is how likely entries are of a kind, in percent.
type style struct {
	closes, keys, ages, large int
	bubble                    bool
}

func (y style) step(rng *rand.Rand, kind stepKind) step {
	s := step{kind: kind, topic: rng.IntN(modelTopics)}
	switch kind {
	case stepAppend:
		s.what = y.pieces(rng, 1)
	case stepBatch:
		s.what = y.pieces(rng, 2+rng.IntN(10))
	case stepBurst:
		s.what = y.pieces(rng, 3+rng.IntN(6))
	case stepFail:
		s.what = y.pieces(rng, 1+rng.IntN(4))
	case stepTrim:
		s.n = 1 + rng.IntN(12)
	case stepPurge:
		s.n = rng.IntN(100)
	case stepWait:
		s.n = []int{1, 30, 119, 121, 600, 4000}[rng.IntN(6)]
	}
	return s
}

// pieces draws entries; nothing comes behind an end of its topic in one step.
func (y style) pieces(rng *rand.Rand, n int) (all []piece) {
	closed := make(map[int]bool)
	for range n {
		p := piece{topic: rng.IntN(modelTopics), size: rng.IntN(100)}
		if closed[p.topic] {
			continue
		}
		if rng.IntN(100) < y.keys {
			p.key = 1 + rng.IntN(5)
		}
		if rng.IntN(100) < y.large {
			p.size = rng.IntN(20_000)
		}
		if rng.IntN(100) < y.ages {
			p.aged = 60 // longer than any history without a bubble
			if y.bubble {
				p.aged = []int{1, 2, 10, 60}[rng.IntN(4)]
			}
		}
		p.close = rng.IntN(100) < y.closes
		closed[p.topic] = p.close
		all = append(all, p)
	}
	return all
}
