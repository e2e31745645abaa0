// Package certs reads certificates from files, and reads them again when the files change. It refuses
// a certificate that cannot be used, and keeps the former one.
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
	// interval is the pause between two checks of the files.
	interval = 5 * time.Second
	// maxFile bounds a file, in bytes.
	maxFile = 1 << 20
)

// Source is one or more certificates that [Watch] reloads.
type Source interface {
	// Name is the setting of the file, for log lines and metrics.
	Name() string
	// Reload reads the files now. If they cannot be used, the former certificates stay in use.
	Reload() error
	// NotAfter is when the certificate expires; of several, the first expiry.
	NotAfter() time.Time

	check() (changed bool, err error)
}

// Watch checks the files every few seconds until ctx ends, and logs changes and errors. It calls
// failed, which may be nil, for each error.
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
			switch changed, err := s.check(); {
			case err != nil:
				log.Error("new certificate refused: the former one stays in use", "setting", s.Name(), "not_after", s.NotAfter(), "cause", err)
				if failed != nil {
					failed()
				}
			case changed:
				log.Info("certificate renewed", "setting", s.Name(), "not_after", s.NotAfter())
			}
		}
	}
}

// files are files whose contents belong together.
type files struct {
	name  string
	paths []string
	apply func(texts [][]byte, first bool) error // keeps nothing of texts

	mu      sync.Mutex
	current digest // guarded by mu, like all below: what is in use
	doubt   digest // that could not be used when it was seen first
	refused digest // that could not be used and was reported
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

// check is Reload for frequent use. Files that belong together are not replaced at the same moment,
// so it reports contents that cannot be used only at the second check, and only once.
func (f *files) check() (changed bool, err error) {
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

// read returns the contents and their digest; without contents, the digest of the error.
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
		return nil, fmt.Errorf("%s is larger than %d bytes: give a file with certificates only", path, maxFile)
	}
	return text, nil
}
