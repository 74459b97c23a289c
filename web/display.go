package web

import "net/http"

// The cookies of how somebody wants pages drawn. They say nothing of the account;
// the script reads the theme, so that nothing flashes.
const (
	cookieTheme = "theme"
	cookieKeys  = "keys"
	displayLife = 365 * 24 * 3600
)

// display is the theme that was chosen, empty for that of the system, and whether
// single-letter shortcuts are off.
func (r *request) display() (theme string, keysOff bool) {
	if c, err := r.c.Cookie(cookieTheme); err == nil && (c.Value == "light" || c.Value == "dark") {
		theme = c.Value
	}
	c, err := r.c.Cookie(cookieKeys)
	return theme, err == nil && c.Value == "off"
}

// setDisplay keeps what of the display a form chose.
func (r *request) setDisplay() error {
	for name, values := range map[string][]string{cookieTheme: {"auto", "light", "dark"}, cookieKeys: {"on", "off"}} {
		for _, v := range values {
			if r.value(name) == v {
				r.c.SetCookie(&http.Cookie{Name: name, Value: v, Path: "/", MaxAge: displayLife, SameSite: http.SameSiteLaxMode, Secure: r.web.public.Scheme == "https"})
			}
		}
	}
	return r.redirect(local(r.value("next"), "/account"))
}

// displayForm asks for both.
func (r *request) displayForm() *form {
	theme, keysOff := r.display()
	f := &form{Title: "Display", Action: "/account/display", Submit: "Keep", Fields: []field{
		{Name: cookieTheme, Label: "Theme", Kind: "radios", Value: theme, Options: []option{{"auto", "As the system", ""}, {"light", "Light", ""}, {"dark", "Dark", ""}}},
		{Name: cookieKeys, Label: "Single-letter shortcuts", Kind: "radios", Value: "on", Options: []option{{"on", "On", "j and k walk through rows, / searches, ? lists them all"}, {"off", "Off", "for those who speak to their computer"}}},
	}}
	if theme == "" {
		f.Fields[0].Value = "auto"
	}
	if keysOff {
		f.Fields[1].Value = "off"
	}
	return f
}

// command is an entry of the palette beside the pages of the side.
type command struct{ Title, Kind, Href string }

// Commands is for the palette: AI systems, frameworks, and what may be begun.
func (v *view) Commands() (out []command) {
	r := v.Request
	if v.Can("system", "read") {
		for _, s := range r.state.Systems {
			out = append(out, command{s.Name + " " + string(s.ID), "AI system", "/systems/" + string(s.ID)})
		}
	}
	if v.Can("assessment", "read") && r.web.d.Catalog != nil {
		for _, f := range r.web.d.Catalog.Frameworks {
			out = append(out, command{f.Title, "Framework", "/frameworks/" + f.ID})
		}
	}
	for _, a := range []struct{ object, action, title, href string }{
		{"system", "write", "Register an AI system", "/systems/new"},
		{"key", "write", "Make a key", "/keys/new"},
		{"budget", "write", "New budget", "/budgets/new"},
		{"document", "issue", "Issue a document", "/documents/new"},
		{"account", "write", "Add a person", "/people/new"},
	} {
		if v.Can(a.object, a.action) {
			out = append(out, command{a.title, "Action", a.href})
		}
	}
	return append(out, command{"Your account", "Page", "/account"})
}
