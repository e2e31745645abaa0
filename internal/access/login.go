package access

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// CookieName is the cookie of the page's login.
	CookieName = "tidegate_login"
	// loginLife is how long a login lasts. A page that is loaded in the second
	// half of it gets a new cookie.
	loginLife = 24 * time.Hour
)

// Login lets a person give a token once, in a form, and keeps a cookie in the
// browser from then on. The cookie is an expiry and a code that was made of it
// with the token as key: it says nothing of the token, is good at every node that
// has the same one, and no longer when the token is gone.
type Login struct {
	Tokens *Secrets
	// Secure says whether the client has come by TLS.
	Secure func(r *http.Request) bool
	// Client is the client's address, by which wrong tokens are counted.
	Client func(r *http.Request) string
	// Next is the path that a login leads to.
	Next string

	tries tries
}

func loginCode(token, expiry string) string {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte("tidegate login until " + expiry))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// known reports whether a request has a cookie that is still good.
func (l *Login) known(r *http.Request) bool { return !l.until(r).IsZero() }

// until is when the login of a request ends; zero without one.
func (l *Login) until(r *http.Request) time.Time {
	for _, c := range r.CookiesNamed(CookieName) {
		expiry, code, ok := strings.Cut(c.Value, ".")
		seconds, err := strconv.ParseInt(expiry, 10, 64)
		if !ok || err != nil {
			continue
		}
		end, now := time.Unix(seconds, 0), time.Now()
		if !end.After(now) || end.After(now.Add(loginLife+time.Minute)) {
			continue
		}
		good := false
		for _, token := range l.Tokens.All() {
			good = hmac.Equal([]byte(loginCode(token, expiry)), []byte(code)) || good
		}
		if good {
			return end
		}
	}
	return time.Time{}
}

// setCookie logs a browser in, with the token that it gave.
func (l *Login) setCookie(w http.ResponseWriter, r *http.Request, token string) {
	expiry := strconv.FormatInt(time.Now().Add(loginLife).Unix(), 10)
	c := l.cookie(r)
	c.Value, c.MaxAge = expiry+"."+loginCode(token, expiry), int(loginLife/time.Second)
	http.SetCookie(w, c)
}

func (l *Login) cookie(r *http.Request) *http.Cookie {
	return &http.Cookie{
		Name: CookieName, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: l.Secure != nil && l.Secure(r),
	}
}

// Renew gives a browser whose login ends before long a new one. It is called
// when the page is loaded.
func (l *Login) Renew(w http.ResponseWriter, r *http.Request) {
	if end := l.until(r); !end.IsZero() && time.Until(end) < loginLife/2 {
		l.setCookie(w, r, l.Tokens.First())
	}
}
