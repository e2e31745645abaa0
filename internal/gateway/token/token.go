// Package token names streams.
package token

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

// Token names a stream: 128 random bits. As text it has 22 characters of base64url.
// If the gateway has peers, the name of its node follows, 8 characters.
type Token [16]byte

// New draws a token.
func New() (t Token) {
	_, _ = rand.Read(t[:]) // never fails
	return t
}

// String is the token's text, without the name of a node.
func (t Token) String() string { return base64.RawURLEncoding.EncodeToString(t[:]) }

// Append appends the text that String returns.
func (t Token) Append(dst []byte) []byte { return base64.RawURLEncoding.AppendEncode(dst, t[:]) }

// strict refuses a last character with bits that belong to no byte: one token would
// have several texts.
var strict = base64.RawURLEncoding.Strict()

// tokenChars and nodeChars are the lengths of the two parts of a token's text.
const (
	tokenChars = 22
	nodeChars  = 8
)

// Parse reads a token's text, with the name of its node or without: node is empty
// then.
func Parse(text string) (t Token, node string, ok bool) {
	if len(text) != tokenChars && len(text) != tokenChars+nodeChars {
		return t, "", false
	}
	text, node = text[:tokenChars], text[tokenChars:]
	var buf [tokenChars]byte
	n, err := strict.Decode(t[:], append(buf[:0], text...))
	return t, node, err == nil && n == len(t)
}

// Fingerprint stands for a token's text in logs: whoever reads them must not be able
// to send to the stream.
func Fingerprint(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:4])
}
