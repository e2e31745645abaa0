package config_test

import (
	"bytes"
	"strings"
	"testing"

	"tidegate/internal/config"
)

func TestX26SettingsOfSockets(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, "gateway", "--listen unix:/run/a --internal-listen unix:/run/b --callback-url unix:/run/app:/cb?secret=s --socket-mode 0600", "")
	if c.Listen != "unix:/run/a" || c.InternalListen != "unix:/run/b" || c.SocketMode != 0o600 || c.CallbackURL != "unix:/run/app:/cb?secret=s" {
		t.Errorf("%+v", c)
	}
	for args, want := range map[string]string{
		"--listen unix:": "has no path",
		"--listen unix:/a --internal-listen unix:/a": "is the socket of --listen",
		"--listen fd:nothing":                        "no inherited socket",
		"--socket-mode 999":                          "octal",
		"--socket-mode 4755":                         "octal",
		"--callback-url unix:/a?b":                   "has a path with",
		"--callback-cert /dev/null":                  "--callback-key go together",
		"--nats-listen unix:/a --data d":             "host:port",
	} {
		_, _, err := config.Load("gateway", strings.Fields(args), nil, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}

func TestX26PrintedURLsOfSocketsHideSecretsOnly(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"unix:/run/my/app.sock:/api/callback?secret=word9": "unix:/run/my/app.sock:/api/callback?secret=<set>",
		"unix:/run/app.sock:/word9/callback":               "unix:/run/app.sock:/<set>/callback",
		"unix:/run/app.sock":                               "unix:/run/app.sock",
		"http://unix:/run/app.sock:/cb?a=word9":            "http://unix:/run/app.sock:/<set>?a=<set>",
		"http+unix://%2Frun%2Fapp.sock/api?a=word9":        "http+unix://%2Frun%2Fapp.sock/api?a=<set>",
	} {
		var out bytes.Buffer
		if err := mustLoad(t, "config", "--callback-url "+url, "").Print(&out); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), want) || strings.Contains(out.String(), "word9") {
			_, line, _ := strings.Cut(out.String(), "callback-url")
			t.Errorf("%s is printed as %.100s, want %s", url, line, want)
		}
	}
}

func TestX26CertificatesForAPlainCallbackURLAreWarnedOf(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]bool{"http://h/": true, "unix:/a:/": true, "https://h/": false} {
		warnings := strings.Join(mustLoad(t, "gateway", "--callback-ca /dev/null --callback-url "+url, "").Warnings(), "\n")
		if strings.Contains(warnings, "callback-ca") != want {
			t.Errorf("%s: warnings %q", url, warnings)
		}
	}
}
