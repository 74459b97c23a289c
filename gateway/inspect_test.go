package gateway

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"plumbline/gateway/event"
	"plumbline/inventory"
)

// More text than a profile's guards read is read by none of them, which their verdicts
// say, and their fail mode decides; a monitor stops nobody.
func TestMoreTextThanGuardsRead(t *testing.T) {
	const limit, none = 1000, event.VerdictState(255)
	text := func(n int) string { return strings.Repeat("word ", n/5-4) + "jane@example.com end" }
	for _, c := range []struct {
		name         string
		mode         inventory.GuardMode
		onFailure    string
		prompt       int // bytes of text
		answer       int
		promptStatus event.VerdictState
		answerState  event.VerdictState
		status       int
	}{
		{"as much as they read", inventory.Redact, "", limit, limit, event.Hit, event.Hit, 200},
		{"a prompt, closed", inventory.Redact, "closed", limit + 5, 20, event.NotRun, none, 413},
		{"a prompt, open", inventory.Redact, "open", limit + 5, 20, event.NotRun, event.Hit, 200},
		{"a prompt, monitored", inventory.Monitor, "", limit + 5, 20, event.NotRun, event.Hit, 200},
		{"an answer, closed", inventory.Redact, "", 20, limit + 5, event.Hit, event.NotRun, 502},
		{"an answer, open", inventory.Redact, "open", 20, limit + 5, event.Hit, event.NotRun, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			sent := 0
			r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
				sent++
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprintf(w, `{"model":"gpt-4o-mini","choices":[{"index":0,"message":{"content":%q}}],"usage":{"prompt_tokens":9,"completion_tokens":9}}`, text(c.answer))
			})
			r.org().Profiles["default"] = &inventory.GuardProfile{ID: "default", MaxText: limit, Guards: []inventory.GuardSetting{{Guard: "pii", Mode: c.mode, OnFailure: c.onFailure}}}
			r.use()
			resp, got := r.post(ask("gpt-4o-mini", text(c.prompt)))
			want := ""
			if c.status != 200 {
				want = "text_too_large"
			}
			if resp.StatusCode != c.status || code(got) != want || (sent == 0) != (c.status == 413) {
				t.Fatalf("%d %s; sent %d", resp.StatusCode, got, sent)
			}
			first, last := r.rec.events[0], r.rec.last()
			for _, v := range []struct {
				got  event.Verdict
				want event.VerdictState
			}{{first.Prompt[0], c.promptStatus}, {lastVerdict(last), c.answerState}} {
				if v.want == none {
					continue
				}
				if v.got.State != v.want || v.want == event.NotRun && (v.got.Reason != "too_large" || v.got.FailOpen != (c.status == 200)) {
					t.Errorf("%+v, want state %v", v.got, v.want)
				}
			}
			redacts := c.mode == inventory.Redact && c.promptStatus == event.Hit
			if sent > 0 && strings.Contains(string(r.body), "jane@") == redacts {
				t.Errorf("the provider got %s", r.body)
			}
			if c.status == 502 && (last.End != event.EndBlocked || last.Charge == 0) {
				t.Errorf("what was answered is billed: %+v", last)
			}
		})
	}
}

func lastVerdict(e event.Event) event.Verdict {
	if len(e.AnswerGuard) == 0 {
		return event.Verdict{}
	}
	return e.AnswerGuard[0]
}

// A form's words and a transcript that is plain text have the limit too.
func TestMoreTextOfFormsThanGuardsRead(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, strings.Repeat("word ", 20))
	})
	routes(r, "whisper-1")
	r.org().Profiles["default"] = &inventory.GuardProfile{ID: "default", MaxText: 50, Guards: []inventory.GuardSetting{{Guard: "pii", Mode: inventory.Block}}}
	r.use()
	for prompt, want := range map[string]int{strings.Repeat("x", 51): 413, "short": 502} {
		if resp, got := upload(t, r, map[string]string{"model": "whisper-1", "prompt": prompt}, []byte("x")); resp.StatusCode != want || code(got) != "text_too_large" {
			t.Errorf("%d %s, want %d", resp.StatusCode, got, want)
		}
	}
}
