package web

import (
	"bytes"
	"html"
	"net/http"
	"strings"
)

// offered is a page without links that its reader may not follow: the text of such
// a link stays, a button goes. Figures and names are the same for every role, and
// nobody is sent to a page that refuses. The page is our own, so that a link is
// what the templates write: <a, attributes in double quotes, and no link in it.
func (r *request) offered(page []byte) []byte {
	if r.account.ID == "" {
		return page
	}
	var out bytes.Buffer
	for {
		at := bytes.Index(page, []byte("<a "))
		if at < 0 {
			break
		}
		end := bytes.IndexByte(page[at:], '>') + at
		stop := bytes.Index(page[end:], []byte("</a>")) + end
		if end < at || stop < end {
			break // no link of ours: left as it is
		}
		tag := string(page[at:end])
		if r.mayFollow(html.UnescapeString(attribute(tag, "href"))) {
			out.Write(page[:end])
			page = page[end:]
			continue
		}
		out.Write(page[:at])
		class := attribute(tag, "class")
		if !strings.HasPrefix(class, "btn") {
			out.WriteString("<span>")
			out.Write(page[end+1 : stop])
			out.WriteString("</span>")
		}
		page = page[stop+len("</a>"):]
	}
	out.Write(page)
	return out.Bytes()
}

func attribute(tag, name string) string {
	_, rest, ok := strings.Cut(tag, " "+name+`="`)
	if !ok {
		return ""
	}
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// mayFollow reports whether the actor's roles let it read where a link leads. What
// is no route of the table is not ours to judge.
func (r *request) mayFollow(href string) bool {
	path, _, _ := strings.Cut(href, "?")
	path, _, _ = strings.Cut(path, "#")
	if !strings.HasPrefix(path, "/") {
		return true
	}
	best := -1
	may := true
	for _, rt := range r.web.table {
		if rt.method != http.MethodGet || !matchesPath(rt.path, path) {
			continue
		}
		if named := strings.Count(rt.path, ":"); best < 0 || named < best {
			best, may = named, rt.who != permitted || r.can(rt.object, rt.action)
		}
	}
	return may
}

// matchesPath reports whether a path is one of a route with parameters.
func matchesPath(route, path string) bool {
	for route != "" && path != "" {
		if route[0] != ':' {
			if route[0] != path[0] {
				return false
			}
			route, path = route[1:], path[1:]
			continue
		}
		if path[0] == '/' {
			return false
		}
		route = afterSegment(route)
		path = afterSegment(path)
	}
	return route == "" && path == ""
}

// afterSegment is what follows from the next slash on.
func afterSegment(s string) string {
	if i := strings.IndexByte(s, '/'); i >= 0 {
		return s[i:]
	}
	return ""
}
