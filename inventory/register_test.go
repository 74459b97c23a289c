package inventory

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plumbline/app/db"
	"plumbline/app/fault"
)

// TestVersionsArePastDates: rows keep their versions, so that what held at a leaf
// or at a time is a query, and the history names who changed what.
func TestVersionsArePastDates(t *testing.T) {
	backends(t, func(t *testing.T, d *desk) {
		ctx := t.Context()
		id, _ := d.furnish(ann, bob)
		approvedAt, leaves := d.now, uint64(len(d.book.changes["acme"]))
		d.now = d.now.Add(24 * time.Hour)
		s, err := d.System("acme", id)
		d.must(err)
		changed := *s
		changed.Owner = "Another team"
		d.must(d.UpdateSystem(ctx, ann, changed, s.Version, "moved"))
		d.now = d.now.Add(24 * time.Hour)
		d.must(d.Delete(ctx, ann, "budget", "org", "not needed"))
		d.must(d.Retire(ctx, ann, id, "replaced"))

		for name, past := range map[string]func() (*State, error){
			"leaf": func() (*State, error) { return d.AsOf(ctx, "acme", leaves) },
			"time": func() (*State, error) { return d.AsOfTime(ctx, "acme", approvedAt) },
		} {
			state, err := past()
			d.must(err)
			s, err := state.System(id)
			d.must(err)
			if s.Owner != "Service" || s.Lifecycle != InUse || s.Approval.DecidedBy != "p-bob" || len(state.Budgets) != 1 {
				t.Errorf("as of the %s: %+v, %d budgets", name, s, len(state.Budgets))
			}
		}
		if state := d.state("acme"); state.Systems[0].Owner != "Another team" || state.Systems[0].Lifecycle != Retired || len(state.Budgets) != 0 {
			t.Errorf("now: %+v", state.Systems[0])
		}
		if _, err := d.AsOf(ctx, "acme", 0); !fault.Is(err, fault.NotFound) {
			t.Errorf("before the first leaf: %v", err)
		}
		if _, err := d.AsOfTime(ctx, "acme", approvedAt.Add(-time.Second)); !fault.Is(err, fault.NotFound) {
			t.Errorf("before the organisation: %v", err)
		}
		versions, err := d.History(ctx, "acme", "system", string(id))
		d.must(err)
		var got []string
		for _, v := range versions {
			got = append(got, fmt.Sprintf("%d %s by %s %s", v.Version, v.Change, v.Author, v.Approver))
		}
		want := []string{"5 system.retired by p-ann ", "4 system.changed by p-ann ", "3 system.approved by p-bob p-bob", "2 system.approval_requested by p-ann ", "1 system.created by p-ann "}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		for i, v := range versions {
			if v.Leaf < 0 || i > 0 && v.Leaf >= versions[i-1].Leaf {
				t.Errorf("version %d has leaf %d", v.Version, v.Leaf)
			}
		}
	})
}

// TestVersionsMeet: who changes what somebody changed meanwhile is told so.
func TestVersionsMeet(t *testing.T) {
	backends(t, func(t *testing.T, d *desk) {
		ctx := t.Context()
		id, key := d.furnish(ann, bob)
		s, _ := d.System("acme", id)
		saw := *s
		saw.Owner = "First"
		d.must(d.UpdateSystem(ctx, ann, saw, s.Version, ""))
		saw.Owner = "Second"
		d.refused(d.UpdateSystem(ctx, bob, saw, s.Version, ""), fault.Conflict, "version", "p-ann")

		d.must(d.PutPrice(ctx, ann, Price{Vendor: "openai", PriceRow: PriceRow{Model: "gpt", From: "2026-01-01", TokenPrices: TokenPrices{Input: "1"}}}, "first"))
		state := d.state("acme")
		puts := map[string]func() error{
			"budget":        func() error { return d.PutBudget(ctx, ann, state.Budgets[0], "") },
			"provider":      func() error { return d.PutProvider(ctx, ann, state.Providers[0], "") },
			"route":         func() error { return d.PutRoute(ctx, ann, state.Routes[0], "") },
			"guard_profile": func() error { return d.PutProfile(ctx, ann, state.Profiles[0], "") },
			"policy":        func() error { return d.PutPolicy(ctx, ann, state.Policies[0], "") },
			"price":         func() error { return d.PutPrice(ctx, ann, state.Prices[0], "") },
			"settings":      func() error { return d.PutSettings(ctx, ann, state.Settings, "") },
			"key":           func() error { return d.UpdateKey(ctx, ann, state.Keys[0], "") },
		}
		for name, put := range puts {
			d.must(put())
			err := put() // once more with the version of before
			d.refused(err, fault.Conflict, "version", name)
		}
		d.must(d.RevokeKey(ctx, ann, key, "leaked"))
		d.refused(d.UpdateKey(ctx, ann, Key{ID: key, Name: "again"}, ""), fault.Conflict, "revoked", string(key))
		gone := state.Policies[0]
		d.must(d.Delete(ctx, ann, "policy", "house", ""))
		d.refused(d.PutPolicy(ctx, ann, gone, ""), fault.Conflict, "version", "not there")
	})
}

