package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// ByteSize is a number of bytes as settings write it: 1048576, 1MiB, 512KiB or 1MB. *ByteSize is a
// [pflag.Value], so that fs.Var((*config.ByteSize)(&n), "size", "…") makes a flag of an int64.
type ByteSize int64

// units from the largest to the smallest, so that String finds the shortest exact text first.
var units = []struct {
	name string
	size int64
}{
	{"TiB", 1 << 40}, {"TB", 1e12},
	{"GiB", 1 << 30}, {"GB", 1e9},
	{"MiB", 1 << 20}, {"MB", 1e6},
	{"KiB", 1 << 10}, {"KB", 1e3},
	{"B", 1},
}

// String returns n in the largest binary unit that divides it.
func (n ByteSize) String() string {
	for _, u := range units {
		if n != 0 && strings.HasSuffix(u.name, "iB") && int64(n)%u.size == 0 {
			return strconv.FormatInt(int64(n)/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(n), 10)
}

// Set parses text.
func (n *ByteSize) Set(text string) error {
	v, err := parseSize(text)
	if err != nil {
		return err
	}
	*n = ByteSize(v)
	return nil
}

// Type is the placeholder in help.
func (n *ByteSize) Type() string { return "SIZE" }

var errSize = errors.New("give a size such as 1048576, 512KiB or 1MB")

// parseSize reads a whole number with or without a unit, in any case, with or without a blank between.
func parseSize(text string) (int64, error) {
	digits := strings.TrimRight(text, "bBiIkKmMgGtT")
	unit, scale := text[len(digits):], int64(1)
	if unit != "" {
		scale = 0
		for _, u := range units {
			if strings.EqualFold(unit, u.name) {
				scale = u.size
			}
		}
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(digits, " "), 10, 63)
	if err != nil || scale == 0 || int64(n) > math.MaxInt64/scale {
		return 0, errSize
	}
	return int64(n) * scale, nil
}
