// Package page is the page at / of serve: it starts tasks and follows them. It is plain HTML, CSS and
// JavaScript, embedded in the program. There is no build step, and no file comes from another host.
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

// mediaTypes are the media types of the files by extension. The machine's own table may be missing or
// wrong.
var mediaTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// policy allows the page its own files and its own server only. No other page may frame it.
const policy = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"

// file is a file of the page.
type file struct {
	content   []byte
	mediaType string
	tag       string // entity tag, from the content
}

// Handler serves the page at / and its files. It answers GET and HEAD; other paths are 404, in plain
// text. Browsers revalidate each file, so a page never mixes two releases. With login, the page has a
// button to log out.
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

// load reads the embedded files. The key is the path of the URL.
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
