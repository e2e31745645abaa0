package config

import "strings"

// oftenMeant has names that other programs use.
var oftenMeant = map[string]string{
	"port": "listen", "bind": "listen", "addr": "listen", "address": "listen",
	"url": "callback-url", "workers": "task-workers", "file": "config",
}

// didYouMean is the end of an error about an unknown name: the nearest of the known ones, if any is near.
// prefix is put before it, such as "--".
func didYouMean(name string, known []string, prefix string) string {
	if best := nearest(name, known); best != "" {
		return "; did you mean " + prefix + best + "?"
	}
	return ""
}

// nearest returns the known name with the fewest edits, at most a third of its length, or "".
func nearest(name string, known []string) string {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	if len(name) > 100 {
		return ""
	}
	best, edits := "", len(name)
	for _, k := range known {
		if oftenMeant[name] == k {
			return k
		}
		if d := distance(name, k); d < edits && d <= max(1, len(k)/3) {
			best, edits = k, d
		}
	}
	return best
}

// distance is the number of insertions, deletions, replacements and swaps of neighbours that make a into b.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			same := 1
			if a[i-1] == b[j-1] {
				same = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+same)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
