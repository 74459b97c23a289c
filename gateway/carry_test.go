package gateway

import (
	"io"
	"net/http"
	"regexp"
	"strconv"
	"testing"
	"time"

	"plumbline/inventory"
)

// TestAnswersAreDated: Anthropic does not say when an answer was made; OpenAI's clients
// find a time in every answer and every chunk, and get that of the call.
func TestAnswersAreDated(t *testing.T) {
	stream := false
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		if stream {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-haiku-4-5\",\"content\":[],\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n"+
				"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"+
				"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n"+
				"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"+
				"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}}\n\n"+
				"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"id":"msg_1","type":"message","role":"assistant","model":"claude-haiku-4-5","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2}}`)
	})
	r.org().Providers["claude"] = &inventory.Provider{ID: "claude", Kind: "anthropic", BaseURL: r.up.URL + "/v1", CredentialRef: "env:UP"}
	r.org().Routes["claude-haiku-4-5"] = &inventory.Route{Model: "claude-haiku-4-5", Provider: "claude"}
	r.use()
	dated := regexp.MustCompile(`"created(?:_at)?":(\d+)`)
	for _, c := range []struct {
		path, body string
		stream     bool
	}{
		{"/v1/chat/completions", `{"model":"claude-haiku-4-5","messages":[{"role":"user","content":"x"}]}`, false},
		{"/v1/chat/completions", `{"model":"claude-haiku-4-5","stream":true,"messages":[{"role":"user","content":"x"}]}`, true},
		{"/v1/responses", `{"model":"claude-haiku-4-5","input":"x"}`, false},
		{"/v1/responses", `{"model":"claude-haiku-4-5","stream":true,"input":"x"}`, true},
	} {
		stream = c.stream
		resp, answer := r.send(http.MethodPost, c.path, testKey, c.body)
		found := dated.FindAllStringSubmatch(answer, -1)
		if resp.StatusCode != 200 || len(found) == 0 {
			t.Errorf("%s: %d %s", c.path, resp.StatusCode, answer)
		}
		for _, m := range found {
			if at, err := strconv.ParseInt(m[1], 10, 64); err != nil || time.Since(time.Unix(at, 0)).Abs() > time.Minute {
				t.Errorf("%s, streamed %v: %s", c.path, c.stream, m[0])
				break
			}
		}
	}
}
