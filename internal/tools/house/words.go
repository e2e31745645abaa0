package main

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// word is one that the glossary has replaced.
type word struct {
	old   string // its forms, lower case, parted by blanks; "turn_away" is two words in a row
	now   string // what to say instead
	judge bool   // it is right in some places: a reader has to decide
}

// replaced are the old words. They are looked for in prose and in identifiers:
// heirOf, HEIR and "the heirs" are all found.
var replaced = []word{
	{old: "heir heirs", now: "new owner, failover"},
	{old: "estate estates", now: "orphaned sessions"},
	{old: "bereft", now: "orphaned"},
	{old: "ledger ledgers", now: "session store, session record"},
	{old: "roster rosters", now: "membership, view"},
	{old: "sighting sightings", now: "view"},
	{old: "appendmeet append_meet meeting meetings", now: "inflight"},
	{old: "tend tends tended tending", now: "renew"},
	{old: "moor moors moored mooring", now: "checkpoint"},
	{old: "ear ears hear hears heard hearing", now: "poller, on event"},
	{old: "breath breaths calm calms", now: "admission, limiter"},
	{old: "settle settles settled settling", now: "the verb: commit, resolve, drain, acknowledge"},
	{old: "told tells", now: "notified, reports, receives, answers, says"},
	{old: "crowd crowds crowded", now: "reconnect storm"},
	{old: "stone stones", now: "tombstone"},
	{old: "lent lends", now: "leased"},
	{old: "turn_away turns_away turned_away turnaway", now: "reject"},
	{old: "leave_unrecorded leaves_unrecorded unrecorded", now: "the verb: reject, skip"},
	{old: "wide_topic wide_topics", now: "large topic"},

	{old: "picture pictures", now: "view", judge: true},
	{old: "marks", now: "time index", judge: true},
	{old: "remember remembers remembered", now: "dedup, keep, store", judge: true},
	{old: "todo todos", now: "retry set", judge: true},
	{old: "anchor anchors anchored", now: "checkpoint", judge: true},
	{old: "pen pens", now: "scratch buffer", judge: true},
	{old: "door doors turn turns pace paces paced", now: "admission, limiter", judge: true},
	{old: "spread spreads", now: "fan-out in steps", judge: true},
	{old: "welcome welcomes welcomed", now: "accept", judge: true},
	{old: "tell telling", now: "notify, report, say", judge: true},
	{old: "lend lending", now: "lease", judge: true},
	{old: "forget forgets forgot forgotten", now: "delete, drop, remove", judge: true},
	{old: "who whose", now: "name who it is: the client, the caller", judge: true},
}

// exempt are files that need the old words: this list, a license that is not ours, and
// what was called so before.
var exempt = []string{
	"internal/tools/house/", "internal/tools/mutate/", "internal/licenses/", "LICENSE", "go.sum", "tools.sum",
	"docs/guides/migration.md", "internal/former/",
}

// kept are words that stay where they are: names of flags, and what is stored.
var kept = []struct{ paths, words string }{
	{"internal/bench/ internal/cli/bench.go measure/ internal/config/env.go docs/reference/", "settle settles settled settling"}, // --settle
	{"internal/storage/membership/ internal/storage/sessions/", "roster heir"},                                                   // keys of buckets
}

// isKept reports whether a word may stay in a file.
func isKept(name, form string) bool {
	for _, k := range kept {
		inFile := slices.ContainsFunc(strings.Fields(k.paths), func(path string) bool { return strings.HasPrefix(name, path) })
		if inFile && slices.Contains(strings.Fields(k.words), form) {
			return true
		}
	}
	return false
}

// found is one old word in a line.
type found struct {
	word word
	line int // 0: in the name of the file
	text string
}

// defectTest is a test named after a defect. Such names stay as they are: the list of
// defects has them.
var defectTest = regexp.MustCompile(`\bTest(GW|BE|F|X)\d+\w*`)

var letters = regexp.MustCompile(`[A-Za-z]+`)

// humps splits an identifier at its capitals: HTTPHeirOf is HTTP, Heir, Of.
func humps(name string) (parts []string) {
	begin := 0
	for i := 1; i < len(name); i++ {
		if isUpper(name[i]) && (!isUpper(name[i-1]) || i+1 < len(name) && !isUpper(name[i+1])) {
			parts = append(parts, name[begin:i])
			begin = i
		}
	}
	return append(parts, name[begin:])
}

func isUpper(b byte) bool { return b >= 'A' && b <= 'Z' }

// oldWords finds those that are certain, or all.
func oldWords(f file, all bool) []found {
	for _, prefix := range exempt {
		if strings.HasPrefix(f.name, prefix) || path.Base(f.name) == prefix {
			return nil
		}
	}
	forms := formsOf(all)
	list := inLine(nil, forms, 0, f.name)
	number := 0
	for line := range strings.Lines(f.text) {
		number++
		if mayHave(line, forms) {
			list = inLine(list, forms, number, line)
		}
	}
	return slices.DeleteFunc(list, func(found found) bool { return isKept(f.name, found.word.old) })
}

// mayHave is a quick look: most lines have no old word.
func mayHave(line string, forms map[string]word) bool {
	line = strings.ToLower(line)
	for form := range forms {
		if first, _, _ := strings.Cut(form, "_"); strings.Contains(line, first) {
			return true
		}
	}
	return false
}

func formsOf(all bool) map[string]word {
	forms := map[string]word{}
	for _, w := range replaced {
		if w.judge && !all {
			continue
		}
		for form := range strings.FieldsSeq(w.old) {
			forms[form] = word{old: form, now: w.now}
		}
	}
	return forms
}

// inLine splits a line into words, and identifiers at their capitals.
func inLine(list []found, forms map[string]word, number int, line string) []found {
	before := ""
	for _, run := range letters.FindAllString(defectTest.ReplaceAllString(line, ""), -1) {
		for _, part := range humps(run) {
			part = strings.ToLower(part)
			if w, ok := forms[part]; ok {
				list = append(list, found{w, number, line})
			}
			if w, ok := forms[before+"_"+part]; ok {
				list = append(list, found{w, number, line})
			}
			before = part
		}
	}
	return list
}

// reportWords counts each old word that is certain, and the others together.
func reportWords(f *figures, files []file) {
	counts, sum, judged := map[string]int{}, 0, 0
	for _, file := range files {
		for _, found := range oldWords(file, false) {
			counts[found.word.old]++
			sum++
		}
		judged += len(oldWords(file, true))
	}
	f.add("old words", "%d", sum)
	f.add("words to judge", "%d", judged-sum)
	for _, w := range replaced {
		for form := range strings.FieldsSeq(w.old) {
			if counts[form] > 0 {
				f.add(fmt.Sprintf("  %s", form), "%d", counts[form])
			}
		}
	}
}
