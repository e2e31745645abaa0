// Package grant makes and verifies access tokens: the right to read tasks, which a server or a
// backend gives to a browser. A token is a JSON Web Token (RFC 7519) with HS256; no other algorithm
// is accepted.
//
// [Keys] signs and verifies. [LoadKey] keeps the server's own key in its data folder.
package grant

import (
	"errors"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// Lifetime is the default lifetime of a token.
	Lifetime = 24 * time.Hour
	// MaxToken bounds a token, in bytes.
	MaxToken = 8 << 10
	// longest bounds the lifetime of a token.
	longest = 100 * 365 * 24 * time.Hour
)

// Grant is what a token lets its bearer read.
type Grant struct {
	Tasks   []string // ids
	Types   []string // kinds of task, all tasks of which may be read
	Topics  []string // such as task:6f1c
	Subject string   // whom the token is for; grants nothing
	Expires time.Time
}

// Names reports whether the grant names a task by its id.
func (g *Grant) Names(task string) bool {
	return slices.Contains(g.Tasks, task) || slices.Contains(g.Topics, "task:"+task)
}

// NamesType reports whether the grant names all tasks of a kind.
func (g *Grant) NamesType(kind string) bool { return slices.Contains(g.Types, kind) }

// The errors of Verify. They reveal nothing that the bearer of a token may not know.
var (
	ErrMissing = errors.New("no access token is given")
	ErrInvalid = errors.New("the access token is not valid here")
	ErrExpired = errors.New("the access token has expired")
)

// claims is a grant as the token encodes it.
type claims struct {
	Tasks  []string `json:"tasks,omitempty"`
	Types  []string `json:"types,omitempty"`
	Topics []string `json:"topics,omitempty"`
	jwt.RegisteredClaims
}

// Sign makes a token. A grant without an expiry gets [Lifetime].
func (k *Keys) Sign(g Grant, now time.Time) (string, error) {
	if g.Expires.IsZero() {
		g.Expires = now.Add(Lifetime)
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		Tasks: g.Tasks, Types: g.Types, Topics: g.Topics,
		RegisteredClaims: jwt.RegisteredClaims{Issuer: "tidegate", Subject: g.Subject, ExpiresAt: jwt.NewNumericDate(g.Expires), IssuedAt: jwt.NewNumericDate(now)},
	}).SignedString(k.first())
}

// Verify reads a token. It accepts HS256 only, whatever algorithm the token names. The token must
// have an expiry and name something to read: a token made for another purpose with the same key is
// invalid. It returns [ErrMissing], [ErrInvalid] or [ErrExpired].
func (k *Keys) Verify(token string, now time.Time) (Grant, error) {
	switch {
	case token == "":
		return Grant{}, ErrMissing
	case len(token) > MaxToken:
		return Grant{}, ErrInvalid
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithExpirationRequired(), jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(func() time.Time { return now }))
	var c claims
	_, err := parser.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) {
		if _, critical := t.Header["crit"]; critical { // RFC 7515 section 4.1.11: we support no extension
			return nil, ErrInvalid
		}
		return k.all(), nil
	})
	switch {
	case errors.Is(err, jwt.ErrTokenExpired) && !errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return Grant{}, ErrExpired
	case err != nil:
		return Grant{}, ErrInvalid
	case len(c.Tasks)+len(c.Types)+len(c.Topics) == 0, c.ExpiresAt.After(now.Add(longest)):
		return Grant{}, ErrInvalid
	}
	return Grant{Tasks: c.Tasks, Types: c.Types, Topics: c.Topics, Subject: c.Subject, Expires: c.ExpiresAt.Time}, nil
}
