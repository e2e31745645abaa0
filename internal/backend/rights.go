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

// AccessOptions say who may read tasks.
type AccessOptions struct {
	// Keys sign the access tokens that starts of tasks are answered with, and
	// verify those that readers show.
	Keys *grant.Keys
	// Required says that a task is read only with an access token that names it.
	Required bool
	// ReadsAll knows callers of the REST endpoints who may read everything, by
	// their API token or login; nil: there are none.
	ReadsAll func(r *http.Request) bool
	// BearerReadsAll knows the same of streams, by the Authorization header that
	// their callback tells; nil: there are none.
	BearerReadsAll func(authorization string) bool
}

// readsAll marks a context.
type readsAll struct{}

// ReadsAll marks the context of a client's request whom the server in front knows
// as one who may read everything. It reaches the callback endpoint only within
// the process.
func ReadsAll(ctx context.Context) context.Context { return context.WithValue(ctx, readsAll{}, true) }

// rights decide who reads tasks. They may be used concurrently.
type rights struct {
	AccessOptions
	service *task.Service
}

// What a reader is told who may not read.
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

// mayRead says why r may not read a task; nil if it may.
func (a *rights) mayRead(r *http.Request, id string) error {
	if !a.Required || a.ReadsAll != nil && a.ReadsAll(r) {
		return nil
	}
	_, err := a.read(r.Context(), r.Header.Get("Authorization"), r.URL.RawQuery, []string{id})
	return err
}

// mayList says why r may not list all tasks.
func (a *rights) mayList(r *http.Request) error {
	if !a.Required || a.ReadsAll != nil && a.ReadsAll(r) {
		return nil
	}
	return errNoListing
}

// connect says why the client of a callback may not read the tasks of its route,
// or until when it may; zero: without an end.
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

// KnowsAccess reports whether r shows an access token that is valid, whatever it
// names: for a server in front of the handlers, which then decide.
func (b *Backend) KnowsAccess(r *http.Request) bool {
	_, err := b.rights.verify(r.Header.Get("Authorization"), r.URL.RawQuery)
	return err == nil
}

// verify reads the access token of a request: of the Authorization header or,
// where that holds none that is valid here, as behind a proxy that signs in by
// tokens of its own, of the query.
func (a *rights) verify(authorization, query string) (grant.Grant, error) {
	if a.Keys == nil {
		return grant.Grant{}, errBadAccess
	}
	byQuery, _, _ := first(query, wire.AccessParameter) // one that cannot be decoded is as good as none
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

// read also looks whether the token names each of the tasks.
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
		// Whether there is such a task is not for those who may not read it.
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
