package inventory

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"plumbline/app/authz"
	"plumbline/app/fault"
	"plumbline/app/seal"
)

const (
	entered  = "canary-entered-6a1f"
	entered2 = "canary-second-0b7c"
)

// openAs opens the secret of a provider's key as if the provider were p.
func (d *desk) openAs(org OrgID, p Provider, reference string) (string, error) {
	d.t.Helper()
	s := &Secrets{DB: d.d.DB, Sealer: d.d.Sealer, Host: picky{}.Host}
	return s.Open(d.t.Context(), org, p, strings.TrimPrefix(reference, "sealed:"))
}

func (d *desk) provider(org OrgID, id ProviderID) *Provider {
	d.t.Helper()
	p := d.Snapshot().Orgs[org].Providers[id]
	if p == nil {
		d.t.Fatalf("%s has no provider %s", org, id)
	}
	return p
}

func (d *desk) kept() int {
	d.t.Helper()
	list, err := d.store.secrets(d.t.Context())
	d.must(err)
	return len(list)
}

// A secret that somebody enters is sealed, opens for what it was entered for and shows
// nowhere: not in what is stored, nor in the register, nor in the record of the change.
func TestEnteredSecretsAreSealed(t *testing.T) {
	backends(t, func(t *testing.T, d *desk) {
		ctx := t.Context()
		d.furnish(ann, bob)
		d.must(d.PutProvider(ctx, ann, Provider{ID: "one", Kind: "openai", BaseURL: "https://one.example/v1", Secret: " " + entered + "\n",
			Credentials: []ProviderKey{{Secret: entered2, Weight: 3}, {Ref: "env:UP2"}}}, "a new one"))
		p := d.provider("acme", "one")
		want := Entered{By: "p-ann", At: d.now}
		if keys := p.Keys(); len(keys) != 3 || !strings.HasPrefix(keys[0].Ref, "sealed:") || keys[0].Entered != want || keys[1].Entered != want || keys[1].Weight != 3 || keys[0].Ref == keys[1].Ref || keys[2].Entered != (Entered{}) {
			t.Fatalf("%+v", keys)
		}
		for i, want := range []string{entered, entered2} {
			if got, err := d.openAs("acme", *p, p.Keys()[i].Ref); got != want || err != nil {
				t.Errorf("key %d: %q %v", i+1, got, err)
			}
		}
		if kinds := d.book.kinds("acme"); kinds[len(kinds)-1] != "provider.secret_entered" {
			t.Errorf("on record: %v", kinds)
		}
		history, err := d.History(ctx, "acme", "provider", "one")
		d.must(err)
		state, err := json.Marshal(d.state("acme"))
		d.must(err)
		var stored []secretRow
		d.must(d.d.DB.Raw(`SELECT * FROM provider_secrets`).Scan(&stored).Error)
		for where, text := range map[string]string{"history": string(history[0].Body), "state": string(state), "snapshot": fmt.Sprintf("%+v", p), "table": fmt.Sprintf("%s", stored), "changes": fmt.Sprintf("%+v", d.book.changes)} {
			if strings.Contains(text, "canary") || text == "" {
				t.Errorf("%s: %s", where, text)
			}
		}
		if len(stored) != 2 {
			t.Errorf("%d secrets are kept", len(stored))
		}

		// What stays, stays with who entered it; what is replaced is deleted.
		d.now = d.now.Add(time.Hour)
		before := p.Keys()
		d.must(d.PutProvider(ctx, bob, Provider{ID: "one", Kind: "openai", BaseURL: "https://one.example/v2", CredentialRef: before[0].Ref, Secret: entered2 + "-new",
			Credentials: []ProviderKey{{Ref: before[1].Ref, Weight: 1, Entered: Entered{By: "p-eve"}}}}, ""))
		p = d.provider("acme", "one")
		if k := p.Keys(); k[0].Ref == before[0].Ref || k[0].Entered != (Entered{By: "p-bob", At: d.now}) || k[1].Ref != before[1].Ref || k[1].Entered != want {
			t.Errorf("%+v", k)
		}
		if _, err := d.openAs("acme", *p, before[0].Ref); !fault.Is(err, fault.NotFound) {
			t.Errorf("a replaced secret: %v", err)
		}
		d.must(d.PutProvider(ctx, bob, Provider{ID: "one", Kind: "openai", BaseURL: "https://one.example/v2", CredentialRef: before[1].Ref}, ""))
		if kinds := d.book.kinds("acme"); kinds[len(kinds)-1] != "provider.changed" || d.kept() != 1 {
			t.Errorf("on record: %v; %d kept", kinds[len(kinds)-1], d.kept())
		}
	})
}

