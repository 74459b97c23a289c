package web

import (
	"maps"
	"strconv"
)

// pageSize is how many rows a list shows at once.
const pageSize = 50

// pager says which rows of a list a page shows, from 1, and where the others are.
type pager struct {
	From, To, All int
	Earlier       string // addresses of the pages beside this one; empty where there is none
	Later         string
}

// pageOf picks the page of a list of n rows that the address asks for (page=2), and
// gives the rows from first to before last. What is no page of the list is the first
// or the last one. Whatever else the address says stays in the addresses beside it.
func (r *request) pageOf(n int) (first, last int, p pager) {
	at, _ := strconv.Atoi(r.query("page")) // anything else is the first
	pages := max((n-1)/pageSize, 0) + 1
	at = min(max(at, 1), pages)
	first, last = (at-1)*pageSize, min(at*pageSize, n)
	href := func(page int) string {
		v := maps.Clone(r.c.QueryParams())
		v.Set("page", strconv.Itoa(page))
		return r.c.Request().URL.Path + "?" + v.Encode()
	}
	p = pager{From: first + 1, To: last, All: n}
	if at > 1 {
		p.Earlier = href(at - 1)
	}
	if at < pages {
		p.Later = href(at + 1)
	}
	return first, last, p
}

// Several reports that there is more than one page.
func (p pager) Several() bool { return p.Earlier != "" || p.Later != "" }