// TestFourEyes: whoever asks does not decide, and an approval ends with what it
// rested on.
func TestFourEyes(t *testing.T) {
	backends(t, func(t *testing.T, d *desk) {
		ctx := t.Context()
		id, _ := d.furnish(ann, bob)
		s, _ := d.System("acme", id)
		changed := *s
		changed.Purpose = "Decides on credit."
		d.must(d.UpdateSystem(ctx, ann, changed, 0, ""))
		if s, _ := d.System("acme", id); s.Approval.State != NotRequested {
			t.Errorf("the purpose changed, and the approval is %q", s.Approval.State)
		}
		d.refused(d.DecideApproval(ctx, bob, id, true, time.Time{}, "fine"), fault.Conflict, "not_requested", string(id))
		d.must(d.RequestApproval(ctx, ann, id, ""))
		d.refused(d.DecideApproval(ctx, ann, id, true, time.Time{}, "fine"), fault.Forbidden, "four_eyes", "second person")
		d.refused(d.DecideApproval(ctx, bob, id, true, time.Time{}, " "), fault.Invalid, "invalid_field", "why")
		changed.RiskClass, changed.RiskReason = HighRiskAnnexIII, "5.b"
		d.must(d.UpdateSystem(ctx, ann, changed, 0, "")) // after it was asked for, before it is decided
		d.refused(d.DecideApproval(ctx, bob, id, true, time.Time{}, "fine"), fault.Conflict, "not_requested", string(id))
		d.must(d.RequestApproval(ctx, ann, id, ""))
		d.must(d.DecideApproval(ctx, bob, id, true, d.now.Add(time.Hour), "fine"))
		s, _ = d.System("acme", id)
		if a := s.Approval; !a.ValidAt(d.now) || a.ValidAt(d.now.Add(time.Hour)) || a.RequestedBy != "p-ann" || a.DecidedBy != "p-bob" || a.Imported {
			t.Errorf("approval %+v", a)
		}
		last := d.book.changes["acme"][len(d.book.changes["acme"])-1]
		if last.Kind != "system.approved" || last.Actor != "p-bob" || last.Approver != "p-bob" || last.Imported || !last.Reasoned {
			t.Errorf("recorded %+v", last)
		}
	})
}

