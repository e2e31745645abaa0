package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
)

// SignatureHeader carries the signature of a callback:
//
//	X-Tidegate-Signature: t=1767322445,v1=<hex>,v2=<hex>
//
// Each is an HMAC-SHA256 under the callback secret: v2 over
// "1767322445.POST.TARGET.BODY", where TARGET is the path and query of the
// request line byte for byte, and v1 over "1767322445.BODY". v1 is for receivers
// that do not know v2; the next version removes it.
const SignatureHeader = "X-Tidegate-Signature"

// Signed is the text that a signature covers.
type Signed struct {
	Method string
	Target string // path and query as in the request line
	Body   []byte
}

// Sign returns the value of SignatureHeader.
func Sign(key []byte, s Signed, now time.Time) string {
	t := strconv.FormatInt(now.Unix(), 10)
	return "t=" + t + ",v1=" + hex.EncodeToString(macV1(key, t, s.Body)) + ",v2=" + hex.EncodeToString(macV2(key, t, s))
}

func macV1(key []byte, stamp string, body []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(stamp + "."))
	h.Write(body)
	return h.Sum(nil)
}

func macV2(key []byte, stamp string, s Signed) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(stamp + "." + s.Method + "." + s.Target + "."))
	h.Write(s.Body)
	return h.Sum(nil)
}
