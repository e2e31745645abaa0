package app

import (
	"net/http"
	"strings"

	"tidegate/internal/access"
	"tidegate/internal/backend"
	"tidegate/internal/grant"
)

// accessOptions say who reads tasks, and read or make the key of the tokens.
func (p *program) accessOptions() (backend.AccessOptions, error) {
	keys, err := p.accessKeys()
	if err != nil {
		return backend.AccessOptions{}, err
	}
	p.reloads.add("access keys", keys)
	return backend.AccessOptions{
		Keys:     keys,
		Required: p.cfg.AccessRequired(),
		ReadsAll: p.doors.known,
		BearerReadsAll: func(authorization string) bool {
			return p.doors.tokens.Bearer([]byte(authorization))
		},
	}, nil
}

// accessKeys are those that are configured, else one in the data folder, else one
// that lasts as long as the process.
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
			p.log.Warn("access tokens are good at this process only, and until it stops: give --access-secret, the same at all backends")
		}
		settings = []string{grant.NewKey()}
	}
	return grant.NewKeys(settings...)
}

// protectReading is for what an access token opens too: streams, and reading one
// task. Whether it names the task, the backend decides.
func (p *program) protectReading(next http.Handler, anySite bool) http.Handler {
	callers := *p.doors.callers
	callers.Message = strings.Replace(callers.Message, "give the API token", "give the API token, or the access token of the task (also as ?access=),", 1)
	callers.Also = func(r *http.Request) bool { return p.backend.KnowsAccess(r) }
	return p.doors.public.Protect(access.Route{Callers: &callers, AnySite: anySite}, next)
}

// streams of serve tell the backend in this process who may read everything.
func (p *program) streams() http.Handler {
	opened := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.cfg.AccessRequired() && p.doors.known(r) {
			r = r.WithContext(backend.ReadsAll(r.Context()))
		}
		p.gateway.Streams(w, r)
	})
	return p.protectReading(opened, true)
}

// api is /api/ behind what it asks of its callers.
func (p *program) api(rest http.Handler) http.Handler {
	all, reading := p.doors.protect(rest), p.protectReading(rest, false)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if readsTask(r) {
			reading.ServeHTTP(w, r)
			return
		}
		all.ServeHTTP(w, r)
	})
}

// readsTask reports whether a request reads one task: GET /api/tasks/{id} and what
// is below it.
func readsTask(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	id, ok := strings.CutPrefix(r.URL.Path, "/api/tasks/")
	return ok && id != ""
}
