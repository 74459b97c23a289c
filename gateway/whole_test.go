package gateway

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"plumbline/gateway/event"
	"plumbline/gateway/spill"
	"plumbline/inventory"
)

// answerOf writes an answer of about n bytes that ends in a text.
func answerOf(n int, text string) string {
	return `{"model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":"` + strings.Repeat("word ", n/5) + text + `"}}],"usage":{"prompt_tokens":9,"completion_tokens":7},"big":12345678901234567890}`
}

// A large answer arrives as a small one does, byte for byte but for what guards take
// out, and nothing of it is kept afterwards.
func TestLargeAnswers(t *testing.T) {
	for _, c := range []struct {
		name   string
		size   int
		text   string
		keep   spill.Config
		change func(string) string
		status int
		code   string
		end    event.End
		source event.UsageSource
	}{
		{"in memory", 200 << 10, "end", spill.Config{}, nil, 200, "", event.EndComplete, event.UsageProvider},
		{"in a file", 3 << 20, "end", spill.Config{}, nil, 200, "", event.EndComplete, event.UsageProvider},
		{"redacted", 3 << 20, "mail jane@example.com", spill.Config{}, func(s string) string { return strings.Replace(s, "jane@example.com", "[EMAIL]", 1) }, 200, "", event.EndComplete, event.UsageProvider},
		{"redacted in memory", 200 << 10, "mail jane@example.com", spill.Config{}, func(s string) string { return strings.Replace(s, "jane@example.com", "[EMAIL]", 1) }, 200, "", event.EndComplete, event.UsageProvider},
		{"blocked", 3 << 20, "AKIAIOSFODNN7EXAMPLE", spill.Config{}, nil, 400, "guard_blocked", event.EndBlocked, event.UsageProvider},
		{"no room", 3 << 20, "end", spill.Config{Disk: 1 << 10}, nil, 503, "busy", event.EndAborted, event.UsageEstimated},
		{"larger than any may be", maxAnswer + 1, "end", spill.Config{}, nil, 502, "upstream_bad_answer", event.EndUpstreamError, event.UsageEstimated},
	} {
		t.Run(c.name, func(t *testing.T) {
			sent := answerOf(c.size, c.text)
			r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				io.WriteString(w, sent)
			})
			r.org().Routes["gpt-4o-mini"].MaxAttempts = 1
			r.use()
			store := r.keep(c.keep)
			want := sent
			if c.change != nil {
				want = c.change(sent)
			}
			resp, got := r.post(ask("gpt-4o-mini", "Hi"))
			r.rec.wait(t, 2)
			if resp.StatusCode != c.status || code(got) != c.code || c.status == 200 && (got != want || resp.ContentLength != int64(len(want))) {
				t.Fatalf("%d, %d bytes, want %d: %.300s", resp.StatusCode, len(got), len(want), tail(got))
			}
			if e := r.rec.last(); e.End != c.end || e.Source != c.source || e.Charge <= 0 || c.source == event.UsageEstimated && e.Charge != e.Held {
				t.Errorf("%+v", e)
			}
			r.srv.Close()
			if u := store.Usage(); u != (spill.Usage{}) {
				t.Errorf("%+v is still taken", u)
			}
		})
	}
}

// A large answer of another dialect is translated.
func TestLargeAnswerIsTranslated(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"type":"message","model":"claude-haiku-4-5","role":"assistant","content":[{"type":"text","text":"%s"}],"stop_reason":"end_turn","usage":{"input_tokens":9,"output_tokens":7}}`, strings.Repeat("word ", 1<<19))
	})
	r.org().Providers["a"] = &inventory.Provider{ID: "a", Kind: "anthropic", BaseURL: r.up.URL + "/v1", CredentialRef: "env:UP"}
	r.org().Routes["claude-haiku-4-5"] = &inventory.Route{Model: "claude-haiku-4-5", Provider: "a"}
	r.use()
	store := r.keep(spill.Config{})
	resp, got := r.post(ask("claude-haiku-4-5", "Hi"))
	if resp.StatusCode != 200 || strings.Count(got, "word ") != 1<<19 || !strings.Contains(got, `"finish_reason":"stop"`) {
		t.Fatalf("%d, %d bytes %.300s", resp.StatusCode, len(got), tail(got))
	}
	r.srv.Close()
	if u := store.Usage(); u != (spill.Usage{}) {
		t.Errorf("%+v is still taken", u)
	}
}

// 48 callers at once get 16 MiB each, of which a guard changes some and all of which
// they take slowly: what stands in memory follows from what may be loaded. The bound is
// that of TestMemoryIsBounded.
func TestMemoryIsBoundedForAnswers(t *testing.T) {
	if testing.Short() {
		t.Skip("a gigabyte of answers")
	}
	const answers, size, loaded = 48, 16 << 20, 48 << 20
	const bound = 2*(loaded+64<<20) + 64<<20
	var peak atomic.Uint64
	look := func() {
		s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(s)
		for {
			have := peak.Load()
			if s[0].Value.Uint64() <= have || peak.CompareAndSwap(have, s[0].Value.Uint64()) {
				return
			}
		}
	}
	filler := bytes.Repeat([]byte("word "), 1<<16)
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":"`)
		for n := 0; n < size; n += len(filler) {
			w.Write(filler)
			look()
		}
		io.WriteString(w, `jane@example.com"}}],"usage":{"prompt_tokens":9,"completion_tokens":7}}`)
	}))
	t.Cleanup(up.Close)
	r := newRig(t, answerPlain)
	store := r.keep(spill.Config{Loaded: loaded, Wait: 1 << 40})
	r.org().Profiles["default"] = &inventory.GuardProfile{ID: "default", MaxText: 2 * size, Guards: []inventory.GuardSetting{{Guard: "pii", Mode: inventory.Redact}}}
	r.org().OrgBudgets = []*inventory.Budget{}
	r.org().Providers["up"] = &inventory.Provider{ID: "up", Kind: "openai", BaseURL: up.URL + "/v1", CredentialRef: "env:UP"}
	r.use()
	begun, have := make(chan struct{}), atomic.Int64{}
	var all sync.WaitGroup
	for range answers {
		all.Go(func() {
			req, _ := http.NewRequest(http.MethodPost, r.srv.URL+"/v1/chat/completions", strings.NewReader(ask("gpt-4o-mini", "Hi")))
			req.Header.Set("Authorization", "Bearer "+testKey)
			resp, err := http.DefaultClient.Do(req)
			if have.Add(1) == answers {
				close(begun)
			}
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			<-begun // nobody takes an answer before all have one
			look()
			n, err := io.Copy(io.Discard, resp.Body)
			if resp.StatusCode != 200 || err != nil || n < size {
				t.Errorf("%d, %d bytes, %v", resp.StatusCode, n, err)
			}
			look()
		})
	}
	all.Wait()
	t.Logf("at most %d MiB of %d MiB answered, bound %d MiB", peak.Load()>>20, answers*size>>20, bound>>20)
	if peak.Load() > bound {
		t.Errorf("%d MiB in memory, bound %d MiB", peak.Load()>>20, bound>>20)
	}
	r.srv.Close()
	if u := store.Usage(); u != (spill.Usage{}) {
		t.Errorf("%+v is still taken", u)
	}
}
