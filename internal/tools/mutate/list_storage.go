package main

// quickSegments leaves out the random histories, the faults at every operation and all kinds of damage.
const quickSegments = "^Test(ADeletion|Head|TwoTorn|WhatIs|Segments|Many|Texts|TheEnd|ATrim|AnEmpty|TheNewest|Trims|Positions)"

// segmentMutants are mistakes in the log of one process.
var segmentMutants = []mutant{
	{
		name: "segments: a reader does not check the sum",
		dir:  "internal/storage/segments",
		find: `if sum\(b, seg\.salt\) != h\.sum \{`, with: "if false {",
		tests: "^TestEveryFlipped",
	},
	{
		name: "segments: a scan does not check the sum",
		dir:  "internal/storage/segments",
		find: `if sum\(b, s\.o\.salt\) != h\.sum \{`, with: "if false {",
		tests: "^TestEveryFlipped",
	},
	{
		name: "segments: the sum leaves out the head of a record",
		dir:  "internal/storage/segments",
		find: `s := crc32\.Update\(salt, castagnoli, record\[:8\]\)`, with: "s := salt",
		tests: "^TestEveryFlipped",
	},
	{
		name: "segments: another event at the place passes",
		dir:  "internal/storage/segments",
		find: `err != nil \|\| v\.seq != p\.seq \|\| `, with: "err != nil || ",
		tests: "^TestAnotherEventAt",
	},
	{
		name: "segments: a read repeats the last event of a step",
		dir:  "internal/storage/segments",
		find: `from = places\[len\(places\)-1\]\.seq \+ 1`, with: "from = places[len(places)-1].seq",
		tests: "^TestWhatIsAppendedIsThere",
	},
	{
		name: "segments: a read skips one event between steps",
		dir:  "internal/storage/segments",
		find: `from = places\[len\(places\)-1\]\.seq \+ 1`, with: "from = places[len(places)-1].seq + 2",
		tests: quickSegments,
	},
	{
		name: "segments: expired events are read",
		dir:  "internal/storage/segments",
		find: `case !v\.expired\(now\):`, with: "case !v.expired(0 * now):",
		tests: "^Test(TheNewest|Store$)",
	},
	{
		name: "segments: an event expires one step late",
		dir:  "internal/storage/segments",
		find: `v\.at\+int64\(v\.age\) <= now`, with: "v.at+int64(v.age) < now",
		tests: "^TestAnEventExpires",
	},
	{
		name: "segments: a trim keeps one event more",
		dir:  "internal/storage/segments",
		find: `l\.dropBelow\(t, len\(t\.places\)-max\(keep, 0\)\)`, with: "l.dropBelow(t, len(t.places)-max(keep, 0)-1)",
		tests: quickSegments,
	},
	{
		name: "segments: a trim is not noted",
		dir:  "internal/storage/segments",
		find: `^\t\tl\.trims\[t\.name\] = below\n`, with: "\t\t_ = below\n",
		tests: quickSegments,
	},
	{
		name: "segments: what could not be noted is lost",
		dir:  "internal/storage/segments",
		find: `^\tl\.\w+ = (slices\.Concat\(\w+, l\.\w+\))\n`, with: "\t_ = $1\n",
		tests: "^TestWhatCouldNot",
	},
	{
		name: "segments: an event that is too large is stored",
		dir:  "internal/storage/segments",
		find: `if size > l\.opts\.MaxEvent \{`, with: "if size > 2*l.opts.MaxEvent {",
		tests: "^TestOnlyAnEvent",
	},
	{
		name: "segments: room is not given back",
		dir:  "internal/storage/segments",
		find: `^\tdefer l\.room\.Release\(room\).*\n`, with: "",
		tests: "^TestRoomIsGiven",
	},
	{
		name: "segments: a dropped event keeps its segment alive",
		dir:  "internal/storage/segments",
		find: `^\t\tl\.segments\.of\(p\)\.live--\n`, with: "\t\t_ = p\n",
		tests: quickSegments,
	},
	{
		name: "segments: the last topic of the index is lost when another goes",
		dir:  "internal/storage/segments",
		find: `x\.order\[t\.at\], last\.at = last, t\.at`, with: "x.order[t.at] = last",
		tests: "^TestTheIndexFinds",
	},
	{
		name: "segments: a key is kept for ever",
		dir:  "internal/storage/segments",
		find: `now-k\.order\[k\.head\]\.at >= (int64\(topic\.KeyLife\))`, with: "now-k.order[k.head].at >= 100*$1",
		tests: "^TestStore$",
	},
	{
		name: "segments: both slots of head are written at once",
		dir:  "internal/storage/segments",
		find: `turn := h\.turn \^ 1`, with: "turn := h.turn",
		tests: quickSegments,
	},
	{
		name: "segments: a broken slot of head counts",
		dir:  "internal/storage/segments",
		find: `if crc32\.Checksum\(b\[:8\], castagnoli\) == binary\.LittleEndian\.Uint32\(b\[8:\]\) \{`, with: "if crc32.Checksum(b[:8], castagnoli) > 0 {",
		tests: quickSegments,
	},
	{
		name: "segments: the log grows beyond its bound",
		dir:  "internal/storage/segments",
		find: `if bytes <= l\.opts\.MaxBytes \|\|`, with: "if bytes <= 2*l.opts.MaxBytes ||",
		tests: "^TestTheLogStays",
	},
	{
		name: "segments: a repeat with other content is a repeat",
		dir:  "internal/storage/segments",
		find: `if ok && err == nil && !same \{`, with: "if false && !same {",
		tests: "^TestStore$",
	},
}
