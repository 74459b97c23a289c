package inventory

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plumbline/app/authz"
)

// ofTheInstance are the methods that belong to no organisation, with the reason.
var ofTheInstance = map[string]string{
	"Account":      "a person's account is one for all organisations",
	"Authenticate": "a password is the account's",
	"CheckLink":    "a link signs an account in",
	"Confirmed":    "the snapshot is the instance's",
	"Declare":      "the file is the operator's and names its organisations",
	"Drain":        "the outbox of every organisation",
	"FirstRun":     "asked before there is an organisation",
	"HostOf":       "where calls go is said by the provider alone",
	"Link":         "a link signs an account in",
	"Memberships":  "what an account may choose from when it signs in",
	"Orgs":         "for jobs and the first run",
	"Redeem":       "a link signs an account in",
	"Run":          "keeps the snapshot fresh",
	"SetPassword":  "a password is the account's",
	"Snapshot":     "what the gateway obeys; it looks up by key",
}

// TestOtherOrganisations calls every exported method of the register for an
// organisation that is not the one whose things it names, and for none: nothing
// of the other comes back, and nothing of it changes. A new method fails here
// until it is in one of the two tables.
func TestOtherOrganisations(t *testing.T) {
	backends(t, func(t *testing.T, d *desk) {
		ctx := t.Context()
		system, key := d.furnish(ann, bob)
		member, err := d.AddAccount(ctx, ann, Person{Name: "acme's Cy", Email: "cy@example.com", Roles: roles[:1]})
		d.must(err)
		d.must(d.CreateOrg(ctx, eve, Org{ID: "evil", Name: "Evil"}))
		d.must(d.PutProvider(ctx, eve, Provider{ID: "up", Kind: "openai"}, ""))
		asked, err := d.AddSystem(ctx, ann, System{Name: "Asked", Purpose: "p", Owner: "o", RiskClass: Minimal, RiskReason: "r", Lifecycle: InUse}, "")
		d.must(err)
		d.must(d.RequestApproval(ctx, ann, asked.ID, ""))

		actor := func(org OrgID) authz.Actor { return authz.Actor{Org: org, ID: "p-eve"} }
		void := func(err error) (any, error) { return nil, err }
		whole := System{ID: system, Name: "x", Purpose: "p", Owner: "o", RiskClass: Minimal, RiskReason: "r", Lifecycle: InUse}
		d.mu.Lock()
		var waits *Waits
		if err := d.ask(ctx, ann, kindPolicy, "house", Policy{ID: "house", Mode: "shadow", Source: "package plumbline"}, 0, "why"); !errors.As(err, &waits) {
			t.Fatal(err)
		}
		d.mu.Unlock()
		calls := map[string]func(org OrgID) (any, error){
			"Actor": func(org OrgID) (any, error) { return d.Actor(org, member.ID) },
			"AddAccount": func(org OrgID) (any, error) {
				return d.AddAccount(ctx, actor(org), Person{Name: "Eve", Email: "eve@example.com", Roles: roles[:1]})
			},
			"AddSystem": func(org OrgID) (any, error) { return d.AddSystem(ctx, actor(org), whole, "") },
			"AsOf":      func(org OrgID) (any, error) { return d.AsOf(ctx, org, 1000) },
			"AsOfTime":  func(org OrgID) (any, error) { return d.AsOfTime(ctx, org, d.now.Add(time.Hour)) },
			"CheckBudget": func(org OrgID) (any, error) {
				return void(d.CheckBudget(actor(org), Budget{ID: "k", Scope: ScopeKey, Target: string(key), Window: "day"}))
			},
			"CheckProvider": func(org OrgID) (any, error) {
				return void(d.CheckProvider(actor(org), Provider{ID: "up", Kind: "simulated"}))
			},
			"CheckRoute": func(org OrgID) (any, error) {
				return void(d.CheckRoute(actor(org), Route{Model: "gpt", Provider: "up"}))
			},
			"CheckKey": func(org OrgID) (any, error) {
				return void(d.CheckKey(actor(org), Key{Name: "of acme", Owner: member.ID}))
			},
			"CreateKey": func(org OrgID) (any, error) {
				k, _, err := d.CreateKey(ctx, actor(org), Key{ID: key, Name: "stolen"}, "")
				return k, err
			},
			"CreateOrg": func(org OrgID) (any, error) { return void(d.CreateOrg(ctx, actor(org), Org{ID: org, Name: "again"})) },
			"DecideApproval": func(org OrgID) (any, error) {
				return void(d.DecideApproval(ctx, actor(org), asked.ID, true, time.Time{}, "fine"))
			},
			"DecideRequest": func(org OrgID) (any, error) {
				return void(d.DecideRequest(ctx, actor(org), waits.Request, true, "fine"))
			},
			"Delete":  func(org OrgID) (any, error) { return void(d.Delete(ctx, actor(org), "policy", "house", "")) },
			"History": func(org OrgID) (any, error) { return d.History(ctx, org, "system", string(system)) },
			"LinkFor": func(org OrgID) (any, error) { return d.LinkFor(ctx, actor(org), member.ID) },
			"PutBudget": func(org OrgID) (any, error) {
				return void(d.PutBudget(ctx, actor(org), Budget{ID: "k", Scope: ScopeKey, Target: string(key), Window: "day"}, ""))
			},
			"PutPolicy": func(org OrgID) (any, error) {
				return void(d.PutPolicy(ctx, actor(org), Policy{ID: "house", Mode: "shadow"}, ""))
			},
			"PutPrice": func(org OrgID) (any, error) {
				return void(d.PutPrice(ctx, actor(org), Price{Vendor: "openai", PriceRow: PriceRow{Model: "gpt", From: "2026-01-01", TokenPrices: TokenPrices{Input: "0"}}}, ""))
			},
			"PutProfile": func(org OrgID) (any, error) {
				return void(d.PutProfile(ctx, actor(org), GuardProfile{ID: "strict"}, ""))
			},
			"PutProvider": func(org OrgID) (any, error) {
				return void(d.PutProvider(ctx, actor(org), Provider{ID: "up", Kind: "simulated"}, ""))
			},
			"PutRoute": func(org OrgID) (any, error) {
				return void(d.PutRoute(ctx, actor(org), Route{Model: "gpt", Provider: "up"}, ""))
			},
			"PutSettings":     func(org OrgID) (any, error) { return void(d.PutSettings(ctx, actor(org), Settings{}, "")) },
			"RemoveAccount":   func(org OrgID) (any, error) { return void(d.RemoveAccount(ctx, actor(org), member.ID, "")) },
			"RequestApproval": func(org OrgID) (any, error) { return void(d.RequestApproval(ctx, actor(org), system, "")) },
			"Resume":          func(org OrgID) (any, error) { return void(d.Resume(ctx, actor(org), system, "")) },
			"Retire":          func(org OrgID) (any, error) { return void(d.Retire(ctx, actor(org), system, "x")) },
			"Review":          func(org OrgID) (any, error) { return void(d.Review(ctx, actor(org), system, "x")) },
			"RevokeKey":       func(org OrgID) (any, error) { return void(d.RevokeKey(ctx, actor(org), key, "x")) },
			"SetRoles":        func(org OrgID) (any, error) { return void(d.SetRoles(ctx, actor(org), member.ID, roles[:2], "")) },
			"State":           func(org OrgID) (any, error) { return d.State(org) },
			"Suspend":         func(org OrgID) (any, error) { return void(d.Suspend(ctx, actor(org), system, "x")) },
			"System":          func(org OrgID) (any, error) { return d.System(org, system) },
			"WithdrawRequest": func(org OrgID) (any, error) {
				return void(d.WithdrawRequest(ctx, actor(org), waits.Request, "mine"))
			},
			"UpdateKey": func(org OrgID) (any, error) {
				return void(d.UpdateKey(ctx, actor(org), Key{ID: key, Name: "stolen"}, ""))
			},
			"WithdrawApproval": func(org OrgID) (any, error) {
				return void(d.WithdrawApproval(ctx, actor(org), system, "x"))
			},
			"UpdateOrg":    func(org OrgID) (any, error) { return void(d.UpdateOrg(ctx, actor(org), "Renamed", "")) },
			"UpdateSystem": func(org OrgID) (any, error) { return void(d.UpdateSystem(ctx, actor(org), whole, 0, "")) },
		}
		// May succeed for evil: they make or read something of evil's own.
		own := map[string]bool{"AddAccount": true, "AddSystem": true, "AsOf": true, "AsOfTime": true, "CheckProvider": true, "CheckRoute": true, "History": true, "PutPolicy": true, "PutPrice": true, "PutProfile": true, "PutProvider": true,
			"PutRoute": true, "PutSettings": true, "State": true, "System": true, "UpdateOrg": true, "UpdateSystem": true, "RequestApproval": true, "Retire": true, "Review": true, "Suspend": true, "Resume": true}

		before := d.rowsOf("acme")
		records := len(d.book.changes["acme"])
		for i := range reflect.TypeOf(d.Register).NumMethod() {
			name := reflect.TypeOf(d.Register).Method(i).Name
			call, scoped := calls[name]
			if _, instance := ofTheInstance[name]; instance == scoped {
				t.Errorf("%s: say in one of the tables what it does across organisations", name)
				continue
			}
			if !scoped {
				continue
			}
			out, err := call("evil")
			if err == nil && !own[name] {
				t.Errorf("%s: evil had its way", name)
			}
			if text, _ := json.Marshal(out); err == nil && strings.Contains(string(text), "acme") {
				t.Errorf("%s: evil saw %s", name, text)
			}
			if _, err := call(""); err == nil {
				t.Errorf("%s: went through without an organisation", name)
			}
			delete(calls, name)
		}
		for name := range calls {
			t.Errorf("%s is no method any more", name)
		}
		if diff := cmp.Diff(before, d.rowsOf("acme")); diff != "" {
			t.Errorf("acme's rows changed:\n%s", diff)
		}
		if len(d.book.changes["acme"]) != records || len(d.book.changes[""]) != 0 || len(d.rowsOf("")) != 0 {
			t.Error("acme's log or nobody's grew")
		}
		if k := d.Snapshot().Keys[key]; k.Org != "acme" || k.Name != "desk" {
			t.Errorf("the key is now %+v", k)
		}
	})
}

func (d *desk) rowsOf(org OrgID) []row {
	d.t.Helper()
	rows, err := d.store.rows(context.Background(), `SELECT * FROM register_rows WHERE org = ? ORDER BY seq`, string(org))
	d.must(err)
	return rows
}
