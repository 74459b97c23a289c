package web

import (
	"testing"

	"plumbline/app/authz"
)

func TestOffered(t *testing.T) {
	e, err := authz.New()
	if err != nil {
		t.Fatal(err)
	}
	developer := func() *request {
		r := &request{web: &Web{d: Deps{Enforcer: e}, table: routes()}, actor: authz.Actor{Roles: []authz.Role{authz.Developer}}}
		r.account.ID = "p-1"
		return r
	}
	for _, c := range []struct{ name, page, want string }{
		{"a page of hers", `<a class="t" href="/systems/SYS-001">Desk</a>`, `<a class="t" href="/systems/SYS-001">Desk</a>`},
		{"a page of others", `<td><a class="q" href="/ledger?from=7&amp;days=7">14</a></td>`, `<td><span>14</span></td>`},
		{"a button to a page of others", `<p><a class="btn btn-small" href="/documents/new?kind=audit"><svg></svg>Report</a></p>`, `<p></p>`},
		{"the narrower route counts", `<a href="/systems/new">Register</a>`, `<span>Register</span>`},
		{"another site, a fragment, what is no route", `<a href="https://example.test/">x</a><a href="#content">y</a><a href="/static/app.css">z</a>`,
			`<a href="https://example.test/">x</a><a href="#content">y</a><a href="/static/app.css">z</a>`},
		{"several", `<a href="/ledger/4">4</a> and <a href="/keys">keys</a>`, `<span>4</span> and <a href="/keys">keys</a>`},
		{"no link", `<abbr>a</abbr>`, `<abbr>a</abbr>`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := string(developer().offered([]byte(c.page))); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
