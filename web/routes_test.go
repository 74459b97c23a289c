package web

import (
	"slices"
	"strings"
	"testing"
)

// TestRoutesAreDeclared: the table is whole, and a route that says nothing of who
// may use it keeps the console from starting.
func TestRoutesAreDeclared(t *testing.T) {
	if err := checkRoutes(routes()); err != nil {
		t.Error(err)
	}
	handler := (*request).notFound
	for _, c := range []struct {
		name  string
		route route
		want  string // in the error
	}{
		{"no permission", route{get, "/new", "", "", permitted, handler}, "names no permission"},
		{"no action", route{get, "/new", "system", "", permitted, handler}, "names no permission"},
		{"a permission that is not asked for", route{get, "/new", "system", "read", public, handler}, "is not asked for"},
		{"no handler", route{get, "/new", "system", "read", permitted, nil}, "has no handler"},
		{"twice", route{get, "/systems", "system", "read", permitted, handler}, "twice"},
		{"a change by a link", route{"TRACE", "/new", "system", "read", permitted, handler}, "method"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := checkRoutes(append(slices.Clip(routes()), c.route))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error that says %q", err, c.want)
			}
		})
	}
}

// TestPublicPages: what answers without an account is known by name.
func TestPublicPages(t *testing.T) {
	var have []string
	for _, rt := range pageRoutes() {
		if rt.who == public {
			have = append(have, rt.method+" "+rt.path)
		}
	}
	want := []string{"GET /signin", "POST /signin", "GET /signin/link/:token", "POST /signin/link/:token", "GET /first-run", "POST /first-run"}
	if !slices.Equal(have, want) {
		t.Errorf("public pages are %q, want %q", have, want)
	}
}
