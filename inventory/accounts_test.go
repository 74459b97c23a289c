package inventory

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"plumbline/app/authz"
	"plumbline/app/db"
	"plumbline/app/fault"
)

// TestMembers: nobody's roles change by being added again, the last administrator
// stays one, and whoever makes a link with which somebody else signs in is on record.
func TestMembers(t *testing.T) {
	backends(t, func(t *testing.T, d *desk) {
		ctx := t.Context()
		d.furnish(ann, bob)
		add := func(name string, given ...authz.Role) Person {
			p, err := d.AddAccount(ctx, ann, Person{Name: name, Email: strings.ToLower(name) + "@example.com", Roles: given})
			d.must(err)
			return p
		}
		rolesOf := func(id string) []authz.Role {
			a, err := d.Actor("acme", id)
			d.must(err)
			return a.Roles
		}
		cy, dee := add("Cy", authz.Admin), add("Dee", authz.Approver)

		_, err := d.AddAccount(ctx, ann, Person{Name: "Somebody else", Email: " DEE@example.com", Roles: []authz.Role{authz.Auditor}})
		d.refused(err, fault.Conflict, "exists", "dee@example.com is a member already")
		if got := rolesOf(dee.ID); !slices.Equal(got, []authz.Role{authz.Approver}) {
			t.Errorf("added again, Dee has the roles %v", got)
		}

		d.refused(d.SetRoles(ctx, ann, cy.ID, []authz.Role{authz.Auditor}, ""), fault.Conflict, "last_admin", "only administrator")
		d.refused(d.RemoveAccount(ctx, ann, cy.ID, "left"), fault.Conflict, "last_admin", "only administrator")
		d.refused(d.SetRoles(ctx, ann, dee.ID, nil, ""), fault.Invalid, "invalid_field", "at least one role")
		d.refused(d.SetRoles(ctx, ann, "p-nobody", roles[:1], ""), fault.NotFound, "not_found", "p-nobody")
		d.must(d.SetRoles(ctx, ann, dee.ID, []authz.Role{authz.Admin, authz.Approver}, "deputy"))
		d.must(d.SetRoles(ctx, ann, cy.ID, []authz.Role{authz.Auditor}, "moved on"))
		if got := rolesOf(cy.ID); !slices.Equal(got, []authz.Role{authz.Auditor}) {
			t.Errorf("Cy has the roles %v", got)
		}

		token, err := d.LinkFor(ctx, ann, dee.ID)
		d.must(err)
		last := d.book.changes["acme"][len(d.book.changes["acme"])-1]
		if last.Kind != "account.link_made" || last.Object != dee.ID || last.Actor != ann.ID {
			t.Errorf("on record: %+v", last)
		}
		if id, err := d.Redeem(ctx, token); err != nil || id != dee.ID {
			t.Errorf("the link signs in %q: %v", id, err)
		}
		if got := rolesOf(dee.ID); len(got) != 2 {
			t.Errorf("after a link Dee has the roles %v", got)
		}
		d.book.set(errors.New("disk full"), nil)
		token, err = d.LinkFor(ctx, ann, dee.ID)
		if d.refused(err, fault.Unavailable, "ledger_unavailable", "once the ledger can record it"); token != "" {
			t.Error("a link that is not on record was given out")
		}
	})
}

