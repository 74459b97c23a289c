package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plumbline/gateway/dialect"
	"plumbline/gateway/event"
	"plumbline/gateway/wiretest"
	"plumbline/inventory"
)

// keptPins is a store as it stands behind the gateway.
type keptPins struct {
	mu    sync.Mutex
	by    map[pinKey]Pin
	found int // calls of Find
	down  bool
}

func (k *keptPins) Find(_ context.Context, org inventory.OrgID, system inventory.SystemID, id [32]byte) (Pin, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.found++
	if k.down {
		return Pin{}, errors.New("the database is down")
	}
	if p, ok := k.by[pinKey{org, system, id}]; ok {
		return p, nil
	}
	return Pin{}, ErrNoPin
}

func (k *keptPins) Keep(p Pin) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.by[pinKey{p.Org, p.System, p.ID}] = p
}

// pinRig is a gateway whose route gpt-4o-mini leads by turns to two upstreams.
type pinRig struct {
	*rig
	a, b *wiretest.Server
	kept *keptPins
	n    int
}

const (
	siblingKey  = "pk-k3-secret" // of another system
	strangerKey = "pk-k4-secret" // of another organisation
)

func newPinRig(t *testing.T) *pinRig {
	p := &pinRig{rig: newRig(t, func(http.ResponseWriter, *http.Request) {}), a: wiretest.Start(), b: wiretest.Start(), kept: &keptPins{by: map[pinKey]Pin{}}}
	t.Cleanup(p.a.Close)
	t.Cleanup(p.b.Close)
	p.g.c.Pins = p.kept
	p.env["env:WIRE"] = wiretest.Key
	org := p.org()
	for id, up := range map[inventory.ProviderID]*wiretest.Server{"a": p.a, "b": p.b} {
		org.Providers[id] = &inventory.Provider{ID: id, Kind: "openai", BaseURL: up.URL + "/v1", CredentialRef: "env:WIRE"}
	}
	org.Routes["gpt-4o-mini"] = &inventory.Route{Model: "gpt-4o-mini", Strategy: inventory.RoundRobin, Targets: []inventory.Target{{Provider: "a"}, {Provider: "b"}}}
	other := *org.Systems["SYS-001"]
	other.ID = "SYS-002"
	org.Systems["SYS-002"] = &other
	stranger := *org
	stranger.Org.ID, stranger.OrgBudgets = "evil", nil
	p.snap.Orgs["evil"] = &stranger
	p.snap.Keys["k3"] = &inventory.Key{ID: "k3", Org: "acme", System: "SYS-002", Hash: hashKey("secret")}
	p.snap.Keys["k4"] = &inventory.Key{ID: "k4", Org: "evil", System: "SYS-001", Hash: hashKey("secret")}
	p.use()
	return p
}

var responseID = regexp.MustCompile(`resp_[0-9a-f]+`)

// create makes a response and says where.
func (p *pinRig) create(stream bool) (id string, at *wiretest.Server) {
	p.t.Helper()
	p.n++
	p.a.Forget()
	p.b.Forget()
	resp, answer := p.send(http.MethodPost, "/v1/responses", testKey, fmt.Sprintf(`{"model":"gpt-4o-mini","stream":%v,"input":"Number %d"}`, stream, p.n))
	if id = responseID.FindString(answer); resp.StatusCode != 200 || id == "" {
		p.t.Fatalf("%d %s", resp.StatusCode, answer)
	}
	if len(p.a.Received()) == 1 {
		return id, p.a
	}
	return id, p.b
}

// reached is how many calls reached each upstream.
func (p *pinRig) reached() [2]int { return [2]int{len(p.a.Received()), len(p.b.Received())} }

// What goes on from a response goes to where it was made, whoever's turn it is.
func TestPreviousResponseIsPinned(t *testing.T) {
	p := newPinRig(t)
	for i := range 8 {
		id, at := p.create(i%2 == 0)
		for k := range 3 {
			p.n++
			resp, answer := p.send(http.MethodPost, "/v1/responses", testKey, fmt.Sprintf(`{"model":"gpt-4o-mini","previous_response_id":"%s","input":"More %d"}`, strings.Replace(id, "_", `\u005f`, k%2), p.n))
			if resp.StatusCode != 200 {
				t.Fatalf("%d %s", resp.StatusCode, answer)
			}
		}
		want := [2]int{4, 0}
		if at == p.b {
			want = [2]int{0, 4}
		}
		if diff := cmp.Diff(want, p.reached()); diff != "" {
			t.Fatal(diff)
		}
	}
	if p.kept.found != 0 {
		t.Errorf("the store was asked %d times for what memory has", p.kept.found)
	}
}

