package inventory

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plumbline/app/authz"
	"plumbline/app/fault"
)

// guarded furnishes an organisation of ann's and bob's whose changes want two of them.
func (d *desk) guarded() {
	d.t.Helper()
	d.furnish(ann, bob)
	ctx := d.t.Context()
	d.refused(d.PutSettings(ctx, ann, Settings{Unregistered: "block", SecondPerson: true}, "on"), fault.Invalid, "invalid_field", "nobody else could confirm")
	for _, p := range []Person{{Name: "Ann", Email: "ann@acme.example", Roles: []authz.Role{authz.Admin}}, {Name: "Bob", Email: "bob@acme.example", Roles: []authz.Role{authz.Developer, authz.Approver}}} {
		_, err := d.AddAccount(ctx, ann, p)
		d.must(err)
	}
	d.must(d.PutSettings(ctx, ann, Settings{Unregistered: "block", SecondPerson: true}, "on"))
}

// waits gives the change request that a change became.
func (d *desk) waits(err error) RequestID {
	d.t.Helper()
	var w *Waits
	if !errors.As(err, &w) {
		d.t.Fatalf("%v; want a change that waits", err)
	}
	return w.Request
}

func TestASecondPersonConfirms(t *testing.T) {
	backends(t, func(t *testing.T, d *desk) {
		d.guarded()
		ctx := t.Context()
		raised := Budget{ID: "org", Scope: ScopeOrg, Limit: 900, Window: "month"}
		d.refused(d.PutBudget(ctx, ann, raised, " "), fault.Invalid, "invalid_field", "second person decides")
		id := d.waits(d.PutBudget(ctx, ann, raised, "more calls"))
		if b := d.state("acme").Budgets[0]; b.Limit != 100 || b.Version != 1 {
			t.Errorf("%+v is in force before anybody confirmed it", b)
		}
		d.refused(d.PutBudget(ctx, bob, Budget{ID: "org", Scope: ScopeOrg, Limit: 800, Window: "month"}, "too"), fault.Conflict, "change_open", string(id))
		d.refused(d.DecideRequest(ctx, ann, id, true, "I say so"), fault.Forbidden, "four_eyes", "")
		d.refused(d.DecideRequest(ctx, bob, id, true, ""), fault.Invalid, "invalid_field", "say why")
		d.refused(d.WithdrawRequest(ctx, bob, id, "not mine"), fault.Forbidden, "not_yours", "")
		d.refused(d.DecideRequest(ctx, eve, id, true, "of another organisation"), fault.NotFound, "not_found", "")
		before := len(d.book.changes["acme"])
		d.must(d.DecideRequest(ctx, bob, id, true, "agreed"))
		if b := d.state("acme").Budgets[0]; b.Limit != 900 || b.Version != 2 || b.Author != ann.ID {
			t.Errorf("%+v is in force", b)
		}
		var got []Change
		for _, c := range d.book.changes["acme"][before:] {
			got = append(got, Change{Kind: c.Kind, Object: c.Object, Actor: c.Actor, Approver: c.Approver, Reasoned: c.Reasoned})
		}
		want := []Change{{Kind: "budget.changed", Object: "org", Actor: ann.ID, Approver: bob.ID, Reasoned: true}, {Kind: "change.confirmed", Object: string(id), Actor: bob.ID, Reasoned: true}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		q, err := d.state("acme").ChangeRequest(id)
		d.must(err)
		if q.State != RequestConfirmed || q.By != ann.ID || q.DecidedBy != bob.ID || q.Answer != "agreed" || q.Seen != 1 || q.Reason != "more calls" {
			t.Errorf("%+v", q)
		}
		d.refused(d.DecideRequest(ctx, bob, id, false, "again"), fault.Conflict, "decided", "confirmed already")
		d.refused(d.PutBudget(ctx, ann, raised, "again"), fault.Conflict, "no_change", "")

		id = d.waits(d.Delete(ctx, ann, kindPolicy, "house", "not needed"))
		d.must(d.DecideRequest(ctx, bob, id, false, "it is"))
		id = d.waits(d.Delete(ctx, ann, kindPolicy, "house", "not needed"))
		d.must(d.WithdrawRequest(ctx, ann, id, ""))
		if len(d.state("acme").Policies) != 1 {
			t.Error("it is deleted all the same")
		}
		id = d.waits(d.Delete(ctx, ann, kindPolicy, "house", "not needed, really"))
		d.must(d.DecideRequest(ctx, bob, id, true, "indeed"))
		if s := d.state("acme"); len(s.Policies) != 0 || s.Requests[len(s.Requests)-1].State != RequestConfirmed {
			t.Errorf("%+v", s.Policies)
		}
	})
}

// What allows more of any of these rows waits; what restricts, and what is no setting of
// the gateway, does not.
func TestWhatWaitsForASecondPerson(t *testing.T) {
	backends(t, func(t *testing.T, d *desk) {
		d.guarded()
		ctx := t.Context()
		for name, change := range map[string]func() error{
			"route":         func() error { return d.PutRoute(ctx, ann, Route{Model: "new", Provider: "up"}, "why") },
			"guard profile": func() error { return d.PutProfile(ctx, ann, GuardProfile{ID: "strict"}, "why") },
			"policy": func() error {
				return d.PutPolicy(ctx, ann, Policy{ID: "house", Mode: "shadow", Source: "package plumbline"}, "why")
			},
			"price": func() error {
				return d.PutPrice(ctx, ann, Price{Vendor: "v", PriceRow: PriceRow{Model: "m", From: "2026-01-01", TokenPrices: TokenPrices{Input: "1"}}}, "why")
			},
			"provider":        func() error { return d.PutProvider(ctx, ann, Provider{ID: "other", Kind: "simulated"}, "why") },
			"settings":        func() error { return d.PutSettings(ctx, ann, Settings{Unregistered: "block"}, "why") },
			"deleted profile": func() error { return d.Delete(ctx, ann, kindBudget, "org", "why") },
		} {
			t.Run(name, func(t *testing.T) {
				d.t = t
				id := d.waits(change())
				d.must(d.DecideRequest(ctx, bob, id, name != "settings", "looked at"))
			})
		}
		s := d.state("acme")
		if len(s.Routes) != 2 || len(s.Profiles[0].Guards) != 0 || s.Policies[0].Mode != "shadow" || len(s.Prices) != 1 || len(s.Providers) != 2 || !s.Settings.SecondPerson || len(s.Budgets) != 0 {
			t.Errorf("%+v", s)
		}
		d.must(d.PutBudget(ctx, ann, Budget{ID: "org", Scope: ScopeOrg, Limit: 100, Window: "month"}, "a limit more"))
		d.must(d.PutBudget(ctx, ann, Budget{ID: "org", Scope: ScopeOrg, Limit: 50, Window: "month"}, "lower"))
		d.must(d.Delete(ctx, ann, kindRoute, "new", "a route less"))
		_, _, err := d.CreateKey(ctx, ann, Key{System: s.Systems[0].ID, Name: "second"}, "")
		d.must(err)
	})
}

// A change is checked when it is confirmed as when it was asked for, and refused where
// what it was made from is another.
func TestAChangeRequestThatNoLongerFits(t *testing.T) {
	backends(t, func(t *testing.T, d *desk) {
		d.guarded()
		ctx := t.Context()
		id := d.waits(d.PutBudget(ctx, ann, Budget{ID: "org", Scope: ScopeOrg, Limit: 900, Window: "month"}, "more"))
		d.must(d.PutBudget(ctx, bob, Budget{ID: "org", Scope: ScopeOrg, Limit: 10, Window: "month"}, "stop"))
		d.refused(d.DecideRequest(ctx, bob, id, true, "fine"), fault.Conflict, "version", "changed by p-bob meanwhile")
		if q, err := d.state("acme").ChangeRequest(id); err != nil || q.State != RequestOpen {
			t.Errorf("%+v, %v: a failed decision is no decision", q, err)
		}
		id = d.waits(d.PutRoute(ctx, ann, Route{Model: "new", Provider: "up"}, "why"))
		d.must(d.Delete(ctx, bob, kindRoute, "gpt", "away"))
		d.must(d.Delete(ctx, bob, kindProvider, "up", "away"))
		d.refused(d.DecideRequest(ctx, bob, id, true, "fine"), fault.Invalid, "invalid_field", "up")
	})
}

// While the ledger cannot write, a confirmed change waits for it like any other, whole.
func TestConfirmedWhileTheLedgerIsDown(t *testing.T) {
	backends(t, func(t *testing.T, d *desk) {
		d.guarded()
		ctx := t.Context()
		id := d.waits(d.PutProfile(ctx, ann, GuardProfile{ID: "strict"}, "why"))
		d.book.set(errDown, nil)
		d.refused(d.DecideRequest(ctx, bob, id, true, "fine"), fault.Unavailable, "ledger_unavailable", "")
		if s := d.state("acme"); len(s.Profiles[0].Guards) != 1 {
			t.Error("it is in force without a record")
		}
		d.book.set(nil, nil)
		d.open() // a new process records what waits
		q, err := d.state("acme").ChangeRequest(id)
		d.must(err)
		if s := d.state("acme"); len(s.Profiles[0].Guards) != 0 || q.State != RequestConfirmed {
			t.Errorf("%+v, %+v", s.Profiles, q)
		}
		if k := d.book.kinds("acme"); !slices.Equal(k[len(k)-2:], []string{"guard_profile.changed", "change.confirmed"}) {
			t.Errorf("%v", k)
		}
	})
}

// A secret is entered by one person, but only where nothing else of its provider changes.
func TestSecretsWithASecondPerson(t *testing.T) {
	backends(t, func(t *testing.T, d *desk) {
		d.guarded()
		ctx := t.Context()
		d.refused(d.PutProvider(ctx, ann, Provider{ID: "new", Kind: "openai", Secret: "sk-entered-by-ann"}, "why"), fault.Conflict, "secret_with_change", "without the secret")
		d.refused(d.PutProvider(ctx, ann, Provider{ID: "up", Kind: "openai", BaseURL: "https://other.example", Secret: "sk-entered-by-ann"}, "why"), fault.Conflict, "secret_with_change", "")
		d.refused(d.PutProvider(ctx, ann, Provider{ID: "up", Kind: "openai", Secret: "sk-entered-by-ann"}, "in place of the one that is named"), fault.Conflict, "secret_with_change", "")

		id := d.waits(d.PutProvider(ctx, ann, Provider{ID: "new", Kind: "openai"}, "why"))
		d.must(d.DecideRequest(ctx, bob, id, true, "fine"))
		d.must(d.PutProvider(ctx, ann, Provider{ID: "new", Kind: "openai", Secret: "sk-entered-by-ann"}, "its key"))
		find := func() Provider {
			s := d.state("acme")
			return s.Providers[slices.IndexFunc(s.Providers, func(p Provider) bool { return p.ID == "new" })]
		}
		ref := find().CredentialRef
		d.now = d.now.Add(time.Hour)
		d.must(d.PutProvider(ctx, bob, Provider{ID: "new", Kind: "openai", Secret: "sk-entered-by-bob"}, "rotated"))
		if p := find(); p.CredentialRef == ref || p.Entered.By != bob.ID {
			t.Errorf("%+v", p)
		}
		// A change that keeps the sealed secret waits, and keeps who entered it.
		kept := find()
		id = d.waits(d.PutProvider(ctx, ann, Provider{ID: "new", Kind: "openai", Region: "eu", CredentialRef: kept.CredentialRef}, "said so now"))
		d.must(d.DecideRequest(ctx, bob, id, true, "fine"))
		if p := find(); p.Region != "eu" || p.CredentialRef != kept.CredentialRef || p.Entered != kept.Entered {
			t.Errorf("%+v", p)
		}
		d.refused(d.PutProvider(ctx, ann, Provider{ID: "new", Kind: "openai", BaseURL: "https://other.example", CredentialRef: kept.CredentialRef}, "moved"), fault.Invalid, "credential_reentry_required", "")
	})
}

// Who may decide on change requests stands in the policy of roles; the register counts
// the same roles when it asks whether there is a second person.
func TestDecidersAreThoseOfThePolicy(t *testing.T) {
	e, err := authz.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range []authz.Role{authz.Admin, authz.ComplianceOfficer, authz.SystemOwner, authz.Approver, authz.Auditor, authz.Developer, authz.Respondent} {
		if may := e.Can(authz.Actor{Roles: []authz.Role{role}}, "gateway", "decide"); may != slices.Contains(deciders, role) {
			t.Errorf("%s may decide: %v in the policy, and not so in the register", role, may)
		}
	}
}
