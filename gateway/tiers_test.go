package gateway

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"plumbline/app/money"
	"plumbline/gateway/event"
	"plumbline/gateway/price"
	"plumbline/inventory"
)

// A call is held at the dearest service tier that it asks for, and charged by the one
// that the answer names. What the table has no price for costs the standard one.
func TestServiceTiers(t *testing.T) {
	answer := ""
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		if strings.Contains(answer, "data:") {
			w.Header().Set("Content-Type", "text/event-stream")
		} else {
			w.Header().Set("Content-Type", "application/json")
		}
		io.WriteString(w, answer)
	})
	row := inventory.PriceRow{Model: "gpt-4o-mini", From: "2026-01-01", MaxOutput: 16384, TokenPrices: inventory.TokenPrices{Input: "1", Output: "2"}}
	tiered := row
	tiered.FlexFactor, tiered.Priority = "0.5", &inventory.TokenPrices{Input: "3", Output: "5"}
	said := func(tier string) string {
		return strings.Replace(plainAnswer, `"big"`, `"service_tier":"`+tier+`","big"`, 1)
	}
	streamed := func(first, last string) string {
		return `data: {"id":"c","service_tier":"` + first + `","choices":[{"index":0,"delta":{"content":"Hi"}}]}` + "\n\n" +
			`data: {"id":"c","service_tier":"` + last + `","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":3}}` + "\n\ndata: [DONE]\n\n"
	}
	const standard, flex, priority = 10*1000 + 3*2000, 10*500 + 3*1000, 10*3000 + 3*5000
	n := 0
	for _, c := range []struct {
		name, asks, answer string
		row                inventory.PriceRow
		heldIn, heldOut    money.Nano // for a token
		tier               string
		want               money.Nano
	}{
		{"nothing said", "", plainAnswer, tiered, 1000, 2000, "", standard},
		{"flex", `"flex"`, said("flex"), tiered, 1000, 2000, event.TierFlex, flex},
		{"flex, served otherwise", `"flex"`, said("default"), tiered, 1000, 2000, "", standard},
		{"flex, and the answer does not say", `"flex"`, plainAnswer, tiered, 1000, 2000, "", standard},
		{"priority", `"priority"`, said("priority"), tiered, 3000, 5000, event.TierPriority, priority},
		{"priority in escapes", `"\u0070riority"`, said("priority"), tiered, 3000, 5000, event.TierPriority, priority},
		{"priority, served otherwise", `"priority"`, said("default"), tiered, 3000, 5000, "", standard},
		{"priority, and the answer does not say", `"priority"`, plainAnswer, tiered, 3000, 5000, event.TierPriority, priority},
		{"as the account is set", `"auto"`, said("priority"), tiered, 1000, 2000, event.TierPriority, priority},
		{"nobody's", `"warp"`, said("warp"), tiered, 1000, 2000, "", standard},
		{"without a price", `"priority"`, said("priority"), row, 1000, 2000, event.TierPriority, standard},
		{"streamed", `"priority","stream":true`, streamed("priority", "priority"), tiered, 3000, 5000, event.TierPriority, priority},
		{"streamed, the last word counts", `"auto","stream":true`, streamed("auto", "flex"), tiered, 1000, 2000, event.TierFlex, flex},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer = c.answer
			r.org().Prices = []inventory.Price{{Vendor: "openai", PriceRow: c.row}}
			r.use()
			body := ask("gpt-4o-mini", "hello")
			if c.asks != "" {
				body = body[:len(body)-1] + `,"service_tier":` + c.asks + `}`
			}
			if resp, answer := r.post(body); resp.StatusCode != 200 {
				t.Fatalf("%d %s", resp.StatusCode, answer)
			}
			r.rec.wait(t, n+2)
			in, out := r.rec.events[n], r.rec.events[n+1]
			n += 2
			if held := money.Nano(len(body))*c.heldIn + 50*c.heldOut; in.Holds[0].Amount != held {
				t.Errorf("held %d, want %d", in.Holds[0].Amount, held)
			}
			if out.Usage.Tier != c.tier || out.Charge != c.want {
				t.Errorf("charged %d in the tier %q, want %d in %q", out.Charge, out.Usage.Tier, c.want, c.tier)
			}
		})
	}
}

