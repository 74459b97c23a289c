package inventory

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plumbline/app/db"
	"plumbline/app/fault"
	"plumbline/app/money"
)

const house = `organisations:
  - id: acme
    name: Acme
    settings: {unregistered: flag, confidentiality: internal}
    providers:
      - {id: up, kind: openai, credential: "env:UP"}
    guard_profiles:
      - id: strict
        guards: [{guard: pii, mode: redact}]
    policies:
      - {id: house, mode: enforce, source: package plumbline}
    systems:
      - id: SYS-001
        name: Desk
        purpose: Answers.
        owner: Service
        roles: [deployer]
        risk_class: minimal
        risk_reason: no use of Annex III
        lifecycle: in_use
        guard_profile: strict
        approval: {state: approved, decided_by: the board, reason: minutes of 3 March}
    keys:
      - {id: desk, system: SYS-001, secret: "env:APP_KEY", requests_per_minute: 60, owner: dana@acme.example}
    routes:
      - {model: gpt, provider: up}
    budgets:
      - {id: org, scope: organisation, limit: "250.50", window: month}
`

// declare reads a text as a file would be read, and makes it the state.
func (d *desk) declare(text string) (int, error) {
	f, err := ParseDeclaration([]byte(text), "/etc/plumbline/house.yaml")
	if err != nil {
		return 0, err
	}
	return d.Declare(d.t.Context(), f)
}

// TestDeclared: one file holds everything that the gateway needs; read again it
// changes nothing, and a line that moves is no new version.
func TestDeclared(t *testing.T) {
	backends(t, func(t *testing.T, d *desk) {
		n, err := d.declare(house)
		d.must(err)
		if n != 9 {
			t.Errorf("%d rows", n)
		}
		s := d.state("acme")
		if s.Org.Name != "Acme" || s.Settings.Unregistered != "flag" || len(s.Providers)+len(s.Routes)+len(s.Profiles)+len(s.Policies)+len(s.Systems)+len(s.Keys)+len(s.Budgets) != 7 {
			t.Fatalf("state %+v", s)
		}
		if s.Budgets[0].Limit != 250*money.Dollar+money.Dollar/2 {
			t.Errorf("limit %v", s.Budgets[0].Limit)
		}
		if k := d.Snapshot().Keys["desk"]; k.Hash != d.d.HashKey("a-secret-of-more-than-twenty") || k.Name != "desk" || k.PerMinute != 60 || !k.OwnedBy("p-1", "DANA@acme.example") || k.OwnedBy("p-1", "") {
			t.Errorf("key %+v", k)
		}
		if p := d.Snapshot().Orgs["acme"].Providers["up"]; len(p.Keys()) != 1 || p.Keys()[0].Ref != p.CredentialRef {
			t.Errorf("the provider's keys: %+v", p.Keys())
		}
		a := s.Systems[0].Approval
		if !a.Imported || a.State != Approved || a.DecidedBy != "the board" {
			t.Errorf("approval %+v", a)
		}
		if o := s.Systems[0].Origin; o.File != "/etc/plumbline/house.yaml" || o.Line != 13 {
			t.Errorf("origin %+v", o)
		}
		for _, c := range d.book.changes["acme"] {
			if !c.Imported || c.Actor != "config" || c.Approver != "" || !strings.HasSuffix(c.Kind, ".declared") {
				t.Errorf("recorded %+v", c)
			}
		}
		if n, err := d.declare(house); n != 0 || err != nil {
			t.Errorf("read again: %d changes, %v", n, err)
		}
		if n, err := d.declare("# moved down by two lines\n\n" + house); n != 0 || err != nil {
			t.Errorf("moved: %d changes, %v", n, err)
		}
		if s := d.state("acme").Systems[0]; s.Origin.Line != 15 || s.Version != 1 {
			t.Errorf("moved: line %d, version %d", s.Origin.Line, s.Version)
		}
		if n, err := d.declare(strings.Replace(house, "owner: Service", "owner: Operations", 1)); n != 1 || err != nil || d.state("acme").Systems[0].Owner != "Operations" {
			t.Errorf("changed: %d changes, %v", n, err)
		}
	})
}

