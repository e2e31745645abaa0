package gateway

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

// token names a stream: 128 random bits. It is told in base64url, 22 characters,
// and behind them the name of its node if the gateway has peers.
type token [16]byte

// newToken draws a token.
func newToken() (t token) {
	_, _ = rand.Read(t[:]) // never fails
	return t
}

func (t token) String() string { return base64.RawURLEncoding.EncodeToString(t[:]) }

func (t token) append(dst []byte) []byte { return base64.RawURLEncoding.AppendEncode(dst, t[:]) }

// strict refuses a last character with bits that belong to no byte: there would
// be more than one text for one token.
var strict = base64.RawURLEncoding.Strict()

// tokenChars and nodeChars are the lengths of the two parts of a token's text.
const (
	tokenChars = 22
	nodeChars  = 8
)

// parseToken reads a token as it was told: with the name of its node, or without.
func parseToken(text string) (t token, node string, ok bool) {
	if len(text) != tokenChars && len(text) != tokenChars+nodeChars {
		return t, "", false
	}
	text, node = text[:tokenChars], text[tokenChars:]
	var buf [tokenChars]byte
	n, err := strict.Decode(t[:], append(buf[:0], text...))
	return t, node, err == nil && n == len(t)
}

// fingerprint stands for a token in logs.
func fingerprint(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:4])
}
