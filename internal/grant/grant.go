// Package grant is the right to read tasks, as a token that a server or a
// backend makes and a browser shows: a JSON Web Token (RFC 7519) under HMAC-SHA256,
// and nothing else of what such tokens can be.
//
// [Keys] sign and verify; [LoadKey] keeps a key of the server's own in its folder.
package grant

import (
	"errors"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// Lifetime is how long a token is good that names no other time.
	Lifetime = 24 * time.Hour
	// MaxToken bounds a token, in bytes.
	MaxToken = 8 << 10
	// longest bounds how far ahead a token may end.
	longest = 100 * 365 * 24 * time.Hour
)

// Grant is what a token lets its bearer read.
type Grant struct {
	Tasks   []string // ids
	Types   []string // kinds of task, all tasks of which may be read
	Topics  []string // such as task:6f1c
	Subject string   // who it was made for
	Expires time.Time
}

// Names reports whether the grant names a task by its id.
func (g *Grant) Names(task string) bool {
	return slices.Contains(g.Tasks, task) || slices.Contains(g.Topics, "task:"+task)
}

// NamesType reports whether it names all tasks of a kind.
func (g *Grant) NamesType(kind string) bool { return slices.Contains(g.Types, kind) }

// What Verify returns. They say nothing that the bearer of a token may not know.
var (
	ErrMissing = errors.New("no access token is given")
	ErrInvalid = errors.New("the access token is not valid here")
	ErrExpired = errors.New("the access token has expired")
)

// claims are a grant as the token has it.
type claims struct {
	Tasks  []string `json:"tasks,omitempty"`
	Types  []string `json:"types,omitempty"`
	Topics []string `json:"topics,omitempty"`
	jwt.RegisteredClaims
}

// Sign makes a token. A grant without an end gets [Lifetime].
func (k *Keys) Sign(g Grant, now time.Time) (string, error) {
	if g.Expires.IsZero() {
		g.Expires = now.Add(Lifetime)
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		Tasks: g.Tasks, Types: g.Types, Topics: g.Topics,
		RegisteredClaims: jwt.RegisteredClaims{Issuer: "tidegate", Subject: g.Subject, ExpiresAt: jwt.NewNumericDate(g.Expires), IssuedAt: jwt.NewNumericDate(now)},
	}).SignedString(k.first())
}

// Verify reads a token. It takes HS256 alone, whatever the token says of itself,
// and asks for an end and for something that may be read: a token that was made
// for something else with the same key is none.
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
		if _, critical := t.Header["crit"]; critical { // RFC 7515 section 4.1.11: none is known here
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