// TestDeclaredIsReadOnly: everything but a stop is refused with file and line.
func TestDeclaredIsReadOnly(t *testing.T) {
	backends(t, func(t *testing.T, d *desk) {
		ctx := t.Context()
		_, err := d.declare(house)
		d.must(err)
		before := d.rowsOf("acme")
		s := d.state("acme")
		for name, change := range map[string]struct {
			line int
			do   func() error
		}{
			"budget":   {28, func() error { return d.PutBudget(ctx, ann, s.Budgets[0], "") }},
			"provider": {6, func() error { return d.PutProvider(ctx, ann, s.Providers[0], "") }},
			"route":    {26, func() error { return d.PutRoute(ctx, ann, s.Routes[0], "") }},
			"profile":  {8, func() error { return d.PutProfile(ctx, ann, s.Profiles[0], "") }},
			"policy":   {11, func() error { return d.PutPolicy(ctx, ann, s.Policies[0], "") }},
			"settings": {4, func() error { return d.PutSettings(ctx, ann, s.Settings, "") }},
			"delete":   {28, func() error { return d.Delete(ctx, ann, "budget", "org", "") }},
			"name":     {2, func() error { return d.UpdateOrg(ctx, ann, "Other", "") }},
			"system":   {13, func() error { return d.UpdateSystem(ctx, ann, s.Systems[0], 0, "") }},
			"request":  {13, func() error { return d.RequestApproval(ctx, ann, "SYS-001", "") }},
			"decide":   {13, func() error { return d.DecideApproval(ctx, ann, "SYS-001", false, time.Time{}, "x") }},
			"withdraw": {13, func() error { return d.WithdrawApproval(ctx, ann, "SYS-001", "x") }},
			"retire":   {13, func() error { return d.Retire(ctx, ann, "SYS-001", "") }},
			"key":      {24, func() error { return d.UpdateKey(ctx, ann, s.Keys[0], "") }},
			"revoke":   {24, func() error { return d.RevokeKey(ctx, ann, "desk", "") }},
		} {
			d.refused(change.do(), fault.Conflict, "declared", fmt.Sprintf("/etc/plumbline/house.yaml, line %d;", change.line))
			if t.Failed() {
				t.Fatalf("%s", name)
			}
		}
		if diff := cmp.Diff(before, d.rowsOf("acme")); diff != "" {
			t.Error(diff)
		}

		// A stop stands beside the file, and outlives its next reading.
		d.book.set(errDown, nil)
		d.must(d.Suspend(ctx, bob, "SYS-001", "it answers nonsense"))
		d.book.set(nil, nil)
		d.must(d.Review(ctx, bob, "SYS-001", "looked at"))
		for _, text := range []string{house, strings.Replace(house, "owner: Service", "owner: Operations", 1)} {
			_, err = d.declare(text)
			d.must(err)
			if s := d.state("acme").Systems[0]; s.Suspended == nil || s.ReviewedAt.IsZero() || !s.Origin.FromFile() {
				t.Errorf("after the file was read: %+v", s)
			}
		}
		d.must(d.Resume(ctx, ann, "SYS-001", ""))
		for _, c := range d.book.changes["acme"] {
			if (c.Kind == "system.suspended" || c.Kind == "system.resumed") && (c.Imported || !strings.HasPrefix(c.Actor, "p-")) {
				t.Errorf("a person's stop is recorded as %+v", c)
			}
		}
	})
}