// TestRestrictsAtOncePermitsLater: while the ledger is down, what restricts is in
// force when the call returns, and what permits comes once it is on record.
func TestRestrictsAtOncePermitsLater(t *testing.T) {
	backends(t, func(t *testing.T, d *desk) {
		ctx := t.Context()
		id, key := d.furnish(ann, bob)
		other, err := d.AddSystem(ctx, ann, System{Name: "Other", Purpose: "Other.", Owner: "Service", RiskClass: Minimal, RiskReason: "r", Lifecycle: InUse}, "")
		d.must(err)
		d.must(d.RequestApproval(ctx, ann, other.ID, ""))
		member, err := d.AddAccount(ctx, ann, Person{Name: "Cy", Email: "cy@example.com", Roles: roles[:2]})
		d.must(err)
		d.book.set(errDown, nil)

		// Permits: each is kept, says so, and is not in force.
		wider := d.state("acme").Budgets[0]
		wider.Limit *= 10
		for name, permit := range map[string]func() error{
			"approval":     func() error { return d.DecideApproval(ctx, bob, other.ID, true, time.Time{}, "fine") },
			"budget":       func() error { return d.PutBudget(ctx, ann, wider, "") },
			"key":          func() error { _, _, err := d.CreateKey(ctx, ann, Key{Name: "new", System: id}, ""); return err },
			"route":        func() error { return d.PutRoute(ctx, ann, Route{Model: "gpt-2", Provider: "up"}, "") },
			"policy":       func() error { return d.Delete(ctx, ann, "policy", "house", "") },
			"organisation": func() error { return d.CreateOrg(ctx, eve, Org{ID: "evil", Name: "Evil"}) },
		} {
			if err := permit(); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "into force once the ledger") {
				t.Errorf("%s: %v", name, err)
			}
		}
		snap := d.Snapshot()
		v := snap.Orgs["acme"]
		if len(snap.Orgs) != 1 || len(snap.Keys) != 1 || len(v.Routes) != 1 || len(v.Policies) != 1 || v.Systems[other.ID].Approval.State != Requested || v.OrgBudgets[0].Limit != 100 {
			t.Errorf("in force without a record: %d organisations, %d keys, %+v", len(snap.Orgs), len(snap.Keys), v)
		}

		// Restricts: each is in force now.
		narrower := d.state("acme").Budgets[0]
		narrower.Limit, narrower.Version = 7, 0
		fewer := d.state("acme").Keys[0]
		fewer.PerMinute, fewer.Version = 5, 0
		d.must(d.PutBudget(ctx, ann, narrower, ""))
		d.must(d.UpdateKey(ctx, ann, fewer, ""))
		d.must(d.Suspend(ctx, bob, id, "it answers nonsense"))
		d.must(d.PutSettings(ctx, ann, Settings{Unregistered: "block"}, ""))
		d.must(d.Delete(ctx, ann, "route", "gpt", ""))
		d.must(d.SetRoles(ctx, ann, member.ID, roles[:1], ""))
		v = d.Snapshot().Orgs["acme"]
		if v.Systems[id].Suspended == nil || v.OrgBudgets[0].Limit != 7 || d.Snapshot().Keys[key].PerMinute != 5 || v.Settings.Unregistered != "block" || len(v.Routes) != 0 || len(d.state("acme").Members[0].Roles) != 1 {
			t.Errorf("not in force: %+v", v)
		}
		d.must(d.RevokeKey(ctx, ann, key, "leaked"))
		if d.Snapshot().Keys[key].RevokedAt.IsZero() {
			t.Error("the revoked key works")
		}
		if n := len(d.book.changes["evil"]); n != 0 {
			t.Errorf("%d records while down", n)
		}

		// The ledger is back: everything is recorded, in its order, and in force.
		before := len(d.book.changes["acme"])
		d.book.set(nil, nil)
		d.must(d.refresh(ctx))
		if got := len(d.book.changes["acme"]) - before; got != 12 {
			t.Errorf("%d changes of acme recorded, want 12: %v", got, d.book.kinds("acme")[before:])
		}
		v = d.Snapshot().Orgs["acme"]
		if v.Systems[other.ID].Approval.State != Approved || v.Routes["gpt-2"] == nil || len(v.Policies) != 0 || len(d.Snapshot().Keys) != 2 || d.Snapshot().Orgs["evil"] == nil {
			t.Errorf("not in force after the record: %+v", v)
		}
		if v.Systems[id].Suspended == nil || v.OrgBudgets[0].Limit != 7 || v.Routes["gpt"] != nil {
			t.Errorf("what was waiting undid what restricts: %+v", v)
		}
	})
}

// TestOutboxAfterACrash: the change is committed with its outbox row; whatever
// happens to its record, the next start appends it exactly once.
func TestOutboxAfterACrash(t *testing.T) {
	backends(t, func(t *testing.T, d *desk) {
		ctx := t.Context()
		id, _ := d.furnish(ann, bob)
		before := len(d.book.changes["acme"])
		d.book.set(errDown, nil) // the process ends before the record
		d.refused(d.Resume(ctx, ann, id, ""), fault.Conflict, "not_suspended", string(id))
		if err := d.PutRoute(ctx, ann, Route{Model: "m1", Provider: "up"}, ""); !fault.Is(err, fault.Unavailable) {
			t.Fatal(err)
		}
		d.book.set(nil, errDown) // the record is there, and was reported lost
		if err := d.PutRoute(ctx, ann, Route{Model: "m2", Provider: "up"}, ""); !fault.Is(err, fault.Unavailable) {
			t.Fatal(err)
		}
		if got := len(d.book.changes["acme"]) - before; got != 1 {
			t.Fatalf("%d records", got)
		}
		d.book.set(nil, nil)
		for range 2 { // the second start finds nothing to do
			d.open()
			if got := d.book.kinds("acme")[before:]; !slices.Equal(got, []string{"route.changed", "route.changed"}) {
				t.Fatalf("recorded %v", got)
			}
		}
		if v := d.Snapshot().Orgs["acme"]; v.Routes["m1"] == nil || v.Routes["m2"] == nil {
			t.Error("what was recorded is not in force")
		}
		for _, model := range []string{"m1", "m2"} {
			versions, err := d.History(ctx, "acme", "route", model)
			d.must(err)
			leaf := versions[0].Leaf
			if leaf < 0 || d.book.changes["acme"][leaf].Object != model {
				t.Errorf("%s has leaf %d", model, leaf)
			}
		}
	})
}

