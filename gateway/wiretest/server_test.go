package wiretest

import (
	"bytes"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// TestShapes holds answers to golden files, which are there to be read: they are
// what the wire looks like.
func TestShapes(t *testing.T) {
	chat := `{"model":"gpt-5-mini","messages":[{"role":"user","content":"%"}],"tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}]`
	responses := `{"model":"gpt-5-mini","input":"%","tools":[{"type":"function","name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}]`
	messages := `{"model":"claude-sonnet-4-5","max_tokens":100,"messages":[{"role":"user","content":"%"}],"tools":[{"name":"weather","input_schema":{"type":"object","properties":{"city":{"type":"string"}}}}]`
	gemini := `{"contents":[{"role":"user","parts":[{"text":"%"}]}],"tools":[{"functionDeclarations":[{"name":"weather","parameters":{"type":"OBJECT","properties":{"city":{"type":"STRING"}}}}]}]`
	for _, tc := range []struct{ name, path, body, words, end string }{
		{"chat", "/v1/chat/completions", chat, "Hello", `}`},
		{"chat-stream", "/v1/chat/completions", chat, "Hello", `,"stream":true}`},
		{"chat-stream-usage", "/v1/chat/completions", chat, "Hi wire:cached", `,"stream":true,"stream_options":{"include_usage":true}}`},
		{"chat-stream-tools", "/v1/chat/completions", chat, "wire:parallel", `,"stream":true}`},
		{"chat-stream-refusal", "/v1/chat/completions", chat, "wire:refusal", `,"stream":true}`},
		{"chat-429", "/v1/chat/completions", chat, "wire:status-429", `}`},
		{"completions", "/v1/completions", `{"model":"gpt-5-mini","prompt":"%"`, "Hello", `}`},
		{"responses", "/v1/responses", responses, "Hello wire:reasoning", `}`},
		{"responses-stream", "/v1/responses", responses, "Hello wire:reasoning", `,"stream":true,"include":["reasoning.encrypted_content"]}`},
		{"responses-stream-tools", "/v1/responses", responses, "wire:tool", `,"stream":true}`},
		{"responses-stream-broken", "/v1/responses", responses, "Hello wire:broken", `,"stream":true}`},
		{"messages", "/v1/messages", messages, "Hello wire:reasoning", `}`},
		{"messages-stream", "/v1/messages", messages, "Hello wire:reasoning", `,"stream":true}`},
		{"messages-stream-tools", "/v1/messages", messages, "wire:tool", `,"stream":true}`},
		{"messages-stream-broken", "/v1/messages", messages, "Hello wire:broken", `,"stream":true}`},
		{"messages-529", "/v1/messages", messages, "wire:status-529", `}`},
		{"messages-count", "/v1/messages/count_tokens", messages, "Hello", `}`},
		{"gemini", "/v1beta/models/gemini-2.5-flash:generateContent", gemini, "Hello wire:reasoning", `}`},
		{"gemini-stream", "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", gemini, "wire:parallel", `}`},
		{"gemini-array", "/v1beta/models/gemini-2.5-flash:streamGenerateContent", gemini, "Hi", `}`},
		{"gemini-429", "/v1beta/models/gemini-2.5-flash:generateContent", gemini, "wire:status-429", `}`},
		{"embeddings", "/v1/embeddings", `{"model":"text-embedding-3-small","input":"%"`, "one", `,"encoding_format":"base64"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := Start()
			defer s.Close()
			s.Strict = true
			status, kind, body := tell(t, s, tc.path, strings.Replace(tc.body, "%", tc.words, 1)+tc.end)
			got := []byte(http.StatusText(status) + " " + kind + "\n\n" + string(body) + "\n")
			file := filepath.Join("testdata", tc.name+".txt")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestUpstreamRefuses: a server that takes everything would prove nothing.
func TestUpstreamRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, path, body string
		want             int
	}{
		{"a result without its call", "/v1/chat/completions", `{"model":"m","messages":[{"role":"tool","tool_call_id":"x","content":"1"}]}`, 400},
		{"a call without its result", "/v1/chat/completions", `{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"x","function":{"name":"f"}}]},{"role":"user","content":"a"}]}`, 400},
		{"a field that is not OpenAI's", "/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":"a"}],"max_output":1}`, 400},
		{"a response that nobody kept", "/v1/responses", `{"model":"m","input":"a","previous_response_id":"resp_x"}`, 400},
		{"reasoning that was changed", "/v1/responses", `{"model":"m","input":[{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"x"},{"role":"user","content":"a"}]}`, 400},
		{"no limit", "/v1/messages", `{"model":"m","messages":[{"role":"user","content":"a"}]}`, 400},
		{"a role that is not Anthropic's", "/v1/messages", `{"model":"m","max_tokens":1,"messages":[{"role":"tool","content":"a"}]}`, 400},
		{"thinking that was changed", "/v1/messages", `{"model":"m","max_tokens":1,"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"a","signature":"x"}]},{"role":"user","content":"a"}]}`, 400},
		{"a role that is not Google's", "/v1beta/models/m:generateContent", `{"contents":[{"role":"assistant","parts":[{"text":"a"}]}]}`, 400},
		{"an unknown path", "/v1/nothing", `{}`, 404},
		{"no JSON", "/v1/chat/completions", `{`, 400},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := Start()
			defer s.Close()
			s.Strict = true
			if got, _, body := tell(t, s, tc.path, tc.body); got != tc.want {
				t.Errorf("%d, want %d: %s", got, tc.want, body)
			}
		})
	}
	t.Run("another key", func(t *testing.T) {
		s := Start()
		defer s.Close()
		if a := s.Answer("POST", "/v1/chat/completions", "", http.Header{"Authorization": {"Bearer x"}}, []byte(`{}`)); a.Status != 401 {
			t.Errorf("%d, want 401", a.Status)
		}
	})
}

// TestOnce: a word that fails once fails once, and what came is remembered.
func TestOnce(t *testing.T) {
	s := Start()
	defer s.Close()
	body := `{"model":"wire:once-503-a","messages":[{"role":"user","content":"Hello"}]}`
	for i, want := range []int{503, 200, 200} {
		if got, _, _ := tell(t, s, "/v1/chat/completions", body); got != want {
			t.Errorf("call %d: %d, want %d", i, got, want)
		}
	}
	received := s.Received()
	if len(received) != 3 || received[1].Status != 200 || !bytes.Equal(received[1].Body, []byte(body)) {
		t.Errorf("%+v", received)
	}
	s.Forget()
	if n := len(s.Received()); n != 0 {
		t.Errorf("%d remembered", n)
	}
}

func tell(t *testing.T, s *Server, path, body string) (status int, kind string, answer []byte) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case strings.HasPrefix(path, "/v1/messages"):
		req.Header.Set("X-Api-Key", Key)
		req.Header.Set("Anthropic-Version", "2023-06-01")
	case strings.HasPrefix(path, "/v1beta/"):
		req.Header.Set("X-Goog-Api-Key", Key)
	default:
		req.Header.Set("Authorization", "Bearer "+Key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), answer
}
