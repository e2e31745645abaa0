package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tidegate/internal/grant"
	"tidegate/sse"
)

const (
	apiToken     = "api-token-0123456789"
	accessSecret = "0123456789abcdef0123456789abcdef"
)

// authorized does a request with an Authorization header.
func authorized(t *testing.T, method, url, body, authorization string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	res, err := client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") { // it may have no end
		_ = res.Body.Close()
		return answer{res.StatusCode, res.Header, ""}
	}
	return read(t, res)
}

// startTask starts a task that runs for long, and gives its id and its access token.
func startTask(t *testing.T, api string) (id, access string) {
	t.Helper()
	got := authorized(t, "POST", api+"/api/tasks", `{"type":"demo_task","params":{"delay":600}}`, "Bearer "+apiToken)
	var started struct {
		ID     string `json:"task_id"`
		Access string `json:"access"`
	}
	if err := json.Unmarshal([]byte(got.body), &started); err != nil || got.status != 202 || started.Access == "" {
		t.Fatalf("start: %d %s", got.status, got.body)
	}
	return started.ID, started.Access
}

// pair is a backend with a gateway in front of its streams.
func pair(t *testing.T, args ...string) (streams, api string, all []*program) {
	t.Helper()
	const secret = "callback-secret-0123"
	gatewayAt, backendAt := unused(t), unused(t)
	g := start(t, "gateway", "--callback-url", "http://"+backendAt+"/api/sse/callback", "--callback-secret", secret, "--internal-listen", gatewayAt)
	b := start(t, "backend", append([]string{"--listen", backendAt, "--gateway-url", "http://" + gatewayAt, "--callback-secret", secret}, args...)...)
	return g.Public, b.Public, []*program{g, b}
}

// deployments are the two that have tasks.
func deployments(t *testing.T, run func(t *testing.T, streams, api string, all []*program), args ...string) {
	t.Run("serve", func(t *testing.T) {
		t.Parallel()
		p := start(t, "serve", args...)
		run(t, p.Public, p.Public, []*program{p})
	})
	t.Run("gateway and backend", func(t *testing.T) {
		t.Parallel()
		streams, api, all := pair(t, args...)
		run(t, streams, api, all)
	})
}

func TestTasksAreReadByWhoMayRead(t *testing.T) {
	t.Parallel()
	deployments(t, func(t *testing.T, streams, api string, all []*program) {
		mine, access := startTask(t, api)
		other, _ := startTask(t, api)
		for _, c := range []struct {
			name, task, access string
			status, stream     int
		}{
			{"nobody", mine, "", 401, 401}, {"by its start", mine, access, 200, 200}, {"by another's", other, access, 403, 403},
			{"by what is none", mine, "a.b.c", 401, 401}, {"by the API token", mine, apiToken, 200, 200}, {"by a wrong API token", mine, "api-token-9876543210", 401, 401},
		} {
			authorization := ""
			if c.access != "" {
				authorization = "Bearer " + c.access
			}
			for _, path := range []string{"/api/tasks/" + c.task, "/api/tasks/" + c.task + "/status"} {
				if got := authorized(t, "GET", api+path, "", authorization); got.status != c.status {
					t.Errorf("%s: %s: %d %s, want %d", c.name, path, got.status, got.body, c.status)
				}
			}
			target := "/api/sse/tasks?task_id=" + c.task
			if got := authorized(t, "GET", streams+target, "", authorization); got.status != c.stream {
				t.Errorf("%s: stream: %d %s, want %d", c.name, got.status, got.body, c.stream)
			}
			if c.access == apiToken {
				continue // is for the header
			}
			if got := authorized(t, "GET", streams+target+"&access="+c.access, "", ""); got.status != c.stream {
				t.Errorf("%s: stream by the query: %d %s, want %d", c.name, got.status, got.body, c.stream)
			}
			if got := authorized(t, "GET", api+"/api/tasks/"+c.task+"?access="+c.access, "", ""); got.status != c.status {
				t.Errorf("%s: status by the query: %d %s, want %d", c.name, got.status, got.body, c.status)
			}
		}
		for authorization, want := range map[string]int{"": 401, "Bearer " + access: 401, "Bearer " + apiToken: 200} {
			if got := authorized(t, "GET", api+"/api/tasks", "", authorization); got.status != want {
				t.Errorf("listing with %q: %d %s, want %d", authorization, got.status, got.body, want)
			}
		}
		for _, path := range []string{"/api/tasks/" + mine + "/cancel", "/api/tasks"} { // it reads, and nothing else
			if got := authorized(t, "POST", api+path+"?access="+access, "{}", "Bearer "+access); got.status != 401 {
				t.Errorf("POST %s with an access token: %d %s, want 401", path, got.status, got.body)
			}
		}
		for _, p := range all {
			if log := p.log.String(); strings.Contains(log, access) {
				t.Errorf("the log has the access token:\n%s", log)
			}
		}
	}, "--task-access", "token", "--api-token", apiToken)
}

