// Package former is what Tidegate knows of the name it had before. Nothing else in
// the program does: data folders and clusters of that time go on as they are, and
// settings of that time are named with what they are called now.
package former

import (
	"slices"
	"strings"
)

const (
	// Prefix began the names of all subjects and streams, unless another was given.
	Prefix = "sluice"
	// Folder was where embedded storage was, unless another folder was given.
	Folder = "./sluice-data"

	// marks began the keys in the metadata of streams.
	marks = "sluice_"
	// variables began the names of environment variables.
	variables = "SLUICE_"
)

// MetadataKey is the key in a stream's metadata of what has the key now. A stream
// keeps the names it was made with, so that processes of before and after the change can
// share it.
func MetadataKey(has map[string]string, now string) string {
	_, name, _ := strings.Cut(now, "_")
	for key := range has {
		if strings.HasPrefix(key, marks) {
			return marks + name
		}
	}
	return now
}

// Variable gives the name of today of an environment variable that has the name of
// before: now is the beginning of the names of today.
func Variable(name, now string) (renamed string, ok bool) {
	rest, ok := strings.CutPrefix(name, variables)
	return now + rest, ok
}

// Choose picks among the prefixes that a data folder has streams of, if none was
// asked for: the one of today, the only one, or the one of before.
func Choose(has []string, today string) string {
	switch {
	case slices.Contains(has, today) || len(has) == 0:
		return today
	case len(has) == 1:
		return has[0]
	case slices.Contains(has, Prefix):
		return Prefix
	}
	return today
}
