package client

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"
)

// SignatureHeader carries the signature of a callback:
//
//	X-Tidegate-Signature: t=1767322445,v1=<hex>,v2=<hex>
//
// Each is an HMAC-SHA256 under the callback secret. That of v2 is over
// "1767322445.POST.TARGET.BODY": TARGET is the path and query of the request line, byte
// for byte. That of v1 is over "1767322445.BODY". It is for receivers that do not know v2,
// and ends with the next version.
const SignatureHeader = "X-Tidegate-Signature"

// SignatureTolerance is how far the time of a signature may be from now, either way,
// before it is stale.
const SignatureTolerance = 5 * time.Minute

// Errors of a signature. They are for the log: answer the caller with 401 and no reason.
var (
	ErrSignatureForm  = errors.New("client: signature is not t=…,v1=…,v2=…")
	ErrSignatureStale = errors.New("client: signature is too old or from the future")
	ErrSignatureWrong = errors.New("client: signature does not match")
)

// Signed is what a signature is made over.
type Signed struct {
	Method string
	Target string // path and query as in the request line
	Body   []byte
}

// Verify checks the signature of a callback, the value of [SignatureHeader], that was
// made with secret. It is for programs that do not use [ReadCallback]. The error is one
// of the three above.
func Verify(secret string, signed Signed, header string, now time.Time) error {
	s, err := ParseSignature(header, now)
	if err == nil && !s.Matches([]byte(secret), signed) {
		err = ErrSignatureWrong
	}
	return err
}

// Signature is a value of [SignatureHeader] whose time is right. Whether it matches is
// still open. To parse it before the body is read keeps callers without a secret from
// having their bodies read.
type Signature struct {
	stamp  string
	v1, v2 [][]byte
}

// maxSums bounds how many sums of a kind are looked at. A sender that exchanges its
// key may send two.
const maxSums = 4

// ParseSignature reads a value of [SignatureHeader]. It returns ErrSignatureForm or
// ErrSignatureStale for what is refused whatever was signed. Unknown fields are
// ignored, so that another scheme can be added.
func ParseSignature(header string, now time.Time) (Signature, error) {
	var s Signature
	for field := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		var err error
		switch name {
		case "t":
			if s.stamp != "" && s.stamp != value {
				return Signature{}, ErrSignatureForm
			}
			s.stamp = value
		case "v1":
			s.v1, err = appendSum(s.v1, value)
		case "v2":
			s.v2, err = appendSum(s.v2, value)
		}
		if err != nil {
			return Signature{}, err
		}
	}
	seconds, err := strconv.ParseInt(s.stamp, 10, 64)
	if err != nil || len(s.v1)+len(s.v2) == 0 {
		return Signature{}, ErrSignatureForm
	}
	if d := now.Sub(time.Unix(seconds, 0)); d > SignatureTolerance || d < -SignatureTolerance {
		return Signature{}, ErrSignatureStale
	}
	return s, nil
}

func appendSum(sums [][]byte, text string) ([][]byte, error) {
	sum, err := hex.DecodeString(text)
	if err != nil || len(sum) != sha256.Size || len(sums) == maxSums {
		return nil, ErrSignatureForm
	}
	return append(sums, sum), nil
}

// Matches reports whether the signature was made with key. Where there is a v2, it
// alone counts: a v1 does not say where the request was meant to go. The comparison
// takes the same time whatever is wrong.
func (s Signature) Matches(key []byte, signed Signed) bool {
	sums, parts := s.v2, []string{s.stamp, signed.Method, signed.Target}
	if len(s.v2) == 0 {
		sums, parts = s.v1, parts[:1]
	}
	h := hmac.New(sha256.New, key)
	for _, part := range parts {
		h.Write([]byte(part + "."))
	}
	h.Write(signed.Body)
	want, found := h.Sum(nil), false
	for _, sum := range sums {
		found = hmac.Equal(sum, want) || found
	}
	return found
}
