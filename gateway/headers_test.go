package gateway

import (
	"net/http"
	"strings"
	"testing"

	"plumbline/inventory"
)

// Heads that are too large or that say two things are refused in each API's words, and
// reach nobody.
func TestHostileHeads(t *testing.T) {
	for _, c := range []struct {
		name    string
		headers []string
		status  int
		code    string
	}{
		{"key with an underscore", []string{"X_Api_Key", "pk-k1-other"}, 400, "header_underscore"},
		{"length with an underscore", []string{"Content_Length", "3"}, 400, "header_underscore"},
		{"mixed", []string{"Transfer_encodinG", "chunked"}, 400, "header_underscore"},
		{"our own with an underscore", []string{"X-Plumbline_hops", "0"}, 400, "header_underscore"},
		{"who forwarded, with an underscore", []string{"X_Forwarded_For", "10.0.0.1"}, 400, "header_underscore"},
		{"another with an underscore", []string{"My_Header", "x"}, 200, ""},
		{"large", []string{"X-Large", strings.Repeat("x", MaxHeaders)}, 431, "headers_too_large"},
		{"many", manyHeaders(2000), 431, "headers_too_large"},
		{"large enough", []string{"X-Large", strings.Repeat("x", MaxHeaders/2)}, 200, ""},
		{"two keys", []string{"X-Api-Key", "a", "X-Api-Key", "b"}, 400, "header_repeated"},
		{"two types", []string{"Content-Type", "application/json", "Content-Type", "text/plain"}, 400, "header_repeated"},
		{"as many gateways as may be", []string{HopsHeader, "3"}, 200, ""},
		{"a loop", []string{HopsHeader, "4"}, 400, "hop_limit"},
		{"no number", []string{HopsHeader, "-1"}, 400, "hop_limit"},
		{"a number without end", []string{HopsHeader, strings.Repeat("9", 400)}, 400, "hop_limit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			called := false
			r := newRig(t, func(w http.ResponseWriter, q *http.Request) { called = true; answerPlain(w, q) })
			resp, answer := r.raw("/v1/chat/completions", ask("gpt-4o-mini", "Hi"), c.headers...)
			if resp.StatusCode != c.status || code(answer) != c.code || called != (c.status == 200) {
				t.Errorf("%d %s; provider called: %v", resp.StatusCode, answer, called)
			}
		})
	}
}

func manyHeaders(n int) (out []string) {
	for range n {
		out = append(out, "X-Many", "some value of a few bytes")
	}
	return out
}

// Of the caller's headers a provider gets those that its API has, and none that the
// caller meant for this connection alone.
func TestHeadersThatLeave(t *testing.T) {
	var got http.Header
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) { got = q.Header; answerPlain(w, q) })
	for _, c := range []struct {
		name    string
		headers []string
		want    map[string]string
	}{
		{"as sent", []string{"OpenAI-Beta", "x=v1", HopsHeader, "1", "Cookie", "canary", "X-Other", "canary", "Proxy-Authorization", "canary", "Te", "trailers"},
			map[string]string{"Openai-Beta": "x=v1", HopsHeader: "2"}},
		{"hop by hop", []string{"OpenAI-Beta", "x=v1", "Connection", "keep-alive, openai-beta"}, map[string]string{"Openai-Beta": "", HopsHeader: "1"}},
	} {
		got = nil
		if resp, answer := r.raw("/v1/chat/completions", ask("gpt-4o-mini", "Hi"), c.headers...); resp.StatusCode != 200 {
			t.Fatalf("%s: %d %s", c.name, resp.StatusCode, answer)
		}
		for name, want := range c.want {
			if got.Get(name) != want {
				t.Errorf("%s: %s is %q, want %q", c.name, name, got.Get(name), want)
			}
		}
		for _, name := range []string{"Cookie", "X-Other", "Proxy-Authorization", "Te", "Connection"} {
			if got.Get(name) != "" {
				t.Errorf("%s: %s went upstream", c.name, name)
			}
		}
	}
}

// A route that leads back to the gateway ends, and each gateway on the way has a record.
func TestLoop(t *testing.T) {
	r := newRig(t, answerPlain)
	r.org().Providers["up"] = &inventory.Provider{ID: "up", Kind: "openai", BaseURL: r.srv.URL + "/v1", CredentialRef: "env:LOOP"}
	r.env["env:LOOP"] = testKey
	r.use()
	resp, answer := r.raw("/v1/chat/completions", ask("gpt-4o-mini", "Hi"))
	if resp.StatusCode != 400 || code(answer) != "hop_limit" {
		t.Errorf("%d %s", resp.StatusCode, answer)
	}
	if got := r.rec.kinds(); strings.Count(got, "intent") != maxHops || strings.Count(got, "outcome") != maxHops || strings.Count(got, "refused") != 1 {
		t.Errorf("records: %s", got)
	}
}