// TestNothingHalfWritten: a change whose row cannot be written leaves nothing,
// neither a record nor a state.
func TestNothingHalfWritten(t *testing.T) {
	backends(t, func(t *testing.T, d *desk) {
		ctx := t.Context()
		d.furnish(ann, bob)
		before := len(d.book.changes["acme"])
		if err := d.d.DB.Exec(`ALTER TABLE register_rows RENAME COLUMN reason TO hidden`).Error; err != nil {
			t.Fatal(err)
		}
		if err := d.PutRoute(ctx, ann, Route{Model: "m1", Provider: "up"}, "x"); err == nil {
			t.Error("no error")
		}
		if err := d.d.DB.Exec(`ALTER TABLE register_rows RENAME COLUMN hidden TO reason`).Error; err != nil {
			t.Fatal(err)
		}
		d.must(d.refresh(ctx))
		if len(d.book.changes["acme"]) != before || d.Snapshot().Orgs["acme"].Routes["m1"] != nil {
			t.Error("a failed change left something")
		}
	})
}

// TestConfirmed: a snapshot is confirmed by the database alone, and another
// process's change is found.
func TestConfirmed(t *testing.T) {
	backends(t, func(t *testing.T, d *desk) {
		ctx := t.Context()
		id, _ := d.furnish(ann, bob)
		first := d.Register
		d.open() // a second process on the same database
		d.must(d.Suspend(ctx, ann, id, "stop"))
		if s, _ := first.System("acme", id); s.Suspended != nil {
			t.Fatal("the first saw it without asking")
		}
		d.now = d.now.Add(400 * time.Millisecond)
		d.must(first.refresh(ctx))
		if s, _ := first.System("acme", id); s.Suspended == nil || !first.Confirmed().Equal(d.now) {
			t.Errorf("the first did not find it: %+v, confirmed %v", s.Suspended, first.Confirmed())
		}
		at := first.Confirmed()
		if err := d.d.DB.Exec(`ALTER TABLE register_rows RENAME TO away`).Error; err != nil {
			t.Fatal(err)
		}
		d.now = d.now.Add(time.Second)
		if err := first.refresh(ctx); err == nil || !first.Confirmed().Equal(at) {
			t.Errorf("confirmed %v without a database: %v", first.Confirmed(), err)
		}
	})
}

// TestRowsRestOnEachOther: what something else rests on is not taken away.
// A key is made for a system that may still call: one of a retired system is refused, and
// one that there was can still be narrowed, declared as before and revoked.
func TestNoKeyForARetiredSystem(t *testing.T) {
	backends(t, func(t *testing.T, d *desk) {
		ctx := t.Context()
		system, key := d.furnish(ann, bob)
		d.must(d.Retire(ctx, ann, system, "replaced"))
		_, _, err := d.CreateKey(ctx, ann, Key{Name: "late", System: system}, "")
		if d.refused(err, fault.Invalid, "invalid_field", string(system)+" is retired"); !slices.Equal(fieldsOf(err), []string{"system"}) {
			t.Errorf("named are %v", fieldsOf(err))
		}
		if n := len(d.state("acme").Keys); n != 1 {
			t.Errorf("there are %d keys", n)
		}
		d.must(d.UpdateKey(ctx, ann, Key{ID: key, Name: "desk", PerMinute: 1}, ""))
		d.must(d.RevokeKey(ctx, ann, key, ""))
		if _, err := d.declare(strings.ReplaceAll(house, "lifecycle: in_use", "lifecycle: retired")); err != nil {
			t.Errorf("a file whose system is retired, with its key: %v", err)
		}
	})
}

