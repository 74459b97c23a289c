package gateway

import (
	"bytes"
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

// keep gives a rig's gateway another store of bodies.
func (r *rig) keep(c spill.Config) *spill.Store {
	r.t.Helper()
	c.Dir = r.t.TempDir()
	s, err := spill.New(c)
	if err != nil {
		r.t.Fatal(err)
	}
	r.g.c.Bodies = s
	return s
}

// large is a body of about n bytes with a piece of text at its end.
func large(model string, n int, text string) string {
	return `{"model":"` + model + `","max_tokens":1,"messages":[{"role":"user","content":"` + strings.Repeat("word ", n/5) + text + `"}],"big":12345678901234567890}`
}

// A large body takes the same way as a small one, byte for byte: guards read all of it,
// what they take out does not leave, and nothing of it stays on disk.
func TestLargeBodies(t *testing.T) {
	for _, c := range []struct {
		name   string
		model  string
		text   string
		send   func(body string) (string, []string) // how it comes, with its headers
		out    func(body string) string             // what the provider gets
		status int
	}{
		{"as it is", "gpt-4o-mini", "end", nil, nil, 200},
		{"with another name at the provider", "alias", "end", nil, func(b string) string { return strings.Replace(b, `"alias"`, `"gpt-4o-mini"`, 1) }, 200},
		{"redacted at its end", "gpt-4o-mini", "mail jane.roe@corp.example now", nil, func(b string) string { return strings.Replace(b, "jane.roe@corp.example", "[EMAIL]", 1) }, 200},
		{"blocked at its end", "gpt-4o-mini", "AKIAIOSFODNN7EXAMPLE", nil, nil, 400},
		{"inflated", "gpt-4o-mini", noise(2 << 20), func(b string) (string, []string) { return zipped(b), []string{"Content-Encoding", "gzip"} }, nil, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, answerPlain)
			store := r.keep(spill.Config{})
			body := large(c.model, 3<<20-len(c.text), c.text)
			if c.send != nil {
				body = large(c.model, 0, c.text)
			}
			sent, headers := body, []string(nil)
			if c.send != nil {
				sent, headers = c.send(body)
			}
			resp, answer := r.raw("/v1/chat/completions", sent, headers...)
			if resp.StatusCode != c.status {
				t.Fatalf("%d %.300s", resp.StatusCode, answer)
			}
			want := body
			if c.out != nil {
				want = c.out(body)
			}
			if c.status != 200 {
				want = ""
			}
			if string(r.body) != want {
				t.Errorf("the provider got %d bytes ending in %.200q, want %d", len(r.body), tail(string(r.body)), len(want))
			}
			if e := r.rec.last(); e.BytesIn != uint64(len(body)) {
				t.Errorf("%d bytes on record", e.BytesIn)
			}
			r.srv.Close() // every exchange is over
			if u := store.Usage(); u != (spill.Usage{}) {
				t.Errorf("%+v is still taken", u)
			}
		})
	}
}

func tail(s string) string { return s[max(0, len(s)-100):] }

// noise is text that hardly compresses.
func noise(n int) string {
	b, x := make([]byte, n), uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = " abcdefghijklmnopqrstuvwxyz"[(x>>16)%27]
	}
	return string(b)
}

// While the provider thinks, a large body takes no memory; and what it got can be sent
// again from the file.
func TestLargeBodyIsNotHeld(t *testing.T) {
	var store *spill.Store
	tries := 0
	body := large("alias", 2<<20, "end")
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		tries++
		if u := store.Usage(); u.Disk < int64(len(body)) {
			t.Errorf("try %d: %+v", tries, u)
		}
		b, err := store.Put([]byte("others find room"))
		if err != nil {
			t.Error(err)
			return
		}
		defer b.Close()
		if _, release, err := b.Load(q.Context(), 1<<40); err != nil { // all there is
			t.Error(err)
		} else {
			release()
		}
		if tries == 1 {
			w.WriteHeader(503)
			return
		}
		answerPlain(w, q)
	})
	store = r.keep(spill.Config{})
	if resp, answer := r.post(body); resp.StatusCode != 200 || tries != 2 {
		t.Fatalf("%d %s after %d tries", resp.StatusCode, answer, tries)
	}
	if want := strings.Replace(body, `"alias"`, `"gpt-4o-mini"`, 1); string(r.body) != want {
		t.Errorf("the second try sent %d bytes, want %d", len(r.body), len(want))
	}
	if got := r.rec.kinds(); got != "intent attempt outcome" {
		t.Errorf("records: %s", got)
	}
}

