package grant

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/golang-jwt/jwt/v5"

	"tidegate/internal/access"
)

// MinKey is the smallest number of bytes of a key: the size of an HMAC-SHA256.
const MinKey = 32

// Keys sign with the first key and verify with each, so that a key can be rotated. All methods may be
// called concurrently.
type Keys struct {
	settings []string // as given: a key, or file:PATH
	loaded   atomic.Pointer[[]jwt.VerificationKey]
}

// NewKeys reads keys as [access.NewSecrets] reads secrets. Each has 32 characters
// or more.
func NewKeys(settings ...string) (*Keys, error) {
	k := &Keys{settings: settings}
	return k, k.Reload()
}

// CheckKeys returns what is wrong with one setting.
func CheckKeys(setting string) error {
	_, err := readKeys(setting)
	return err
}

// Reload reads the files again. If a file is missing or wrong, all keys stay as they were.
func (k *Keys) Reload() error {
	var keys []jwt.VerificationKey
	for _, setting := range k.settings {
		read, err := readKeys(setting)
		if err != nil {
			return err
		}
		keys = append(keys, read...)
	}
	if len(keys) == 0 {
		return errors.New("there is no key for access tokens: give --access-secret")
	}
	k.loaded.Store(&keys)
	return nil
}

func readKeys(setting string) (keys []jwt.VerificationKey, err error) {
	texts, err := access.ReadSecrets(setting)
	if err != nil {
		return nil, err
	}
	for _, text := range texts {
		if len(text) < MinKey {
			return nil, fmt.Errorf("has a key that is shorter than %d characters; make one with: openssl rand -hex 32", MinKey)
		}
		keys = append(keys, []byte(text))
	}
	return keys, nil
}

func (k *Keys) all() jwt.VerificationKeySet { return jwt.VerificationKeySet{Keys: *k.loaded.Load()} }

func (k *Keys) first() []byte { return (*k.loaded.Load())[0].([]byte) }

// keyFile is the file with the server's own key.
const keyFile = "access.key"

// LoadKey returns the setting of the key in a folder, and makes the key if there is none. Only one
// process may use a folder at a time.
func LoadKey(folder string) (setting string, err error) {
	path := filepath.Join(folder, keyFile)
	if _, err := os.Stat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return access.FilePrefix + path, err
	}
	// Write it under another name first: a power failure must not leave half a key.
	f, err := os.CreateTemp(folder, keyFile+".*") // 0600
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(NewKey() + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return access.FilePrefix + path, nil
}

// NewKey makes a key.
func NewKey() string {
	var random [MinKey]byte
	_, _ = rand.Read(random[:]) // never fails
	return hex.EncodeToString(random[:])
}

// FromHeader returns the token of an Authorization header; "" if the header has something else.
func FromHeader(authorization string) string {
	scheme, token, ok := strings.Cut(authorization, " ")
	token = strings.TrimSpace(token)
	if !ok || !strings.EqualFold(scheme, "Bearer") || strings.Count(token, ".") != 2 {
		return ""
	}
	return token
}
