package gateway

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plumbline/gateway/dialect"
	"plumbline/gateway/event"
	"plumbline/gateway/wiretest"
	"plumbline/inventory"
)

// askers are an app's call in each dialect: its path and its body.
var askers = map[dialect.Operation]func(model, text string, stream bool) (path, body string){
	dialect.ChatCompletions: func(model, text string, stream bool) (string, string) {
		return "/v1/chat/completions", fmt.Sprintf(`{"model":%q,"stream":%v,"messages":[{"role":"user","content":%q}]}`, model, stream, text)
	},
	dialect.MessagesCreate: func(model, text string, stream bool) (string, string) {
		return "/anthropic/v1/messages?beta=true", fmt.Sprintf(`{"model":%q,"stream":%v,"max_tokens":64,"messages":[{"role":"user","content":%q}]}`, model, stream, text)
	},
	dialect.ResponsesCreate: func(model, text string, stream bool) (string, string) {
		return "/v1/responses", fmt.Sprintf(`{"model":%q,"stream":%v,"input":%q}`, model, stream, text)
	},
	dialect.GenerateContent: func(model, text string, stream bool) (string, string) {
		verb := "generateContent"
		if stream {
			verb = "streamGenerateContent?alt=sse"
		}
		return "/gemini/v1beta/models/" + model + ":" + verb, fmt.Sprintf(`{"contents":[{"role":"user","parts":[{"text":%q}]}]}`, text)
	},
	dialect.ConverseCreate: func(model, text string, stream bool) (string, string) {
		verb := "converse"
		if stream {
			verb = "converse-stream"
		}
		return "/bedrock/model/" + model + "/" + verb, fmt.Sprintf(`{"messages":[{"role":"user","content":[{"text":%q}]}]}`, text)
	},
}

// speaking are provider kinds, one for each dialect out and for each cloud that has
// another's models, with the base URL below a wiretest server and a model that has a
// price.
var speaking = map[string]struct{ base, model string }{
	"compatible": {"/v1", "gpt-4o-mini"},
	"openai":     {"/v1", "gpt-4o-mini"},
	"anthropic":  {"/v1", "claude-haiku-4-5"},
	"gemini":     {"/v1beta", "gemini-2.5-flash"},

	"vertex":            {"/v1/projects/p/locations/europe-west4", "gemini-2.5-flash"},
	"vertex-anthropic":  {"/v1/projects/p/locations/europe-west4", "claude-haiku-4-5@20251001"},
	"bedrock":           {"", "amazon.nova-lite-v1:0"},
	"bedrock-anthropic": {"", "anthropic.claude-haiku-4-5-20251001-v1:0"},
}

// Whatever an app speaks and whatever its provider does: the answer arrives in the
// app's dialect, whole, and its usage is the provider's.
func TestEveryDialectReachesEveryProvider(t *testing.T) {
	up := wiretest.Start()
	defer up.Close()
	r := newRig(t, func(http.ResponseWriter, *http.Request) {})
	for kind, s := range speaking {
		id := inventory.ProviderID(kind)
		r.org().Providers[id] = &inventory.Provider{ID: id, Kind: kind, BaseURL: up.URL + s.base, CredentialRef: "env:WIRE"}
		r.org().Routes["m-"+kind] = &inventory.Route{Model: "m-" + kind, Provider: id, Target: s.model}
	}
	r.env["env:WIRE"] = wiretest.Key
	r.use()
	for op, ask := range askers {
		for kind, s := range speaking {
			for _, stream := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s to %s, stream %v", op, kind, stream), func(t *testing.T) {
					up.Forget()
					before := len(r.rec.events)
					path, body := ask("m-"+kind, "Hello jane@example.com", stream)
					resp, answer := r.send(http.MethodPost, path, testKey, body)
					r.rec.wait(t, before+2)
					if resp.StatusCode != 200 || !stream && !strings.Contains(answer, "You said: Hello [EMAIL]") {
						t.Fatalf("%d %s", resp.StatusCode, answer)
					}
					if own := resp.Header.Get("Request-Id"); op == dialect.MessagesCreate && own != resp.Header.Get("X-Request-Id") {
						t.Errorf("request-id is %q", own)
					}
					if own := resp.Header.Get("X-Amzn-Requestid"); op == dialect.ConverseCreate && own != resp.Header.Get("X-Request-Id") {
						t.Errorf("x-amzn-requestid is %q", own)
					}
					if their := resp.Header.Get("X-Upstream-Request-Id"); kind != "gemini" && kind != "vertex" && !strings.HasPrefix(their, "req_") {
						t.Errorf("the provider's id is %q", their)
					}
					e := r.rec.last()
					if e.End != event.EndComplete || e.Source != event.UsageProvider || e.Usage.Input <= 0 || e.Usage.Output <= 0 || e.Charge <= 0 || e.Code != "" {
						t.Errorf("%+v\n%s", e, answer)
					}
					got := up.Received()
					if len(got) != 1 || strings.Contains(string(got[0].Body), "jane@") || !strings.Contains(got[0].Path+string(got[0].Body), s.model) {
						t.Errorf("upstream got %+v", got)
					}
				})
			}
		}
	}
}