// The sealed text opens for the organisation, the provider, the id, the host and under
// the key that it was sealed with, and for nothing else.
func TestSealedSecretsAreBound(t *testing.T) {
	backends(t, func(t *testing.T, d *desk) {
		ctx := t.Context()
		d.furnish(ann, bob)
		d.furnish(eve, authz.Actor{Org: "evil", ID: "p-mal"})
		at := func(url string) Provider { return Provider{ID: "one", Kind: "openai", BaseURL: url} }
		p := at("https://one.example/v1")
		p.Secret = entered
		d.must(d.PutProvider(ctx, ann, p, ""))
		ref := d.provider("acme", "one").CredentialRef
		m, err := d.store.secret(ctx, "acme", strings.TrimPrefix(ref, "sealed:"))
		d.must(err)
		copies := []secretRow{{"evil", m.ID, "one", m.Sealed}, {"acme", "other", "one", m.Sealed}}
		for _, c := range copies {
			d.must(d.store.keepSecret(ctx, c))
		}
		for _, c := range []struct {
			name      string
			org       OrgID
			p         Provider
			reference string
			opens     bool
		}{
			{"as it was entered", "acme", at("https://one.example/v1"), ref, true},
			{"another path there", "acme", at("https://one.example/v2"), ref, true},
			{"another host", "acme", at("https://two.example/v1"), ref, false},
			{"another port", "acme", at("https://one.example:8443/v1"), ref, false},
			{"without TLS", "acme", at("http://one.example/v1"), ref, false},
			{"the kind's own host", "acme", at(""), ref, false},
			{"another provider", "acme", Provider{ID: "two", Kind: "openai", BaseURL: "https://one.example/v1"}, ref, false},
			{"moved to another organisation", "evil", at("https://one.example/v1"), ref, false},
			{"moved to another id", "acme", at("https://one.example/v1"), "sealed:other", false},
			{"not kept", "acme", at("https://one.example/v1"), "sealed:none", false},
		} {
			got, err := d.openAs(c.org, c.p, c.reference)
			if c.opens != (got == entered && err == nil) || strings.Contains(fmt.Sprint(err), entered) {
				t.Errorf("%s: %q %v", c.name, got, err)
			}
		}
		d.d.Sealer, err = seal.New(bytes.Repeat([]byte{8}, 32), nil)
		d.must(err)
		if got, err := d.openAs("acme", at("https://one.example/v1"), ref); got != "" || !fault.Is(err, fault.Invalid) {
			t.Errorf("under another instance key: %q %v", got, err)
		}
	})
}