func TestAStreamEndsWhenItsAccessDoes(t *testing.T) {
	t.Parallel()
	deployments(t, func(t *testing.T, streams, api string, _ []*program) {
		id, _ := startTask(t, api)
		keys, err := grant.NewKeys(accessSecret)
		if err != nil {
			t.Fatal(err)
		}
		access, _ := keys.Sign(grant.Grant{Tasks: []string{id}, Expires: time.Now().Add(3 * time.Second)}, time.Now())
		url := streams + "/api/sse/tasks?task_id=" + id + "&access=" + access
		res := openStream(t, url)
		var last sse.Event
		for event, err := range sse.NewDecoder(res.Body, sse.DecoderOptions{}).Events() {
			if err != nil {
				t.Fatal(err)
			}
			last = event
		}
		if last.Name != "connection_close" || last.Data != `{"reason":"access_expired"}` {
			t.Errorf("the last event is %+v", last)
		}
		if got := authorized(t, "GET", url, "", ""); got.status != 401 {
			t.Errorf("on return: %d %s, want 401", got.status, got.body)
		}
	}, "--task-access", "token", "--api-token", apiToken, "--access-secret", accessSecret)
}

func TestTheKeyOfAccessTokensIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := []string{"--data", dir, "--task-access", "token", "--api-token", apiToken}
	p := start(t, "serve", args...)
	id, access := startTask(t, p.Public)
	authorized(t, "GET", p.Public+"/api/sse/tasks?task_id="+id+"&access="+access, "", "Bearer "+access)
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "access.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v %v, want a file that only its owner reads", info, err)
	}
	if files := holding(t, dir, access); files != nil {
		t.Errorf("the access token lies in %v", files)
	}
	p = start(t, "serve", args...)
	if got := authorized(t, "GET", p.Public+"/api/tasks/"+id, "", "Bearer "+access); got.status != 200 && got.status != 404 {
		t.Errorf("after a restart: %d %s", got.status, got.body)
	}
}

// TestAccessIsRequiredWhereOthersReachTheServer, unless everybody may.
func TestAccessIsRequiredWhereOthersReachTheServer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		want int
	}{
		"loopback":           {[]string{"--listen", "127.0.0.1:0"}, 200},
		"loopback, token":    {[]string{"--listen", "127.0.0.1:0", "--task-access", "token"}, 401},
		"off loopback":       {[]string{"--listen", "0.0.0.0:0", "--api-token", apiToken}, 401},
		"off loopback, open": {[]string{"--listen", "0.0.0.0:0", "--api-open"}, 200},
	} {
		p := start(t, "serve", append(c.args, "--task-types", "demo_task")...)
		id, access := startTask(t, p.Public)
		for authorization, want := range map[string]int{"": c.want, "Bearer " + access: 200} {
			if got := authorized(t, "GET", p.Public+"/api/tasks/"+id, "", authorization); got.status != want {
				t.Errorf("%s: status with %q: %d %s, want %d", name, authorization, got.status, got.body, want)
			}
			if got := authorized(t, "GET", p.Public+"/api/sse/tasks?task_id="+id, "", authorization); got.status != want {
				t.Errorf("%s: stream with %q: %d %s, want %d", name, authorization, got.status, got.body, want)
			}
		}
	}
}