// TestTexts: what people enter has an end and no signs that cannot be seen, and of
// several fields all that is wrong is said at once.
func TestTexts(t *testing.T) {
	d := newDesk(t, db.Config{Dir: t.TempDir()})
	d.furnish(ann, bob)
	good := System{Name: "Café Ω חיפוש 系統 🎛️", Purpose: "Sorts.\n\tThen answers.", Owner: "Ops", RiskClass: Minimal, RiskReason: "r", Lifecycle: InUse}
	if _, err := d.AddSystem(t.Context(), ann, good, "first\nsecond"); err != nil {
		t.Errorf("a good system: %v", err)
	}
	for _, c := range []struct {
		name  string
		spoil func(*System)
		want  []string
	}{
		{"long name", func(s *System) { s.Name = strings.Repeat("ü", 201) }, []string{"name"}},
		{"two lines", func(s *System) { s.Owner = "a\nb" }, []string{"owner"}},
		{"control", func(s *System) { s.Purpose = "a\x00b" }, []string{"purpose"}},
		{"turned", func(s *System) { s.Name = "exe.\u202Efdp" }, []string{"name"}},
		{"not UTF-8", func(s *System) { s.Limitations = "\xff" }, []string{"limitations"}},
		{"long text", func(s *System) { s.Purpose = strings.Repeat("a", 10_001) }, []string{"purpose"}},
		{"many vendors", func(s *System) { s.Vendors = make([]string, 201) }, []string{"vendors"}},
		{"long model", func(s *System) { s.Models = []ModelRef{{"up", strings.Repeat("m", 201)}} }, []string{"models"}},
		{"all at once", func(s *System) { *s = System{RiskClass: "tall", Lifecycle: "soon"} }, []string{"lifecycle", "name", "owner", "purpose", "risk_class"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := good
			c.spoil(&s)
			_, err := d.AddSystem(t.Context(), ann, s, "")
			if got := fieldsOf(err); !slices.Equal(got, c.want) {
				t.Errorf("wrong are %v, want %v: %v", got, c.want, err)
			}
		})
	}
	if got := fieldsOf(d.Review(t.Context(), ann, "SYS-001", strings.Repeat("a", 10_001))); !slices.Equal(got, []string{"reason"}) {
		t.Errorf("a long reason: %v", got)
	}
	if got := fieldsOf(d.PutSettings(t.Context(), ann, Settings{Confidential: strings.Repeat("x", 201), Contact: "a\x07"}, "")); !slices.Equal(got, []string{"confidentiality", "contact"}) {
		t.Errorf("settings: %v", got)
	}
	if got := fieldsOf(d.PutProvider(t.Context(), ann, Provider{ID: "../x", Kind: "openai", Vendor: "a\nb", Region: strings.Repeat("r", 201)}, "")); !slices.Equal(got, []string{"id", "region", "vendor"}) {
		t.Errorf("a provider: %v", got)
	}
	if got := fieldsOf(d.CheckProvider(ann, Provider{ID: "X", Kind: "openai", BaseURL: "https://[", CredentialRef: "vault:x", Credentials: []ProviderKey{{Secret: "two words"}, {Ref: "env:A", Weight: 1001}, {Ref: "env:A", Secret: "one"}, {Secret: "one"}}})); !slices.Equal(got,
		[]string{"base_url", "credential", "credentials[0].secret", "credentials[1].weight", "credentials[2].secret", "credentials[3].secret", "id"}) {
		t.Errorf("a provider with keys: %v", got)
	}
	if got := fieldsOf(d.CheckBudget(ann, Budget{ID: "X", Scope: ScopeKey, Target: "none", Limit: -1, Window: "week", Zone: "Mars/Olympus"})); !slices.Equal(got, []string{"id", "limit", "target", "window", "zone"}) {
		t.Errorf("a budget: %v", got)
	}
	if got := fieldsOf(d.CheckRoute(ann, Route{Aliases: []string{"gpt"}, Strategy: "best", Targets: []Target{{Provider: "none", Tier: -1}, {Route: "none", When: map[string]OneOf{"team": {"x"}}}}, MaxAttempts: 11, Deadline: -1})); !slices.Equal(got,
		[]string{"aliases[0]", "deadline", "max_attempts", "model", "strategy", "targets[0].provider", "targets[0].tier", "targets[1].route", "targets[1].when"}) {
		t.Errorf("a route: %v", got)
	}
	if got := fieldsOf(d.PutPolicy(t.Context(), ann, Policy{ID: "X", Mode: "loud", Source: "syntax error"}, "")); !slices.Equal(got, []string{"id", "mode", "source"}) {
		t.Errorf("a policy: %v", got)
	}
	if got := fieldsOf(CheckPerson("", "nobody")); !slices.Equal(got, []string{"email", "name"}) {
		t.Errorf("a person: %v", got)
	}
	if got := fieldsOf(d.CheckKey(ann, Key{PerMinute: -1, System: "SYS-999"})); !slices.Equal(got, []string{"name", "requests_per_minute", "system"}) {
		t.Errorf("a key: %v", got)
	}
}

func fieldsOf(err error) (out []string) {
	var f *fault.Error
	if errors.As(err, &f) {
		for name := range f.Fields {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
