package app

import (
	"context"
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

// guards decide who may call what.
type guards struct {
	secrets, tokens, metrics *access.Secrets // of the internal routes, of /api/, of /metrics
	callbacks                *access.Secrets // of callbacks over a network

	public, internal *access.Guard
	callers          *access.Callers // of /api/, the page and the streams of serve
	login            *access.Login   // of the page; nil without --api-token
	refused          *prometheus.CounterVec
}

// makeGuards reads the secrets and makes the guards of both listeners.
func (p *program) makeGuards(context.Context) error {
	g, c := &p.guards, p.cfg
	var errs [4]error
	g.secrets, errs[0] = access.NewSecrets(c.InternalSecrets...)
	g.tokens, errs[1] = access.NewSecrets(c.APITokens...)
	g.metrics, errs[2] = access.NewSecrets(c.MetricsTokens...)
	g.callbacks, errs[3] = access.NewSecrets(c.CallbackSecrets...)
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	g.refused = metric.AccessRefused.NewCounterVec()
	g.public = p.newGuard("public", !config.IsLocal(c.Listen))
	g.public.CrossSite = p.cors.LogOrigin
	g.public.Sites.Origins = slices.DeleteFunc(slices.Clone(c.CORSOrigins), func(o string) bool { return o == "*" })
	address := c.InternalListen
	if address == config.Shared {
		address = c.Listen
	}
	g.internal = p.newGuard("internal", !config.IsLocal(address))
	g.internal.NoPages = true
	g.callers = &access.Callers{
		Secrets: []*access.Secrets{g.tokens}, Header: c.AuthHeader, Trusted: p.peers.Trusted,
		Message: "Unauthorized: give the API token as Authorization: Bearer …",
	}
	if c.AuthHeader != "" {
		g.callers.Message += "; " + c.AuthHeader + " counts only from a --trusted-proxy"
	}
	p.reloads.add("secrets", g)
	return nil
}

// newGuard makes the guard of a listener.
func (p *program) newGuard(listener string, offLoopback bool) *access.Guard {
	return &access.Guard{
		Names: access.Names{Allowed: p.cfg.AllowedHosts, OffLoopback: offLoopback},
		Sites: access.Sites{Trusted: p.peers.Trusted},
		Log:   p.log.With("component", "access", "listener", listener),
		Refused: func(code wire.Code) {
			p.guards.refused.WithLabelValues(listener, string(code)).Inc()
		},
	}
}

// Reload reads the files with secrets again. If a file is wrong, all secrets of its flag stay.
func (g *guards) Reload() error {
	return errors.Join(g.secrets.Reload(), g.tokens.Reload(), g.metrics.Reload(), g.callbacks.Reload())
}

// protect lets only callers of /api/ reach a handler.
func (g *guards) protect(next http.Handler) http.Handler {
	return g.public.Protect(access.Route{Callers: g.callers}, next)
}

// known reports whether a request has the API token, the login or a forwarded identity.
func (g *guards) known(r *http.Request) bool { return g.public.Knows(g.callers, r) }

// page is the page of serve, with a login if there are API tokens.
func (g *guards) page(secure func(*http.Request) bool, client func(*http.Request) string) http.Handler {
	route := access.Route{Callers: g.callers, AnySite: true}
	if !g.tokens.Any() {
		return g.public.Protect(route, page.Handler(false))
	}
	g.login = &access.Login{Tokens: g.tokens, Secure: secure, Client: client, Form: page.Login}
	g.callers.Login = g.login
	g.callers.Message += "; a browser logs in at " + access.LoginPath
	route.Unknown = g.login.Ask
	files := page.Handler(true)
	guarded := g.public.Protect(route, g.login.Renewing(files))
	login := g.public.Protect(access.Route{AnyHost: true}, g.login)
	form := g.public.Protect(access.Route{AnyHost: true, AnySite: true}, g.login)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case path == access.LoginPath && (r.Method == http.MethodGet || r.Method == http.MethodHead):
			form.ServeHTTP(w, r)
		case path == access.LoginPath, path == access.LogoutPath:
			login.ServeHTTP(w, r)
		case page.IsLook(path): // the login form needs them too
			files.ServeHTTP(w, r)
		default:
			guarded.ServeHTTP(w, r)
		}
	})
}