// TestTheLoginReadsEverything: the page's cookie, in a stream too.
func TestTheLoginReadsEverything(t *testing.T) {
	t.Parallel()
	p := start(t, "serve", "--task-access", "token", "--api-token", apiToken)
	id, _ := startTask(t, p.Public)
	c := client(t)
	res, err := c.PostForm(p.Public+"/login", map[string][]string{"token": {apiToken}})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	cookies := res.Cookies()
	if len(cookies) != 1 {
		t.Fatalf("login: %d %v", res.StatusCode, res.Header)
	}
	for _, path := range []string{"/api/tasks", "/api/tasks/" + id, "/api/sse/tasks?task_id=" + id} {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", p.Public+path, nil)
		r.AddCookie(cookies[0])
		res, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != 200 {
			t.Errorf("%s with the login: %d", path, res.StatusCode)
		}
	}
}

// TestCallbackSecretsAreExchangedWithoutAStop: the new one is added at the backend,
// then is the first at the gateway, then the old one goes.
func TestCallbackSecretsAreExchangedWithoutAStop(t *testing.T) {
	t.Parallel()
	const former, next = "former-secret-0123", "next-secret-0123456"
	dir := t.TempDir()
	save := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	save("gateway", former)
	save("backend", former)
	gatewayAt, backendAt := unused(t), unused(t)
	hangUp := map[string]chan os.Signal{"gateway": make(chan os.Signal), "backend": make(chan os.Signal)}
	g := startReloading(t, hangUp["gateway"], "gateway", "--callback-url", "http://"+backendAt+"/api/sse/callback", "--internal-listen", gatewayAt,
		"--callback-secret", "file:"+filepath.Join(dir, "gateway"))
	b := startReloading(t, hangUp["backend"], "backend", "--listen", backendAt, "--gateway-url", "http://"+gatewayAt, "--callback-secret", "file:"+filepath.Join(dir, "backend"))
	stream := func() int {
		return authorized(t, "GET", g.Public+"/api/sse/utils/version?request_id=r", "", "").status
	}
	takes := func(secret string) bool {
		return do(t, "POST", b.Public+"/api/sse/callback?secret="+secret, "{").status == 400
	}
	reload := func(name, text string) {
		save(name, text)
		hangUp[name] <- nil
	}
	if got := stream(); got != 200 {
		t.Fatalf("with the former secret: %d", got)
	}
	reload("backend", former+"\n"+next+"\n")
	eventually(t, "the backend takes the next secret", func() bool { return takes(next) })
	if got := stream(); got != 200 || !takes(former) {
		t.Errorf("with both at the backend: %d", got)
	}
	reload("gateway", next+"\n"+former+"\n")
	reload("backend", next+"\n")
	eventually(t, "the backend drops the former secret", func() bool { return !takes(former) })
	eventually(t, "the gateway signs with the next secret", func() bool { return stream() == 200 })
}

// TestAccessKeysAreExchangedWithoutAStop: tokens of the former key are good for as
// long as it is in the file.
func TestAccessKeysAreExchangedWithoutAStop(t *testing.T) {
	t.Parallel()
	const next = "fedcba9876543210fedcba9876543210"
	path := filepath.Join(t.TempDir(), "keys")
	save := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	save(accessSecret)
	hangUp := make(chan os.Signal)
	p := startReloading(t, hangUp, "serve", "--task-access", "token", "--api-token", apiToken, "--access-secret", "file:"+path)
	id, access := startTask(t, p.Public)
	read := func(token string) int {
		return authorized(t, "GET", p.Public+"/api/tasks/"+id, "", "Bearer "+token).status
	}
	keys, err := grant.NewKeys(next)
	if err != nil {
		t.Fatal(err)
	}
	fresh, _ := keys.Sign(grant.Grant{Tasks: []string{id}}, time.Now())
	if read(access) != 200 || read(fresh) != 401 {
		t.Errorf("at first: %d and %d, want 200 and 401", read(access), read(fresh))
	}
	save(next + "\n" + accessSecret + "\n")
	hangUp <- nil
	eventually(t, "the next key counts", func() bool { return read(fresh) == 200 })
	if read(access) != 200 {
		t.Error("the former key no longer counts")
	}
	save(next)
	hangUp <- nil
	eventually(t, "the former key is gone", func() bool { return read(access) == 401 })
}
