package web_test

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/html"

	"plumbline/web"
)

// crawl is what an administrator can reach by following links from the overview.
type crawl struct {
	pages map[string]answer // by path with query
	order []string
	from  map[string]string // which page led there first
}

// crawlLimit keeps a link that makes new links from walking on for ever: pages
// of lists with every filter are the most.
const crawlLimit = 1500

var crawled struct {
	once sync.Once
	c    *crawl
}

// seeds are where a crawl begins: the overview, and the control that the sample has
// people's evidence for, of which the limit on shapes may stop short.
var seeds = []string{"/", "/frameworks/eu-ai-act?control=26.2&system=SYS-001"}

// crawlConsole follows every link once for all tests.
func crawlConsole(t testing.TB) *crawl {
	t.Helper()
	c := sampleConsole(t)
	crawled.once.Do(func() {
		proposed(t, c)
		crawled.c = follow(t, c.admin, shapeLimit, seeds...)
	})
	if crawled.c == nil {
		t.Fatal("the crawl failed in another test")
	}
	return crawled.c
}

// proposed leaves a proposal of somebody else open at the second seed, for the sample has
// all of its own decided.
func proposed(t testing.TB, c *console) {
	t.Helper()
	owner := c.admin.join(t, "Ulla Brandt", "system_owner")
	a := owner.send(t, http.MethodPost, "/api/v1/applicability", `{"framework":"eu-ai-act","control":"26.2","system":"SYS-001","reason":"oversight is the recruiters' own duty"}`)
	if a.status != http.StatusCreated {
		t.Fatalf("propose: %d %s", a.status, a.body)
	}
}

// follow visits what links and GET forms lead to. Of lists that differ only in
// their query, a few of each shape are enough.
func follow(t testing.TB, r *reader, limit int, seeds ...string) *crawl {
	t.Helper()
	c := &crawl{pages: map[string]answer{}, from: map[string]string{}}
	for _, s := range seeds {
		c.from[s] = "the start"
	}
	shapes := map[string]int{}
	for queue := seeds; len(queue) > 0; {
		at := queue[0]
		queue = queue[1:]
		a := r.get(t, at)
		c.pages[at], c.order = a, append(c.order, at)
		if len(c.order) > crawlLimit {
			t.Fatalf("more than %d pages; the last is %s, from %s", crawlLimit, at, c.from[at])
		}
		if !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
			continue
		}
		for _, to := range linksOf(t, at, a.body) {
			if _, known := c.from[to]; known {
				continue
			}
			if s := shape(to); shapes[s] >= limit {
				continue
			} else {
				shapes[s]++
			}
			c.from[to] = at
			queue = append(queue, to)
		}
	}
	return c
}

// shapeLimit is how many pages of one shape are visited.
const shapeLimit = 6

var idPart = regexp.MustCompile(`/[^/]*[0-9][^/]*`)

// shape is a link without its ids and values.
func shape(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return link
	}
	var names []string
	for name := range u.Query() {
		names = append(names, name)
	}
	slices.Sort(names)
	return idPart.ReplaceAllString(u.Path, "/#") + "?" + strings.Join(names, "&")
}

// linksOf are the local links of a page, each as path with query.
func linksOf(t testing.TB, at, body string) (out []string) {
	t.Helper()
	base, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	for n := range document(t, body).Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if n.Data != "a" {
			continue
		}
		href, ok := attr(n, "href")
		if !ok {
			t.Errorf("%s: a link without an address", at)
			continue
		}
		u, err := base.Parse(href)
		if err != nil {
			t.Errorf("%s: link %q: %v", at, href, err)
			continue
		}
		if u.Host != "" || u.Scheme != "" {
			continue
		}
		u.Fragment, u.RawFragment = "", ""
		if to := u.RequestURI(); to != at {
			out = append(out, to)
		}
	}
	return out
}

func document(t testing.TB, body string) *html.Node {
	t.Helper()
	n, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func attr(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

// matches reports whether a path is one of a route, which is a path with
// parameters; exact parts win, as they do in the router.
func matches(route, path string) bool {
	r, p := strings.Split(route, "/"), strings.Split(path, "/")
	if len(r) != len(p) {
		return false
	}
	for i := range r {
		if !strings.HasPrefix(r[i], ":") && r[i] != p[i] || p[i] == "" && i > 0 && r[i] != "" {
			return false
		}
	}
	return true
}

// routeOf is the route that answers a path.
func routeOf(path string) (found web.Route, ok bool) {
	for _, rt := range web.Routes() {
		if rt.Method == http.MethodGet && matches(rt.Path, path) && (!ok || strings.Count(rt.Path, ":") < strings.Count(found.Path, ":")) {
			found, ok = rt, true
		}
	}
	return found, ok
}

// visit is a page to look at.
type visit struct {
	route web.Route
	path  string
	shot  string // name of its picture, when it is not the route's
}

// visits is one address for every page of the route table: the first link that
// leads to it. What no link leads to, since it depends on a state that nothing of
// the sample is in, has the parameters of a page beside it.
func visits(t testing.TB) (out []visit) {
	t.Helper()
	c := crawlConsole(t)
	found, others := map[string]string{}, map[string]bool{}
	for _, at := range c.order {
		u, err := url.Parse(at)
		if err != nil {
			t.Fatal(err)
		}
		a := c.pages[at]
		switch rt, ok := routeOf(u.EscapedPath()); {
		case !ok:
		case !isPage(a) || a.status != http.StatusOK:
			others[rt.Path] = true
		case found[rt.Path] == "":
			found[rt.Path] = at
		}
	}
	for _, rt := range web.Routes() {
		if rt.Method != http.MethodGet || strings.HasPrefix(rt.Path, "/api/") || notPages[rt.Path] {
			continue
		}
		path := found[rt.Path]
		if path == "" && others[rt.Path] {
			continue // a file, or it leads on to another page
		}
		if path == "" {
			path = beside(rt.Path, found)
		}
		if path == "" {
			t.Errorf("no link leads to %s, and to nothing beside it", rt.Path)
			continue
		}
		out = append(out, visit{route: rt, path: path})
	}
	return out
}

// notPages are routes that only a form leads to, which then lead on to a page, and
// those of the first run: TestFirstRunInTheBrowser looks at them.
var notPages = map[string]bool{"/frameworks/open": true, "/ledger/open": true, "/signin/link/:token": true, "/first-run": true}

func isPage(a answer) bool { return strings.HasPrefix(a.header.Get("Content-Type"), "text/html") }

// beside fills a route's parameters from a page that shares its beginning.
func beside(route string, found map[string]string) string {
	if !strings.Contains(route, ":") {
		return route
	}
	parts := strings.Split(route, "/")
	for _, known := range slices.Sorted(maps.Keys(found)) {
		at := found[known]
		other, path := strings.Split(known, "/"), strings.Split(strings.SplitN(at, "?", 2)[0], "/")
		filled := slices.Clone(parts)
		for i, p := range parts {
			if i >= len(other) || other[i] != p {
				break
			}
			filled[i] = path[i]
		}
		if made := strings.Join(filled, "/"); !strings.Contains(made, "/:") {
			return made
		}
	}
	return ""
}