// Whoever changes a provider's host, makes the provider anew, or makes one in another
// organisation, does not get a secret that was entered before, nor what a reference
// leads to that was named for another host.
func TestHostChangeWantsTheSecretAgain(t *testing.T) {
	backends(t, func(t *testing.T, d *desk) {
		ctx := t.Context()
		bound := ""
		d.d.Bound = func(reference, host string) bool { return reference+" "+host == bound }
		d.open()
		d.furnish(ann, bob)
		d.must(d.CreateOrg(ctx, eve, Org{ID: "evil", Name: "Evil"}))
		const one, two = "https://one.example/v1", "https://two.example/v1"
		put := func(who authz.Actor, id ProviderID, url, ref string, secret Secret) error {
			return d.PutProvider(ctx, who, Provider{ID: id, Kind: "openai", BaseURL: url, CredentialRef: ref, Secret: secret}, "x")
		}
		asked := func(err error, names string) {
			t.Helper()
			d.refused(err, fault.Invalid, "credential_reentry_required", names)
		}
		d.must(put(ann, "s", one, "", entered))
		ref := d.provider("acme", "s").CredentialRef
		asked(put(ann, "s", two, ref, ""), "enter the secret again")
		asked(put(ann, "s", "https://one.example:444/v1", ref, ""), "enter the secret again")
		asked(put(ann, "s", "http://one.example/v1", ref, ""), "enter the secret again")
		asked(put(ann, "s", "", ref, ""), "enter the secret again")
		asked(put(ann, "t", one, ref, ""), "no secret of that id")
		asked(put(eve, "s", one, ref, ""), "no secret of that id")
		asked(d.PutProvider(ctx, ann, Provider{ID: "s", Kind: "openai", BaseURL: two, Credentials: []ProviderKey{{Ref: "env:S"}, {Ref: ref}}}, ""), "enter the secret again")
		if got := fieldsOf(d.PutProvider(ctx, ann, Provider{ID: "s", Kind: "openai", BaseURL: two, CredentialRef: ref, Credentials: []ProviderKey{{Ref: "sealed:other"}}}, "")); !slices.Equal(got, []string{"credential", "credentials[0]"}) {
			t.Errorf("of two secrets to be entered again, named are %v", got)
		}
		if p := d.provider("acme", "s"); p.BaseURL != one || p.CredentialRef != ref {
			t.Errorf("a refusal changed %+v", p)
		}
		d.must(put(ann, "s", two, ref, entered)) // entered again, it goes
		ref = d.provider("acme", "s").CredentialRef
		asked(put(ann, "s", one, ref, ""), "enter the secret again")
		d.must(d.Delete(ctx, ann, "provider", "s", ""))
		if d.kept() != 0 {
			t.Error("a deleted provider's secret is still kept")
		}
		asked(put(ann, "s", two, ref, ""), "no secret of that id")

		d.must(put(ann, "r", one, "env:R", ""))
		d.must(put(ann, "r", "https://one.example/v2", "env:R", ""))
		asked(put(ann, "r", two, "env:R", ""), `"env:R -> https://two.example"`)
		asked(put(ann, "q", two, "env:R", ""), "env:R was named for another host")
		asked(put(eve, "r", two, "env:R", ""), "env:R was named for another host")
		asked(d.PutProvider(ctx, eve, Provider{ID: "r", Kind: "openai", BaseURL: two, CredentialRef: "env:E", Credentials: []ProviderKey{{Ref: "env:R"}}}, ""), "env:R was named for another host")
		d.must(d.Delete(ctx, ann, "provider", "r", ""))
		asked(put(ann, "r", two, "env:R", ""), "env:R was named for another host")
		d.must(put(ann, "r", two, "", entered)) // the secret itself
		d.must(put(ann, "r", one, "env:R", "")) // where it always went
		bound = "env:R https://two.example"
		d.must(put(ann, "r", two, "env:R", "")) // as the operator says
		bound = ""
		d.must(put(ann, "r", one, "env:R", "")) // both are known now

		for _, c := range []struct {
			name string
			p    Provider
			want string
		}{
			{"both", Provider{CredentialRef: "env:X", Secret: entered}, "not both"},
			{"twice", Provider{Secret: entered, Credentials: []ProviderKey{{Secret: entered}}}, "twice"},
			{"no header holds it", Provider{Secret: "canary entered"}, "one line"},
			{"nobody is called", Provider{Kind: "simulated", Secret: entered}, "needs no secret"},
			{"no URL", Provider{BaseURL: "https://[", Secret: entered}, "no URL"},
		} {
			if c.p.ID = "bad"; c.p.Kind == "" {
				c.p.Kind = "openai"
			}
			err := d.PutProvider(ctx, ann, c.p, "")
			if d.refused(err, fault.Invalid, "invalid_field", c.want); err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	})
}

// While the ledger is down the secret in use and the one on its way are both kept;
// once the change is on record the old one is deleted.
func TestSecretsWaitForTheLedger(t *testing.T) {
	backends(t, func(t *testing.T, d *desk) {
		ctx := t.Context()
		d.furnish(ann, bob)
		p := Provider{ID: "one", Kind: "openai", BaseURL: "https://one.example", Secret: entered}
		d.must(d.PutProvider(ctx, ann, p, ""))
		old := d.provider("acme", "one")
		d.book.set(errDown, nil)
		p.Secret, p.BaseURL = entered2, "https://two.example"
		d.refused(d.PutProvider(ctx, ann, p, ""), fault.Unavailable, "ledger_unavailable", "")
		if got, err := d.openAs("acme", *d.provider("acme", "one"), old.CredentialRef); got != entered || err != nil || d.kept() != 2 {
			t.Errorf("%q %v, %d kept", got, err, d.kept())
		}
		d.open() // a restart forgets neither
		if d.kept() != 2 {
			t.Errorf("%d kept after a restart", d.kept())
		}
		d.book.set(nil, nil)
		d.must(d.refresh(ctx))
		now := d.provider("acme", "one")
		if got, err := d.openAs("acme", *now, now.CredentialRef); got != entered2 || err != nil || d.kept() != 1 {
			t.Errorf("%q %v, %d kept", got, err, d.kept())
		}
		if !slices.Contains(d.book.kinds("acme"), "provider.secret_entered") {
			t.Errorf("%v", d.book.kinds("acme"))
		}
	})
}

// A secret does not show, in whatever way what holds it is printed.
func TestSecretsDoNotPrint(t *testing.T) {
	p := Provider{ID: "one", Secret: entered, Credentials: []ProviderKey{{Secret: entered}}}
	text, err := json.Marshal(map[string]any{"p": p, "s": p.Secret})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", p.Secret, "provider", p)
	out := string(text) + fmt.Sprintf("%v %+v %#v %s %q %x", p, p, p, p.Secret, p.Secret, p.Secret) + log.String()
	if strings.Contains(out, "canary") || strings.Contains(out, fmt.Sprintf("%x", entered)) {
		t.Error(out)
	}
}