// TestBadDeclarations: each is refused whole, names its line, and the state of
// before stays, to the byte.
func TestBadDeclarations(t *testing.T) {
	d := newDesk(t, db.Config{Dir: t.TempDir()})
	_, err := d.declare(house)
	d.must(err)
	before, records := d.rowsOf("acme"), len(d.book.changes["acme"])
	replace := func(old, with string) string {
		if !strings.Contains(house, old) {
			t.Fatalf("%q is not in the file", old)
		}
		return strings.Replace(house, old, with, 1)
	}
	for _, c := range []struct{ name, text, names string }{
		{"unknown key at the top", house + "organizations: []\n", `line 29: unknown key "organizations"; there are: organisations`},
		{"unknown key of a system", replace("owner: Service", "ownr: Service"), `line 16: unknown key "ownr" in systems`},
		{"unknown key of a guard", replace("{guard: pii, mode: redact}", "{guard: pii, mode: redact, loud: true}"), `line 9: unknown key "loud" in guards`},
		{"suspended is no key", replace("lifecycle: in_use", "suspended: {by: me}"), `line 20: unknown key "suspended"`},
		{"a key twice", replace("owner: Service", "owner: Service\n        owner: Other"), "line 17"},
		{"wrong type", replace("requests_per_minute: 60", "requests_per_minute: many"), "line 24"},
		{"a fraction for a whole number", replace("requests_per_minute: 60", "requests_per_minute: 0.5"), "line 24: requests_per_minute: 0.5 is no whole number"},
		{"no such month", replace("decided_by: the board", "decided_by: the board, decided_at: 2026-13-01"), `line 22: decided_at: "2026-13-01" is no time; write it as 2026-03-03`},
		{"a file that is being written", "", "line 1: there is no list of organisations; to take back everything that was declared write organisations: []"},
		{"one of which the first line is there", "# ours\norganisations:\n", "line 2: there is no list of organisations"},
		{"one of which the comment is there", "# ours\n", "line 1: there is no list of organisations"},
		{"no YAML", house + "  - [\n", "line 29"},
		{"a second document", house + "---\norganisations: []\n", "line 29: a second document"},
		{"organisation without a name", replace("    name: Acme\n", ""), "line 2"},
		{"organisation twice", house + "  - {id: acme, name: Other}\n", "line 29: organisation \"acme\" is declared in line 2"},
		{"bad id", replace("id: acme", "id: Acme Works"), "line 2"},
		{"no such class", replace("risk_class: minimal", "risk_class: low"), "line 18"},
		{"class without a reason", replace("        risk_reason: no use of Annex III\n", ""), "line 13"},
		{"no such role", replace("roles: [deployer]", "roles: [reader]"), "line 17"},
		{"no such state of an approval", replace("state: approved", "state: fine"), "line 22"},
		{"prohibited and approved", replace("risk_class: minimal", "risk_class: prohibited"), "line 22"},
		{"profile not declared", replace("guard_profile: strict", "guard_profile: other"), "line 21"},
		{"profile gone, system stays", replace("    guard_profiles:\n      - id: strict\n        guards: [{guard: pii, mode: redact}]\n", ""), "line 18"},
		{"no such guard", replace("guard: pii", "guard: crystal_ball"), "line 9"},
		{"policy does not compile", replace("source: package plumbline", "source: syntax error"), "line 11"},
		{"policy from no file", replace("source: package plumbline", "file: none.rego"), "line 11"},
		{"policy twice over", replace("source: package plumbline", "source: package plumbline, file: house.rego"), "line 11"},
		{"no such kind of provider", replace("kind: openai", "kind: oracle"), "line 6"},
		{"credential in the file", replace("env:UP", "sk-live-1"), "line 6"},
		{"credential that is not set", replace("env:UP", "env:NONE"), "line 6"},
		{"secret that is not set", replace("env:APP_KEY", "env:NONE"), "line 24"},
		{"short secret", replace("env:APP_KEY", "env:SHORT"), "line 24"},
		{"key of no system", replace("id: desk, system: SYS-001", "id: desk, system: SYS-009"), "line 24"},
		{"route to nowhere", replace("{model: gpt, provider: up}", "{model: gpt, provider: down}"), "line 26"},
		{"provider gone, route stays", replace("      - {id: up, kind: openai, credential: \"env:UP\"}\n", ""), "line 25"},
		{"no money", replace(`limit: "250.50"`, `limit: much`), "line 28"},
		{"no window", replace("window: month", "window: week"), "line 28"},
		{"two things of a budget", replace(`limit: "250.50", window: month`, `limit: much, window: week`), "line 28: limit: "},
		{"budget of no key", replace("scope: organisation", "scope: key, target: none"), "line 28"},
		{"a row twice", replace("      - {model: gpt, provider: up}", "      - {model: gpt, provider: up}\n      - {model: gpt, provider: up}"), `line 27: route "gpt" is declared in line 26`},
	} {
		n, err := d.declare(c.text)
		if err == nil || n != 0 || !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "/etc/plumbline/house.yaml") || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%s: %d changes, %v; want an error that names %q", c.name, n, err, c.names)
		}
		if err != nil && (strings.Contains(err.Error(), "a-secret") || strings.Contains(err.Error(), "sk-")) {
			t.Errorf("%s: the error tells a secret: %v", c.name, err)
		}
		if diff := cmp.Diff(before, d.rowsOf("acme")); diff != "" {
			t.Fatalf("%s: the state moved:\n%s", c.name, diff)
		}
	}
	if len(d.book.changes["acme"]) != records {
		t.Error("a refused file is on record")
	}
}

