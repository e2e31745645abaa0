package main

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// outside is a program of somebody else that uses all public packages. It has a handler
// with streams of its own, a service of tasks, and a client of a gateway.
const outside = `package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"HOME/client"
	"HOME/sse"
	"HOME/task"
	"HOME/task/checksum"
	"HOME/task/publish"
	_ "HOME/task/storetest"
	"HOME/task/taskhttp"
)

func main() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stream, err := sse.Accept(w, r, nil)
		if err != nil {
			log.Fatal(err)
		}
		if err := stream.Send(sse.Event{Name: "hello", Data: "from outside"}); err != nil {
			log.Fatal(err)
		}
	}))
	defer server.Close()
	for ev, err := range sse.NewClient(sse.ClientOptions{URL: server.URL, MaxReconnects: -1}).Events(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(ev.Name, ev.Data)
	}

	tide, err := client.New(client.Options{URL: server.URL})
	if err != nil {
		log.Fatal(err)
	}
	_, err = tide.Topic(context.Background(), "news") // this is no gateway
	fmt.Println(client.CodeOf(err) == "", err != nil)

	tasks, err := task.New(task.Options{Publisher: publish.New(publish.Options{Client: tide})})
	if err != nil {
		log.Fatal(err)
	}
	local, err := task.New(task.Options{}) // without a gateway
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("GET /tasks/{id}/events", taskhttp.Events(local, nil))
	_, err = checksum.New(checksum.Options{Roots: []string{"."}})
	fmt.Println(len(tasks.Types()), err)
}
`

const outsideSays = "hello from outside\ntrue true\n0 <nil>\n"

// program writes the program outside into a folder of its own.
func program(t *testing.T, home, goMod string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range map[string]string{"main.go": strings.ReplaceAll(outside, "HOME", home), "go.mod": goMod} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// runOutside runs the go command for a program outside. Nothing comes from the network:
// proxy is a file:// URL, or "off".
func runOutside(t *testing.T, dir, proxy, modules string, args ...string) string {
	t.Helper()
	c := exec.Command("go", args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "GOFLAGS=-mod=mod -modcacherw", "GOPROXY="+proxy, "GOSUMDB=off", "GONOSUMDB=*", "GOWORK=off", "GOTOOLCHAIN=local")
	if modules != "" {
		c.Env = append(c.Env, "GOMODCACHE="+modules)
	}
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s%s", strings.Join(args, " "), err, out, &stderr)
	}
	return string(out)
}

// onlyOurs fails for packages of other modules that the program has.
func onlyOurs(t *testing.T, packages, home string) {
	t.Helper()
	for path := range strings.FieldsSeq(packages) {
		first, _, _ := strings.Cut(path, "/")
		if strings.Contains(first, ".") && !strings.HasPrefix(path, home+"/") && path != "example.org/outside" {
			t.Errorf("the public packages need %s", path)
		}
	}
}

// TestAProgramOutsideBuildsFromACheckout, with the directive that the README shows.
func TestAProgramOutsideBuildsFromACheckout(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds a program")
	}
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := program(t, "tidegate", fmt.Sprintf("module example.org/outside\n\ngo 1.26.0\n\nrequire tidegate v0.0.0\n\nreplace tidegate => %s\n", root))
	if got := runOutside(t, dir, "off", "", "run", "."); got != outsideSays {
		t.Errorf("it says %q, want %q", got, outsideSays)
	}
	onlyOurs(t, runOutside(t, dir, "off", "", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "."), "tidegate")
}

// TestAProgramOutsideBuildsFromAProxy: the module is given a home, packed as a proxy
// has it, and downloaded from there.
func TestAProgramOutsideBuildsFromAProxy(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("packs and builds all")
	}
	const home, version = "example.org/me/tidegate", "v0.1.0"
	source := copyOfAll(t)
	if out, err := command(source, "go", "run", "./internal/tools/module", home); err != nil {
		t.Fatalf("give the module a home: %s", out)
	}
	proxy := t.TempDir()
	publishModule(t, source, proxy, home, version)
	from := "file://" + proxy // alone: the public packages need no other module
	modules := t.TempDir()
	dir := program(t, home, "module example.org/outside\n\ngo 1.26.0\n")
	runOutside(t, dir, from, modules, "get", home+"@"+version)
	if got := runOutside(t, dir, from, modules, "run", "."); got != outsideSays {
		t.Errorf("it says %q, want %q", got, outsideSays)
	}
	onlyOurs(t, runOutside(t, dir, from, modules, "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "."), home)
}

// publishModule writes a version of the module at source as a GOPROXY has it.
func publishModule(t *testing.T, source, proxy, path, version string) {
	t.Helper()
	goMod, err := os.ReadFile(filepath.Join(source, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(proxy, filepath.FromSlash(path), "@v")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	if err := packModule(&packed, source, path+"@"+version+"/"); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"list": []byte(version + "\n"), version + ".info": fmt.Appendf(nil, `{"Version":%q,"Time":"2026-01-02T03:04:05Z"}`, version),
		version + ".mod": goMod, version + ".zip": packed.Bytes(),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// packModule makes the zip of a module: all files below one prefix, apart from those of
// modules within it.
func packModule(w io.Writer, source, prefix string) error {
	archive := zip.NewWriter(w)
	err := filepath.WalkDir(source, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			_, nested := os.Stat(filepath.Join(path, "go.mod"))
			if entry.Name() == "node_modules" || path != source && nested == nil {
				return fs.SkipDir
			}
			return nil
		}
		name, err := filepath.Rel(source, path)
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		to, err := archive.Create(prefix + filepath.ToSlash(name))
		if err != nil {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = io.Copy(to, file)
		return err
	})
	if err != nil {
		return err
	}
	return archive.Close()
}
