package gateway

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"plumbline/gateway/event"
	"plumbline/inventory"
)

// A panic in any stage, in any part that a stage calls or in the connections on either
// side ends one call, with an error where there is nothing yet and never with a whole
// answer; its place and its hold are given back, and the next call is answered.
func TestPanics(t *testing.T) {
	type breaks struct {
		name   string
		break_ func(r *rig, broken *atomic.Bool)
		stream bool
		want   string // in the answer; "" where the connection breaks
	}
	boom := func(broken *atomic.Bool) {
		if broken.Load() {
			panic("boom canary")
		}
	}
	transport := func(f func(broken *atomic.Bool, resp *http.Response)) func(*rig, *atomic.Bool) {
		return func(r *rig, broken *atomic.Bool) {
			r.g.c.Transport = roundTrip(func(q *http.Request) (*http.Response, error) {
				io.Copy(io.Discard, q.Body)
				resp := &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(plainAnswer))}
				if q.Header.Get("Accept") == "text/event-stream" {
					resp.Header.Set("Content-Type", "text/event-stream")
					resp.Body = io.NopCloser(strings.NewReader("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello \"}}]}\n\ndata: [DONE]\n\n"))
				}
				f(broken, resp)
				return resp, nil
			})
			r.org().Providers["up"] = &inventory.Provider{ID: "up", Kind: "openai", BaseURL: "http://nowhere.example/v1", CredentialRef: "env:UP"}
			r.use()
		}
	}
	cases := []breaks{
		{"the ledger, at the intent", func(r *rig, broken *atomic.Bool) {
			r.rec.onSeen = func(e *event.Event) {
				if e.Kind == event.Intent {
					boom(broken)
				}
			}
		}, false, "internal"},
		{"the ledger, always", func(r *rig, broken *atomic.Bool) { r.rec.onSeen = func(*event.Event) { boom(broken) } }, false, ""},
		{"the ledger, at the outcome", func(r *rig, broken *atomic.Bool) {
			r.rec.onSeen = func(e *event.Event) {
				if e.Kind == event.Outcome {
					boom(broken)
				}
			}
		}, false, ""},
		{"the content key", func(r *rig, broken *atomic.Bool) {
			key := r.g.c.ContentKey
			r.g.c.ContentKey = func(org, system string, at time.Time) ([32]byte, error) { boom(broken); return key(org, system, at) }
		}, false, "internal"},
		{"metrics", func(r *rig, broken *atomic.Bool) { r.g.c.Observe = func(Observation) { boom(broken) } }, false, ""},
		{"the call of the provider", transport(func(broken *atomic.Bool, _ *http.Response) { boom(broken) }), false, "internal"},
		{"its answer", transport(func(broken *atomic.Bool, resp *http.Response) {
			if broken.Load() {
				resp.Body = io.NopCloser(panicking{})
			}
		}), false, "internal"},
		{"its stream", transport(func(broken *atomic.Bool, resp *http.Response) {
			if broken.Load() {
				resp.Body = io.NopCloser(io.MultiReader(iotest.OneByteReader(strings.NewReader("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello \"}}]}\n\n: \n\n")), panicking{}))
			}
		}), true, "internal"},
		{"the end of its stream", transport(func(broken *atomic.Bool, resp *http.Response) {
			if broken.Load() {
				resp.Body = struct {
					io.Reader
					io.Closer
				}{resp.Body, panicking{}}
			}
		}), true, ""},
		{"the caller's connection", func(r *rig, broken *atomic.Bool) {
			r.serve(func(w http.ResponseWriter, q *http.Request) {
				if broken.Load() {
					w = panickingWriter{w}
				}
				r.g.ServeHTTP(w, q)
			})
		}, false, ""},
		{"the caller's connection, in a stream", func(r *rig, broken *atomic.Bool) {
			transport(func(*atomic.Bool, *http.Response) {})(r, broken)
			r.serve(func(w http.ResponseWriter, q *http.Request) {
				if broken.Load() {
					w = panickingWriter{w}
				}
				r.g.ServeHTTP(w, q)
			})
		}, true, ""},
	}
	for i, name := range newRig(t, answerPlain).g.Stages() {
		if name == "settle and record" {
			continue
		}
		cases = append(cases, breaks{"stage " + name, func(r *rig, broken *atomic.Bool) {
			run := r.g.stages[i].run
			r.g.stages[i].run = func(g *Gateway, x *exchange) error { boom(broken); return run(g, x) }
		}, false, "internal"})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, answerPlain)
			var broken atomic.Bool
			var log bytes.Buffer
			r.g.c.Log = slog.New(slog.NewTextHandler(&log, nil))
			k := *r.snap.Keys["k1"]
			k.Concurrency = 1
			r.snap.Keys["k1"] = &k
			r.use()
			c.break_(r, &broken)
			body := ask("gpt-4o-mini", "Hi")
			if c.stream {
				body = strings.Replace(body, "{", `{"stream":true,`, 1)
			}
			broken.Store(true)
			resp, answer, err := r.try(body)
			broken.Store(false)
			switch {
			case c.want != "" && (err != nil || !strings.Contains(answer, `"code":"`+c.want+`"`)):
				t.Errorf("%v: %s", err, answer)
			case c.want == "" && err == nil && resp.StatusCode == 200 && !whole(c.stream, answer):
				t.Errorf("%s looks complete", answer)
			}
			for i := range 2 {
				if resp, answer, err := r.try(body); err != nil || resp.StatusCode != 200 {
					t.Fatalf("call %d after it: %v %s", i+1, err, answer)
				}
			}
			r.srv.Close() // every exchange is settled
			if strings.Contains(answer+log.String(), "canary") {
				t.Error("what it panicked with is told")
			}
			if b := r.g.c.Budgets.Now(r.org().OrgBudgets[0]); b.Held != 0 {
				t.Errorf("%v is still held", b.Held)
			}
			if n := r.g.InFlight(); n != 0 {
				t.Errorf("%d in flight", n)
			}
		})
	}
}

// whole: what came before the panic of settling is a true answer.
func whole(stream bool, answer string) bool {
	return stream && strings.HasSuffix(answer, "data: [DONE]\n\n") || answer == plainAnswer
}

// serve puts a handler in the place of the gateway.
func (r *rig) serve(h http.HandlerFunc) {
	r.srv.Close()
	r.srv = httptest.NewServer(h)
	r.t.Cleanup(r.srv.Close)
}

// try is post where the connection may break.
func (r *rig) try(body string) (*http.Response, string, error) {
	req := httptest.NewRequest(http.MethodPost, r.srv.URL+"/v1/chat/completions", strings.NewReader(body))
	req.RequestURI = ""
	req.Header.Set("Authorization", "Bearer "+testKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("boom canary") }
func (panicking) Close() error             { panic("boom canary") }

type panickingWriter struct{ http.ResponseWriter }

func (panickingWriter) Write([]byte) (int, error) { panic("boom canary") }
