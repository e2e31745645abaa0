package access

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tidegate/internal/wire"
)

const (
	// LoginPath shows the form with GET and logs in with POST. LogoutPath logs out with POST.
	LoginPath  = "/login"
	LogoutPath = "/logout"
	// CookieName is the cookie of the page's login.
	CookieName = "tidegate_login"
	// loginLife is how long a login lasts. A page load in the second half of it renews the cookie.
	loginLife = 24 * time.Hour

	// maxForm bounds the body of the form, formPatience the time for it.
	maxForm      = 64 << 10
	formPatience = 10 * time.Second
)

// Login lets a person give a token once, in a form, and then keeps a cookie in the browser. The
// cookie is an expiry and an HMAC of it with the token as key. So it does not reveal the token,
// works at every node that has the same token, and ends when the token is removed.
type Login struct {
	Tokens *Secrets
	// Secure reports whether the client uses TLS.
	Secure func(r *http.Request) bool
	// Client returns the client's address, under which wrong tokens are counted.
	Client func(r *http.Request) string
	// Form shows the form, with the problem of the last attempt.
	Form func(w http.ResponseWriter, status int, problem string)

	attempts attempts
}

// ServeHTTP answers at [LoginPath] and [LogoutPath].
func (l *Login) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	switch {
	case r.Method == http.MethodPost && r.URL.Path == LogoutPath:
		c := l.cookie(r)
		c.MaxAge = -1
		http.SetCookie(w, c)
		http.Redirect(w, r, LoginPath, http.StatusSeeOther)
	case r.Method == http.MethodPost:
		l.try(w, r)
	case r.URL.Path == LogoutPath || r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", http.MethodPost)
		wire.WriteError(w, wire.Errorf(http.StatusMethodNotAllowed, wire.CodeMethodNotAllowed, "Use POST"))
	case l.known(r):
		http.Redirect(w, r, "/", http.StatusSeeOther)
	default:
		l.Form(w, http.StatusOK, "")
	}
}

// try checks the token of a form.
func (l *Login) try(w http.ResponseWriter, r *http.Request) {
	address := l.Client(r)
	if wait := l.attempts.begin(address, time.Now()); wait > 0 {
		LeaveBody(w, r)
		w.Header().Set("Retry-After", wire.RetryAfter(wait))
		l.Form(w, http.StatusTooManyRequests, "Too many wrong tokens. Try again in a minute.")
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(formPatience))
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	token := strings.TrimSpace(r.PostFormValue("token"))
	if !l.Tokens.Match([]byte(token)) {
		l.Form(w, http.StatusUnauthorized, "This is not an API token of the server. It is the value of --api-token.")
		return
	}
	l.attempts.succeeded(address)
	l.setCookie(w, r, token)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// Ask redirects a browser to the form, and answers other clients with 401.
func (l *Login) Ask(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") {
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, LoginPath, http.StatusSeeOther)
		return
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="tidegate"`)
	wire.WriteError(w, wire.Errorf(http.StatusUnauthorized, wire.CodeUnauthorized, "Unauthorized: log in at "+LoginPath))
}

// Renewing gives a browser a new cookie with the page if its login ends soon.
func (l *Login) Renewing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if end := l.until(r); !end.IsZero() && time.Until(end) < loginLife/2 {
			l.setCookie(w, r, l.Tokens.First())
		}
		next.ServeHTTP(w, r)
	})
}

func loginCode(token, expiry string) string {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte("tidegate login until " + expiry))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// known reports whether a request has a valid cookie.
func (l *Login) known(r *http.Request) bool { return !l.until(r).IsZero() }

// until returns when the login of a request ends; zero without a login.
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
