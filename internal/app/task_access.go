package app

import (
	"net/http"
	"strings"

	"tidegate/internal/access"
	"tidegate/internal/backend"
	"tidegate/internal/grant"
)

// accessOptions decides who may read tasks, and reads or makes the key of access tokens.
func (p *program) accessOptions() (backend.AccessOptions, error) {
	keys, err := p.accessKeys()
	if err != nil {
		return backend.AccessOptions{}, err
	}
	p.reloads.add("access keys", keys)
	return backend.AccessOptions{
		Keys:     keys,
		Required: p.cfg.AccessRequired(),
		ReadsAll: p.guards.known,
		BearerReadsAll: func(authorization string) bool {
			return p.guards.tokens.Bearer([]byte(authorization))
		},
	}, nil
}

// accessKeys returns the configured keys, else the one in the data folder, else one that lasts as
// long as the process.
func (p *program) accessKeys() (*grant.Keys, error) {
	settings := p.cfg.AccessSecrets
	switch {
	case len(settings) > 0:
	case p.storage != nil && len(p.cfg.NATSURLs) == 0:
		setting, err := grant.LoadKey(p.cfg.Data)
		if err != nil {
			return nil, err
		}
		settings = []string{setting}
	default:
		if p.cfg.AccessRequired() {
			p.log.Warn("access tokens work at this process only, until it stops: give all backends the same --access-secret")
		}
		settings = []string{grant.NewKey()}
	}
	return grant.NewKeys(settings...)
}

// protectReading lets access tokens open a handler too: streams, and reading one task. The backend
// decides whether the token names the task.
func (p *program) protectReading(next http.Handler, anySite bool) http.Handler {
	callers := *p.guards.callers
	callers.Message = strings.Replace(callers.Message, "give the API token", "give the API token, or the access token of the task (also as ?access=),", 1)
	callers.Also = func(r *http.Request) bool { return p.backend.KnowsAccess(r) }
	return p.guards.public.Protect(access.Route{Callers: &callers, AnySite: anySite}, next)
}

// streams of serve mark the requests of callers who may read all tasks, for the backend in this
// process.
func (p *program) streams() http.Handler {
	opened := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.cfg.AccessRequired() && p.guards.known(r) {
			r = r.WithContext(backend.ReadsAll(r.Context()))
		}
		p.gateway.Streams(w, r)
	})
	return p.protectReading(opened, true)
}

// api puts the guards in front of /api/.
func (p *program) api(rest http.Handler) http.Handler {
	all, reading := p.guards.protect(rest), p.protectReading(rest, false)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if readsTask(r) {
			reading.ServeHTTP(w, r)
			return
		}
		all.ServeHTTP(w, r)
	})
}

// readsTask reports whether a request reads one task: GET /api/tasks/{id} and paths below it.
func readsTask(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	id, ok := strings.CutPrefix(r.URL.Path, "/api/tasks/")
	return ok && id != ""
}
