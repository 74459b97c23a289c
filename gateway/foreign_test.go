package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"plumbline/gateway/dialect"
	"plumbline/gateway/event"
	"plumbline/gateway/wiretest"
	"plumbline/inventory"
)

// conversations are what an app of each dialect sends when it goes on from answers: it
// takes them as they came.
var conversations = map[dialect.Operation]func(answers []string) (path, body string){
	dialect.ChatCompletions: func(answers []string) (string, string) {
		turns := []string{`{"role":"user","content":"wire:reasoning first"}`}
		for _, a := range answers {
			turns = append(turns, pick(a, "choices", 0, "message"), `{"role":"user","content":"more"}`)
		}
		return "/v1/chat/completions", `{"model":"m","messages":[` + strings.Join(turns, ",") + `]}`
	},
	dialect.MessagesCreate: func(answers []string) (string, string) {
		turns := []string{`{"role":"user","content":"wire:reasoning first"}`}
		for _, a := range answers {
			turns = append(turns, `{"role":"assistant","content":`+pick(a, "content")+`}`, `{"role":"user","content":"more"}`)
		}
		return "/v1/messages", `{"model":"m","max_tokens":2000,"messages":[` + strings.Join(turns, ",") + `]}`
	},
	dialect.ResponsesCreate: func(answers []string) (string, string) {
		items := []string{`{"role":"user","content":"wire:reasoning first"}`}
		for _, a := range answers {
			list := pick(a, "output")
			items = append(items, list[1:len(list)-1], `{"role":"user","content":"more"}`)
		}
		return "/v1/responses", `{"model":"m","store":false,"include":["reasoning.encrypted_content"],"input":[` + strings.Join(items, ",") + `]}`
	},
	dialect.GenerateContent: func(answers []string) (string, string) {
		turns := []string{`{"role":"user","parts":[{"text":"wire:reasoning first"}]}`}
		for _, a := range answers {
			turns = append(turns, pick(a, "candidates", 0, "content"), `{"role":"user","parts":[{"text":"more"}]}`)
		}
		return "/gemini/v1beta/models/m:generateContent", `{"contents":[` + strings.Join(turns, ",") + `]}`
	},
}

// pick is a value of a JSON text, as it stands there.
func pick(text string, path ...any) string {
	raw := json.RawMessage(text)
	for _, at := range path {
		switch at := at.(type) {
		case string:
			var o map[string]json.RawMessage
			json.Unmarshal(raw, &o)
			raw = o[at]
		case int:
			var l []json.RawMessage
			json.Unmarshal(raw, &l)
			raw = l[at]
		}
	}
	return string(raw)
}

// A conversation begins at a provider of another dialect, moves to one of the app's own
// and back. What the first signed never reaches the second, and returns to the first as
// it was.
func TestSignaturesOfAnotherProvider(t *testing.T) {
	up := wiretest.Start()
	defer up.Close()
	r := newRig(t, func(http.ResponseWriter, *http.Request) {})
	r.env["env:WIRE"] = wiretest.Key
	for kind, s := range speaking {
		id := inventory.ProviderID(kind)
		r.org().Providers[id] = &inventory.Provider{ID: id, Kind: kind, BaseURL: up.URL + s.base, CredentialRef: "env:WIRE"}
	}
	for op, c := range map[dialect.Operation]struct {
		other, native, lost, back string
	}{
		dialect.ChatCompletions: {"anthropic", "openai", "messages.reasoning_details.signature", `"signature":"`},
		dialect.MessagesCreate:  {"gemini", "anthropic", "messages.content.signature", `"thought":true`},
		dialect.ResponsesCreate: {"anthropic", "openai", "input.encrypted_content", `"signature":"`},
		dialect.GenerateContent: {"anthropic", "gemini", "contents.parts.thoughtSignature", `"signature":"`},
	} {
		t.Run(string(op), func(t *testing.T) {
			var answers []string
			ask := func(kind string) (sent string, h http.Header, e event.Event) {
				r.org().Routes["m"] = &inventory.Route{Model: "m", Provider: inventory.ProviderID(kind), Target: speaking[kind].model}
				r.use()
				up.Forget()
				before := len(r.rec.events)
				path, body := conversations[op](answers)
				resp, answer := r.send(http.MethodPost, path, testKey, body)
				r.rec.wait(t, before+2)
				if resp.StatusCode != 200 {
					t.Fatalf("%s: %d %s\nfor %s", kind, resp.StatusCode, answer, body)
				}
				answers = append(answers, answer)
				return string(up.Received()[0].Body), resp.Header, r.rec.last()
			}
			ask(c.other)
			if !strings.Contains(answers[0], "plumbline:") && !strings.Contains(answers[0], "cGx1bWJsaW5l") {
				t.Fatalf("nothing is signed: %s", answers[0])
			}
			sent, h, e := ask(c.native)
			if strings.Contains(sent, "plumbline") || strings.Contains(sent, "cGx1bWJsaW5l") {
				t.Errorf("the provider %s got %s", c.native, sent)
			}
			if h.Get(hdrNotCarried) != c.lost || fmt.Sprint(e.NotCarried) != "["+c.lost+"]" {
				t.Errorf("left out: %q, recorded %v", h.Get(hdrNotCarried), e.NotCarried)
			}
			sent, _, _ = ask(c.other)
			if strings.Contains(sent, "plumbline") || !strings.Contains(sent, c.back) {
				t.Errorf("the provider %s got its own back as %s", c.other, sent)
			}
		})
	}
}
