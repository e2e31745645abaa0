package config

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// value is the variable of a setting and its text form. Set accepts what String returns. If Set returns
// an error, the setting stays as it was.
type value interface {
	pflag.Value      // Type is the placeholder in help, such as DURATION
	Allowed() string // what Set takes, to follow "give "
}

// repeatable is a value that may be given several times: each Set adds to what there is.
type repeatable interface {
	value
	Clear()
	Texts() []string // one for each Set that makes an equal value
}

// scalar is a value that is kept in one variable of type T.
type scalar[T any] struct {
	p       *T
	kind    string
	allowed string
	parse   func(string) (T, error)
	format  func(T) string
}

func (s scalar[T]) Set(text string) error {
	v, err := s.parse(text)
	if err != nil {
		return err
	}
	*s.p = v
	return nil
}

func (s scalar[T]) String() string  { return s.format(*s.p) }
func (s scalar[T]) Type() string    { return s.kind }
func (s scalar[T]) Allowed() string { return s.allowed }

// errNotAllowed is for values whose error only needs the allowed values.
var errNotAllowed = errors.New("is not allowed")

func verbatim(text string) string { return text }

// choice is one of a few words.
func choice(p *string, def string, words ...string) value {
	*p = def
	return scalar[string]{p, strings.Join(words, "|"), orList(words), func(text string) (string, error) {
		if !slices.Contains(words, text) {
			return "", errNotAllowed
		}
		return text, nil
	}, verbatim}
}

func orList(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// level is one of slog's four levels.
func level(p *slog.Level, def slog.Level) value {
	*p = def
	words := []string{"debug", "info", "warn", "error"}
	return scalar[slog.Level]{p, strings.Join(words, "|"), orList(words), func(text string) (l slog.Level, err error) {
		if !slices.Contains(words, text) {
			return l, errNotAllowed
		}
		return l, l.UnmarshalText([]byte(text))
	}, func(l slog.Level) string { return strings.ToLower(l.String()) }}
}

// toggle is a switch, off by default.
func toggle(p *bool) value {
	return scalar[bool]{p, "", "true or false", func(text string) (bool, error) {
		on, err := strconv.ParseBool(text)
		if err != nil {
			return false, errNotAllowed
		}
		return on, nil
	}, strconv.FormatBool}
}

// count is a whole number from lo to hi.
func count(p *int, def, lo, hi int) value {
	*p = def
	return scalar[int]{p, "N", fmt.Sprintf("a whole number from %d to %d", lo, hi), func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		if err != nil || n < lo || n > hi {
			return 0, errNotAllowed
		}
		return n, nil
	}, strconv.Itoa}
}

// size is a number of bytes from lo to hi.
func size(p *int64, def, lo, hi int64) value {
	*p = def
	allowed := fmt.Sprintf("a size from %v to %v, such as %v", ByteSize(lo), ByteSize(hi), ByteSize(def))
	return scalar[int64]{p, "SIZE", allowed, func(text string) (int64, error) {
		n, err := parseSize(text)
		if err != nil || n < lo || n > hi {
			return 0, errNotAllowed
		}
		return n, nil
	}, func(n int64) string { return ByteSize(n).String() }}
}

// duration is a time from lo to hi. With a word for it, such as "never", it may be 0 besides.
func duration(p *time.Duration, def, lo, hi time.Duration, zero string) value {
	*p = def
	example := cmp.Or(def, 10*time.Second)
	allowed := fmt.Sprintf("a duration from %s to %s, such as %s", formatDuration(lo), formatDuration(hi), formatDuration(example))
	if zero != "" {
		allowed = "0 for " + zero + ", or " + allowed
	}
	return scalar[time.Duration]{p, "DURATION", allowed, func(text string) (time.Duration, error) {
		d, err := time.ParseDuration(text)
		if err != nil || (d < lo || d > hi) && (zero == "" || d != 0) {
			return 0, errNotAllowed
		}
		return d, nil
	}, formatDuration}
}

// formatDuration is d.String without the zeros of 1h0m0s.
func formatDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// file is the path of a file that exists.
func file(p *string) value {
	return scalar[string]{p, "FILE", "the path of a file that exists", func(path string) (string, error) {
		if path == "" {
			return "", nil
		}
		info, err := os.Stat(path)
		if err != nil {
			return "", reasonOf(err)
		}
		if info.IsDir() {
			return "", errors.New("is a directory; give the path of a file")
		}
		return path, nil
	}, verbatim}
}

// reasonOf is err without the path, which the problem shows already.
func reasonOf(err error) error {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err
	}
	return err
}

// path is the path of a file that the caller checks.
func path(p *string) value {
	return scalar[string]{p, "FILE", "the path of a file", func(text string) (string, error) { return text, nil }, verbatim}
}

// secretValue is a word that is never shown.
type secretValue struct{ scalar[string] }

// hidden replaces a secret wherever a configuration is shown. It is not accepted as a secret: a printed
// configuration that is used as a file would otherwise set a secret that everybody knows.
const hidden = "<set>"

var errHidden = errors.New("replaces a secret in a printed configuration; give the secret itself")

// secret is a word of visible ASCII characters, as an Authorization header can carry it.
func secret(p *string) value {
	const allowed = "a word of visible ASCII characters without blanks"
	return secretValue{scalar[string]{p, "SECRET", allowed, func(text string) (string, error) {
		switch {
		case text == "":
			return "", errors.New("is empty; leave it out, or give " + allowed)
		case text == hidden:
			return "", errHidden
		case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
			return "", errNotAllowed
		}
		return text, nil
	}, func(text string) string {
		if text == "" {
			return ""
		}
		return hidden
	}}}
}

// list is any number of texts. An empty text adds nothing, so that one empty text is an empty list.
type list struct {
	p       *[]string
	kind    string
	allowed string
	parse   func(string) (string, error)
}

func (l list) Set(text string) error {
	if text == "" {
		return nil
	}
	entry, err := l.parse(text)
	if err != nil {
		return err
	}
	*l.p = append(*l.p, entry)
	return nil
}

func (l list) Clear()          { *l.p = nil }
func (l list) Texts() []string { return *l.p }
func (l list) String() string  { return strings.Join(*l.p, separator) }
func (l list) Type() string    { return l.kind }
func (l list) Allowed() string { return l.allowed }

// directories is a list of paths, "." by default.
func directories(p *[]string) value {
	*p = []string{"."}
	return list{p, "DIR", "the path of a directory that exists, or nothing to turn it off", func(path string) (string, error) {
		info, err := os.Stat(path)
		if err != nil {
			return "", reasonOf(err)
		}
		if !info.IsDir() {
			return "", errors.New("is not a directory")
		}
		if isWholeMachine(path) {
			return "", errors.New("is the whole machine; give a directory below it")
		}
		return path, nil
	}}
}
