package config

import (
	"net"
	"slices"
	"strings"

	"tidegate/internal/access"
	"tidegate/internal/socket"
)

// rule is a condition between settings. It is not checked if one of them was refused: that one then has
// its default, which was not given.
type rule struct {
	cmds     commands
	settings []string // the problem names the first
	broken   func(c *Config) (reason string)
}

var rules = []rule{
	{all, []string{"tls-cert", "tls-key"}, func(c *Config) string {
		if c.TLSCert != "" && c.TLSKey == "" {
			return "needs --tls-key"
		}
		return ""
	}},
	{all, []string{"tls-key", "tls-cert"}, func(c *Config) string {
		if c.TLSKey != "" && c.TLSCert == "" {
			return "needs --tls-cert"
		}
		return ""
	}},
	{gateway, []string{"callback-cert", "callback-key"}, func(c *Config) string {
		if (c.CallbackCert == "") != (c.CallbackKey == "") {
			return "and --callback-key go together"
		}
		return ""
	}},
	{all, []string{"internal-listen", "listen"}, func(c *Config) string {
		if collide(c.Listen, c.InternalListen) {
			if socket.Same(c.Listen, c.InternalListen) {
				return "is the socket of --listen; give another, or shared to serve both on one listener"
			}
			return "has the port of --listen " + c.Listen + "; give another, or shared to serve both on one listener"
		}
		return ""
	}},
	{all, []string{"hsts", "tls-cert"}, func(c *Config) string {
		if c.HSTS > 0 && c.TLSCert == "" {
			return "needs --tls-cert; where a proxy ends TLS, the header is the proxy's to send"
		}
		return ""
	}},
	{streams, []string{"callback-headers"}, func(c *Config) string {
		if len(c.CallbackHeaders) > 1 && slices.ContainsFunc(c.CallbackHeaders, isHeaderWord) {
			return "has all or none beside others; give one of the words alone, or names"
		}
		return ""
	}},
	{all, []string{"max-batch", "max-body"}, func(c *Config) string {
		if c.MaxBatch < c.MaxBody {
			return "is smaller than --max-body " + ByteSize(c.MaxBody).String()
		}
		return ""
	}},
	{all, []string{"nats-url", "data"}, func(c *Config) string {
		if len(c.NATSURLs) > 0 && c.origins["data"] != "" && c.Data != "" {
			return "and data " + c.Data + " exclude each other: storage is either external or embedded"
		}
		return ""
	}},
	{all, []string{"nats-listen", "data", "nats-url"}, func(c *Config) string {
		if c.NATSListen != "" && (len(c.NATSURLs) > 0 || c.Data == "") {
			return "needs embedded storage: give --data, and leave out --nats-url"
		}
		return ""
	}},
	{all, []string{"nats-listen", "nats-token", "nats-cert"}, func(c *Config) string {
		if c.NATSListen != "" && !isLoopback(c.NATSListen) && (c.NATSToken == "" || c.NATSCert == "") {
			return "is not a loopback address: set --nats-token, --nats-cert and --nats-key, or give an address such as 127.0.0.1:4222"
		}
		return ""
	}},
	{all, []string{"nats-token", "nats-listen"}, func(c *Config) string {
		if c.NATSListen == "" || c.NATSToken == "" {
			return ""
		}
		token, err := c.NATSSecret()
		if err == nil {
			err = access.CheckSecret(token)
		}
		if err != nil {
			return err.Error()
		}
		return ""
	}},
	{all, []string{"nats-cert", "nats-key"}, func(c *Config) string {
		if (c.NATSCert == "") != (c.NATSKey == "") {
			return "and --nats-key go together"
		}
		return ""
	}},
	{all, []string{"nats-password", "nats-user"}, func(c *Config) string {
		if c.NATSPassword != "" && c.NATSUser == "" {
			return "needs --nats-user"
		}
		return ""
	}},
	{all, []string{"nats-creds", "nats-nkey", "nats-token", "nats-user"}, func(c *Config) string {
		given := 0
		for _, way := range []string{c.NATSCreds, c.NATSNKey, c.NATSToken, c.NATSUser} {
			if way != "" {
				given++
			}
		}
		if given > 1 {
			return "is one of several ways to log in: give one of --nats-creds, --nats-nkey, --nats-token and --nats-user"
		}
		return ""
	}},
	{backend, []string{"callback-secret", "mode"}, func(c *Config) string {
		if len(c.CallbackSecrets) == 0 && c.Mode == Production {
			return "is missing: in production mode callbacks need a secret; set " + envName("callback-secret") + " here and at the gateway, or give --mode development"
		}
		return ""
	}},
}

// check reports the rules that are broken.
func (l *loader) check() {
	for _, r := range slices.Concat(rules, callerRules) {
		// "config" has the settings of all commands, and runs none of them.
		if r.cmds&l.cmd.set == 0 || l.cmd.set == all && r.cmds == backend || l.anyFailed(r.settings) {
			continue
		}
		reason := r.broken(l.cfg)
		if reason == "" {
			continue
		}
		name := r.settings[0]
		p := &Problem{Source: l.cfg.origins[name], Reason: reason}
		if p.Source == "" {
			p.Source = "flag --" + name
		}
		if v := l.settings[name].value; v.String() != "" {
			p.Value = shown(v, v.String())
		}
		l.report(p)
	}
}

func (l *loader) anyFailed(settings []string) bool {
	for _, name := range settings {
		if l.failed[name] {
			return true
		}
	}
	return false
}

// Given reports whether a flag, the environment or the file has the setting, even with the default as
// its value.
func (c *Config) Given(name string) bool { return c.origins[name] != "" }

// Warnings returns settings that are allowed but probably not intended. Each is a line for the log.
func (c *Config) Warnings() []string {
	warnings := slices.Clone(c.unused)
	has := c.command.set
	if c.InternalOpen && len(c.InternalSecrets) > 0 {
		warnings = append(warnings, "internal-open has no effect, because internal-secret is set")
	}
	if c.APIOpen && (len(c.APITokens) > 0 || c.AuthHeader != "") {
		warnings = append(warnings, "api-open has no effect, because api-token or auth-header is set")
	}
	if has&streams == 0 || has == all {
		return warnings
	}
	if c.MaxPending < c.MaxBody {
		warnings = append(warnings, "max-pending is smaller than max-body: an event larger than max-pending ends every stream that receives it; raise max-pending")
	}
	if has == gateway && (c.Data != "" || len(c.NATSURLs) > 0) && c.origins["callback-headers"] == "" {
		warnings = append(warnings, "callback-headers is not set: the storage keeps all headers of open streams, cookies and authorization among them; give the names that the backend needs, or all if that is meant")
	}
	if has == gateway && (c.CallbackCA != "" || c.CallbackCert != "") && !strings.HasPrefix(c.CallbackURL, "https:") {
		warnings = append(warnings, "callback-url is no https URL: callback-ca and callback-cert are not used, and callbacks are not encrypted; give an https URL")
	}
	if has == gateway && c.CallbackURL == "" {
		warnings = append(warnings, "callback-url is not set: the gateway refuses every stream with 503")
	}
	return warnings
}

func shownListen(address string) string {
	if host, port, err := net.SplitHostPort(address); err == nil && host == "" {
		return "port " + port
	}
	return address
}
