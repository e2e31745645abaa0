package segments

import (
	"testing"
	"time"

	"tidegate/internal/longtest"
	"tidegate/internal/storage/storetest"
)

func TestModel(t *testing.T) {
	t.Parallel()
	storetest.Model(t, modelled(func(*Options) {}))
}

func TestModelInSmallSegments(t *testing.T) {
	t.Parallel()
	storetest.Model(t, modelled(func(o *Options) { o.segmentSize = 4 << 10; o.maintain = time.Second }))
}

func TestModelOfPower(t *testing.T) {
	t.Parallel()
	storetest.Model(t, modelled(func(o *Options) { o.Power = true; o.segmentSize = 16 << 10; o.maintain = 100 * time.Millisecond }))
}

// modelled is what the histories are run on: few of them, each is a second or more.
func modelled(change func(*Options)) storetest.Config {
	c := conformity(change)
	c.Histories = longtest.Number(2, 5)
	return c
}