// Nowhere else: not when its upstream is down, and not when the route leads away.
func TestPreviousResponseGoesNowhereElse(t *testing.T) {
	p := newPinRig(t)
	id, at := p.create(false)
	for at != p.a {
		id, at = p.create(true)
	}
	body := fmt.Sprintf(`{"model":"gpt-4o-mini","previous_response_id":%q,"input":"More"}`, id)
	p.a.Write = func(w http.ResponseWriter, _ *http.Request, _ *wiretest.Answer) {
		w.Header().Set("X-Should-Retry", "false")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	p.b.Forget()
	if resp, answer := p.send(http.MethodPost, "/v1/responses", testKey, body); resp.StatusCode != http.StatusBadGateway || len(p.b.Received()) != 0 {
		t.Errorf("its upstream is down: %d %s; %d calls went elsewhere", resp.StatusCode, answer, len(p.b.Received()))
	}
	p.org().Routes["gpt-4o-mini"] = &inventory.Route{Model: "gpt-4o-mini", Provider: "b"}
	p.use()
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		want                     string
	}{
		{"goes on", http.MethodPost, "/v1/responses", body, 400, "previous_response_not_found"},
		{"reads", http.MethodGet, "/v1/responses/" + id, "", 404, "response_not_found"},
	} {
		if resp, answer := p.send(c.method, c.path, testKey, c.body); resp.StatusCode != c.status || code(answer) != c.want {
			t.Errorf("the route leads away: %s: %d %s", c.name, resp.StatusCode, answer)
		}
	}
	if n := len(p.b.Received()); n != 0 {
		t.Errorf("%d calls went elsewhere", n)
	}
}

// onKept are calls about one response.
func onKept(id string) []struct{ method, path, body, unknown string } {
	return []struct{ method, path, body, unknown string }{
		{http.MethodGet, "/v1/responses/" + id, "", "response_not_found"},
		{http.MethodGet, "/openai/v1/responses/" + id + "/input_items?limit=5", "", "response_not_found"},
		{http.MethodPost, "/v1/responses/" + id + "/cancel", "", "response_not_found"},
		{http.MethodDelete, "/v1/responses/" + id, "", "response_not_found"},
		{http.MethodPost, "/v1/responses", fmt.Sprintf(`{"model":"gpt-4o-mini","previous_response_id":%q,"input":"x"}`, id), "previous_response_not_found"},
		{http.MethodPost, "/v1/responses/input_tokens", fmt.Sprintf(`{"model":"gpt-4o-mini","previous_response_id":%q,"input":"x"}`, id), "previous_response_not_found"},
		{http.MethodPost, "/v1/responses/compact", fmt.Sprintf(`{"model":"gpt-4o-mini","previous_response_id":%q}`, id), "previous_response_not_found"},
	}
}

// A response is its organisation's and its system's alone, and one that was never made
// is as unknown. No such call reaches a provider; each is on record as refused.
func TestResponsesOfOthersAreUnknown(t *testing.T) {
	p := newPinRig(t)
	id, _ := p.create(false)
	before := p.reached()
	for _, c := range []struct{ name, key, id string }{
		{"another system", siblingKey, id},
		{"another organisation", strangerKey, id},
		{"never made", testKey, "resp_0"},
		{"no id", testKey, "..%2fmodels"},
	} {
		for _, call := range onKept(c.id) {
			resp, answer := p.send(call.method, call.path, c.key, call.body)
			if want := map[string]int{"response_not_found": 404, "previous_response_not_found": 400}[call.unknown]; resp.StatusCode != want || code(answer) != call.unknown {
				t.Errorf("%s: %s %s: %d %s", c.name, call.method, call.path, resp.StatusCode, answer)
			}
			if e := p.rec.last(); e.Kind != event.Refused || e.Code != call.unknown {
				t.Errorf("%s: %s %s: record %v %s", c.name, call.method, call.path, e.Kind, e.Code)
			}
		}
	}
	if diff := cmp.Diff(before, p.reached()); diff != "" {
		t.Errorf("a provider was asked: %s", diff)
	}
}