// Every endpoint runs through every stage: what is not identified, admitted and held
// gets no answer of a model anywhere.
func TestEveryEndpointRunsThroughEveryStage(t *testing.T) {
	reached := 0
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) { reached++ })
	for model, kind := range map[string]string{"claude-haiku-4-5": "anthropic", "gemini-2.5-flash": "gemini", "amazon.nova-lite-v1:0": "bedrock"} {
		id := inventory.ProviderID(kind)
		r.org().Providers[id] = &inventory.Provider{ID: id, Kind: kind, BaseURL: r.up.URL}
		r.org().Routes[model] = &inventory.Route{Model: model, Provider: id}
	}
	r.g.pins.put(Pin{Org: "acme", System: "SYS-001", ID: sha256.Sum256([]byte("resp_1")), Provider: "up", Target: "gpt-4o-mini", Model: "gpt-4o-mini", At: time.Now()})
	for kind, id := range map[ObjectKind]string{KeptFile: "file-1", KeptBatch: "batch_1", KeptMessageBatch: "msgbatch_1"} {
		o := Object{Org: "acme", System: "SYS-001", Kind: kind, ID: id, Provider: "up", Target: "gpt-4o-mini", Model: "gpt-4o-mini", At: time.Now(), Op: dialect.ChatCompletions, Purpose: purposeBatch, Lot: Lot{Requests: 1, Input: 9}}
		if kind == KeptMessageBatch {
			o.Provider, o.Target, o.Model, o.Op = "anthropic", "claude-haiku-4-5", "claude-haiku-4-5", dialect.MessagesCreate
		}
		if err := r.g.c.Kept.Put(t.Context(), &o); err != nil {
			t.Fatal(err)
		}
	}
	var failures []string
	for _, p := range r.g.Paths() {
		method, path, _ := strings.Cut(p, " ")
		model := "gpt-4o-mini"
		switch {
		case strings.Contains(path, "/messages"):
			model = "claude-haiku-4-5"
		case strings.Contains(path, ":"):
			model = "gemini-2.5-flash"
		case strings.Contains(path, "/converse"):
			model = "amazon.nova-lite-v1:0"
		}
		made := false
		for _, kept := range [][2]string{{"/responses/", "resp_1"}, {"/files/", "file-1"}, {"/messages/batches/", "msgbatch_1"}, {"/batches/", "batch_1"}} {
			if strings.Contains(path, kept[0]+"*") {
				made, path = true, strings.Replace(path, "*", kept[1], 1)
			}
		}
		path = strings.ReplaceAll(path, "*", model)
		body := fmt.Sprintf(`{"model":%q,"max_tokens":5,"messages":[{"role":"user","content":"x"}],"input":"x","contents":[],"content":{},
			"input_file_id":"file-1","endpoint":"/v1/chat/completions","completion_window":"24h","requests":[{"custom_id":"a","params":{"model":%[1]q,"max_tokens":5,"messages":[]}}]}`, model)
		if method == http.MethodGet || made {
			body = ""
		}
		if to, _ := r.g.router.find(path); to[0].takesForm() || strings.HasSuffix(path, "/files") && method == http.MethodPost {
			continue // its body is a form: TestFormsRunThroughEveryStage, TestOtherFiles
		}
		call := func(want int, why string) {
			if resp, answer := r.send(method, path, testKey, body); resp.StatusCode != want {
				failures = append(failures, fmt.Sprintf("%s: %s: %d %s", p, why, resp.StatusCode, answer))
			}
		}
		if resp, _ := r.send(method, path, "", body); resp.StatusCode != http.StatusUnauthorized {
			failures = append(failures, p+" without a key")
		}
		r.org().Systems["SYS-001"].Suspended = &inventory.Suspension{}
		r.use()
		call(http.StatusForbidden, "suspended")
		r.org().Systems["SYS-001"].Suspended = nil
		r.use()
		if method == http.MethodGet && !made {
			call(http.StatusOK, "a list")
			continue
		}
		r.rec.down = true
		call(http.StatusServiceUnavailable, "the ledger is down")
		r.rec.down = false
	}
	if diff := cmp.Diff([]string(nil), failures); diff != "" || reached != 0 {
		t.Errorf("%s; %d calls reached the provider", diff, reached)
	}
}
