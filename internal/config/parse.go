package config

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// Parse sets the flags of fs from the command line and, where it has none, from the environment: each flag
// has a variable as in [Load], with ";" between the values of a flag that takes several. Flags and other
// arguments can be mixed; after -- nothing is a flag.
//
// It returns the other arguments. The error is an [*Error] with all that is wrong, or [ErrHelp], in which
// case the caller writes help: see [FlagUsage]. Names of flags must be among [ClientFlags] or be those of
// settings, whose meaning they then have. The values of flags whose names end in "secret", "token" or "password" are never shown.
func Parse(fs *pflag.FlagSet, cmd string, args, env []string) ([]string, error) {
	var names []string
	fs.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	s := scanner{fs: fs, hint: func(name string) string { return didYouMean(name, names, "--") }}
	s.scan(args)
	if s.help {
		return nil, ErrHelp
	}
	vars := environment(env)
	l := newLoader(lookUp("config"))
	problems := append(unknownVariables(vars, slices.Concat(names, l.own)), s.problems...)
	for _, name := range names {
		if text, ok := vars[envName(name)]; ok {
			problems = append(problems, setVariable(fs, name, text)...)
		}
	}
	for _, f := range s.flags {
		problems = append(problems, setFlag(fs, f.flag, f.text, "flag --"+f.flag.Name)...)
	}
	if len(problems) > 0 {
		return nil, &Error{Command: cmd, Problems: problems}
	}
	words := make([]string, len(s.words))
	for i, w := range s.words {
		words[i] = w.text
	}
	return words, nil
}

// setVariable sets a flag from its variable. A later value on the command line replaces it, as pflag's
// flags of several values replace their default by the first value that they are given.
func setVariable(fs *pflag.FlagSet, name, text string) []*Problem {
	flag, source := fs.Lookup(name), "environment "+envName(name)
	many, ok := flag.Value.(pflag.SliceValue)
	if !ok {
		return setFlag(fs, flag, text, source)
	}
	if err := many.Replace(strings.Split(text, separator)); err != nil {
		return []*Problem{{source, shownFlag(flag, text), explain(flag, err)}}
	}
	flag.Changed = true
	return nil
}

func setFlag(fs *pflag.FlagSet, flag *pflag.Flag, text, source string) []*Problem {
	err := checkText(text)
	if err == nil {
		err = fs.Set(flag.Name, text)
	}
	if err != nil {
		return []*Problem{{source, shownFlag(flag, text), explain(flag, err)}}
	}
	return nil
}

func shownFlag(flag *pflag.Flag, text string) string {
	for _, private := range []string{"secret", "token", "password"} {
		if strings.HasSuffix(flag.Name, private) {
			return ""
		}
	}
	if strings.HasSuffix(flag.Name, "url") || flag.Name == "server" {
		return quoted(hideURL(text))
	}
	return quoted(text)
}

// explain returns the allowed values, which the errors of pflag do not name.
func explain(flag *pflag.Flag, err error) string {
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		err = invalid.Unwrap()
	}
	if v, ok := flag.Value.(interface{ Allowed() string }); ok && errors.Is(err, errNotAllowed) {
		return "give " + v.Allowed()
	}
	switch kind := flag.Value.Type(); {
	case kind == "bool":
		return "give true or false"
	case kind == "duration":
		return "give a duration such as 1m30s"
	case strings.HasPrefix(kind, "int"), strings.HasPrefix(kind, "uint"), strings.HasPrefix(kind, "float"):
		return "give a number"
	}
	return err.Error()
}

// FlagUsage writes the flags of fs as [Usage] does, each with its variable and its default.
func FlagUsage(fs *pflag.FlagSet, w io.Writer) error {
	var p paragraphs
	fs.VisitAll(func(f *pflag.Flag) {
		kind, usage := FlagText(f)
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		p.flag(name, kind, usage, ShownDefault(f), envName(f.Name))
	})
	_, err := fmt.Fprint(w, p.String())
	return err
}

// FlagText returns the placeholder of a flag's value, "" for a switch, and its usage as a sentence.
func FlagText(f *pflag.Flag) (kind, usage string) {
	kind, usage = pflag.UnquoteUsage(f)
	switch kind {
	case "string":
		kind = "TEXT"
	case "int":
		kind = "N"
	case "duration":
		kind = "DURATION"
	}
	return kind, Sentence(usage)
}

// ShownDefault returns the default of a flag as help shows it, "" for zero values.
func ShownDefault(f *pflag.Flag) string {
	switch f.DefValue {
	case "[]", "false", "0", "0s":
		return ""
	}
	return f.DefValue
}

// Variable returns the environment variable of a flag.
func Variable(flag string) string { return envName(flag) }
