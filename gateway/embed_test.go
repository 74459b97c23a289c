package gateway

import (
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plumbline/gateway/event"
	"plumbline/inventory"
)

// Embeddings reach a provider of another dialect, guarded, and their usage is the
// provider's.
func TestEmbeddingsAreCarriedOver(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if q.URL.Path != "/v1/models/gemini-embedding-001:batchEmbedContents" {
			t.Errorf("%s", q.URL.Path)
		}
		io.WriteString(w, `{"embeddings":[{"values":[0.5,-1]},{"values":[0.1]}],"usageMetadata":{"promptTokenCount":6,"totalTokenCount":6}}`)
	})
	r.org().Providers["g"] = &inventory.Provider{ID: "g", Kind: "gemini", BaseURL: r.up.URL + "/v1", CredentialRef: "env:UP"}
	r.org().Routes["vectors"] = &inventory.Route{Model: "vectors", Provider: "g", Target: "gemini-embedding-001"}
	r.use()
	resp, answer := r.send("POST", "/v1/embeddings", testKey, `{"model":"vectors","input":["mail anna@example.com","ho"],"user":"u1"}`)
	if diff := cmp.Diff(`{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,-1]},{"object":"embedding","index":1,"embedding":[0.1]}],"model":"gemini-embedding-001","usage":{"prompt_tokens":6,"total_tokens":6}}`, answer); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(`{"requests":[{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"mail [EMAIL]"}]}},{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"ho"}]}}]}`, string(r.body)); diff != "" {
		t.Error(diff)
	}
	if resp.Header.Get("X-Plumbline-Not-Carried") != "user" {
		t.Errorf("%v", resp.Header)
	}
	r.rec.wait(t, 2)
	if e := r.rec.last(); e.Usage.Input != 6 || e.Source != event.UsageProvider || e.End != event.EndComplete || e.Charge == 0 {
		t.Errorf("%+v", e)
	}
	if resp, answer := r.send("POST", "/v1/embeddings", testKey, `{"model":"vectors","input":[1,2]}`); resp.StatusCode != 400 || code(answer) != "not_carried" {
		t.Errorf("%d %s", resp.StatusCode, answer)
	}
	if resp, answer := r.send("POST", "/v1/embeddings", testKey, `{"model":"vectors","input":"a","stream":true}`); resp.StatusCode >= 500 && code(answer) != "upstream_bad_answer" {
		t.Errorf("%d %s", resp.StatusCode, answer)
	}
}
