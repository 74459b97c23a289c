package web

// Route is a row of the route table as tests outside the package see it.
type Route struct {
	Method, Path   string
	Object, Action string
	Public         bool // without an account
	SignedIn       bool // with any account
}

// Routes is the whole route table.
func Routes() (out []Route) {
	for _, rt := range routes() {
		out = append(out, Route{rt.method, rt.path, rt.object, rt.action, rt.who == public, rt.who == signedIn})
	}
	return out
}

// Templates is what the table of templates holds, by name.
func (w *Web) Templates() []string { return sorted(w.templates) }
