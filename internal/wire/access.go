package wire

import (
	"net/url"
	"strings"
)

// AccessParameter is the parameter of a URL's query that carries an access token,
// for clients that cannot send headers.
const AccessParameter = "access"

// Masked replaces a value that must not be shown.
const Masked = "***"

// MaskAccess returns a request target with the values of access tokens masked. The rest stays byte for
// byte.
func MaskAccess(target string) string {
	path, query, found := strings.Cut(target, "?")
	if !found {
		return target
	}
	pairs, masked := strings.Split(query, "&"), false
	for i, pair := range pairs {
		rawKey, value, _ := strings.Cut(pair, "=")
		if key, err := url.QueryUnescape(rawKey); err == nil && value != "" && strings.EqualFold(key, AccessParameter) {
			pairs[i], masked = rawKey+"="+Masked, true
		}
	}
	if !masked {
		return target
	}
	return path + "?" + strings.Join(pairs, "&")
}
