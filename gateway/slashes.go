package gateway

import (
	"net/http"
	"net/url"
	"strings"
)

// Joined gives the request that a client means whose base URL ends in a slash and who
// joins it with a path that begins with one: net/http would redirect it, and clients lose
// the key or the body on the way. An escaped slash is part of a name and stays. nil: the
// path has no slashes in a row, or is none of the gateway's.
func Joined(r *http.Request) *http.Request {
	if !strings.Contains(r.URL.Path, "//") { // nearly every one
		return nil
	}
	escaped := r.URL.EscapedPath()
	path := joined(escaped)
	plain, err := url.PathUnescape(path)
	if err != nil || path == escaped {
		return nil
	}
	q, u := *r, *r.URL
	u.Path, u.RawPath, q.URL = plain, path, &u
	for _, prefix := range Prefixes() {
		if strings.HasPrefix(plain, prefix) {
			return &q
		}
	}
	if Misplaced(&q) {
		return &q
	}
	return nil
}

// joined is a path with one slash where there are several in a row.
func joined(path string) string {
	var b strings.Builder
	for i := range len(path) {
		if path[i] != '/' || i == 0 || path[i-1] != '/' {
			b.WriteByte(path[i])
		}
	}
	return b.String()
}
