package gateway

import (
	"testing"

	"plumbline/app/money"
	"plumbline/gateway/price"
	"plumbline/gateway/provider"
	"plumbline/inventory"
)

// An organisation's own price wins over the table's, in the hold and in the charge,
// and the hash on record is that of both; another organisation's calls, and other
// models, cost what they did.
func TestOwnPrices(t *testing.T) {
	r := newRig(t, answerPlain)
	r.post(ask("gpt-4o-mini", "hello"))
	r.org().Prices = []inventory.Price{{Vendor: "openai", PriceRow: inventory.PriceRow{Model: "gpt-4o-mini", From: "2026-01-01", MaxOutput: 16384,
		TokenPrices: inventory.TokenPrices{Input: "7", Output: "9"}, Request: "0.5"}}}
	r.use()
	r.post(ask("gpt-4o-mini", "hello"))
	r.org().Prices = nil
	r.use()
	r.post(ask("gpt-4o-mini", "hello"))

	r.rec.wait(t, 6)
	var charges []money.Nano
	var tables []string
	for i := 1; i < 6; i += 2 {
		in, out := r.rec.events[i-1], r.rec.events[i]
		charges, tables = append(charges, out.Charge), append(tables, out.PriceTable)
		if in.PriceTable != out.PriceTable || in.Holds[0].Amount < out.Charge {
			t.Errorf("intent with table %s holds %s, outcome with %s costs %s", in.PriceTable, in.Holds[0].Amount, out.PriceTable, out.Charge)
		}
	}
	const listed, own = 10*150 + 3*600, 10*7000 + 3*9000 + 500_000_000
	if charges[0] != listed || charges[1] != own || charges[2] != listed {
		t.Errorf("charges %v, want %d, %d, %d", charges, listed, own, listed)
	}
	if tables[0] == tables[1] || tables[0] != tables[2] || tables[0] != r.g.c.Prices.Hash() {
		t.Errorf("tables %v; the embedded one is %s", tables, r.g.c.Prices.Hash())
	}
}

// What runs on the organisation's own machines has a price, and it is zero.
func TestLocalModelsCostNothing(t *testing.T) {
	r := newRig(t, answerPlain)
	own := *r.org().Providers["up"]
	own.Vendor = "local"
	r.org().Providers["up"] = &own
	r.use()
	if resp, answer := r.post(ask("gpt-4o-mini", "hello")); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, answer)
	}
	r.rec.wait(t, 2)
	if e := r.rec.last(); e.Charge != 0 || e.PriceTable == "" || e.Usage.Input != 10 {
		t.Errorf("outcome %+v", e)
	}
}

// TestFormsOfCalls: a call is held and charged in the form that it asks for; the
// vendor's default where it says nothing, the dearest where it cannot be known.
func TestFormsOfCalls(t *testing.T) {
	r := newRig(t, answerPlain)
	r.org().Prices = []inventory.Price{{Vendor: "openai", PriceRow: inventory.PriceRow{Model: "gpt-4o-mini", From: "2026-01-01", MaxOutput: 16384, TokenPrices: inventory.TokenPrices{Input: "0", Output: "0"},
		Forms: []inventory.PriceForm{{Form: "low", Request: "0.005"}, {Form: "high", Request: "0.012"}}}}}
	r.use()
	const messages = `"model":"gpt-4o-mini","messages":[{"role":"user","content":"hello"}]`
	for i, c := range []struct {
		name, body, form string
		want             money.Nano
	}{
		{"not said", `{` + messages + `}`, "low", 5_000_000},
		{"said", `{` + messages + `,"web_search_options":{"search_context_size":"high"}}`, "high", 12_000_000},
		{"not sold", `{` + messages + `,"web_search_options":{"search_context_size":"huge"}}`, "", 12_000_000},
		{"not readable", `{` + messages + `,"web_search_options":{"search_context_size":7}}`, "", 12_000_000},
	} {
		if resp, answer := r.post(c.body); resp.StatusCode != 200 {
			t.Fatalf("%s: %d %s", c.name, resp.StatusCode, answer)
		}
		r.rec.wait(t, 2*i+2)
		in, out := r.rec.events[2*i], r.rec.events[2*i+1]
		if out.Charge != c.want || out.Usage.Form != c.form || in.Holds[0].Amount != c.want {
			t.Errorf("%s: held %s, charged %s in the form %q; want %s in %q", c.name, in.Holds[0].Amount, out.Charge, out.Usage.Form, c.want, c.form)
		}
	}
}

// TestEveryKindHasPrices: a kind of provider names a vendor of the price table, so
// that its calls are priced without more being said.
func TestEveryKindHasPrices(t *testing.T) {
	prices, err := price.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range provider.Kinds() {
		kind, err := provider.KindOf(name)
		if err != nil {
			t.Fatal(err)
		}
		if !prices.Has(kind.Vendor) {
			t.Errorf("%s: the price table has no vendor %q", name, kind.Vendor)
		}
	}
}
