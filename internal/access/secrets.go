package access

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
)

const (
	// MinSecret is the least number of characters of a secret.
	MinSecret = 16
	// FilePrefix begins a setting that names a file with secrets.
	FilePrefix = "file:"

	// maxSecretFile bounds a file with secrets, in bytes.
	maxSecretFile = 64 << 10
	// maxSecrets bounds how many secrets there may be at once.
	maxSecrets = 1000
)

// Secrets is a list of secrets; each of them is enough. All methods may be called concurrently. A
// nil *Secrets has none.
type Secrets struct {
	settings []string                  // as given: a secret, or file:PATH
	loaded   atomic.Pointer[secretSet] // never nil
}

type secretSet struct {
	texts  []string
	hashes [][sha256.Size]byte // of texts
}

// NewSecrets reads secrets. A setting is the secret itself, or file:PATH with
// one secret on each line. Blanks around a line and empty lines do not count.
func NewSecrets(settings ...string) (*Secrets, error) {
	s := &Secrets{settings: settings}
	if err := s.Reload(); err != nil {
		return nil, err
	}
	return s, nil
}

// Reload reads the files again. If a file is missing or wrong, all secrets stay as they were.
func (s *Secrets) Reload() error {
	if s == nil {
		return nil
	}
	set := new(secretSet)
	for _, setting := range s.settings {
		texts, err := ReadSecrets(setting)
		if err != nil {
			return err
		}
		for _, text := range texts {
			set.texts = append(set.texts, text)
			set.hashes = append(set.hashes, sha256.Sum256([]byte(text)))
		}
	}
	if len(set.texts) > maxSecrets {
		return fmt.Errorf("has %d secrets; give %d at most", len(set.texts), maxSecrets)
	}
	s.loaded.Store(set)
	return nil
}

// ReadSecrets returns the secrets of one setting. Its errors do not contain any of them.
func ReadSecrets(setting string) ([]string, error) {
	path, isFile := strings.CutPrefix(setting, FilePrefix)
	if !isFile {
		return []string{setting}, CheckSecret(setting)
	}
	content, err := readSecretFile(path)
	if err != nil {
		return nil, err
	}
	var texts []string
	for i, line := range bytes.Split(content, []byte("\n")) {
		text := string(bytes.TrimSpace(line))
		if text == "" {
			continue
		}
		if err := CheckSecret(text); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", path, i+1, err)
		}
		texts = append(texts, text)
	}
	if len(texts) == 0 {
		return nil, fmt.Errorf("%s has no secret; write one on a line of it", path)
	}
	return texts, nil
}

// ClientSecret returns the secret that a command sends to a server, from the same setting as the
// server's: the first of several. It may be shorter than MinSecret, because the server decides. "" is
// no secret.
func ClientSecret(setting string) (string, error) {
	first, _, _ := strings.Cut(setting, ";") // as lists are in the environment
	if !strings.HasPrefix(first, FilePrefix) {
		return first, nil
	}
	texts, err := ReadSecrets(first)
	if err != nil {
		return "", err
	}
	return texts[0], nil
}

func readSecretFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%s is a directory; give the path of a file", path)
	case !info.Mode().IsRegular(): // it might never end, and could not be read again
		return nil, fmt.Errorf("%s is no regular file; give the path of a file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	content, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err == nil && len(content) > maxSecretFile {
		err = fmt.Errorf("%s is larger than 64 KiB; give a file with one secret on each line", path)
	}
	return bytes.TrimPrefix(content, []byte("\ufeff")), err
}

var (
	errShort   = fmt.Errorf("is shorter than %d characters; make one with: openssl rand -hex 32", MinSecret)
	errNoBlank = errors.New("has a blank or a character that is not visible ASCII; make one with: openssl rand -hex 32")
)

// CheckSecret returns what is wrong with a secret. A secret must fit into an Authorization header
// and be too long to guess.
func CheckSecret(text string) error {
	switch {
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errNoBlank
	case len(text) < MinSecret:
		return errShort
	}
	return nil
}

// Any reports whether there is a secret, so that callers must have one.
func (s *Secrets) Any() bool { return s != nil && len(s.loaded.Load().texts) > 0 }

// Match reports whether text is one of the secrets. It takes the same time for every text of a
// length, and does not allocate.
func (s *Secrets) Match(text []byte) bool {
	if s == nil {
		return false
	}
	got, found, hashes := sha256.Sum256(text), 0, s.loaded.Load().hashes
	for i := range hashes {
		found |= subtle.ConstantTimeCompare(hashes[i][:], got[:])
	}
	return found == 1
}

// Bearer reports whether an Authorization header holds one of the secrets.
func (s *Secrets) Bearer(authorization []byte) bool {
	const scheme = "bearer "
	if len(authorization) < len(scheme) || !equalFold(authorization[:len(scheme)], scheme) {
		return false
	}
	return s.Match(bytes.TrimLeft(authorization[len(scheme):], " "))
}

// First returns the secret to send to others; "" if there is none.
func (s *Secrets) First() string {
	if !s.Any() {
		return ""
	}
	return s.loaded.Load().texts[0]
}

// All returns the secrets, to derive keys from.
func (s *Secrets) All() []string {
	if s == nil {
		return nil
	}
	return s.loaded.Load().texts
}

// equalFold compares in any case of letters. word is in lower case and not longer than text.
func equalFold(text []byte, word string) bool {
	for i, c := range text {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}
