package gateway

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plumbline/gateway/event"
	"plumbline/gateway/wiretest"
	"plumbline/inventory"
)

// accounts is an upstream with several accounts, each of which knows its own responses
// alone.
type accounts struct {
	mu   sync.Mutex // guards all
	n    int
	of   map[string]string // the account of each id
	by   map[string]int    // calls of each account
	deny string            // the account that is limited
}

func (a *accounts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	who := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	body, _ := io.ReadAll(r.Body)
	a.by[who]++
	w.Header().Set("Content-Type", "application/json")
	if who == a.deny {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	for id, owner := range a.of {
		if owner != who && strings.Contains(string(body)+r.URL.Path, id) {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error":{"message":"not found"}}`)
			return
		}
	}
	a.n++
	id, item := fmt.Sprintf("resp_%03d", a.n), fmt.Sprintf("msg_%03d", a.n)
	a.of[id], a.of[item] = who, who
	fmt.Fprintf(w, `{"id":%q,"object":"response","status":"completed","model":"gpt-4o-mini","output":[{"type":"message","id":%q,"role":"assistant","content":[{"type":"output_text","text":"x","annotations":[]}]}],"usage":{"input_tokens":1,"output_tokens":1}}`, id, item)
}

// others is how many calls came with another key than one.
func (a *accounts) others(than string) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for who, calls := range a.by {
		if who != than {
			n += calls
		}
	}
	return n
}

// What goes on from a response uses the key that made it, of several of one provider,
// and no other when that one is limited.
func TestFollowUpsUseTheSameCredential(t *testing.T) {
	up := &accounts{of: map[string]string{}, by: map[string]int{}}
	r := newRig(t, func(http.ResponseWriter, *http.Request) {})
	r.up.Config.Handler = up
	r.env["env:ONE"], r.env["env:TWO"] = "one", "two"
	made := map[string]int{}
	for i := range 6 {
		r.org().Providers["up"] = &inventory.Provider{ID: "up", Kind: "openai", BaseURL: r.up.URL + "/v1", Credentials: []inventory.ProviderKey{{Ref: "env:ONE", Weight: 1 + i%2}, {Ref: "env:TWO", Weight: 2 - i%2}}}
		r.use() // with a new ring, in which no key is set aside
		resp, answer := r.send(http.MethodPost, "/v1/responses", testKey, `{"model":"gpt-4o-mini","input":"x"}`)
		if resp.StatusCode != 200 {
			t.Fatalf("%d %s", resp.StatusCode, answer)
		}
		id, item := pick(answer, "id"), pick(answer, "output", 0, "id")
		owner := up.of[strings.Trim(id, `"`)]
		made[owner]++
		for _, c := range []struct{ method, path, body string }{
			{http.MethodPost, "/v1/responses", `{"model":"gpt-4o-mini","previous_response_id":` + id + `,"input":"y"}`},
			{http.MethodPost, "/v1/responses", `{"model":"gpt-4o-mini","input":[{"type":"item_reference","id":` + item + `},{"role":"user","content":"y"}]}`},
			{http.MethodGet, "/v1/responses/" + strings.Trim(id, `"`), ""},
		} {
			if resp, answer := r.send(c.method, c.path, testKey, c.body); resp.StatusCode != 200 {
				t.Errorf("%d: %s %s: %d %s", i, c.method, c.body, resp.StatusCode, answer)
			}
		}
		before := up.others(owner)
		up.deny = owner
		resp, answer = r.send(http.MethodPost, "/v1/responses", testKey, `{"model":"gpt-4o-mini","previous_response_id":`+id+`,"input":"y"}`)
		up.deny = ""
		if after := up.others(owner); resp.StatusCode != 429 || after != before {
			t.Errorf("its account is limited: %d %s; another was asked %d times", resp.StatusCode, answer, after-before)
		}
	}
	if len(made) != 2 {
		t.Errorf("all were made by one account: %v", made)
	}
}

