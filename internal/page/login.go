package page

import (
	"html/template"
	"net/http"
	"path"
)

const (
	// loginForm is served by [Login] only.
	loginForm = "login.html"
	// logOut is the button of a page that has a login.
	logOut = `<form method="post" action="/logout"><button type="submit" class="quiet">Log out</button></form>`
)

var loginTemplate = template.Must(template.ParseFS(static, "static/"+loginForm))

// Login shows the form that asks for the token, and the problem of the last attempt.
func Login(w http.ResponseWriter, status int, problem string) {
	setPolicy(w.Header())
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", mediaTypes[".html"])
	w.WriteHeader(status)
	_ = loginTemplate.Execute(w, struct{ Problem string }{problem}) // an error means that the client has left
}

// IsLook reports whether a path is a style sheet or an image, which the login form needs too.
func IsLook(name string) bool {
	switch path.Ext(name) {
	case ".css", ".svg":
		return true
	}
	return false
}