// Calls about a response run through every stage, cost nothing, and what they answer is
// guarded as the response was.
func TestKeptResponses(t *testing.T) {
	p := newPinRig(t)
	resp, made := p.send(http.MethodPost, "/v1/responses", testKey, `{"model":"gpt-4o-mini","input":"Hello","metadata":{}}`)
	id := responseID.FindString(made)
	p.rec.wait(t, 2)
	charged := p.g.c.Budgets.Now(p.org().OrgBudgets[0]).Charged
	if resp.StatusCode != 200 || charged <= 0 {
		t.Fatalf("%d %s", resp.StatusCode, made)
	}
	for _, c := range []struct {
		name, method, path, body string
		op                       dialect.Operation
		status                   int
		want                     string // in the answer
	}{
		{"get", http.MethodGet, "/v1/responses/" + id, "", dialect.ResponseGet, 200, "You said: Hello"},
		{"items", http.MethodGet, "/v1/responses/" + id + "/input_items?limit=5&key=x", "", dialect.ResponseItems, 200, `"input_text"`},
		{"cancel", http.MethodPost, "/v1/responses/" + id + "/cancel", "", dialect.ResponseCancel, 400, "Cannot cancel"},
		{"count", http.MethodPost, "/v1/responses/input_tokens", `{"model":"gpt-4o-mini","input":"Hello"}`, dialect.ResponseCount, 200, `"input_tokens"`},
		{"delete", http.MethodDelete, "/v1/responses/" + id, "", dialect.ResponseDelete, 200, `"deleted":true`},
		{"get what is gone", http.MethodGet, "/v1/responses/" + id, "", dialect.ResponseGet, 404, "not found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := len(p.rec.events)
			p.a.Forget()
			p.b.Forget()
			resp, answer := p.send(c.method, c.path, testKey, c.body)
			p.rec.wait(t, before+2)
			if resp.StatusCode != c.status || !strings.Contains(answer, c.want) {
				t.Fatalf("%d %s", resp.StatusCode, answer)
			}
			e := p.rec.last()
			if p.rec.events[before].Kind != event.Intent || e.Kind != event.Outcome || e.Endpoint != string(c.op) || e.Charge != 0 || e.Usage != (event.Usage{}) || e.ModelTarget != "gpt-4o-mini" {
				t.Errorf("%+v", e)
			}
			got := append(p.a.Received(), p.b.Received()...)
			if len(got) != 1 || got[0].Method != c.method || string(got[0].Body) != c.body || strings.Contains(got[0].Query, "key") || strings.Contains(c.path, "limit=5") && got[0].Query != "limit=5" {
				t.Errorf("upstream got %+v", got)
			}
		})
	}
	if after := p.g.c.Budgets.Now(p.org().OrgBudgets[0]); after.Charged != charged || after.Held != 0 {
		t.Errorf("%+v; it was %d", after, charged)
	}
}

// A provider that says a personal datum when a response is read again, in any of its
// places, is redacted as when it was made.
func TestKeptResponsesAreGuarded(t *testing.T) {
	const mail = "jane@example.com"
	message := `{"type":"message","id":"m","role":"assistant","content":[{"type":"output_text","text":"to ` + mail + `","annotations":[]}]}`
	for _, c := range []struct{ name, path, answer string }{
		{"get", "/v1/responses/resp_1", `{"id":"resp_1","object":"response","status":"completed","output":[` + message + `]}`},
		{"get one that failed", "/v1/responses/resp_1", `{"id":"resp_1","object":"response","status":"failed","error":{"code":"server_error","message":"x"},"output":[` + message + `]}`},
		{"items", "/v1/responses/resp_1/input_items", `{"object":"list","data":[` + message + `,{"type":"function_call_output","call_id":"c","output":"` + mail + `"}],"has_more":false}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.Write([]byte(c.answer))
			})
			r.g.pins.put(Pin{"acme", "SYS-001", sha("resp_1"), "up", "gpt-4o-mini", "gpt-4o-mini", time.Now(), ""})
			resp, answer := r.send(http.MethodGet, c.path, testKey, "")
			if resp.StatusCode != 200 || answer != strings.ReplaceAll(c.answer, mail, "[EMAIL]") || !json.Valid([]byte(answer)) {
				t.Errorf("%d %s", resp.StatusCode, answer)
			}
		})
	}
}

// What memory has not is asked of the store, once; a store that cannot answer is no
// reason to guess.
func TestPinsOutliveMemory(t *testing.T) {
	p := newPinRig(t)
	id, _ := p.create(true)
	p.g.pins = newRecent(recentPins)
	get := func() int {
		resp, _ := p.send(http.MethodGet, "/v1/responses/"+id, testKey, "")
		return resp.StatusCode
	}
	p.kept.down = true
	got := []int{get()}
	p.kept.down = false
	got = append(got, get(), get())
	if diff := cmp.Diff([]int{503, 200, 200}, got); diff != "" || p.kept.found != 2 {
		t.Errorf("%s; the store was asked %d times", diff, p.kept.found)
	}
	old, _ := p.g.pins.get(pinKey{"acme", "SYS-001", sha(id)})
	old.At = old.At.Add(-PinLife - time.Minute)
	p.g.pins.put(old)
	if status := get(); status != 404 {
		t.Errorf("after its life: %d", status)
	}
	resp, answer := p.send(http.MethodPost, "/v1/responses", testKey, `{"model":"gpt-4o-mini","store":false,"input":"x"}`)
	if _, ok := p.kept.by[pinKey{"acme", "SYS-001", sha(responseID.FindString(answer))}]; ok || resp.StatusCode != 200 {
		t.Errorf("%d; what is not stored is pinned", resp.StatusCode)
	}
}

func TestRecentPinsAreBounded(t *testing.T) {
	r := newRecent(2)
	for _, id := range []string{"1", "2", "1", "3"} {
		r.put(Pin{Org: "o", ID: sha(id)})
	}
	var got []bool
	for _, id := range []string{"1", "2", "3"} {
		_, ok := r.get(pinKey{org: "o", id: sha(id)})
		got = append(got, ok)
	}
	if diff := cmp.Diff([]bool{true, false, true}, got); diff != "" || len(r.by) != 2 {
		t.Error(diff)
	}
}

func sha(id string) [32]byte { return sha256.Sum256([]byte(id)) }
