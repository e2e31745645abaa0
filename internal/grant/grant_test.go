package grant_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"tidegate/internal/grant"
)

const (
	key      = "0123456789abcdef0123456789abcdef"
	otherKey = "fedcba9876543210fedcba9876543210"
)

var now = time.Unix(1_800_000_000, 0)

func keys(t testing.TB, settings ...string) *grant.Keys {
	t.Helper()
	k, err := grant.NewKeys(settings...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// made is a token of any header and claims, as other programs make it.
func made(header, claims, key string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

const header = `{"alg":"HS256","typ":"JWT"}`

func TestWhatIsSignedIsVerified(t *testing.T) {
	t.Parallel()
	k := keys(t, key)
	want := grant.Grant{Tasks: []string{"a", "b"}, Types: []string{"t"}, Topics: []string{"task:c"}, Subject: "me", Expires: now.Add(time.Hour)}
	token, err := k.Sign(want, now)
	if err != nil {
		t.Fatal(err)
	}
	got, err := k.Verify(token, now)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Verify: %v (-want +got)\n%s", err, diff)
	}
	for id, names := range map[string]bool{"a": true, "b": true, "c": true, "d": false, "": false, "task:c": false} {
		if got.Names(id) != names {
			t.Errorf("names %q: %v, want %v", id, got.Names(id), names)
		}
	}
	if !got.NamesType("t") || got.NamesType("") || got.NamesType("u") {
		t.Error("it names the wrong types")
	}
}

func TestTheLifetimeIsADayUnlessSaid(t *testing.T) {
	t.Parallel()
	k := keys(t, key)
	token, _ := k.Sign(grant.Grant{Tasks: []string{"a"}}, now)
	for after, want := range map[time.Duration]error{0: nil, 24*time.Hour - time.Second: nil, 24 * time.Hour: grant.ErrExpired, 1000 * time.Hour: grant.ErrExpired} {
		if _, err := k.Verify(token, now.Add(after)); !errors.Is(err, want) {
			t.Errorf("after %v: %v, want %v", after, err, want)
		}
	}
}

// TestOnlyHS256IsTaken: a token does not choose how it is checked.
func TestOnlyHS256IsTaken(t *testing.T) {
	t.Parallel()
	k := keys(t, key)
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := jwt.MapClaims{"tasks": []string{"a"}, "exp": now.Add(time.Hour).Unix()}
	tokens := map[string]string{}
	for name, method := range map[string]jwt.SigningMethod{"HS384": jwt.SigningMethodHS384, "HS512": jwt.SigningMethodHS512} {
		tokens[name], _ = jwt.NewWithClaims(method, c).SignedString([]byte(key))
	}
	tokens["RS256"], _ = jwt.NewWithClaims(jwt.SigningMethodRS256, c).SignedString(private)
	tokens["none"], _ = jwt.NewWithClaims(jwt.SigningMethodNone, c).SignedString(jwt.UnsafeAllowNoneSignatureType)
	claims := `{"tasks":["a"],"exp":1800003600}`
	for _, alg := range []string{"none", "None", "NONE", "nOnE", "", "hs256", "HS256 ", "HS512", "RS256", "ES256", "EdDSA"} {
		token := made(`{"alg":"`+alg+`","typ":"JWT"}`, claims, key)
		tokens["says "+alg] = token
		tokens["says "+alg+", without a sum"] = token[:strings.LastIndexByte(token, '.')+1]
	}
	tokens["no alg"] = made(`{"typ":"JWT"}`, claims, key)
	tokens["alg is a number"] = made(`{"alg":256}`, claims, key)
	for name, token := range tokens {
		if _, err := k.Verify(token, now); !errors.Is(err, grant.ErrInvalid) {
			t.Errorf("%s: %v, want %v", name, err, grant.ErrInvalid)
		}
	}
	if _, err := k.Verify(made(header, claims, key), now); err != nil {
		t.Errorf("a token that another program made: %v", err)
	}
}

func TestTokensThatAreNone(t *testing.T) {
	t.Parallel()
	k := keys(t, key)
	good := made(header, `{"tasks":["a"],"exp":1800003600}`, key)
	cut := strings.Split(good, ".")
	for name, c := range map[string]struct {
		token string
		want  error
	}{
		"nothing":                   {"", grant.ErrMissing},
		"a word":                    {"word", grant.ErrInvalid},
		"two parts":                 {cut[0] + "." + cut[1], grant.ErrInvalid},
		"four parts":                {good + "." + cut[2], grant.ErrInvalid},
		"no sum":                    {cut[0] + "." + cut[1] + ".", grant.ErrInvalid},
		"half a sum":                {good[:len(good)-10], grant.ErrInvalid},
		"another sum":               {good[:len(good)-2] + "AA", grant.ErrInvalid},
		"padded":                    {good + "=", grant.ErrInvalid},
		"another key":               {made(header, `{"tasks":["a"],"exp":1800003600}`, otherKey), grant.ErrInvalid},
		"other claims":              {cut[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"tasks":["b"],"exp":1800003600}`)) + "." + cut[2], grant.ErrInvalid},
		"no end":                    {made(header, `{"tasks":["a"]}`, key), grant.ErrInvalid},
		"an end that is none":       {made(header, `{"tasks":["a"],"exp":"never"}`, key), grant.ErrInvalid},
		"an end beyond all":         {made(header, `{"tasks":["a"],"exp":1e300}`, key), nil},
		"an end far ahead":          {made(header, `{"tasks":["a"],"exp":99999999999}`, key), grant.ErrInvalid},
		"over":                      {made(header, `{"tasks":["a"],"exp":1799999999}`, key), grant.ErrExpired},
		"over, and of another key":  {made(header, `{"tasks":["a"],"exp":1799999999}`, otherKey), grant.ErrInvalid},
		"not yet":                   {made(header, `{"tasks":["a"],"exp":1800003600,"nbf":1800000100}`, key), grant.ErrInvalid},
		"made for something else":   {made(header, `{"sub":"me","exp":1800003600}`, key), grant.ErrInvalid},
		"one task, not in a list":   {made(header, `{"tasks":"a","exp":1800003600}`, key), grant.ErrInvalid},
		"what nobody knows, needed": {made(`{"alg":"HS256","crit":["b64"],"b64":false}`, `{"tasks":["a"],"exp":1800003600}`, key), grant.ErrInvalid},
		"long":                      {made(header, `{"tasks":["`+strings.Repeat("a", grant.MaxToken)+`"],"exp":1800003600}`, key), grant.ErrInvalid},
	} {
		_, err := k.Verify(c.token, now)
		if c.want == nil {
			if err == nil {
				t.Errorf("%s: it is taken", name)
			}
			continue
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestKeysCanBeExchanged(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(key + "\n")
	k := keys(t, "file:"+file)
	old, _ := k.Sign(grant.Grant{Tasks: []string{"a"}}, now)
	write(otherKey + "\n" + key + "\n")
	if err := k.Reload(); err != nil {
		t.Fatal(err)
	}
	fresh, _ := k.Sign(grant.Grant{Tasks: []string{"a"}}, now)
	for _, token := range []string{old, fresh} {
		if _, err := k.Verify(token, now); err != nil {
			t.Errorf("with both keys: %v", err)
		}
	}
	if _, err := keys(t, otherKey).Verify(fresh, now); err != nil {
		t.Errorf("what is signed is not signed with the first: %v", err)
	}
	write("too short\n")
	if err := k.Reload(); err == nil || strings.Contains(err.Error(), "too short") {
		t.Errorf("Reload of a bad file: %v", err)
	}
	write(otherKey + "\n")
	if err := k.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Verify(old, now); !errors.Is(err, grant.ErrInvalid) {
		t.Errorf("the key is gone and the token is taken: %v", err)
	}
	for _, bad := range []string{key[:31], "", "file:/nonexistent", strings.Repeat("ä", 40)} {
		if _, err := grant.NewKeys(bad); err == nil {
			t.Errorf("key %q is taken", bad)
		}
	}
	if _, err := grant.NewKeys(); err == nil {
		t.Error("no key is taken for one")
	}
}

func TestTheOwnKeyIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	setting, err := grant.LoadKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	token, _ := keys(t, setting).Sign(grant.Grant{Tasks: []string{"a"}}, now)
	again, err := grant.LoadKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys(t, again).Verify(token, now); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	entries, _ := os.ReadDir(dir)
	info, err := entries[0].Info()
	if len(entries) != 1 || err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the folder has %v with mode %v, want one file that only we read", entries, info.Mode())
	}
	if _, err := grant.LoadKey(filepath.Join(dir, "none")); err == nil {
		t.Error("a key is kept in a folder that is not there")
	}
}

func TestFromHeader(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"Bearer a.b.c": "a.b.c", "bearer  a.b.c ": "a.b.c", "Bearer secret": "", "Basic a.b.c": "", "": "", "Bearer": "", "Bearer a.b.c.d": "", "a.b.c": "",
	} {
		if got := grant.FromHeader(header); got != want {
			t.Errorf("FromHeader(%q) = %q, want %q", header, got, want)
		}
	}
}

// FuzzVerify: whatever a client sends, nothing is taken that was not signed.
func FuzzVerify(f *testing.F) {
	k := keys(f, key)
	good := made(header, `{"tasks":["a"],"exp":1800003600}`, key)
	f.Add(good)
	f.Add(made(`{"alg":"none"}`, `{"tasks":["a"],"exp":1800003600}`, key))
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := k.Verify(token, now); err == nil && token != good {
			t.Errorf("Verify takes %q", token)
		}
	})
}

// FuzzClaims: whatever is signed, a grant has an end within bounds and names something.
func FuzzClaims(f *testing.F) {
	k := keys(f, key)
	f.Add(`{"tasks":["a"],"exp":1800003600}`)
	f.Add(`{"types":[""],"exp":1e18,"nbf":-1}`)
	f.Add(`{"topics":[null],"exp":1800003600.5,"aud":[],"iat":9e99}`)
	f.Fuzz(func(t *testing.T, claims string) {
		g, err := k.Verify(made(header, claims, key), now)
		if err != nil {
			return
		}
		if !json.Valid([]byte(claims)) || !g.Expires.After(now) || g.Expires.After(now.AddDate(101, 0, 0)) || len(g.Tasks)+len(g.Types)+len(g.Topics) == 0 {
			t.Errorf("%s gives %+v", claims, g)
		}
	})
}