// With no room for a large body its caller is asked to come again; small ones pass.
func TestNoRoom(t *testing.T) {
	r := newRig(t, answerPlain)
	r.keep(spill.Config{Disk: 1 << 10})
	if resp, answer := r.post(large("gpt-4o-mini", 2<<20, "")); resp.StatusCode != 503 || code(answer) != "busy" || resp.Header.Get("Retry-After") != "2" {
		t.Errorf("%d %s", resp.StatusCode, answer)
	}
	if resp, answer := r.post(ask("gpt-4o-mini", "Hi")); resp.StatusCode != 200 {
		t.Errorf("%d %s", resp.StatusCode, answer)
	}
}

// Many callers at once with 16 MiB each, all of whom the provider lets wait until the last
// has come: what stands in memory follows from what may be loaded, and neither from what
// they send nor from what guards take out of it. The bound: what is loaded at three sizes
// a body, the collector's as much again, and 64 MiB for everything else, the test's own
// client and provider among it.
func TestMemoryIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("gigabytes of bodies")
	}
	for i, c := range []struct {
		name, path string
		bodies     int
		text, ends string // over and over, and once
	}{
		{"read by nobody", "/v1/chat/completions", 32, "word ", ""},
		{"an address in each", "/v1/chat/completions", 20, "word ", "jane.roe@corp.example "},
		{"nothing but addresses", "/v1/chat/completions", 20, "jane.roe@corp.example ", ""},
		{"translated", "/anthropic/v1/messages", 20, "word ", "jane.roe@corp.example "},
	} {
		if raceDetector && i > 1 {
			continue // minutes of reading; .ci/test runs all of them once without it
		}
		t.Run(c.name, func(t *testing.T) {
			const size, loaded = 16 << 20, 48 << 20
			const bound = 2*(loaded+64<<20) + 64<<20
			r := newRig(t, answerPlain)
			r.keep(spill.Config{Loaded: loaded, Wait: 1 << 40})
			profile := &inventory.GuardProfile{ID: "default"}
			if c.name != "read by nobody" {
				profile.Guards = []inventory.GuardSetting{{Guard: "pii", Mode: inventory.Redact}}
			}
			r.org().Profiles["default"] = profile
			r.org().OrgBudgets = []*inventory.Budget{}
			var waiting sync.WaitGroup
			waiting.Add(c.bodies)
			up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				io.Copy(io.Discard, q.Body)
				waiting.Done()
				waiting.Wait()
				answerPlain(w, q)
			}))
			t.Cleanup(up.Close)
			r.org().Providers["up"] = &inventory.Provider{ID: "up", Kind: "openai", BaseURL: up.URL + "/v1", CredentialRef: "env:UP"}
			r.use()
			look, peak := watchHeap()
			r.rec.onSeen = func(*event.Event) { look() }
			var all sync.WaitGroup
			for range c.bodies {
				all.Go(func() {
					resp, err := http.DefaultClient.Do(r.manyOf(c.path, c.text, c.ends, size, look))
					if err != nil {
						t.Error(err)
						waiting.Done()
						return
					}
					defer resp.Body.Close()
					if answer, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 {
						t.Errorf("%d %s", resp.StatusCode, answer)
					}
				})
			}
			all.Wait()
			t.Logf("at most %d MiB of %d MiB sent, bound %d MiB", peak.Load()>>20, c.bodies*size>>20, bound>>20)
			if peak.Load() > bound {
				t.Errorf("%d MiB in memory, bound %d MiB", peak.Load()>>20, bound>>20)
			}
		})
	}
}

// watchHeap gives what looks at the heap's objects, and the most that it saw, in bytes.
func watchHeap() (look func(), peak *atomic.Uint64) {
	peak = new(atomic.Uint64)
	return func() {
		s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(s)
		for {
			have := peak.Load()
			if s[0].Value.Uint64() <= have || peak.CompareAndSwap(have, s[0].Value.Uint64()) {
				return
			}
		}
	}, peak
}

// manyOf is a call whose prompt is text over and over, of about size bytes, which stands
// nowhere in memory.
func (r *rig) manyOf(path, text, ends string, size int, look func()) *http.Request {
	filler := bytes.Repeat([]byte(text), 1<<18/len(text))
	parts := []io.Reader{strings.NewReader(`{"model":"alias","max_tokens":1,"messages":[{"role":"user","content":"`)}
	for n := 0; n < size; n += len(filler) {
		parts = append(parts, bytes.NewReader(filler), looking(look))
	}
	req, _ := http.NewRequest(http.MethodPost, r.srv.URL+path, io.MultiReader(append(parts, strings.NewReader(ends+`"}]}`))...))
	req.Header.Set("Authorization", "Bearer "+testKey)
	return req
}

// looking is read as nothing, and looks meanwhile.
type looking func()

func (l looking) Read([]byte) (int, error) {
	l()
	return 0, io.EOF
}
