package config

import (
	"errors"
	"fmt"
	"net/textproto"
	"slices"
	"strings"

	"tidegate/internal/access"
)

// callers are the settings about who may call the listeners.
func (c *Config) callers() []setting {
	return []setting{
		{"internal-secret", all, secrets(&c.InternalSecrets), "bearer token that the internal API requires, and that the backend sends. To rotate it, give several: all are accepted, and the first is sent"},
		{"internal-open", all, toggle(&c.InternalOpen), "serve the internal API without a secret off loopback too. Everybody who reaches it can send events to every stream"},
		{"allowed-host", all, hosts(&c.AllowedHosts), "name by which clients call the server, on routes that ask for no secret. Addresses and localhost are always allowed. Another name gets 421"},
		{"api-token", tasks, secrets(&c.APITokens), "token that /api/, the page and the streams of `tidegate serve` require: as a bearer token, or once in the page's login. Of several, all are accepted"},
		{"api-open", tasks, toggle(&c.APIOpen), "serve /api/, the page and the streams of `tidegate serve` without a token off loopback too. Everybody who reaches the listener can start, read, cancel and remove tasks"},
		{"auth-header", tasks, headerName(&c.AuthHeader), "header in which a --trusted-proxy names the caller, in place of --api-token. It does not count from anybody else"},
		{"metrics-token", all, secrets(&c.MetricsTokens), "bearer token that opens /metrics and nothing else"},
	}
}

// secretList is a list of secrets, which are never shown. Names of files are shown.
type secretList struct{ list }

// Set adds a secret. An empty one is an error: it would turn off a check that somebody wants.
func (s secretList) Set(text string) error {
	if text == "" {
		return errors.New("is empty; leave it out, or give " + s.allowed)
	}
	return s.list.Set(text)
}

// Texts hides the secrets.
func (s secretList) Texts() []string {
	texts := make([]string, len(*s.p))
	for i, text := range *s.p {
		if texts[i] = hidden; strings.HasPrefix(text, access.FilePrefix) {
			texts[i] = text
		}
	}
	return texts
}

func (s secretList) String() string { return strings.Join(s.Texts(), separator) }

// secrets is a list of words of visible ASCII characters, as an Authorization header can carry them, or of
// files with them.
func secrets(p *[]string) value {
	const allowed = "16 visible ASCII characters or more without blanks, or file:PATH of a file with one such secret on each line"
	return secretList{list{p, "SECRET", allowed, func(text string) (string, error) {
		if text == hidden {
			return "", errHidden
		}
		_, err := access.ReadSecrets(text)
		return text, err
	}}}
}

// hosts is a list of host names.
func hosts(p *[]string) value {
	return list{p, "HOST", "a name such as app.example.org, or *.example.org for all below it", access.AllowedHost}
}

// reservedHeaders mean something else already.
var reservedHeaders = []string{"Authorization", "Cookie", "Host", "Origin", "Forwarded", "Content-Type", "Content-Length", "Connection"}

// headerName is the name of a header that a proxy sets.
func headerName(p *string) value {
	return scalar[string]{p, "HEADER", "the name of a header such as X-Forwarded-User", func(text string) (string, error) {
		for _, c := range text {
			if c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
				return "", errNotAllowed
			}
		}
		name := textproto.CanonicalMIMEHeaderKey(text)
		if slices.Contains(reservedHeaders, name) {
			return "", errors.New("has another meaning; give the header that the proxy sets, such as X-Forwarded-User")
		}
		return name, nil
	}, verbatim}
}

// The rules about who may call. Each reason names all remedies.
var callerRules = []rule{
	{tasks, []string{"listen", "api-token", "api-open", "auth-header"}, func(c *Config) string {
		if IsLocal(c.Listen) || len(c.APITokens) > 0 || c.APIOpen || c.AuthHeader != "" || c.command.set == all {
			return ""
		}
		return "is reachable for other machines, which could start, read, cancel and remove tasks: give --api-token SECRET (or file:PATH), or --auth-header HEADER with --trusted-proxy for a proxy that says who calls, or --api-open if everybody may; or listen on 127.0.0.1"
	}},
	{all, []string{"internal-listen", "internal-secret", "internal-open", "listen", "metrics-token"}, func(c *Config) string {
		return c.internalUnguarded()
	}},
	{tasks, []string{"auth-header", "trusted-proxy"}, func(c *Config) string {
		if c.AuthHeader != "" && len(c.TrustedProxies) == 0 {
			return "counts only if a trusted proxy sends it: name the proxy with --trusted-proxy"
		}
		return ""
	}},
}

// internalUnguarded returns why the internal listener may not have its address; "" if it may.
func (c *Config) internalUnguarded() string {
	address, shared := c.InternalListen, c.InternalListen == Shared
	if shared {
		address = c.Listen
	}
	metricsOnly := c.command.set == backend && len(c.MetricsTokens) > 0
	if IsLocal(address) || len(c.InternalSecrets) > 0 || c.InternalOpen || metricsOnly {
		return ""
	}
	ways := "--internal-secret SECRET (or file:PATH)"
	does := "is not a loopback address: others could send events to every stream"
	if shared {
		does = "puts the internal API on " + shownListen(c.Listen) + ", where others could send events to every stream"
	}
	if c.command.set == backend {
		does = "is reachable for other machines, which could read the metrics"
		ways = "--metrics-token or --internal-secret SECRET (or file:PATH)"
	}
	return does + ": give " + ways + ", or --internal-open if everybody may; or listen on 127.0.0.1"
}

// IsLocal reports whether only this machine can reach a listener.
func IsLocal(address string) bool { return isLoopback(address) }

// natsToken is a secret, or a file that has it, such as the one that --nats-listen makes.
func natsToken(p *string) value {
	inner := secret(p).(secretValue)
	inner.allowed = "a word of visible ASCII characters without blanks, or file:PATH of a file that has it"
	parse := inner.parse
	inner.parse = func(text string) (string, error) {
		text, err := parse(text)
		if err == nil && strings.HasPrefix(text, access.FilePrefix) {
			_, err = access.ReadSecrets(text)
		}
		return text, err
	}
	return inner
}

// NATSSecret returns the token of --nats-token, "" for none.
func (c *Config) NATSSecret() (string, error) {
	if !strings.HasPrefix(c.NATSToken, access.FilePrefix) {
		return c.NATSToken, nil
	}
	tokens, err := access.ReadSecrets(c.NATSToken)
	if err != nil {
		return "", fmt.Errorf("--nats-token: %w", err)
	}
	return tokens[0], nil
}
