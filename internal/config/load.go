package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// given is a setting as one source has it.
type given struct {
	name    string
	from    string // for people: "flag --heartbeat", "tidegate.yaml:4"
	entries []entry
}

// entry is one value, with its place in the source for a problem.
type entry struct{ text, source string }

// Load reads the settings of a command: "serve", "gateway", "backend" or "config", which takes those of
// all three. args are the arguments after the command's name, env is as of [os.Environ].
//
// The strings returned are the arguments that are no flags, which only "config" takes. "config print gateway"
// is about the settings of one of the three, and so is "config print", which is about serve. The error is an
// [*Error] with all that is wrong, or [ErrHelp] after help has been written to stdout.
//
// Settings that only other commands have are errors as flags. In the environment and in the file, which
// several processes may share, they are checked and then left alone: see [Config.Warnings].
func Load(cmd string, args, env []string, stdout io.Writer) (*Config, []string, error) {
	l := newLoader(commandOf(cmd, args))
	s := scanner{fs: l.flagSet(), hint: l.hint}
	s.scan(args)
	if s.help {
		return nil, nil, cmp.Or(Usage(cmd, stdout), ErrHelp)
	}
	vars := environment(env)

	l.file(s.flags, vars)
	l.legacy(vars)
	l.environment(vars)
	l.report(s.problems...)
	l.flags(s.flags)
	words := l.words(s.words)
	l.check()

	if len(l.problems) > 0 {
		return nil, nil, &Error{Command: cmd, Problems: l.problems}
	}
	return l.cfg, words, nil
}

// commandOf is the command called cmd, or the one that the arguments of "config" are about.
func commandOf(cmd string, args []string) command {
	own := lookUp(cmd)
	if !own.args {
		return own
	}
	s := scanner{fs: newLoader(own).flagSet(), hint: func(string) string { return "" }}
	s.scan(args)
	about := own
	switch {
	case len(s.words) == 2 && slices.Contains(own.set.names(), s.words[1].text):
		about = lookUp(s.words[1].text)
	case len(s.words) == 1 && s.words[0].text == "print":
		about = lookUp("serve") // defaults differ, and this is what most people run
	}
	about.args = true
	return about
}

// loader gathers a Config source by source, the one that counts least first.
type loader struct {
	cmd      command
	cfg      *Config
	settings map[string]setting // of all commands; those that cmd lacks set a Config that is dropped
	own      []string           // names of those that cmd has, in the order of the table
	failed   map[string]bool    // settings with a value that was refused
	problems []*Problem
}

func newLoader(cmd command) *loader {
	l := &loader{
		cmd:      cmd,
		cfg:      &Config{command: cmd, origins: map[string]string{}},
		settings: map[string]setting{},
		failed:   map[string]bool{},
	}
	for _, g := range new(Config).bind(cmd.name) {
		for _, s := range g.settings {
			l.settings[s.name] = s
		}
	}
	for _, g := range l.cfg.bind(cmd.name) {
		for _, s := range g.settings {
			if s.cmds&cmd.set != 0 {
				l.settings[s.name] = s
				l.own = append(l.own, s.name)
			}
		}
	}
	return l
}

func (l *loader) report(problems ...*Problem) {
	l.problems = append(l.problems, problems...)
}

// flagSet has the command's flags, for the scanner.
func (l *loader) flagSet() *pflag.FlagSet {
	fs := pflag.NewFlagSet(l.cmd.name, pflag.ContinueOnError)
	for _, name := range l.own {
		flag := fs.VarPF(l.settings[name].value, name, "", l.settings[name].usage)
		if flag.Value.Type() == "" {
			flag.NoOptDefVal = "true"
		}
	}
	return fs
}

// hint says where an unknown flag belongs.
func (l *loader) hint(name string) string {
	if s, ok := l.settings[name]; ok {
		return " of tidegate " + l.cmd.name + "; it belongs to tidegate " + orList(s.cmds.names())
	}
	return didYouMean(name, l.own, "--")
}

