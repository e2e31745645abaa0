package nats

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"tidegate/internal/selfsigned"
	"tidegate/internal/storage/natstest"
)

func TestHowToGetIn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, _ := pair.PublicKey()
	seed, _ := pair.Seed()
	seedFile := filepath.Join(dir, "seed.nk")
	if err := os.WriteFile(seedFile, seed, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		conf string
		key  Options
	}{
		"user":  {`authorization: {user: u, password: "pass"}`, Options{User: "u", Password: "pass"}},
		"token": {`authorization: {token: "open sesame"}`, Options{Token: "open sesame"}},
		"nkey":  {`authorization: {users: [{nkey: ` + public + `}]}`, Options{NKey: seedFile}},
	} {
		url := natstest.StartServer(t, c.conf)
		c.key.URLs, c.key.Needs = []string{url}, NeedLog
		openWith(t, c.key)
		// Without a key there is no use in waiting, and it is not waited.
		if err := refused(t, Options{URLs: []string{url}, ConnectWait: time.Hour}); !strings.Contains(strings.ToLower(err), "authorization violation") {
			t.Errorf("%s: error %s", name, err)
		}
	}
	if err := refused(t, Options{URLs: []string{"nats://127.0.0.1"}, NKey: filepath.Join(dir, "none")}); !strings.Contains(err, "nkey file") {
		t.Errorf("error %s", err)
	}
	if err := refused(t, Options{URLs: []string{natstest.StartServer(t)}, Credentials: filepath.Join(dir, "none"), ConnectWait: time.Hour}); !strings.Contains(err, "none") {
		t.Errorf("error %s", err)
	}
}

// TestHowToGetInWithCredentials has a server that trusts an operator, and knows
// nothing of users.
func TestHowToGetInWithCredentials(t *testing.T) {
	t.Parallel()
	must := func(key nkeys.KeyPair, err error) (nkeys.KeyPair, string) {
		if err != nil {
			t.Fatal(err)
		}
		public, err := key.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		return key, public
	}
	sign := func(claims jwt.Claims, key nkeys.KeyPair) string {
		text, err := claims.Encode(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	operator, operatorID := must(nkeys.CreateOperator())
	account, accountID := must(nkeys.CreateAccount())
	_, systemID := must(nkeys.CreateAccount())
	user, userID := must(nkeys.CreateUser())
	claims := jwt.NewAccountClaims(accountID)
	claims.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: 4 << 30, Streams: -1, Consumer: -1}
	url := natstest.StartServer(t, fmt.Sprintf("operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload: {%s: %s, %s: %s}",
		sign(jwt.NewOperatorClaims(operatorID), operator), systemID,
		accountID, sign(claims, operator), systemID, sign(jwt.NewAccountClaims(systemID), operator)))
	seed, _ := user.Seed()
	text, err := jwt.FormatUserConfig(sign(jwt.NewUserClaims(userID), account), seed)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "user.creds")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	openWith(t, Options{URLs: []string{url}, Credentials: file, Needs: NeedLog})
}

func TestTLSWithCertificatesOnBothSides(t *testing.T) {
	t.Parallel()
	files, err := selfsigned.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	url := natstest.StartServer(t, fmt.Sprintf("tls: {cert_file: %q, key_file: %q}", files.Cert, files.Key))
	openWith(t, Options{URLs: []string{url}, TLSCA: files.Cert, TLSCert: files.Cert, TLSKey: files.Key})
	if err := refused(t, Options{URLs: []string{url}, ConnectWait: time.Hour}); !strings.Contains(err, "certificate") {
		t.Errorf("error %s", err)
	}
	for name, opts := range map[string]Options{
		"no CA file":          {URLs: []string{url}, TLSCA: files.Cert + "x", ConnectWait: time.Hour},
		"no certificate file": {URLs: []string{url}, TLSCA: files.Cert, TLSCert: files.Cert + "x", TLSKey: files.Key, ConnectWait: time.Hour},
	} {
		if err := refused(t, opts); !strings.Contains(err, "cert.pemx") {
			t.Errorf("%s: error %s", name, err)
		}
	}
}
