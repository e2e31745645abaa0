package nats

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// tokenPath is where a folder keeps the token that clients need.
func (f *folder) tokenPath() string { return filepath.Join(f.dir, "nats-token") }

// token reads the folder's token, and makes one if there is none. So users who may read the
// folder may use the server in it, and no others. The folder is locked.
func (f *folder) token() (string, error) {
	text, err := os.ReadFile(f.tokenPath())
	if errors.Is(err, fs.ErrNotExist) {
		token := rand.Text()
		path := f.tokenPath()
		if err := writeSynced(path+".new", []byte(token+"\n")); err != nil {
			return "", fmt.Errorf("write a token: %w", err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			return "", fmt.Errorf("write a token: %w", err)
		}
		return token, syncFile(f.dir)
	}
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	if err := os.Chmod(f.tokenPath(), 0o600); err != nil {
		return "", fmt.Errorf("keep the token from others: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if len(token) < shortestToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("%s has to hold one word of %d visible ASCII characters or more: remove the file to have one made", f.tokenPath(), shortestToken)
	}
	return token, nil
}