// file applies the file that a flag or, without one, the environment names.
func (l *loader) file(flags []flagText, vars map[string]string) {
	path, source := vars[envName("config")], "environment "+envName("config")
	for _, f := range flags {
		if f.flag.Name == "config" {
			path, source = f.text, "flag --config"
		}
	}
	if path == "" || checkText(path) != nil {
		return
	}
	text, err := readFile(path)
	if err != nil {
		l.report(&Problem{source, quoted(path), err.Error()})
		return
	}
	f := yamlFile{name: path, known: l.settings, apply: l.apply, report: func(p *Problem) { l.report(p) }}
	f.parse(text)
}

func (l *loader) legacy(vars map[string]string) {
	if l.cmd.name != "gateway" {
		return
	}
	settings, problems := legacy(vars)
	l.report(problems...)
	for _, g := range settings {
		l.apply(g)
	}
}

func (l *loader) environment(vars map[string]string) {
	names := slices.Sorted(maps.Keys(l.settings))
	l.report(unknownVariables(vars, names)...)
	for _, name := range names {
		text, ok := vars[envName(name)]
		if !ok {
			continue
		}
		source := "environment " + envName(name)
		texts := []string{text}
		if _, many := l.settings[name].value.(repeatable); many {
			texts = strings.Split(text, separator)
		}
		l.apply(newGiven(name, source, texts))
	}
}

func (l *loader) flags(flags []flagText) {
	texts := map[string][]string{}
	for _, f := range flags {
		texts[f.flag.Name] = append(texts[f.flag.Name], f.text)
	}
	for _, name := range l.own {
		if len(texts[name]) > 0 {
			l.apply(newGiven(name, "flag --"+name, texts[name]))
		}
	}
}

func newGiven(name, source string, texts []string) given {
	g := given{name: name, from: source}
	for _, text := range texts {
		g.entries = append(g.entries, entry{text, source})
	}
	return g
}

// words reports arguments that the command does not take. It does not repeat an argument after a flag:
// that can be the rest of a secret without quotes.
func (l *loader) words(words []word) []string {
	var texts []string
	for _, w := range words {
		texts = append(texts, w.text)
		switch {
		case l.cmd.args:
		case w.after == "":
			l.report(&Problem{"argument", quoted(w.text), "tidegate " + l.cmd.name + " takes only flags"})
		default:
			reason := "tidegate " + l.cmd.name + " takes only flags; a value with blanks must be in quotes, a switch is written --replace=false"
			l.report(&Problem{"argument after " + visible(w.after), "", reason})
		}
	}
	return texts
}

// apply sets what is given. The entries of a repeatable setting replace those of the sources before.
func (l *loader) apply(g given) {
	s := l.settings[g.name]
	v := s.value
	if many, ok := v.(repeatable); ok {
		many.Clear()
	}
	for _, e := range g.entries {
		if p := set(v, e); p != nil {
			l.report(p)
			l.failed[g.name] = true
		}
	}
	if s.cmds&l.cmd.set != 0 {
		l.cfg.origins[g.name] = g.from
	} else {
		l.cfg.unused = append(l.cfg.unused, fmt.Sprintf("%s: tidegate %s has no %s", g.from, l.cmd.name, g.name))
	}
}

// set sets v to one entry, or says what is wrong with it.
func set(v value, e entry) *Problem {
	err := checkText(e.text)
	if err == nil {
		err = v.Set(e.text)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errNotAllowed):
		return &Problem{e.source, shown(v, e.text), "give " + v.Allowed()}
	}
	return &Problem{e.source, shown(v, e.text), err.Error()}
}

// shown returns text for a message, without secrets.
func shown(v value, text string) string {
	switch v.(type) {
	case secretValue, secretList:
		return ""
	case urlValue, urlList:
		return quoted(hideURL(text))
	}
	return quoted(text)
}
