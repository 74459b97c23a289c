package web_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"plumbline/app/authz"
	"plumbline/web"
)

var everyRole = []authz.Role{authz.Admin, authz.ComplianceOfficer, authz.SystemOwner, authz.Approver, authz.Auditor, authz.Developer, authz.Respondent}

// TestEveryRoleOnEveryRoute asks for every route of the table as every role, over
// HTTP: what a role is not given answers 403, and reading what it is given never.
func TestEveryRoleOnEveryRoute(t *testing.T) {
	c, e := sampleConsole(t), enforcer(t)
	for _, role := range everyRole {
		t.Run(string(role), func(t *testing.T) {
			r := c.admin.join(t, "Role "+string(role), string(role))
			for _, rt := range web.Routes() {
				if rt.Public || rt.SignedIn {
					continue
				}
				may := e.Can(authz.Actor{Roles: []authz.Role{role}}, rt.Object, rt.Action)
				if may && rt.Method != http.MethodGet {
					continue // other tests do these
				}
				path := regexp.MustCompile(`:\w+`).ReplaceAllString(rt.Path, "x-1")
				var a answer
				switch {
				case strings.HasPrefix(path, "/api/"):
					a = r.send(t, rt.Method, path, "{}")
				case rt.Method == http.MethodPost:
					a = r.post(t, path)
				default:
					a = r.get(t, path)
				}
				refused := a.status == http.StatusForbidden && strings.Contains(a.body, "not_permitted")
				if refused == may {
					t.Errorf("%s %s: %d; permitted is %v", rt.Method, rt.Path, a.status, may)
				}
			}
		})
	}
}

func enforcer(t *testing.T) *authz.Enforcer {
	t.Helper()
	e, err := authz.New()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestWhatReadersMay: an auditor reads and changes nothing, a developer reads of
// keys and what belongs to them, a respondent nothing but the own account.
func TestWhatReadersMay(t *testing.T) {
	e := enforcer(t)
	for _, c := range []struct {
		role    authz.Role
		objects []string
		writes  bool
	}{
		{authz.Auditor, []string{"assessment", "budget", "document", "exchange", "gateway", "job", "key", "ledger", "overview", "system"}, false},
		{authz.Developer, []string{"budget", "exchange", "gateway", "key", "overview", "system"}, false},
		{authz.Respondent, nil, false},
	} {
		var objects []string
		for _, rt := range web.Routes() {
			if rt.Public || rt.SignedIn || !e.Can(authz.Actor{Roles: []authz.Role{c.role}}, rt.Object, rt.Action) {
				continue
			}
			if rt.Method != http.MethodGet || rt.Action != "read" {
				t.Errorf("%s may %s %s", c.role, rt.Method, rt.Path)
			}
			if !slices.Contains(objects, rt.Object) {
				objects = append(objects, rt.Object)
			}
		}
		slices.Sort(objects)
		if !slices.Equal(objects, c.objects) {
			t.Errorf("%s reads %q, want %q", c.role, objects, c.objects)
		}
	}
}

// TestReadersFollowTheirLinks: no page offers its reader a link that is then
// refused.
func TestReadersFollowTheirLinks(t *testing.T) {
	c := sampleConsole(t)
	for _, role := range everyRole[1:] {
		t.Run(string(role), func(t *testing.T) {
			seen := follow(t, c.admin.join(t, "Links "+string(role), string(role)), 2, "/account")
			for _, at := range seen.order {
				if a := seen.pages[at]; a.status == http.StatusForbidden || a.status >= 500 {
					t.Errorf("%s answers %d; %s leads there", at, a.status, seen.from[at])
				}
			}
		})
	}
}

// TestAnotherOrganisation: whatever an organisation has, a member of another one
// is told that there is no such thing, in the same words as of what never was.
func TestAnotherOrganisation(t *testing.T) {
	c := sampleConsole(t)
	pages := crawlConsole(t)
	if a := c.admin.send(t, http.MethodPost, "/api/v1/organisations", `{"id":"globex","name":"Globex"}`); a.status != http.StatusCreated {
		t.Fatalf("make an organisation: %d %s", a.status, a.body)
	}
	again := c.admin.redeem(t, c.admin.post(t, "/people/"+c.admin.id(t)+"/link"))
	if a := again.post(t, "/organisation", "organisation", "globex"); a.status != http.StatusSeeOther {
		t.Fatalf("switch: %d", a.status)
	}
	fresh, err := again.refreshed()
	if err != nil {
		t.Fatal(err)
	}
	stranger := fresh.join(t, "Greta Globex", "admin")
	both := c.admin.id(t) // a member of either
	tried := map[string]bool{}
	for _, at := range pages.order {
		if strings.HasPrefix(at, "/people/"+both+"/") {
			continue
		}
		u, err := url.Parse(at)
		if err != nil {
			t.Fatal(err)
		}
		rt, ok := routeOf(u.EscapedPath())
		if !ok || !strings.Contains(rt.Path, ":") || strings.HasPrefix(rt.Path, "/frameworks/") || pages.pages[at].status != http.StatusOK {
			continue
		}
		tried[rt.Path] = true
		if a := stranger.get(t, at); a.status != http.StatusNotFound {
			t.Errorf("%s answers %d to a member of another organisation", at, a.status)
		}
	}
	if len(tried) < 12 {
		t.Errorf("only %d kinds of page were tried: %v", len(tried), tried)
	}
	theirs, never := stranger.get(t, "/systems/SYS-001"), stranger.get(t, "/systems/SYS-999")
	if got, want := plainText(theirs.body), strings.ReplaceAll(plainText(never.body), "SYS-999", "SYS-001"); got != want {
		t.Errorf("what another organisation has is told apart from what never was:\n%s\n%s", got, want)
	}
	for _, forbidden := range []string{"Candidate screening", "Northwind", "Applicant tracking"} {
		for _, list := range []string{"/", "/systems", "/keys", "/budgets", "/exchanges", "/documents", "/people", "/gateway", "/ledger"} {
			if a := stranger.get(t, list); strings.Contains(a.body, forbidden) {
				t.Errorf("%s shows another organisation's %q", list, forbidden)
			}
		}
	}
}

var idText = regexp.MustCompile(`action="/people/(p-[a-z0-9]+)/link"`)

// id is the account of the first person of the list, who is the administrator.
func (r *reader) id(t *testing.T) string {
	t.Helper()
	m := idText.FindStringSubmatch(r.get(t, "/people").body)
	if m == nil {
		t.Fatal("the list of people has nobody")
	}
	return m[1]
}

// refreshed is the same session with its new token.
func (r *reader) refreshed() (*reader, error) {
	a, err := r.do(http.MethodGet, "/account", nil)
	if err != nil {
		return nil, err
	}
	m := csrfText.FindStringSubmatch(a.body)
	fresh := *r
	fresh.csrf = m[1]
	return &fresh, nil
}

var tags = regexp.MustCompile(`(?s)<(script|svg|input)[^>]*>|<[^>]+>`)

func plainText(body string) string {
	return strings.Join(strings.Fields(tags.ReplaceAllString(body, " ")), " ")
}
