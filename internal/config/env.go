package config

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tidegate/internal/former"
)

const (
	// envPrefix begins the name of each environment variable.
	envPrefix = "TIDEGATE_"
	// separator is between the entries of a repeatable setting in one variable.
	separator = ";"
)

// envName is the variable of a flag.
func envName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// clientFlags are the flags of the commands that use [Parse]. Their variables may be in the environment of
// any command, so all commands must know their names.
var clientFlags = []string{
	"after", "batch", "behind", "binary", "burst", "ca", "callback-listen", "clients", "close", "cold", "compare",
	"compare-storage", "connections", "duration", "events", "first", "gap", "gateway-args", "header", "held", "idempotency-key",
	"in", "insecure", "internal", "json", "last-event-id", "leaves", "limit", "max-event", "max-reconnects", "max-wait",
	"message-size", "messages", "name", "nats-server", "out", "overwrite", "pace", "params", "patience", "pid", "pressure", "protocol", "public",
	"quiet", "rate", "runs", "senders", "server", "settle", "shared", "size", "status", "storage", "storage-dir",
	"streams", "streams-per-connection", "subscribe", "svg", "threads", "timeout", "token", "tokens-only", "topic", "topics",
	"transient", "type", "url", "watch", "window",
}

// ClientFlags returns the names of flags that commands may define for [Parse]: each has an environment
// variable, and no command may report it as unknown.
func ClientFlags() []string { return slices.Clone(clientFlags) }

// environment parses "NAME=text" lines. The last line of a name counts.
func environment(env []string) map[string]string {
	vars := make(map[string]string, len(env))
	for _, line := range env {
		if name, text, ok := strings.Cut(line, "="); ok {
			vars[name] = text
		}
	}
	return vars
}

// unknownVariables reports each TIDEGATE_ variable that belongs to no flag, and each variable with the
// program's former name.
func unknownVariables(vars map[string]string, flags []string) []*Problem {
	known := make([]string, 0, len(flags)+len(clientFlags))
	for _, f := range slices.Concat(flags, clientFlags) {
		known = append(known, envName(f))
	}
	var problems []*Problem
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if renamed, ok := former.Variable(name, envPrefix); ok && !isServiceLink(renamed, vars[name]) {
			problems = append(problems, &Problem{Source: "environment " + visible(name), Reason: formerReason(renamed, known)})
		}
		if !strings.HasPrefix(name, envPrefix) || slices.Contains(known, name) || isServiceLink(name, vars[name]) {
			continue
		}
		hint := ""
		if best := nearest(strings.TrimPrefix(name, envPrefix), flags); best != "" {
			hint = "; did you mean " + envName(best) + "?"
		}
		problems = append(problems, &Problem{Source: "environment " + visible(name), Reason: "unknown variable" + hint})
	}
	return problems
}

// formerReason says what to do about a variable with the former name.
func formerReason(renamed string, known []string) string {
	if slices.Contains(known, renamed) {
		return "the program is called Tidegate now: set " + renamed + " instead, see docs/guides/migration.md"
	}
	return "the program is called Tidegate now and has no such setting: delete it, see docs/guides/migration.md"
}

// serviceLink matches the variables that Kubernetes puts into every container of a namespace for a service
// called tidegate or tidegate-something: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
var serviceLink = regexp.MustCompile(`^TIDEGATE_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// servicePort matches the value of TIDEGATE_PORT and TIDEGATE_SOMETHING_PORT then.
var servicePort = regexp.MustCompile(`^(tcp|udp|sctp)://`)

func isServiceLink(name, text string) bool {
	return serviceLink.MatchString(name) || strings.HasSuffix(name, "_PORT") && servicePort.MatchString(text)
}

// legacyVariable is a variable of the Node gateway.
type legacyVariable struct {
	name, setting string
	translate     func(string) (string, error)
}

var legacyVariables = []legacyVariable{
	{"PORT", "listen", func(text string) (string, error) {
		port, err := wholeNumber(text, 1, 65535)
		return ":" + port, err
	}},
	{"CALLBACK_URL", "callback-url", func(text string) (string, error) { return text, nil }},
	{"HEARTBEAT_INTERVAL_SECONDS", "heartbeat", func(text string) (string, error) {
		seconds, err := wholeNumber(text, 1, 86400)
		return seconds + "s", err
	}},
}

// legacy returns the settings of the Node gateway's variables where ours are absent. Empty means absent,
// as it did there. A bad value is an error here.
func legacy(vars map[string]string) (settings []given, problems []*Problem) {
	for _, v := range legacyVariables {
		text := vars[v.name]
		if _, ours := vars[envName(v.setting)]; ours || text == "" {
			continue
		}
		source := "environment " + v.name
		translated, err := v.translate(text)
		if err != nil {
			problems = append(problems, &Problem{source, quoted(text), err.Error()})
			continue
		}
		settings = append(settings, given{v.setting, source, []entry{{translated, source}}})
	}
	return settings, problems
}

// wholeNumber returns the number in decimal.
func wholeNumber(text string, lo, hi int) (string, error) {
	n, ok := javaScriptNumber(text)
	if !ok || n != math.Trunc(n) || n < float64(lo) || n > float64(hi) {
		return "", fmt.Errorf("give a whole number from %d to %d", lo, hi)
	}
	return strconv.Itoa(int(n)), nil
}

var decimal = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)

// javaScriptNumber converts text as JavaScript's Number does, which the Node gateway used: it accepts
// blanks around it, 0x36D and 8e3. ECMA-262 section 7.1.4.1.
func javaScriptNumber(text string) (float64, bool) {
	text = strings.TrimSpace(text)
	if len(text) > 2 && text[0] == '0' && strings.ContainsRune("xXoObB", rune(text[1])) && !strings.Contains(text, "_") {
		n, err := strconv.ParseUint(text, 0, 53)
		return float64(n), err == nil
	}
	if !decimal.MatchString(text) {
		return 0, false
	}
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil
}
