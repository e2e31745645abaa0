package packed

// Size is how many bytes r takes on the heap, before the allocator rounds up.
func Size(r Request) int { return len(r.data) }

// Names are those that have codes, and FirstRef is the first tag after them.
var Names, FirstRef = names, firstRef
