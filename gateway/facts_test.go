package gateway

import (
	"io"
	"net/http"
	"testing"
)

// TestCostIsTheCharge: what an answer says that it cost is what the record says, also where
// the provider said no usage.
func TestCostIsTheCharge(t *testing.T) {
	const said = `"messages":[{"role":"user","content":"Hello there"}]`
	for _, c := range []struct {
		name, path, ask, kind, answer string
		want                          bool
	}{
		{"usage", "/v1/chat/completions", `{"model":"gpt-4o-mini",` + said + `}`, "application/json", plainAnswer, true},
		{"none", "/v1/chat/completions", `{"model":"gpt-4o-mini",` + said + `}`, "application/json", `{"choices":[{"index":0,"message":{"content":"Hello to you"}}]}`, true},
		{"none, in another dialect", "/anthropic/v1/messages", `{"model":"gpt-4o-mini","max_tokens":9,` + said + `}`, "application/json", `{"choices":[{"index":0,"message":{"content":"Hello to you"}}]}`, true},
		{"none of a stream", "/v1/chat/completions", `{"model":"gpt-4o-mini","stream":true,` + said + `}`, "text/event-stream", "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n", false},
		{"images", "/v1/images/generations", `{"model":"dall-e-3","prompt":"a cat","n":2,"size":"1024x1024","quality":"hd"}`, "application/json", `{"created":1,"data":[{"b64_json":"aGVsbG8="},{"b64_json":"aGVsbG8="}]}`, true},
		{"images with usage", "/v1/images/generations", `{"model":"gpt-image-1","prompt":"a cat"}`, "application/json", `{"created":1,"data":[{"b64_json":"aGVsbG8="}],"usage":{"input_tokens":10,"output_tokens":1000,"total_tokens":1010}}`, true},
		{"speech", "/v1/audio/speech", `{"model":"tts-1","voice":"alloy","input":"Good morning."}`, "audio/mpeg", "\xff\xf3", true},
		{"made after the answer", "/v1/responses", `{"model":"gpt-4o-mini","background":true,"input":"Hello"}`, "application/json", `{"id":"resp_1","status":"queued","output":[]}`, false},
		{"without a price", "/v1/chat/completions", `{"model":"acme-1",` + said + `}`, "application/json", plainAnswer, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", c.kind)
				io.WriteString(w, c.answer)
			})
			routes(r, "dall-e-3", "gpt-image-1", "tts-1", "acme-1")
			r.org().Routes["acme-1"].Unpriced = true
			r.use()
			resp, answer := r.send(http.MethodPost, c.path, testKey, c.ask)
			if resp.StatusCode != 200 {
				t.Fatalf("%d %s", resp.StatusCode, answer)
			}
			got := resp.Header.Get(hdrCost)
			if !c.want {
				if got != "" {
					t.Errorf("the cost is said to be %s", got)
				}
				return
			}
			r.rec.wait(t, 2)
			if e := r.rec.last(); got != e.Charge.Plain() || e.Charge == 0 {
				t.Errorf("%q, charged are %s", got, e.Charge.Plain())
			}
		})
	}
}
