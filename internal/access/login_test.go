package access_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/access"
)

// loginRig is a page behind a login.
type loginRig struct {
	t       *testing.T
	login   *access.Login
	handler http.Handler
	cookie  string // as a browser keeps it
}

func newLoginRig(t *testing.T, tokens *access.Secrets) *loginRig {
	l := &access.Login{
		Tokens: tokens,
		Client: func(r *http.Request) string { return r.RemoteAddr },
		Form:   func(w http.ResponseWriter, status int, problem string) { http.Error(w, problem, status) },
	}
	guard := &access.Guard{}
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	callers := &access.Callers{Secrets: []*access.Secrets{tokens}, Login: l}
	return &loginRig{t: t, login: l, handler: guard.Protect(access.Route{Callers: callers, Unknown: l.Ask}, l.Renewing(page))}
}

// post sends the form from an address, and keeps the cookie.
func (r *loginRig) post(path, token, from string) int {
	r.t.Helper()
	q := httptest.NewRequest("POST", path, strings.NewReader(url.Values{"token": {token}}.Encode()))
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	q.RemoteAddr = from
	w := httptest.NewRecorder()
	r.login.ServeHTTP(w, q)
	r.keep(w)
	return w.Code
}

func (r *loginRig) get() int {
	r.t.Helper()
	q := httptest.NewRequest("GET", "http://localhost/", nil)
	q.Header.Set("Cookie", r.cookie)
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, q)
	r.keep(w)
	return w.Code
}

func (r *loginRig) keep(w *httptest.ResponseRecorder) {
	if set := w.Header().Get("Set-Cookie"); set != "" {
		r.cookie, _, _ = strings.Cut(set, ";")
	}
}

func TestX03ALoginEndsAndIsRenewedWhileItIsUsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tokens, err := access.NewSecrets(one, two)
		if err != nil {
			t.Fatal(err)
		}
		r := newLoginRig(t, tokens)
		if r.post("/login", two, "a") != 303 || r.get() != 200 {
			t.Fatal("the right token does not log in")
		}
		first := r.cookie
		time.Sleep(11 * time.Hour)
		if r.get() != 200 || r.cookie != first {
			t.Error("the login was renewed in its first half")
		}
		time.Sleep(2 * time.Hour)
		if r.get() != 200 || r.cookie == first {
			t.Error("the login was not renewed in its second half")
		}
		second := r.cookie
		time.Sleep(12 * time.Hour)
		if r.cookie = first; r.get() != 401 {
			t.Error("the first cookie is good for longer than a day")
		}
		if r.cookie = second; r.get() != 200 {
			t.Error("the second cookie is not good for a day")
		}
	})
}

func TestX03ForgedCookiesAreRefused(t *testing.T) {
	t.Parallel()
	tokens, err := access.NewSecrets(one)
	if err != nil {
		t.Fatal(err)
	}
	r := newLoginRig(t, tokens)
	r.post("/login", one, "a")
	expiry, code, _ := strings.Cut(strings.TrimPrefix(r.cookie, access.CookieName+"="), ".")
	for _, value := range []string{"", ".", expiry, expiry + ".", "." + code, expiry + "0." + code, "9" + expiry + "." + code, "+" + expiry + "." + code, " " + expiry + "." + code,
		expiry + "." + code[1:], expiry + "." + code + "A", "99999999999999999999." + code, "-1." + code, one} {
		if r.cookie = access.CookieName + "=" + value; r.get() != 401 {
			t.Errorf("the cookie %q is taken", value)
		}
	}
	if r.cookie = access.CookieName + "=x; " + access.CookieName + "=" + expiry + "." + code; r.get() != 200 {
		t.Error("another cookie of the same name takes the login away")
	}
	others, err := access.NewSecrets(two)
	if err != nil {
		t.Fatal(err)
	}
	other := newLoginRig(t, others)
	if other.cookie = r.cookie; other.get() != 401 {
		t.Error("the cookie is good where the token is not")
	}
}

func TestX03WrongTokensAreCountedByAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tokens, err := access.NewSecrets(one)
		if err != nil {
			t.Fatal(err)
		}
		r := newLoginRig(t, tokens)
		for range 10 {
			if got := r.post("/login", "wrong", "a"); got != 401 {
				t.Fatalf("a wrong token: %d, want 401", got)
			}
		}
		for _, token := range []string{"wrong", one} {
			if got := r.post("/login", token, "a"); got != 429 {
				t.Errorf("%s after ten wrong ones: %d, want 429", token, got)
			}
		}
		if got := r.post("/login", one, "b"); got != 303 {
			t.Errorf("another address: %d, want 303", got)
		}
		time.Sleep(time.Minute)
		if got := r.post("/login", one, "a"); got != 303 {
			t.Errorf("a minute later: %d, want 303", got)
		}
	})
}

// FuzzLoginCookie holds that no cookie logs in that was not given.
func FuzzLoginCookie(f *testing.F) {
	for _, cookie := range []string{"", "tidegate_login=", "tidegate_login=9999999999.x", "tidegate_login=\"1.2\"", "tidegate_login=1.2; tidegate_login=3.4", "a=b;;tidegate_login=.", "tidegate_login=1.2.3"} {
		f.Add(cookie)
	}
	tokens, err := access.NewSecrets(one)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, cookie string) {
		r := newLoginRig(t, tokens)
		if r.cookie = cookie; r.get() != http.StatusUnauthorized {
			t.Errorf("the cookie %q logs in", cookie)
		}
	})
}
