package wire

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
//	X-Tidegate-Signature: t=1767322445,v1=<hex of HMAC-SHA256(key, "1767322445." + body)>
const SignatureHeader = "X-Tidegate-Signature"

// SignatureTolerance is how far the time of a signature may be from now, either
// way, before Verify calls it stale.
const SignatureTolerance = 5 * time.Minute

// What Verify returns. They are for the log: a caller is told no more than 401.
var (
	ErrSignatureForm  = errors.New("wire: signature is not t=…,v1=…")
	ErrSignatureStale = errors.New("wire: signature is too old or from the future")
	ErrSignatureWrong = errors.New("wire: signature does not match")
)

// Sign makes the value of SignatureHeader for body.
func Sign(key, body []byte, now time.Time) string {
	t := strconv.FormatInt(now.Unix(), 10)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac(key, t, body))
}

// Verify checks a value of SignatureHeader against body. Unknown fields are
// ignored, so that a second scheme can be added beside v1.
func Verify(key, body []byte, header string, now time.Time) error {
	var stamp, sum string
	for field := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "t":
			stamp = value
		case "v1":
			sum = value
		}
	}
	secs, err := strconv.ParseInt(stamp, 10, 64)
	got, hexErr := hex.DecodeString(sum)
	if err != nil || hexErr != nil || len(got) == 0 {
		return ErrSignatureForm
	}
	if d := now.Sub(time.Unix(secs, 0)); d > SignatureTolerance || d < -SignatureTolerance {
		return ErrSignatureStale
	}
	if !hmac.Equal(got, mac(key, stamp, body)) {
		return ErrSignatureWrong
	}
	return nil
}

func mac(key []byte, stamp string, body []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(stamp))
	h.Write([]byte{'.'})
	h.Write(body)
	return h.Sum(nil)
}
