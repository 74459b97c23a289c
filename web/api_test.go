package web

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"

	"plumbline/app/authz"
	"plumbline/app/config"
	"plumbline/app/fault"
	"plumbline/app/money"
	"plumbline/inventory"
)

// TestDocumentedRoutes holds docs/api.md to the table of routes, both ways:
// method, path and permission.
func TestDocumentedRoutes(t *testing.T) {
	text, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	var have, want []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z]+ /api/[^`]+)` \\| ([^|]+) \\| ([^|]+) \\|$").FindAllStringSubmatch(string(text), -1) {
		have = append(have, m[1]+": "+m[2])
	}
	for _, rt := range apiRoutes() {
		permission := rt.object + " " + rt.action
		switch rt.who {
		case signedIn:
			permission = "account"
		case public:
			permission = "anybody"
		}
		want = append(want, rt.method+" "+rt.path+": "+permission)
	}
	sort.Strings(have)
	sort.Strings(want)
	if !slices.Equal(have, want) {
		for _, w := range want {
			if !slices.Contains(have, w) {
				t.Errorf("docs/api.md lacks %s", w)
			}
		}
		for _, h := range have {
			if !slices.Contains(want, h) {
				t.Errorf("docs/api.md has %s, which is no route", h)
			}
		}
	}
}

// TestPermissionsExist: every route names a permission that some role has by name,
// or that is the administrator's alone on purpose; a public route of the API is
// the sign-in and nothing else.
func TestPermissionsExist(t *testing.T) {
	e, err := authz.New()
	if err != nil {
		t.Fatal(err)
	}
	administrators := []string{"account write", "organisation write"}
	for _, rt := range routes() {
		if rt.who == public && isAPI(rt.path) && (rt.method != post || rt.path != "/api/v1/session") {
			t.Errorf("%s %s is public", rt.method, rt.path)
		}
		if rt.who != permitted {
			continue
		}
		named := slices.Contains(administrators, rt.object+" "+rt.action)
		for _, role := range []authz.Role{authz.ComplianceOfficer, authz.SystemOwner, authz.Approver, authz.Auditor, authz.Developer} {
			named = named || e.Can(authz.Actor{Roles: []authz.Role{role}}, rt.object, rt.action)
		}
		if !named {
			t.Errorf("%s %s asks for %s %s, which no role is given", rt.method, rt.path, rt.object, rt.action)
		}
	}
}

// takes says whether a field of the API holds what one of the file holds: the same
// type, or elements with a secret beside the names of the file's.
func takes(taken, declared reflect.Type) bool {
	if taken == declared || taken == nil || taken.Kind() != reflect.Slice || declared.Kind() != reflect.Slice {
		return taken == declared
	}
	fields := config.Fields(taken.Elem())
	secret := fields["secret"] == reflect.TypeFor[inventory.Secret]()
	delete(fields, "secret")
	return secret && maps.Equal(fields, config.Fields(declared.Elem()))
}

// TestSameNames: what the API takes has the names of the declarations file, and
// what it gives out has them too.
func TestSameNames(t *testing.T) {
	for _, c := range []struct {
		declared, taken, given any
		hidden                 []string // declared, and never given out
		secret                 []string // taken, and neither declared nor given out
	}{
		{inventory.DeclaredSystem{}, systemBody{}, inventory.System{}, nil, nil},
		{inventory.DeclaredKey{}, keyBody{}, inventory.Key{}, []string{"secret"}, nil},
		{inventory.DeclaredBudget{}, budgetBody{}, budgetJSON{}, nil, nil},
		{inventory.Provider{}, providerBody{}, inventory.Provider{}, nil, []string{"credential_secret"}},
		{inventory.Route{}, routeBody{}, inventory.Route{}, nil, nil},
		{inventory.GuardProfile{}, profileBody{}, inventory.GuardProfile{}, nil, nil},
		{inventory.DeclaredPolicy{}, policyBody{}, inventory.Policy{}, []string{"file"}, nil},
		{inventory.Price{}, priceBody{}, inventory.Price{}, nil, nil},
		{inventory.Settings{}, settingsBody{}, inventory.Settings{}, nil, nil},
	} {
		declared := config.Fields(reflect.TypeOf(c.declared))
		taken := config.Fields(reflect.TypeOf(c.taken))
		given, kept := jsonNames(reflect.TypeOf(c.given)), jsonNames(reflect.TypeOf(c.taken))
		for name := range declared {
			if !takes(taken[name], declared[name]) {
				t.Errorf("%T: the API does not take %s", c.declared, name)
			}
			if !given[name] && !slices.Contains(c.hidden, name) {
				t.Errorf("%T: the API does not give %s out", c.declared, name)
			}
			if !kept[name] && !slices.Contains(c.hidden, name) {
				t.Errorf("%T: JSON knows %s under another name", c.declared, name)
			}
		}
		for _, name := range c.secret {
			if given[name] {
				t.Errorf("%T: the API gives %s out", c.given, name)
			}
		}
		if len(taken) != len(declared)+len(c.secret)+2 {
			t.Errorf("%T: the API takes %d names, the file has %d", c.declared, len(taken), len(declared))
		}
	}
	lists := config.Fields(reflect.TypeOf(inventory.DeclaredOrg{}))
	for name := range lists {
		path := "/api/v1/" + name
		if name == "id" || name == "name" {
			path = "/api/v1/organisations"
		}
		if !slices.ContainsFunc(apiRoutes(), func(rt route) bool { return rt.path == path }) {
			t.Errorf("the file declares %s, and there is no %s", name, path)
		}
	}
}

