package gateway

import (
	"net/http"
	"strings"
	"testing"
)

// TestMisplacedCalls: a base URL that is not quite right is the commonest mistake of all.
// The answer says where the call belongs, in the words of the client that made it.
func TestMisplacedCalls(t *testing.T) {
	r := newRig(t, answerPlain)
	for _, c := range []struct{ method, path, dialect, want string }{
		{"POST", "/v1/v1/chat/completions", "openai", "this call is at /v1/chat/completions:"},
		{"POST", "/v1/chat/completions/", "openai", "this call is at /v1/chat/completions:"},
		{"POST", "/openai/chat/completions", "openai", "this call is at /openai/v1/chat/completions:"},
		{"POST", "/openai/deployments/gpt-4o/chat/completions", "openai", "this call is at /azure/openai/deployments/{model}/chat/completions:"},
		{"POST", "/azure/openai/openai/v1/embeddings", "openai", "this call is at /azure/openai/v1/embeddings:"},
		{"POST", "/anthropic/messages", "anthropic", "this call is at /anthropic/v1/messages:"},
		{"POST", "/anthropic/v1/v1/messages", "anthropic", "this call is at /anthropic/v1/messages:"},
		{"POST", "/anthropic/v1/chat/completions", "anthropic", "this call is at /v1/chat/completions:"},
		{"POST", "/gemini/models/gemini-2.5-flash:generateContent", "gemini", "this call is at /gemini/v1beta/models/{model}:generateContent:"},
		{"POST", "/gemini/v1beta/openai/chat/completions", "gemini", "this call is at /v1/chat/completions:"},
		{"POST", "/chat/completions", "openai", "this call is at /v1/chat/completions:"},
		{"POST", "/messages", "anthropic", "this call is at /v1/messages:"},
		{"POST", "/v1beta/models/gemini-2.5-flash:streamGenerateContent", "gemini", "this call is at /gemini/v1beta/models/{model}:streamGenerateContent:"},
		{"POST", "/model/amazon.nova/converse", "bedrock", "this call is at /bedrock/model/{model}/converse:"},
		{"GET", "/openai/v1beta/models", "openai", "this call is at /openai/v1/models:"},
		{"POST", "/gemini/v1beta/models/imagen-4:predict", "gemini", "of the methods of Gemini's models the gateway has generateContent,"},
		{"POST", "/v1/other", "openai", "its documentation lists those that it has"},
		{"DELETE", "/v1/chat/completions/x", "openai", "its documentation lists those that it has"},
	} {
		resp, answer := r.send(c.method, c.path, testKey, ask("gpt-4o-mini", "x"))
		said := strings.NewReplacer(`\"`, "", "\u002f", "/").Replace(answer)
		if resp.StatusCode != 404 || !strings.Contains(answer, "unknown_endpoint") || !strings.Contains(said, c.want) || r.rec.last().Dialect != c.dialect || r.body != nil {
			t.Errorf("%s %s: %d %s, in the dialect %s, want %s", c.method, c.path, resp.StatusCode, answer, r.rec.last().Dialect, c.want)
		}
		if c.dialect == "anthropic" && resp.Header.Get("Request-Id") != resp.Header.Get("X-Request-Id") {
			t.Errorf("%s %s: Anthropic's client finds no id: %v", c.method, c.path, resp.Header)
		}
		q, err := http.NewRequest(c.method, c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		below := false
		for _, prefix := range Prefixes() {
			below = below || strings.HasPrefix(c.path, prefix)
		}
		if !below && !Misplaced(q) {
			t.Errorf("%s %s is left to the pages", c.method, c.path)
		}
	}
	for _, path := range []string{"/", "/systems", "/files", "/signin/link/x", "/models/x:generateContent/y", "/api/v1/responses", "/batches/x/cancel"} {
		q, err := http.NewRequest("POST", path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := Misplaced(q), path == "/files"; got != want {
			t.Errorf("POST %s: %v", path, got)
		}
	}
}
