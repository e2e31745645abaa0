package config

import (
	"strings"

	"github.com/spf13/pflag"
)

// word is an argument that is not a flag.
type word struct {
	text  string
	after string // the last flag before it, if there is one, without its value
}

// flagText is one flag of the command line.
type flagText struct {
	flag *pflag.Flag
	text string
}

// scanner splits a command line by the rules of pflag. It exists because pflag ends at the first error,
// and because the texts of a command line may only be repeated when they cannot be a secret.
type scanner struct {
	fs       *pflag.FlagSet
	hint     func(name string) string // what to add to the error about an unknown flag
	flags    []flagText
	words    []word
	problems []*Problem
	help     bool
}

// scan reads args. Flags and words may be mixed; after -- all are words.
func (s *scanner) scan(args []string) {
	after := ""
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			for _, text := range args {
				s.words = append(s.words, word{text: text})
			}
			return
		case len(arg) < 2 || arg[0] != '-':
			s.words = append(s.words, word{arg, after})
		case arg[1] == '-':
			after, _, _ = strings.Cut(arg, "=")
			args = s.long(arg[2:], args)
		default:
			after = arg[:2]
			args = s.short(arg[1:], args)
		}
	}
}

// long reads --name, --name=text or --name text and returns the arguments after it.
func (s *scanner) long(arg string, args []string) []string {
	name, text, joined := strings.Cut(arg, "=")
	flag := s.fs.Lookup(name)
	switch {
	case name == "" || name[0] == '-':
		s.problem("argument --"+visible(name), "is no flag; write --name or --name=value")
		return args
	case flag == nil && name == "help":
		s.help = true
		return args
	case flag == nil:
		s.problem("flag --"+visible(name), "unknown flag"+s.hint(name))
		if joined {
			return args
		}
		return withoutValue(args)
	case joined:
		s.add(flag, text)
		return args
	}
	return s.valueOf(flag, "--"+name, args)
}

// short reads -a, -abc (switches), -n5, -n=5 or -n 5 and returns the arguments after it.
func (s *scanner) short(arg string, args []string) []string {
	for whole := arg; arg != ""; arg = arg[1:] {
		letter := arg[:1]
		flag := s.fs.ShorthandLookup(letter)
		switch {
		case flag == nil && letter == "h":
			s.help = true
			return args
		case flag == nil:
			name, _, _ := strings.Cut(whole, "=")
			reason := "unknown flag"
			if s.fs.Lookup(name) != nil {
				reason += "; flags of more than one letter have two dashes: --" + name
			}
			s.problem("flag -"+visible(letter), reason)
			return withoutValue(args)
		case len(arg) > 2 && arg[1] == '=':
			s.add(flag, arg[2:])
			return args
		case flag.NoOptDefVal != "":
			s.add(flag, flag.NoOptDefVal)
		case len(arg) > 1:
			s.add(flag, arg[1:])
			return args
		default:
			return s.valueOf(flag, "-"+letter, args)
		}
	}
	return args
}

// withoutValue drops what is most likely the value of an unknown flag: to report it as well would mislead,
// and might show a secret.
func withoutValue(args []string) []string {
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		return args[1:]
	}
	return args
}

// valueOf takes the value of a flag that has none joined to it.
func (s *scanner) valueOf(flag *pflag.Flag, shown string, args []string) []string {
	switch {
	case flag.NoOptDefVal != "":
		s.add(flag, flag.NoOptDefVal)
		return args
	case len(args) == 0:
		s.problem("flag "+shown, "has no value")
		return args
	}
	s.add(flag, args[0])
	return args[1:]
}

func (s *scanner) add(flag *pflag.Flag, text string) {
	s.flags = append(s.flags, flagText{flag, text})
}

func (s *scanner) problem(source, reason string) {
	s.problems = append(s.problems, &Problem{Source: source, Reason: reason})
}
