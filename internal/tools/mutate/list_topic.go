package main

// quickStream are all tests but the long one, TestStress.
const quickStream = "^Test([^S]|S[^t])"

// streamMutants are mistakes in how a stream queues and writes.
var streamMutants = []mutant{
	{
		name: "stream: a stream takes events after its end",
		dir:  "internal/stream",
		find: `(i Item\) error \{\n\ts\.mu\.Lock\(\)\n\tdefer s\.mu\.Unlock\(\)\n\tif )s\.ending != 0`, with: "${1}false && s.ending != 0",
		tests: quickStream,
	},
	{
		name: "stream: the bound of a queue does not hold",
		dir:  "internal/stream",
		find: `s\.pending\+cost > s\.engine\.opts\.MaxPending`, with: "s.pending+cost > 64*s.engine.opts.MaxPending",
		tests: quickStream,
	},
	{
		name: "stream: what was written still counts as waiting",
		dir:  "internal/stream",
		find: `^\ts\.pending -= b\.cost\n`, with: "",
		tests: quickStream,
	},
	{
		name: "stream: direct events count as undelivered after they were written",
		dir:  "internal/stream",
		find: `^\ts\.direct -= int32\(b\.direct\)\n`, with: "",
		tests: quickStream,
	},
	{
		name: "stream: the second reason of an end wins",
		dir:  "internal/stream",
		find: `if s\.ending == 0 (\{\n\t\ts\.ending = endingOf\(wire\.Ending\{Reason: wire\.ClientClosed)`, with: "if true $1",
		tests: quickStream,
	},
	{
		name: "stream: what a socket did not take is sent from its beginning",
		dir:  "internal/stream",
		find: `rest := b\.bytes\[n:\]`, with: "rest := b.bytes[:len(b.bytes)-n]",
		tests: quickStream,
	},
	{
		name: "stream: the rest of a shared buffer is not copied",
		dir:  "internal/stream",
		find: `if len\(rest\) <= joinBytes \{`, with: "if false {",
		tests: quickStream,
	},
	{
		name: "stream: the end of a response is written twice",
		dir:  "internal/stream",
		find: `^\t\ts\.state \|= ended\n`, with: "",
		tests: quickStream,
	},
	{
		name: "stream: a merge puts older events behind newer ones",
		dir:  "internal/stream",
		find: `items\[0\]\.Frame\.order < w\.Frame\.order`, with: "items[0].Frame.order > w.Frame.order",
		tests: quickStream,
	},
	{
		name: "stream: what is prepended comes last",
		dir:  "internal/stream",
		find: `append\(\[\]Item\{i\}, l\.items\[l\.head:\]\.\.\.\)`, with: "append(l.items[l.head:], i)",
		tests: quickStream,
	},
	{
		name: "stream: a moved-down queue loses its place",
		dir:  "internal/stream",
		find: `l\.items, l\.head = l\.items\[:n\], 0`, with: "l.items, l.head = l.items[:n], 1",
		tests: quickStream,
	},
	{
		name: "stream: a report of a connection that has gone reaches the next one",
		dir:  "internal/stream",
		find: `^\tp\.generations\[at\]\+\+\n`, with: "",
		tests: quickStream,
	},
	{
		name: "stream: a page that comes back begins its generations anew",
		dir:  "internal/stream",
		find: `p\.generations\[i\] = t\.spare\[n\]`, with: "p.generations[i] = 0",
		tests: quickStream,
	},
	{
		name: "stream: the size line of a chunk is one byte short",
		dir:  "internal/stream",
		find: `sizeLine\(buf\[:from\], len\(buf\)-from\)`, with: "sizeLine(buf[:from], len(buf)-from-1)",
		tests: quickStream,
	},
	{
		name: "stream: idle streams have no heartbeat",
		dir:  "internal/stream",
		find: `ago\(s\.last\) >= silence`, with: "false && ago(s.last) >= silence",
		tests: quickStream,
	},
	{
		name: "stream: a client that reads nothing is never cut",
		dir:  "internal/stream",
		find: `case s\.stuck != 0 && ago\(s\.stuck\) >= e\.opts\.WriteTimeout:`, with: "case s.stuck == 1 && ago(s.stuck) < 0:",
		tests: quickStream,
	},
}