// jsonNames are the names that encoding/json knows, embedded ones too.
func jsonNames(t reflect.Type) map[string]bool {
	out := map[string]bool{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case f.Anonymous && name == "":
			for k := range jsonNames(f.Type) {
				out[k] = true
			}
		case name != "":
			out[name] = true
		}
	}
	return out
}

func TestAmountsReadBack(t *testing.T) {
	for text, want := range map[string]string{"1200.5": "1200.50", "0.000000001": "0.000000001", "25": "25.00", "1,000,000": "1000000.00"} {
		n, err := money.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := amount(n); got != want {
			t.Errorf("%s is given out as %s", text, got)
		}
		if again, err := money.Parse(amount(n)); again != n || err != nil {
			t.Errorf("%s does not read back: %v %v", amount(n), again, err)
		}
	}
}

// TestDocumentedCodes holds the table of error codes in docs/api.md to the source:
// each code is given with that status, and each that the API and the register give
// is there.
func TestDocumentedCodes(t *testing.T) {
	text, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\| ([45][0-9][0-9]) \| (.*) \|$`).FindAllStringSubmatch(string(text), -1) {
		for _, code := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(m[2], -1) {
			if code[1] != "request" {
				documented[m[1]+" "+code[1]] = true
			}
		}
	}
	kinds := map[string]fault.Kind{"Internal": fault.Internal, "Invalid": fault.Invalid, "Unauthenticated": fault.Unauthenticated, "Forbidden": fault.Forbidden, "NotFound": fault.NotFound,
		"Conflict": fault.Conflict, "TooLarge": fault.TooLarge, "RateLimited": fault.RateLimited, "Unavailable": fault.Unavailable}
	given := map[string]bool{"400 invalid_field": true, "503 session_unavailable": true, "409 " + JobRunning: true}
	// Of the console's pages, of the configuration file, and of tables within.
	elsewhere := []string{"config", "register", "link_used", "first_run_link", "first_run_over", "no_organisation", "csrf"}
	call := regexp.MustCompile(`fault\.(?:New|Wrap)\(fault\.(\w+), "(\w+)"|Kind: fault\.(\w+), Code: "(\w+)"`)
	for _, dir := range []string{".", "../inventory", "../assessments", "../reports", "../app/db"} {
		files, err := filepath.Glob(dir + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			api := dir == "../inventory" || dir == "../assessments" || dir == "../app/db" || strings.HasPrefix(file, "api_") || file == "request.go" || file == "errors.go"
			for _, m := range call.FindAllStringSubmatch(string(source), -1) {
				kind, code := m[1]+m[3], m[2]+m[4]
				line := fmt.Sprintf("%d %s", kinds[kind].Status(), code)
				given[line] = true
				if api && !documented[line] && !slices.Contains(elsewhere, code) {
					t.Errorf("docs/api.md lacks %s (%s)", line, file)
				}
			}
		}
	}
	for line := range documented {
		if !given[line] {
			t.Errorf("docs/api.md has %s, which nothing gives", line)
		}
	}
	if len(documented) < 20 {
		t.Errorf("only %d codes documented", len(documented))
	}
}