func TestRowsRestOnEachOther(t *testing.T) {
	d := newDesk(t, db.Config{Dir: t.TempDir()})
	ctx := t.Context()
	id, _ := d.furnish(ann, bob)
	d.refused(d.Delete(ctx, ann, "provider", "up", ""), fault.Conflict, "in_use", "gpt")
	d.refused(d.Delete(ctx, ann, "guard_profile", "strict", ""), fault.Conflict, "in_use", string(id))
	d.refused(d.Delete(ctx, ann, "system", string(id), ""), fault.Invalid, "not_deletable", "system")
	s, _ := d.System("acme", id)
	changed := *s
	changed.Profile = "none such"
	d.refused(d.UpdateSystem(ctx, ann, changed, 0, ""), fault.Invalid, "invalid_field", "none such")
	d.must(d.Retire(ctx, ann, id, ""))
	d.must(d.Delete(ctx, ann, "guard_profile", "strict", ""))
	d.must(d.Delete(ctx, ann, "route", "gpt", ""))
	d.must(d.Delete(ctx, ann, "provider", "up", ""))
}

func TestNarrows(t *testing.T) {
	hour := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	key := func(f func(*Key)) storedKey {
		k := Key{ID: "k", System: "SYS-001", Models: []string{"a", "b"}, PerMinute: 10, ExpiresAt: hour}
		f(&k)
		return storedKey{k, []byte{1}}
	}
	running := System{Lifecycle: InUse, Approval: Approval{State: Approved}}
	for _, c := range []struct {
		name     string
		kind     string
		old, new any
		want     bool
	}{
		{"a new budget", kindBudget, nil, Budget{}, true},
		{"a lower budget", kindBudget, Budget{Limit: 2, Window: "day"}, Budget{Limit: 1, Window: "day"}, true},
		{"a lower budget for a shorter window", kindBudget, Budget{Limit: 2, Window: "month"}, Budget{Limit: 1, Window: "day"}, false},
		{"a lower budget of another target", kindBudget, Budget{Limit: 2, Target: "a"}, Budget{Limit: 1, Target: "b"}, false},
		{"a higher budget", kindBudget, Budget{Limit: 1}, Budget{Limit: 2}, false},
		{"a new key", kindKey, nil, key(func(*Key) {}), false},
		{"a revoked key", kindKey, key(func(*Key) {}), key(func(k *Key) { k.RevokedAt, k.PerMinute = hour, 0 }), true},
		{"fewer models", kindKey, key(func(*Key) {}), key(func(k *Key) { k.Models = k.Models[:1] }), true},
		{"every model", kindKey, key(func(*Key) {}), key(func(k *Key) { k.Models = nil }), false},
		{"another model", kindKey, key(func(*Key) {}), key(func(k *Key) { k.Models = []string{"c"} }), false},
		{"no rate limit", kindKey, key(func(*Key) {}), key(func(k *Key) { k.PerMinute = 0 }), false},
		{"a first concurrency limit", kindKey, key(func(*Key) {}), key(func(k *Key) { k.Concurrency = 1 }), true},
		{"lower rate, later end", kindKey, key(func(*Key) {}), key(func(k *Key) { k.PerMinute, k.ExpiresAt = 1, hour.Add(1) }), false},
		{"another system", kindKey, key(func(*Key) {}), key(func(k *Key) { k.System = "SYS-002" }), false},
		{"another owner, who then sees its calls", kindKey, key(func(*Key) {}), key(func(k *Key) { k.Owner = "p-2" }), false},
		{"approval withdrawn", kindSystem, running, System{Lifecycle: InUse, Approval: Approval{State: Rejected}}, true},
		{"back to development", kindSystem, running, System{Lifecycle: Development, Approval: Approval{State: Approved}}, true},
		{"other words", kindSystem, running, System{Name: "x", Lifecycle: InUse, Approval: Approval{State: Approved}}, false},
		{"unregistered use blocked", kindSettings, Settings{Unregistered: "flag"}, Settings{Unregistered: "block"}, true},
		{"unregistered use flagged", kindSettings, Settings{Unregistered: "block"}, Settings{Unregistered: "flag"}, false},
		{"fewer roles", kindMember, Person{Roles: roles[:2]}, Person{Roles: roles[:1]}, true},
		{"other roles", kindMember, Person{Roles: roles[:2]}, Person{Roles: roles[2:3]}, false},
		{"another policy", kindPolicy, Policy{Source: "a"}, Policy{Source: "b"}, false},
	} {
		var old []byte
		if c.old != nil {
			old, _ = json.Marshal(c.old)
		}
		body, _ := json.Marshal(c.new)
		if got := narrows(c.kind, old, body); got != c.want {
			t.Errorf("%s: narrows %v, want %v", c.name, got, c.want)
		}
	}
}
