// Package certs has certificates that are read from files, and read again when
// the files change. One that cannot be used is refused, and the one before it
// stays.
package certs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

const (
	// interval is the pause between two looks at the files.
	interval = 5 * time.Second
	// maxFile bounds what is read of a file.
	maxFile = 1 << 20
)

// Source is a certificate, or some, that [Watch] looks after.
type Source interface {
	// Name is what it is called in log lines and metrics: its settings.
	Name() string
	// Reload reads the files now. If they cannot be used, what was read before
	// stays.
	Reload() error
	// NotAfter is the end of its validity; of several certificates the first end.
	NotAfter() time.Time

	look() (changed bool, err error)
}

// Watch looks at the files every few seconds until ctx ends. Changes and what
// is wrong with them are logged; failed is called for the latter, and may be nil.
func Watch(ctx context.Context, log *slog.Logger, failed func(), sources ...Source) {
	if len(sources) == 0 {
		return
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for _, s := range sources {
			switch changed, err := s.look(); {
			case err != nil:
				log.Error("new certificate refused: the old one stays", "setting", s.Name(), "not_after", s.NotAfter(), "cause", err)
				if failed != nil {
					failed()
				}
			case changed:
				log.Info("certificate renewed", "setting", s.Name(), "not_after", s.NotAfter())
			}
		}
	}
}

// files are some whose contents belong together.
type files struct {
	name  string
	paths []string
	apply func(texts [][]byte, first bool) error // keeps nothing of texts

	mu      sync.Mutex
	current digest // guarded by mu, like all below: what is in use
	doubt   digest // what could not be used when it was seen first
	refused digest // what could not be used, and was reported
}

type digest [sha256.Size]byte

// Name implements [Source].
func (f *files) Name() string { return f.name }

// Reload implements [Source].
func (f *files) Reload() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	texts, sum, err := f.read()
	if err == nil && sum != f.current {
		err = f.apply(texts, f.current == digest{})
	}
	if err != nil {
		f.refused = sum
		return fmt.Errorf("%s: %w", f.name, err)
	}
	f.current = sum
	return nil
}

// look is Reload for who looks often. Files that belong together are not
// replaced at one moment: what cannot be used is an error when it is still so at
// the next look, and only once.
func (f *files) look() (changed bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	texts, sum, err := f.read()
	if sum == f.current || sum == f.refused {
		return false, nil
	}
	if err == nil {
		err = f.apply(texts, false)
	}
	switch {
	case err == nil:
		f.current = sum
		return true, nil
	case sum != f.doubt:
		f.doubt = sum
		return false, nil
	}
	f.refused = sum
	return false, fmt.Errorf("%s: %w", f.name, err)
}

// read gives the contents. The digest is of what is there, and if that is
// nothing, of the error.
func (f *files) read() (texts [][]byte, sum digest, err error) {
	hash := sha256.New()
	for _, path := range f.paths {
		text, readErr := readFile(path)
		if readErr != nil {
			err = errors.Join(err, readErr)
			text = []byte(readErr.Error())
		}
		_, _ = fmt.Fprintf(hash, "%d %t ", len(text), readErr == nil)
		_, _ = hash.Write(text)
		texts = append(texts, text)
	}
	return texts, digest(hash.Sum(nil)), err
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, maxFile)
	}
	return text, nil
}
