package backend

import (
	"context"
	"errors"
	"net/http"
	"time"

	"tidegate/client"
	"tidegate/internal/grant"
	"tidegate/internal/wire"
	"tidegate/task"
)

// AccessOptions decide who may read tasks.
type AccessOptions struct {
	// Keys sign the access token in the answer to a start, and verify those of readers.
	Keys *grant.Keys
	// Required means that reading a task needs an access token that names it.
	Required bool
	// ReadsAll reports whether a caller of the REST endpoints may read all tasks, by its
	// API token or login; nil: none may.
	ReadsAll func(r *http.Request) bool
	// BearerReadsAll reports the same of a stream, by the Authorization header in its
	// callback; nil: none may.
	BearerReadsAll func(authorization string) bool
}

// readsAll is the key of the mark that ReadsAll sets.
type readsAll struct{}

// ReadsAll marks the context of a request whose client may read all tasks, as the server
// in front has found. The mark reaches the callback endpoint only within the process.
func ReadsAll(ctx context.Context) context.Context { return context.WithValue(ctx, readsAll{}, true) }

// rights decides who reads tasks. Its methods may be called concurrently.
type rights struct {
	AccessOptions
	service *task.Service
}

// Answers to readers without the right.
var (
	errNoAccess = &answerableError{status: http.StatusUnauthorized, Code: wire.CodeUnauthorized,
		Message: "Unauthorized: reading a task needs the access token that its start was answered with, as Authorization: Bearer … or ?access="}
	errAccessExpired = &answerableError{status: http.StatusUnauthorized, Code: wire.CodeUnauthorized, Message: "Unauthorized: the access token has expired"}
	errBadAccess     = &answerableError{status: http.StatusUnauthorized, Code: wire.CodeUnauthorized, Message: "Unauthorized: the access token is not valid here"}
	errNotNamed      = &answerableError{status: http.StatusForbidden, Code: wire.CodeForbidden, Message: "Forbidden: the access token does not name this task"}
	errNoListing     = &answerableError{status: http.StatusUnauthorized, Code: wire.CodeUnauthorized,
		Message: "Unauthorized: listing all tasks needs the API token (--api-token), as Authorization: Bearer …"}
)

// sign makes the access token of a task that was started; "" without keys.
func (a *rights) sign(id string) (string, error) {
	if a.Keys == nil {
		return "", nil
	}
	return a.Keys.Sign(grant.Grant{Tasks: []string{id}}, time.Now())
}

// mayRead returns why r may not read a task, or nil.
func (a *rights) mayRead(r *http.Request, id string) error {
	if !a.Required || a.ReadsAll != nil && a.ReadsAll(r) {
		return nil
	}
	_, err := a.read(r.Context(), r.Header.Get("Authorization"), r.URL.RawQuery, []string{id})
	return err
}

// mayList returns why r may not list all tasks, or nil.
func (a *rights) mayList(r *http.Request) error {
	if !a.Required || a.ReadsAll != nil && a.ReadsAll(r) {
		return nil
	}
	return errNoListing
}

// connect returns until when the client of a callback may read the tasks of its route
// (zero: without an end), or why it may not.
func (a *rights) connect(ctx context.Context, c client.Callback, r route) (until time.Time, err error) {
	if !a.Required || len(r.tasks) == 0 {
		return time.Time{}, nil
	}
	authorization := c.Request.Headers["authorization"]
	if ctx.Value(readsAll{}) != nil || a.BearerReadsAll != nil && a.BearerReadsAll(authorization) {
		return time.Time{}, nil
	}
	g, err := a.read(ctx, authorization, queryOf(c.Request.URL), r.tasks)
	return g.Expires, err
}

// KnowsAccess reports whether r carries a valid access token, whatever that names. It is
// for a server in front; the handlers then check the name.
func (b *Backend) KnowsAccess(r *http.Request) bool {
	_, err := b.rights.verify(r.Header.Get("Authorization"), r.URL.RawQuery)
	return err == nil
}

// verify returns the grant of a request's access token. It reads the Authorization header,
// and then the query if the header has no valid token: a proxy may use the header for its
// own.
func (a *rights) verify(authorization, query string) (grant.Grant, error) {
	if a.Keys == nil {
		return grant.Grant{}, errBadAccess
	}
	byQuery, _, _ := first(query, wire.AccessParameter) // a parameter that cannot be decoded counts as absent
	g, err := a.Keys.Verify(grant.FromHeader(authorization), time.Now())
	if err != nil && byQuery != "" {
		g, err = a.Keys.Verify(byQuery, time.Now())
	}
	switch {
	case errors.Is(err, grant.ErrMissing):
		return g, errNoAccess
	case errors.Is(err, grant.ErrExpired):
		return g, errAccessExpired
	case err != nil:
		return g, errBadAccess
	}
	return g, nil
}

// read is verify, and also checks that the token names each of the tasks.
func (a *rights) read(ctx context.Context, authorization, query string, ids []string) (grant.Grant, error) {
	g, err := a.verify(authorization, query)
	if err != nil {
		return g, err
	}
	for _, id := range ids {
		if g.Names(id) {
			continue
		}
		if len(g.Types) == 0 {
			return g, errNotNamed
		}
		// A reader without the right must not learn whether the task exists.
		info, err := a.service.Summary(ctx, id)
		switch {
		case errors.Is(err, task.ErrNotFound):
			return g, errNotNamed
		case err != nil:
			return g, err
		case !g.NamesType(info.Type):
			return g, errNotNamed
		}
	}
	return g, nil
}