// Searches that have a fee are held for, as many as the request allows.
func TestSearchesAreHeldFor(t *testing.T) {
	b := newBatchRig(t)
	prices, err := price.Load()
	if err != nil {
		t.Fatal(err)
	}
	rate, ok := prices.Rate("anthropic", "claude-haiku-4-5", b.g.c.Now())
	if !ok {
		t.Fatal("no price")
	}
	fee := rate.Cost(event.Usage{Searches: 1})
	if fee == 0 {
		t.Fatal("a search has no fee")
	}
	for i, c := range []struct {
		name, tools string
		searches    money.Nano
	}{
		{"none", ``, 0},
		{"a tool of the app's", `{"name":"web_search","input_schema":{"type":"object"}}`, 0},
		{"as many as it says", `{"type":"web_search_20250305","name":"web_search","max_uses":3}`, 3},
		{"the number first", `{"max_uses":4,"type":"web_search_20250305","name":"web_search"}`, 4},
		{"in escapes", `{"type":"web\u005fsearch_20250305","name":"web_search","max_uses":3}`, 3},
		{"no limit", `{"type":"web_search_20260209","name":"web_search"}`, 10},
		{"fetches have no fee", `{"type":"web_fetch_20250910","name":"web_fetch","max_uses":7}`, 0},
	} {
		body := `{"model":"claude-haiku-4-5","max_tokens":50,"messages":[{"role":"user","content":"hello"}],"tools":[` + c.tools + `]}`
		if resp, answer := b.raw("/v1/messages", body); resp.StatusCode != 200 {
			t.Fatalf("%s: %d %s", c.name, resp.StatusCode, answer)
		}
		b.rec.wait(t, 2*i+2)
		want := rate.Ceiling(event.Usage{Input: int64(len(body)), Output: 50, CacheRead: -1, CacheWrite: -1, CacheWrite1h: -1}) + c.searches*fee
		if held := b.rec.events[2*i].Holds[0].Amount; held != want {
			t.Errorf("%s: held %d, want %d", c.name, held, want)
		}
	}
}

// A message batch holds for the searches of all its requests.
func TestSearchesOfABatchAreHeldFor(t *testing.T) {
	b := newBatchRig(t)
	b.pending = true
	b.do(200, "POST", "/v1/messages/batches", testKey, messageBatch("Hello", "Hello"))
	before := b.held()
	with := strings.ReplaceAll(messageBatch("Hello", "Hello"), `"max_tokens"`, `"tools":[{"type":"web_search_20250305","name":"web_search","max_uses":3}],"max_tokens"`)
	b.do(200, "POST", "/v1/messages/batches", testKey, with)
	if more := b.held() - 2*before; more < 6*money.Dollar/100 || more > 7*money.Dollar/100 {
		t.Errorf("%s is held for six searches", more)
	}
}

// Searches of OpenAI's Responses are held for as the request allows, and charged by
// those that the answer made, or a stream until it broke off.
func TestSearchesOfResponses(t *testing.T) {
	const found = `{"type":"web_search_call","id":"ws_1","status":"completed","action":{"type":"search","query":"q"}}`
	const page = `{"type":"web_search_call","id":"ws_2","status":"completed","action":{"type":"open_page","url":"u"}}`
	const whole = `{"id":"resp_1","object":"response","status":"completed","model":"gpt-4o-mini","output":[` + found + `,` + page + `,` + found + `],"usage":{"input_tokens":0,"output_tokens":0,"total_tokens":0}}`
	events := []string{`{"type":"response.created","response":{"id":"resp_1","output":[]}}`, `{"type":"response.output_item.done","output_index":0,"item":` + found + `}`, `{"type":"response.output_item.done","output_index":1,"item":` + page + `}`}
	var streamed, cut bool
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		if !streamed {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, whole)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for _, e := range events {
			io.WriteString(w, "data: "+e+"\n\n")
		}
		if !cut {
			io.WriteString(w, `data: {"type":"response.completed","response":`+whole+"}\n\n")
		}
	})
	r.org().Prices = []inventory.Price{{Vendor: "openai", PriceRow: inventory.PriceRow{Model: "gpt-4o-mini", From: "2024-01-01", TokenPrices: inventory.TokenPrices{Input: "0", Output: "0"}, Search: "0.01", MaxOutput: 100}}}
	r.use()
	for i, c := range []struct {
		name          string
		streamed, cut bool
		tools         string
		held, want    money.Nano // cents
	}{
		{"whole", false, false, `,"tools":[{"type":"web_search"}],"max_tool_calls":4`, 4, 2},
		{"streamed", true, false, `,"tools":[{"type":"web_search_preview"}]`, 10, 2},
		{"cut", true, true, `,"tools":[{"type":"web_search"}]`, 10, 1},
		{"more than was allowed", false, false, ``, 0, 2},
	} {
		streamed, cut = c.streamed, c.cut
		body := fmt.Sprintf(`{"model":"gpt-4o-mini","max_output_tokens":50,"stream":%v,"input":"hello"%s}`, c.streamed, c.tools)
		r.raw("/v1/responses", body)
		r.rec.wait(t, 2*i+2)
		in, out := r.rec.events[2*i], r.rec.events[2*i+1]
		if held := in.Holds[0].Amount; held != c.held*money.Dollar/100 {
			t.Errorf("%s: held %s", c.name, held)
		}
		if out.Charge != c.want*money.Dollar/100 || out.Usage.Searches != int64(c.want) {
			t.Errorf("%s: charged %s for %d searches", c.name, out.Charge, out.Usage.Searches)
		}
	}
}