// TestUndeclared: what the file lacks now is ended at once where that restricts,
// with the ledger down too, and belongs to people again.
func TestUndeclared(t *testing.T) {
	backends(t, func(t *testing.T, d *desk) {
		ctx := t.Context()
		_, err := d.declare(house)
		d.must(err)
		d.book.set(errDown, nil)
		n, err := d.declare("organisations: []\n")
		d.must(err)
		if n != 9 {
			t.Errorf("%d rows", n)
		}
		v := d.Snapshot().Orgs["acme"]
		if v.Systems["SYS-001"].Lifecycle != Retired || d.Snapshot().Keys["desk"].RevokedAt.IsZero() || len(v.Providers)+len(v.Routes) != 0 {
			t.Errorf("still in force: %+v", v)
		}
		if len(v.Policies) != 1 || len(v.OrgBudgets) != 1 || len(v.Profiles) != 1 {
			t.Error("a policy, a budget or a guard went away without a record")
		}
		d.book.set(nil, nil)
		d.must(d.refresh(ctx))
		if v := d.Snapshot().Orgs["acme"]; len(v.Policies)+len(v.OrgBudgets)+len(v.Profiles) != 0 {
			t.Errorf("not ended: %+v", v)
		}
		if n, err := d.declare("organisations: []\n"); n != 0 || err != nil {
			t.Errorf("once more: %d changes, %v", n, err)
		}
		d.must(d.PutSettings(ctx, ann, Settings{}, ""))
		d.must(d.UpdateOrg(ctx, ann, "Acme Works", ""))
		n, err = d.declare(house)
		d.must(err)
		if s := d.state("acme"); n != 9 || s.Systems[0].Lifecycle != InUse || !s.Keys[0].RevokedAt.IsZero() || s.Org.Name != "Acme" {
			t.Errorf("declared again: %d rows, %+v", n, s.Systems[0])
		}
	})
}

// TestDeclaredRestricts: what a new file takes away is in force while the ledger
// is down; what it gives waits.
func TestDeclaredRestricts(t *testing.T) {
	backends(t, func(t *testing.T, d *desk) {
		_, err := d.declare(house)
		d.must(err)
		d.book.set(errDown, nil)
		text := strings.NewReplacer("state: approved", "state: rejected", `"250.50"`, `"1"`, "requests_per_minute: 60", "requests_per_minute: 600", "unregistered: flag", "unregistered: block").Replace(house)
		_, err = d.declare(text)
		d.must(err)
		v, k := d.Snapshot().Orgs["acme"], d.Snapshot().Keys["desk"]
		if v.Systems["SYS-001"].Approval.State != Rejected || v.OrgBudgets[0].Limit != money.Dollar || v.Settings.Unregistered != "block" {
			t.Errorf("not in force: %+v", v)
		}
		if k.PerMinute != 60 {
			t.Errorf("a higher limit is in force without its record: %d", k.PerMinute)
		}
		d.book.set(nil, nil)
		d.must(d.refresh(t.Context()))
		if k := d.Snapshot().Keys["desk"]; k.PerMinute != 600 {
			t.Errorf("limit %d", k.PerMinute)
		}
	})
}