var itemID = regexp.MustCompile(`msg_[0-9a-zA-Z_]+`)

// An item that a call only names belongs to the system that made it, and is asked for
// where it is.
func TestItemsAreTheirSystemsAlone(t *testing.T) {
	p := newPinRig(t)
	for i := range 6 {
		p.a.Forget()
		p.b.Forget()
		_, answer := p.send(http.MethodPost, "/v1/responses", testKey, fmt.Sprintf(`{"model":"gpt-4o-mini","stream":%v,"input":"Number %d"}`, i%2 == 1, i))
		item := itemID.FindString(answer)
		if item == "" {
			t.Fatal(answer)
		}
		at := p.reached()
		body := `{"model":"gpt-4o-mini","input":[{"role":"user","content":"hi"},{"type":"item_reference","id":"` + item + `"}]}`
		for _, key := range []string{siblingKey, strangerKey} {
			for _, path := range []string{"/v1/responses", "/v1/responses/input_tokens", "/v1/responses/compact"} {
				resp, answer := p.send(http.MethodPost, path, key, body)
				if resp.StatusCode != 400 || code(answer) != "item_not_found" || p.rec.last().Kind != event.Refused {
					t.Errorf("%s: %s: %d %s", key, path, resp.StatusCode, answer)
				}
			}
		}
		if diff := cmp.Diff(at, p.reached()); diff != "" {
			t.Fatalf("a provider was asked: %s", diff)
		}
		for range 3 {
			p.send(http.MethodPost, "/v1/responses", testKey, body)
		}
		if diff := cmp.Diff([2]int{4 * at[0], 4 * at[1]}, p.reached()); diff != "" {
			t.Error(diff)
		}
	}
}

// What is not known as an item of the system reaches no provider that keeps items, and
// is no matter to one that keeps none.
func TestUnknownItems(t *testing.T) {
	up := wiretest.Start()
	defer up.Close()
	r := newRig(t, func(http.ResponseWriter, *http.Request) {})
	r.env["env:WIRE"] = wiretest.Key
	for kind, model := range map[string]string{"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5", "groq": "m"} {
		id := inventory.ProviderID(kind)
		r.org().Providers[id] = &inventory.Provider{ID: id, Kind: kind, BaseURL: up.URL + "/v1", CredentialRef: "env:WIRE", Vendor: "local"}
		r.org().Routes["m-"+kind] = &inventory.Route{Model: "m-" + kind, Provider: id, Target: model}
	}
	r.use()
	const thought = `[{"role":"user","content":"hi"},{"type":"reasoning","id":"rs_1","summary":[]},{"role":"user","content":"more"}]`
	for _, c := range []struct {
		name, kind, more string
		code             string // "" for an answer
	}{
		{"a thought", "openai", `"input":` + thought, "item_not_found"},
		{"a thought, translated", "anthropic", `"input":` + thought, ""},
		{"a thought, nothing kept", "groq", `"input":` + thought, ""},
		{"a reference", "openai", `"input":[{"type":"item_reference","id":"msg_1"}]`, "item_not_found"},
		{"a reference, translated", "anthropic", `"input":[{"type":"item_reference","id":"msg_1"}]`, "not_carried"},
		{"a conversation", "openai", `"input":"hi","conversation":"conv_1"`, "item_not_found"},
		{"a conversation of null", "openai", `"input":"hi","conversation":null`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			up.Forget()
			resp, answer := r.send(http.MethodPost, "/v1/responses", testKey, `{"model":"m-`+c.kind+`",`+c.more+`}`)
			status, calls := 200, 1
			if c.code != "" {
				status, calls = 400, 0
			}
			if resp.StatusCode != status || c.code != "" && code(answer) != c.code || len(up.Received()) != calls {
				t.Errorf("%d %s; %d calls", resp.StatusCode, answer, len(up.Received()))
			}
		})
	}
}
