package page

import (
	"html/template"
	"net/http"
	"path"
)

const (
	// loginForm is no file of the page itself.
	loginForm = "login.html"
	// logOut is the button that the page has where there is a login.
	logOut = `<form method="post" action="/logout"><button type="submit" class="quiet">Log out</button></form>`
)

var loginTemplate = template.Must(template.ParseFS(static, "static/"+loginForm))

// Login shows the form that asks for the token, and what was wrong with the last
// one.
func Login(w http.ResponseWriter, status int, problem string) {
	setPolicy(w.Header())
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", mediaTypes[".html"])
	w.WriteHeader(status)
	_ = loginTemplate.Execute(w, struct{ Problem string }{problem}) // it means that the client has left
}

// IsLook reports whether a file says only how pages look.
func IsLook(name string) bool {
	switch path.Ext(name) {
	case ".css", ".svg":
		return true
	}
	return false
}
