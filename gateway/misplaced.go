package gateway

import (
	"net/http"
	"strings"
)

// misplaced finds the call that a path is meant for whose base URL is not quite one of
// ours: /v1 left out or there twice, Anthropic's call below OpenAI's base, a slash at the
// end. meant is where it is found, {model} or {id} in place of the caller's words; found
// is "" where nothing fits.
func misplaced(method, path string) (meant string, of *api) {
	path = strings.TrimSuffix(path, "/")
	longest, shared := 0, 0
	for _, b := range bases {
		for _, c := range b.calls {
			if c.to.method != method || !endsAs(path, c.path) {
				continue
			}
			if n, m := len(c.path), common(path, b.prefix); n > longest || n == longest && m > shared {
				longest, shared = n, m
				meant, of = b.prefix+c.path, c.to.api
				if strings.Contains(c.path, "*") {
					name := "{model}"
					if serve(c.to).ofKept {
						name = "{id}"
					}
					meant = strings.Replace(meant, "*", name, 1)
				}
			}
		}
	}
	return meant, of
}

// endsAs reports whether the end of a path is a call's.
func endsAs(path, call string) bool {
	before, after, named := strings.Cut(call, "*")
	if !named {
		return strings.HasSuffix(path, call)
	}
	at := strings.Index(path, before)
	return at >= 0 && len(path) > at+len(before)+len(after) && strings.HasSuffix(path, after)
}

// common is how many segments two paths share at their beginning.
func common(a, b string) (n int) {
	as, bs := strings.Split(a, "/"), strings.Split(b, "/")
	for n < len(as) && n < len(bs) && as[n] == bs[n] {
		n++
	}
	return n
}

// Misplaced reports whether a request is below none of the base URLs, and yet for the
// gateway: a client whose base URL lacks its prefix posts a call to where pages would be.
func Misplaced(r *http.Request) bool {
	if r.Method != http.MethodPost {
		return false
	}
	path := r.URL.Path
	for _, version := range []string{"/v1beta", "/openai"} {
		path = strings.TrimPrefix(path, version)
	}
	for _, b := range bases {
		for _, c := range b.calls {
			before, after, named := strings.Cut(c.path, "*")
			if c.to.method == http.MethodPost && c.to.body && (path == c.path || named && len(path) > len(before)+len(after) && strings.HasPrefix(path, before) && strings.HasSuffix(path, after)) {
				return true
			}
		}
	}
	return false
}
