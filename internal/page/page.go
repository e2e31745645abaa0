// Package page is what a browser sees at / under serve: a page that starts a
// task and follows it. It is plain HTML, CSS and JavaScript, embedded in the
// program; nothing is built and nothing comes from elsewhere.
package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"time"
)

//go:embed static
var static embed.FS

// mediaTypes are those of the page's files, by the end of their names. The
// machine's own table of types may be missing or wrong.
var mediaTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// policy lets the page use its own files and its own server, and nothing else;
// no other page may frame it.
const policy = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"

// file is one file of the page, ready to be served.
type file struct {
	content   []byte
	mediaType string
	tag       string // entity tag, from the content
}

// Handler serves the page at / and its files beside it. It answers GET and HEAD;
// other paths are 404, in plain text. Browsers ask each time whether a file has
// changed, so that a page is never made of two releases.
// With login, the page has a button to log out.
func Handler(login bool) http.Handler {
	files := load(login)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setPolicy(w.Header())
		f, ok := files[r.URL.Path]
		switch {
		case !ok:
			http.Error(w, "404: there is no such page", http.StatusNotFound)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "405: use GET or HEAD", http.StatusMethodNotAllowed)
		default:
			w.Header().Set("Content-Type", f.mediaType)
			w.Header().Set("ETag", f.tag)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
		}
	})
}

func setPolicy(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache")
}

// load reads the embedded files, by the path that each is served at.
func load(login bool) map[string]file {
	entries, err := static.ReadDir("static")
	if err != nil {
		panic(err) // the name is a constant
	}
	files := make(map[string]file, len(entries)+1)
	for _, e := range entries {
		content, err := fs.ReadFile(static, path.Join("static", e.Name()))
		if err != nil {
			panic(err) // it was listed, and it is in memory
		}
		if e.Name() == loginForm {
			continue
		}
		if e.Name() == "index.html" && login {
			content = bytes.Replace(content, []byte("<!-- log out -->"), []byte(logOut), 1)
		}
		sum := sha256.Sum256(content)
		files["/"+e.Name()] = file{
			content:   content,
			mediaType: mediaTypes[path.Ext(e.Name())],
			tag:       `"` + hex.EncodeToString(sum[:16]) + `"`,
		}
	}
	files["/"] = files["/index.html"]
	return files
}