// topicMutants are mistakes in order, resume, retention and dedup of topics.
var topicMutants = []mutant{
	{
		name: "topic: an event on its way is queued twice",
		dir:  "internal/topic",
		find: `if m\.cursor < s\.event\.seq && m\.follows\(s\.log\) \{`, with: "if m.follows(s.log) {",
		tests: "^Test(WhoComesWhile|WhoLeavesWhile|NothingOvertakes|EventsThat|EventsOn|RunSpreads)",
	},
	{
		name: "topic: an event on its way is lost for who settles",
		dir:  "internal/topic",
		find: `if m\.cursor < s\.event\.seq && m\.follows\(s\.log\) \{`, with: "if m.cursor+1 < s.event.seq && m.follows(s.log) {",
		tests: "^Test(WhoComesWhile|WhoLeavesWhile|NothingOvertakes|EventsThat|EventsOn|RunSpreads)",
	},
	{
		name: "topic: fan-out in steps skips one stream a step",
		dir:  "internal/topic",
		find: `if s\.next = end; end < len\(s\.log\.subs\) \{`, with: "if s.next = end + 1; end < len(s.log.subs) {",
		tests: "^Test(WhoComesWhile|WhoLeavesWhile|NothingOvertakes|EventsThat|EventsOn|RunSpreads)",
	},
	{
		name: "topic: a gap is closed while an event is on its way",
		dir:  "internal/topic",
		find: `\tif l\.\w+ > 0 \{\n\t\tl\.subs\[s\.at\] = nil`, with: "\tif false {\n\t\tl.subs[s.at] = nil",
		tests: "^Test(WhoComesWhile|WhoLeavesWhile|NothingOvertakes|EventsThat|EventsOn|RunSpreads)",
	},
	{
		name: "topic: a resume repeats the event of its id",
		dir:  "internal/topic",
		find: `held\[mid\]\.seq <= seq`, with: "held[mid].seq < seq",
		tests: "^Test(ResetRules|AnExplicit|F11)",
	},
	{
		name: "topic: a resume in front of all that is held loses the first event",
		dir:  "internal/topic",
		find: `held\[0\]\.seq > seq \{`, with: "held[0].seq > seq+1 {",
		tests: "^Test(ResetRules|AnExplicit|F11)",
	},
	{
		name: "topic: lost events are not reported",
		dir:  "internal/topic",
		find: `return max\(l\.lost, l\.missing\) > seq \|\|`, with: "return max(l.lost, l.missing) > seq+1 ||",
		tests: "^TestResetRules",
	},
	{
		name: "topic: a replay of several topics is not in one order",
		dir:  "internal/topic",
		find: `cmp\.Compare\(a\.seq, b\.seq\) \}\)\n\t\}\n\treturn p`, with: "cmp.Compare(b.seq, a.seq) })\n\t}\n\treturn p",
		tests: "^Test(TopicsAttached|F11)",
	},
	{
		name: "topic: one event more than the namespace keeps",
		dir:  "internal/topic",
		find: `l\.held\(\) > l\.keep\.Events`, with: "l.held() > l.keep.Events+1",
		tests: "^TestRetention",
	},
	{
		name: "topic: the bound in bytes does not hold",
		dir:  "internal/topic",
		find: `l\.bytes > l\.keep\.Bytes && l\.held\(\) > 1`, with: "l.bytes > 2*l.keep.Bytes && l.held() > 1",
		tests: "^TestRetention",
	},
	{
		name: "topic: the last event leaves for its bytes",
		dir:  "internal/topic",
		find: `l\.bytes > l\.keep\.Bytes && l\.held\(\) > 1`, with: "l.bytes > l.keep.Bytes && l.held() > 0",
		tests: "^TestRetention",
	},
	{
		name: "topic: events outlive their age",
		dir:  "internal/topic",
		find: `(l\.events\[l\.head\]\.at \+ )(int64\(l\.keep\.Age\), true)`, with: "${1}2*$2",
		tests: "^TestRetentionByAgeFollows",
	},
	{
		name: "topic: the bound over all topics does not hold",
		dir:  "internal/topic",
		find: `h\.memory\(\) > h\.opts\.MaxBytes`, with: "h.memory() > 2*h.opts.MaxBytes",
		tests: "^TestMemoryOf",
	},
	{
		name: "topic: memory is freed at the topic that is used most",
		dir:  "internal/topic",
		find: `(opts\.MaxBytes \{\n(?:\t\t//.*\n)*\t\toldest := )h\.recent\.front\(\)`, with: "${1}h.recent.root.prev",
		tests: "^TestMemoryOf",
	},
	{
		name: "topic: a dropped event counts as held",
		dir:  "internal/topic",
		find: `^\th\.events--\n`, with: "",
		tests: "^Test(Retention|MemoryOf|Stats)",
	},
	{
		name: "topic: a key is kept for ever",
		dir:  "internal/topic",
		find: `now\.UnixNano\(\)-k\.order\[k\.head\]\.at >= int64\(KeyLife\)`, with: "false",
		tests: "^TestKeys",
	},
	{
		name: "topic: a key that was made anew goes with its first use",
		dir:  "internal/topic",
		find: `k\.records\[oldest\.hash\]\.made == oldest\.at`, with: "k.records[oldest.hash].made >= oldest.at",
		tests: "^TestKeys",
	},
	{
		name: "topic: a key with other content is answered as a repeat",
		dir:  "internal/topic",
		find: `case r\.content != content:`, with: "case false:",
		tests: "^TestX45",
	},
	{
		name: "topic: the key of a deleted topic is still known",
		dir:  "internal/topic",
		find: `case !ok, r\.seq <= h\.\w+\(p\.Topic\):`, with: "case !ok:",
		tests: "^TestKeysOf",
	},
	{
		name: "topic: a closed topic takes another event",
		dir:  "internal/topic",
		find: `\tif l\.closed \{\n\t\treturn Receipt\{\}, ErrClosed`, with: "\tif false {\n\t\treturn Receipt{}, ErrClosed",
		tests: "^TestAClosedTopic",
	},
	{
		name: "topic: a stream goes on although all its topics are closed",
		dir:  "internal/topic",
		find: `^\t\ts\.member\.endIfDone\(b\)\n`, with: "",
		tests: "^TestTheLastTopic",
	},
	{
		name: "topic: a removed topic leaves no trace",
		dir:  "internal/topic",
		find: `t\.merged = max\(t\.merged, oldest\.last\)`, with: "t.merged = max(t.merged, 0)",
		tests: "^TestTombstones",
	},
	{
		name: "topic: an event that was applied is applied again",
		dir:  "internal/topic",
		find: `if e\.Seq <= h\.seq \{`, with: "if e.Seq < h.seq {",
		tests: "^TestAnEventThatIsGivenAgain",
	},
	{
		name: "topic: a forged id passes for a real one",
		dir:  "internal/topic",
		find: `(\[\]byte\(seal\)\)) == 1`, with: "$1 >= 0",
		tests: "^TestX15",
	},
	{
		name: "topic: an id of another log is placed",
		dir:  "internal/topic",
		find: `if !found \|\| gen != generation \{`, with: `if !found || gen == "" {`,
		tests: "^Test(ParseID|F17)",
	},
}