// TestDeclaredBesidePeople: the file's rows and people's live side by side, and
// the file may not pull away what people's rest on.
func TestDeclaredBesidePeople(t *testing.T) {
	d := newDesk(t, db.Config{Dir: t.TempDir()})
	ctx := t.Context()
	_, err := d.declare(house)
	d.must(err)
	d.must(d.PutRoute(ctx, ann, Route{Model: "mine", Provider: "up"}, ""))
	_, err = d.declare("organisations:\n  - {id: acme, name: Acme}\n")
	d.refused(err, fault.Invalid, "config", `route "mine", which people made`)
	if d.Snapshot().Orgs["acme"].Routes["gpt"] == nil {
		t.Error("half of a refused file is in force")
	}
	d.must(d.Delete(ctx, ann, "route", "mine", ""))
	_, err = d.declare("organisations:\n  - {id: acme, name: Acme}\n")
	d.must(err)

	// A key's public part is one of a kind across organisations.
	_, err = d.declare(house + "  - id: other\n    name: Other\n    keys:\n      - {id: desk, secret: \"env:APP_KEY\"}\n")
	d.refused(err, fault.Invalid, "config", "line 32")
	if slices.ContainsFunc(d.Orgs(), func(o Org) bool { return o.ID == "other" }) {
		t.Error("half of a refused file is in force")
	}
}

func TestDeclaredPolicyFile(t *testing.T) {
	d := newDesk(t, db.Config{Dir: t.TempDir()})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "house.rego"), []byte("package plumbline\n# from a file\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(house, "source: package plumbline", "file: house.rego", 1)
	read := func() int {
		f, err := ParseDeclaration([]byte(text), filepath.Join(dir, "house.yaml"))
		d.must(err)
		n, err := d.Declare(t.Context(), f)
		d.must(err)
		return n
	}
	read()
	if p := d.state("acme").Policies[0]; p.Source != "package plumbline\n# from a file\n" {
		t.Errorf("source %q", p.Source)
	}
	if err := os.WriteFile(filepath.Join(dir, "house.rego"), []byte("package plumbline\n# changed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := read(); n != 1 {
		t.Errorf("%d changes after the policy's file changed", n)
	}
}

// TestDeclaredPrices: prices of an organisation's own are in force with the rest of
// the file, a new day is a price of its own, and one that cannot be computed with is
// refused with its line.
func TestDeclaredPrices(t *testing.T) {
	backends(t, func(t *testing.T, d *desk) {
		prices := `    prices:
      - {vendor: openai, model: gpt, from: 2026-01-01, input: "1", tiers: [{above: 1000, input: "2"}]}
      - {vendor: openai, model: gpt, from: 2026-06-01, input: "0.5"}
`
		_, err := d.declare(house + prices)
		d.must(err)
		own := d.Snapshot().Orgs["acme"].Prices
		if len(own) != 2 || own[0].Tiers[0].Above != 1000 || own[0].Tiers[0].Input != "2" || own[1].Input != "0.5" || own[1].Origin.Line != 31 {
			t.Errorf("in force: %+v", own)
		}
		for _, c := range []struct{ name, text, want string }{
			{"no price", `      - {vendor: openai, model: other, from: 2026-01-01}`, "house.yaml, line 32: input: a price is missing"},
			{"no vendor", `      - {model: other, from: 2026-01-01, input: "1"}`, "house.yaml, line 32: name the vendor"},
			{"twice", `      - {vendor: openai, model: gpt, from: 2026-06-01, input: "1"}`, `price "openai/gpt@2026-06-01" is declared in line 31 already`},
			{"unknown key", `      - {vendor: openai, model: gpt, from: 2026-07-01, input: "1", tiers: [{over: 5}]}`, `line 32: unknown key "over" in tiers`},
		} {
			if _, err := d.declare(house + prices + c.text + "\n"); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %s", c.name, err, c.want)
			}
		}
		if n, err := d.declare(house); n != 2 || err != nil || len(d.Snapshot().Orgs["acme"].Prices) != 0 {
			t.Errorf("no longer declared: %d changes, %v, in force %+v", n, err, d.Snapshot().Orgs["acme"].Prices)
		}
	})
}
