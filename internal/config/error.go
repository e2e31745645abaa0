package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrHelp says that --help or -h was among the arguments. [Load] has written the help already; after
// [Parse] the caller does. The program ends with exit code 0.
var ErrHelp = errors.New("config: help is requested")

// Error has all mistakes of a configuration or a command line. The program ends with exit
// code 2. It unwraps to its problems.
type Error struct {
	Command  string // for example "gateway"
	Problems []*Problem
}

// Error has one line for each problem.
func (e *Error) Error() string { return errors.Join(e.Unwrap()...).Error() }

// Unwrap returns the problems.
func (e *Error) Unwrap() []error {
	errs := make([]error, len(e.Problems))
	for i, p := range e.Problems {
		errs[i] = p
	}
	return errs
}

// Problem is one mistake. No field has a secret.
type Problem struct {
	Source string // "flag --heartbeat", "environment TIDEGATE_HEARTBEAT", "tidegate.yaml:4 key heartbeat"
	Value  string // as it is shown, quoted; "" for none
	Reason string // what is wrong, and what is allowed
}

// Error puts the three parts in one line.
func (p *Problem) Error() string {
	if p.Value == "" {
		return p.Source + ": " + p.Reason
	}
	return p.Source + ": " + p.Value + ": " + p.Reason
}

// maxShown bounds how much of a bad value is repeated, in runes.
const maxShown = 120

// quoted returns text in the form in which a problem shows it.
func quoted(text string) string {
	if utf8.RuneCountInString(text) > maxShown {
		text = string([]rune(text)[:maxShown]) + "…"
	}
	return strconv.Quote(text)
}

// visible returns text in a form without line breaks and control characters.
func visible(text string) string {
	if checkText(text) == nil {
		return text
	}
	return strconv.Quote(text)
}

// checkText refuses characters that no setting may have: they would forge log lines, and YAML could not
// print them.
func checkText(text string) error {
	if !utf8.ValidString(text) {
		return errors.New("is not valid UTF-8")
	}
	// unicode.IsPrint also refuses U+2028, U+FEFF and their like, which YAML would not give back.
	if i := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
		r, _ := utf8.DecodeRuneInString(text[i:])
		return fmt.Errorf("holds the unprintable character %U", r)
	}
	return nil
}
