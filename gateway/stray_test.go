package gateway

import (
	"net/http"
	"strings"
	"testing"

	"plumbline/gateway/event"
	"plumbline/inventory"
)

// TestFieldsThatNoGrammarKnows: they go to the provider as they came, and guards read them
// as they read the prompt.
func TestFieldsThatNoGrammarKnows(t *testing.T) {
	const mail = "jane@example.com"
	sealed := strings.Repeat("c2VhbGVk4111111111111111", 40)
	for _, c := range []struct{ name, path, body string }{
		{"chat", "/v1/chat/completions", `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"x","note":"MAIL"}],"extra_context":"write to MAIL","n":1,"vendor":{"a":[{"id":"MAIL","big":12345678901234567890123}]}`},
		{"chat, metadata", "/v1/chat/completions", `{"model":"gpt-4o-mini","messages":[],"metadata":{"customer":"MAIL"}`},
		{"embeddings", "/v1/embeddings", `{"model":"text-embedding-3-small","input":"x","title":"MAIL"`},
		{"Responses", "/v1/responses", `{"model":"gpt-4o-mini","input":"x","vendor":["MAIL"]`},
	} {
		for _, mode := range []inventory.GuardMode{inventory.Redact, inventory.Block, inventory.Monitor} {
			t.Run(c.name+" "+string(mode), func(t *testing.T) {
				r := newRig(t, answerPlain)
				routes(r, "text-embedding-3-small")
				r.org().Profiles["default"] = &inventory.GuardProfile{ID: "default", Guards: []inventory.GuardSetting{{Guard: "pii", Mode: mode}}}
				r.use()
				asked := c.body + `,"seal":"` + sealed + `","client_version":"1.2.3.4","trace":{"thought_signature":"` + sealed + `"}}`
				asked = strings.ReplaceAll(asked, "MAIL", mail)
				resp, answer := r.send(http.MethodPost, c.path, testKey, asked)
				if mode == inventory.Block {
					if resp.StatusCode != 400 || code(answer) != "guard_blocked" || r.body != nil {
						t.Fatalf("%d %s; the provider got %s", resp.StatusCode, answer, r.body)
					}
					return
				}
				want := asked
				if mode == inventory.Redact {
					want = strings.ReplaceAll(asked, mail, "[EMAIL]")
				}
				if got := string(r.body); got != want {
					t.Errorf("%d; the provider got\n%s, want\n%s", resp.StatusCode, got, want)
				}
				if v := r.rec.events[0].Prompt[0]; v.State != event.Hit || len(v.Classes) != 1 || v.Reason != "media_unread" {
					t.Errorf("%+v", v)
				}
			})
		}
	}
}
