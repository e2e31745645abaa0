package backend

import (
	"errors"
	"fmt"
	"iter"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a route.
const (
	maxIDBytes     = 200 // of a task id or request id
	maxStreamTasks = 100 // distinct task ids on one stream
)

// errNotRoutable is wrapped by every error of a URL that has no topics.
var errNotRoutable = errors.New("URL is not routable")

// route is what a stream's URL asks for. It has a task or a request id at least.
type route struct {
	tasks     []string // ids in the order of their first mention
	requestID string   // of a version stream; "" for none

	// lastEventID is the query parameter lastEventId or lastEventID, for clients that cannot
	// set the header.
	lastEventID string
}

// topics returns the topics of the ids of r, without the one that all version streams
// share.
func (r route) topics() []string {
	topics := make([]string, 0, len(r.tasks)+1)
	for _, id := range r.tasks {
		topics = append(topics, taskTopic(id))
	}
	if r.requestID != "" {
		topics = append(topics, versionTopic(r.requestID))
	}
	return topics
}

func taskTopic(id string) string           { return "task:" + id }
func versionTopic(requestID string) string { return "version:" + requestID }

// parseRoute parses a request target, byte for byte as the client sent it. It may be in
// origin or absolute form, may have a fragment, and may not be a URL at all. Every error
// wraps errNotRoutable.
//
// It does not use net/url. url.Parse refuses targets for parts that do not matter here.
// url.ParseQuery silently skips parameters with a semicolon or a broken escape, so that a
// second, different value would count as the first.
func parseRoute(target string) (route, error) {
	target, _, _ = strings.Cut(target, "#")
	rawPath, query, _ := strings.Cut(target, "?")
	path, err := routePath(rawPath)
	if err != nil {
		return route{}, err
	}
	var r route
	switch strings.TrimSuffix(path, "/") {
	case "/api/sse/tasks":
		err = r.single(query, "task_id", func(id string) { r.tasks = []string{id} })
	case "/api/sse/utils/version", "/api/sse/utils/version/stream":
		err = r.single(query, "request_id", func(id string) { r.requestID = id })
	case "/api/sse/stream":
		err = r.many(query)
	default:
		err = fmt.Errorf("%w: no stream has this path", errNotRoutable)
	}
	if err != nil {
		return route{}, err
	}
	// A parameter that cannot be decoded counts as absent.
	for _, name := range []string{"lastEventId", "lastEventID"} {
		if r.lastEventID == "" {
			r.lastEventID, _, _ = first(query, name)
		}
	}
	return r, nil
}

// routePath returns the decoded path. It refuses an escaped slash. A proxy in front may
// take that for part of a name, and so let a path pass that is another one here.
func routePath(raw string) (string, error) {
	if !strings.HasPrefix(raw, "/") {
		scheme, rest, ok := strings.Cut(raw, "://")
		slash := strings.IndexByte(rest, '/')
		if !ok || slash < 0 || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
			return "", fmt.Errorf("%w: not a path", errNotRoutable)
		}
		raw = rest[slash:]
	}
	path, err := url.PathUnescape(raw)
	if err != nil || strings.Count(path, "/") != strings.Count(raw, "/") {
		return "", fmt.Errorf("%w: path has a bad escape", errNotRoutable)
	}
	return path, nil
}

// queryOf returns the query of a target, as parseRoute reads it.
func queryOf(target string) string {
	target, _, _ = strings.Cut(target, "#")
	_, query, _ := strings.Cut(target, "?")
	return query
}

// single sets the first value of one required parameter.
func (r *route) single(query, name string, set func(id string)) error {
	id, found, err := first(query, name)
	if err == nil && !found {
		err = fmt.Errorf("%w: %s is missing", errNotRoutable, name)
	}
	if err == nil {
		err = checkID(name, id)
	}
	if err == nil {
		set(id)
	}
	return err
}

// many reads every task_id and the first request_id; at least one is required.
func (r *route) many(query string) error {
	for id, err := range values(query, "task_id") {
		if err == nil {
			err = checkID("task_id", id)
		}
		if err != nil {
			return err
		}
		if slices.Contains(r.tasks, id) {
			continue
		}
		if len(r.tasks) == maxStreamTasks {
			return fmt.Errorf("%w: more than %d task ids", errNotRoutable, maxStreamTasks)
		}
		r.tasks = append(r.tasks, id)
	}
	id, found, err := first(query, "request_id")
	switch {
	case err != nil:
		return err
	case found:
		r.requestID = id
		return checkID("request_id", id)
	case len(r.tasks) == 0:
		return fmt.Errorf("%w: neither task_id nor request_id is given", errNotRoutable)
	}
	return nil
}

// first returns the first value of a parameter, if there is one.
func first(query, name string) (value string, found bool, err error) {
	for v, err := range values(query, name) {
		return v, true, err
	}
	return "", false, nil
}

// values yields the decoded values of a parameter, in order. A value with a bad
// escape is an error in its place.
func values(query, name string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for pair := range strings.SplitSeq(query, "&") {
			rawKey, rawValue, _ := strings.Cut(pair, "=")
			if key, err := url.QueryUnescape(rawKey); err != nil || key != name {
				continue
			}
			value, err := url.QueryUnescape(rawValue)
			if err != nil {
				err = fmt.Errorf("%w: %s has a bad escape", errNotRoutable, name)
			}
			if !yield(value, err) {
				return
			}
		}
	}
}

// checkID refuses an id that cannot be part of a topic's name, or that would look like
// another id.
func checkID(name, id string) error {
	problem := ""
	switch {
	case id == "":
		problem = "is empty"
	case len(id) > maxIDBytes:
		problem = fmt.Sprintf("is longer than %d bytes", maxIDBytes)
	case !utf8.ValidString(id):
		problem = "is not UTF-8"
	case strings.Contains(id, ":"):
		problem = "contains a colon"
	case strings.ContainsFunc(id, unicode.IsControl):
		problem = "contains a control character"
	default:
		return nil
	}
	return fmt.Errorf("%w: %s %s", errNotRoutable, name, problem)
}
