package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// AllOthers is the namespace whose settings apply to all that have none of their own.
const AllOthers = "*"

// builtIn returns the namespaces as they are without configuration.
func builtIn() map[string]Namespace {
	return map[string]Namespace{
		AllOthers: {Events: 1000, Bytes: 4 << 20, Age: time.Hour, Replay: "held"},
		"task":    {Events: 10_000, Bytes: 16 << 20, Age: 24 * time.Hour, Replay: "all"},
		"version": {Events: 1, Bytes: 1 << 20, Age: 0, Replay: "last"},
	}
}

// namespaceFields are the fields of an entry, in the order in which they are written.
var namespaceFields = []string{"events", "bytes", "age", "replay"}

// field binds one field of n, with the same types and bounds as any other setting.
func (n *Namespace) field(name string) value {
	switch name {
	case "events":
		return count(&n.Events, n.Events, 1, 100_000_000)
	case "bytes":
		return size(&n.Bytes, cmp.Or(n.Bytes, 1<<20), 1<<10, 1<<40)
	case "age":
		return duration(&n.Age, n.Age, time.Millisecond, 10*8760*time.Hour, "never")
	case "replay":
		return choice(&n.Replay, n.Replay, "all", "held", "last", "none")
	}
	return nil
}

// namespaces is the repeatable value of --namespace. An entry overrides only the fields that it names.
type namespaces struct {
	p     *map[string]Namespace
	given map[string][]string // the fields that entries set, as "events:5", by name
}

func newNamespaces(p *map[string]Namespace) value {
	*p = builtIn()
	return &namespaces{p: p, given: map[string][]string{}}
}

func (v *namespaces) Type() string { return "ENTRY" }

func (v *namespaces) Allowed() string {
	return "an entry such as task=events:10000,bytes:16MiB,age:24h,replay:all"
}

func (v *namespaces) Clear() {
	clear(v.given)
	*v.p = builtIn()
}

// namespaceName keeps out what separates entries and fields.
var namespaceName = regexp.MustCompile(`^(\*|[\pL\pN._~/@+-]{1,100})$`)

const notNamespace = "is no name of a namespace; give *, or letters, digits and ._~/@+-"

// Set adds one entry. All its fields are checked, and all errors returned, before any is taken.
func (v *namespaces) Set(text string) error {
	if text == "" {
		return nil
	}
	name, fields, found := strings.Cut(text, "=")
	if !found {
		return errNotAllowed
	}
	if !namespaceName.MatchString(name) {
		return fmt.Errorf("%s %s", quoted(name), notNamespace)
	}
	var errs []error
	for f := range strings.SplitSeq(fields, ",") {
		errs = append(errs, checkField(f))
	}
	if err := errors.Join(errs...); err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	v.given[name] = append(v.given[name], strings.Split(fields, ",")...)
	*v.p = v.effective()
	return nil
}

func checkField(text string) error {
	name, setting, _ := strings.Cut(text, ":")
	field := new(Namespace).field(name)
	if field == nil {
		return fmt.Errorf("unknown field %s%s", quoted(name), didYouMean(name, namespaceFields, ""))
	}
	if field.Set(setting) != nil {
		return fmt.Errorf("%s %s: give %s", name, quoted(setting), field.Allowed())
	}
	return nil
}

// effective applies what was given, first to the namespace of all others, on which new ones are based.
func (v *namespaces) effective() map[string]Namespace {
	all := builtIn()
	all[AllOthers] = apply(all[AllOthers], v.given[AllOthers])
	for name, fields := range v.given {
		base, known := all[name]
		if !known {
			base = all[AllOthers]
		}
		all[name] = apply(base, fields)
	}
	return all
}

// apply returns n with fields set that checkField has accepted.
func apply(n Namespace, fields []string) Namespace {
	for _, f := range fields {
		name, setting, _ := strings.Cut(f, ":")
		_ = n.field(name).Set(setting) // cannot fail: checked
	}
	return n
}

// Texts returns a complete entry for each namespace.
func (v *namespaces) Texts() []string {
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(*v.p)) {
		n := (*v.p)[name]
		fields := make([]string, len(namespaceFields))
		for i, f := range namespaceFields {
			fields[i] = f + ":" + n.field(f).String()
		}
		texts = append(texts, name+"="+strings.Join(fields, ","))
	}
	return texts
}

func (v *namespaces) String() string { return strings.Join(v.Texts(), separator) }
