package app

import (
	"errors"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"tidegate/internal/access"
	"tidegate/internal/config"
	"tidegate/internal/metric"
	"tidegate/internal/page"
	"tidegate/internal/wire"
)

// doors are what the listeners ask of who calls.
type doors struct {
	secrets, tokens, metrics *access.Secrets // of the internal routes, of /api/, of /metrics
	callbacks                *access.Secrets // of callbacks over a network

	public, internal *access.Guard
	callers          *access.Callers // of /api/, the page and the streams of serve
	login            *access.Login   // of the page; nil without --api-token
	refused          *prometheus.CounterVec
}

// openDoors reads the secrets.
func (p *program) openDoors() error {
	d, c := &p.doors, p.cfg
	var errs [4]error
	d.secrets, errs[0] = access.NewSecrets(c.InternalSecrets...)
	d.tokens, errs[1] = access.NewSecrets(c.APITokens...)
	d.metrics, errs[2] = access.NewSecrets(c.MetricsTokens...)
	d.callbacks, errs[3] = access.NewSecrets(c.CallbackSecrets...)
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	d.refused = metric.AccessRefused.NewCounterVec()
	d.public = p.newGuard("public", !config.IsLocal(c.Listen))
	d.public.CrossSite = p.cors.LogOrigin
	d.public.Sites.Origins = slices.DeleteFunc(slices.Clone(c.CORSOrigins), func(o string) bool { return o == "*" })
	address := c.InternalListen
	if address == config.Shared {
		address = c.Listen
	}
	d.internal = p.newGuard("internal", !config.IsLocal(address))
	d.internal.NoPages = true
	d.callers = &access.Callers{
		Secrets: []*access.Secrets{d.tokens}, Header: c.AuthHeader, Trusted: p.peers.Trusted,
		Message: "Unauthorized: give the API token as Authorization: Bearer …",
	}
	if c.AuthHeader != "" {
		d.callers.Message += "; " + c.AuthHeader + " counts from a --trusted-proxy alone"
	}
	return nil
}

func (p *program) newGuard(listener string, offLoopback bool) *access.Guard {
	return &access.Guard{
		Names: access.Names{Allowed: p.cfg.AllowedHosts, OffLoopback: offLoopback},
		Sites: access.Sites{Trusted: p.peers.Trusted},
		Log:   p.log.With("component", "access", "listener", listener),
		Refused: func(code wire.Code) {
			p.doors.refused.WithLabelValues(listener, string(code)).Inc()
		},
	}
}

// Reload reads the files with secrets anew. Of a flag whose file is wrong all
// secrets stay.
func (d *doors) Reload() error {
	return errors.Join(d.secrets.Reload(), d.tokens.Reload(), d.metrics.Reload(), d.callbacks.Reload())
}

// protect puts what /api/ asks of its callers in front of a handler.
func (d *doors) protect(next http.Handler) http.Handler {
	return d.public.Protect(access.Route{Callers: d.callers}, next)
}

// known reports whether a request shows the API token, the login or an identity.
func (d *doors) known(r *http.Request) bool { return d.public.Knows(d.callers, r) }

// page is the page of serve, behind a login if there are tokens.
func (d *doors) page(secure func(*http.Request) bool, client func(*http.Request) string) http.Handler {
	route := access.Route{Callers: d.callers, AnySite: true}
	if !d.tokens.Any() {
		return d.public.Protect(route, page.Handler(false))
	}
	d.login = &access.Login{Tokens: d.tokens, Secure: secure, Client: client, Form: page.Login}
	d.callers.Login = d.login
	d.callers.Message += "; a browser logs in at " + access.LoginPath
	route.Unknown = d.login.Ask
	files := page.Handler(true)
	guarded := d.public.Protect(route, d.login.Renewing(files))
	login := d.public.Protect(access.Route{AnyHost: true}, d.login)
	form := d.public.Protect(access.Route{AnyHost: true, AnySite: true}, d.login)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case path == access.LoginPath && (r.Method == http.MethodGet || r.Method == http.MethodHead):
			form.ServeHTTP(w, r)
		case path == access.LoginPath, path == access.LogoutPath:
			login.ServeHTTP(w, r)
		case page.IsLook(path): // of the form too
			files.ServeHTTP(w, r)
		default:
			guarded.ServeHTTP(w, r)
		}
	})
}
