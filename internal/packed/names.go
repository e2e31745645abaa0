package packed

import "slices"

// ownNames are headers that identify a client or a request. Their lines are never shared:
// a cookie returns whenever its owner reconnects, and would fill a place in the table
// that no other request uses.
var ownNames = [...]string{
	"authorization", "baggage", "cf-connecting-ip", "cf-ray", "cookie", "forwarded",
	"last-event-id", "traceparent", "tracestate", "true-client-ip", "x-amzn-trace-id",
	"x-b3-spanid", "x-b3-traceid", "x-client-ip", "x-cloud-trace-context",
	"x-correlation-id", "x-csrf-token", "x-forwarded-for", "x-real-ip", "x-request-id",
}

// usualNames are the other names that cost one byte when a value is not shared.
var usualNames = [...]string{
	"accept", "accept-encoding", "accept-language", "cache-control", "cdn-loop",
	"cf-ipcountry", "cf-visitor", "connection", "content-length", "content-type",
	"dnt", "host", "if-modified-since", "if-none-match", "origin", "pragma",
	"priority", "range", "referer", "save-data", "sec-ch-ua", "sec-ch-ua-arch",
	"sec-ch-ua-bitness", "sec-ch-ua-full-version-list", "sec-ch-ua-mobile",
	"sec-ch-ua-model", "sec-ch-ua-platform", "sec-ch-ua-platform-version",
	"sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site", "sec-fetch-storage-access",
	"sec-gpc", "te", "user-agent", "via", "x-api-key", "x-forwarded-host",
	"x-forwarded-port", "x-forwarded-proto", "x-forwarded-server", "x-requested-with",
	"x-scheme",
}

// firstRef is the first tag that refers to a line of the table. With not more
// than 63 names, 64 lines have a tag of one byte.
const firstRef = uint32(1 + len(ownNames) + len(usualNames))

var (
	// names has the name of a code at code-1. The codes are in the order of the
	// names, so that fields are sorted by them.
	names     = slices.Sorted(slices.Values(slices.Concat(ownNames[:], usualNames[:])))
	nameCodes = codesOf(names)
	own       = ownCodes()

	methods     = []string{"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "CONNECT", "TRACE"}
	methodCodes = codesOf(methods)

	codeLastEventID = nameCodes["last-event-id"]
)

// codesOf assigns a code to each word; 0 means none.
func codesOf(words []string) map[string]uint32 {
	codes := make(map[string]uint32, len(words))
	for i, word := range words {
		codes[word] = uint32(i) + 1
	}
	return codes
}

// ownCodes reports for each code whether it belongs to one of the ownNames.
func ownCodes() (own [firstRef]bool) {
	for _, name := range ownNames {
		own[nameCodes[name]] = true
	}
	return own
}
