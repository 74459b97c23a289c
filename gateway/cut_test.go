package gateway

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"plumbline/gateway/event"
	"plumbline/gateway/routing"
	"plumbline/inventory"
)

// A drain that comes to its end breaks calls off that still wait for their provider.
// Each caller is told, in a way that is no whole answer, and each is settled by what was
// seen: what was not seen at all is charged at its hold. It is no failure of the
// provider's, and none is asked anew.
func TestWhatIsCutIsToldAndSettled(t *testing.T) {
	for _, c := range []struct {
		name, body string
		begin      string // of the answer; empty: not even its head
		kind       string
		status     int
		said       string
		source     event.UsageSource
		output     int64 // tokens; -1: as many as were held for
		backoff    bool  // the call was between two attempts
	}{
		{"a stream", streamed, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"eight b \"}}]}\n\n", "text/event-stream", 200, `"code":"draining"`, event.UsagePartial, 2, false},
		{"a stream that said its usage", streamed, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"eight b \"}}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":7}}\n\n", "text/event-stream", 200, `"code":"draining"`, event.UsagePartial, 7, false},
		{"a stream that has not begun", streamed, ": soon\n\n", "text/event-stream", 503, `"code":"draining"`, event.UsageEstimated, -1, false},
		{"half an answer", ask("gpt-4o-mini", "x"), `{"choices":[`, "application/json", 503, `"code":"draining"`, event.UsageEstimated, -1, false},
		{"no answer yet", ask("gpt-4o-mini", "x"), "", "", 503, `"code":"draining"`, event.UsageEstimated, -1, false},
		{"a pause between two attempts", ask("gpt-4o-mini", "x"), "", "", 503, `"code":"draining"`, event.UsageCounted, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			began := make(chan bool, 1)
			r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
				switch {
				case c.backoff:
					status(503, "Retry-After", "9")(w, q)
					return
				case c.begin != "":
					w.Header().Set("Content-Type", c.kind)
					io.WriteString(w, c.begin)
					w.(http.Flusher).Flush()
				}
				if c.status != 200 {
					began <- true
				}
				<-q.Context().Done()
			})
			route := *r.org().Routes["gpt-4o-mini"]
			route.MaxAttempts = 3
			r.org().Routes["gpt-4o-mini"] = &route
			r.org().Routes["other"] = &inventory.Route{Model: "other", Provider: "sim"}
			r.use()
			r.srv.Config.Handler = seen(r.g, func(status int, body string) {
				if c.status == 200 && strings.HasSuffix(body, "\n\n") && !strings.Contains(body, "draining") {
					began <- true
				}
			})
			type answer struct {
				status int
				body   string
			}
			got := make(chan answer, 1)
			go func() {
				resp, body := r.post(c.body)
				got <- answer{resp.StatusCode, body}
			}()
			if c.backoff {
				for !slices.ContainsFunc(r.g.Retries(), func(c routing.Retries) bool { return c.Made > 0 }) {
					time.Sleep(time.Millisecond)
				}
			} else {
				<-began
			}
			r.g.draining.Store(true)
			r.g.Cut()
			a := <-got
			if a.status != c.status || !strings.Contains(a.body, c.said) || strings.Contains(a.body, "[DONE]") {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if err := r.g.Drain(t.Context()); err != nil {
				t.Fatal(err)
			}
			e := r.rec.last()
			if e.Kind != event.Outcome || e.Code != "draining" || e.Source != c.source || c.output >= 0 && e.Usage.Output != c.output || e.UpstreamErr != "" && !c.backoff {
				t.Errorf("%+v", e)
			}
			if !c.backoff && e.End != event.EndAborted || (c.source == event.UsageEstimated) != (e.Charge == e.Held) || (e.Charge == 0) != c.backoff {
				t.Errorf("ended %v, charged %v of %v", e.End, e.Charge, e.Held)
			}
			if got := r.g.c.Budgets.Now(r.org().OrgBudgets[0]); got.Held != 0 || got.Charged != e.Charge {
				t.Errorf("balance %+v", got)
			}
			for _, s := range r.g.Health("acme") {
				if s.Provider == "up" && s.Failed > 0 && !c.backoff {
					t.Errorf("the provider is blamed: %+v", s)
				}
			}
		})
	}
}

// seen tells what the gateway wrote so far, at every piece.
func seen(h http.Handler, tell func(status int, body string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(&teller{ResponseWriter: w, tell: tell}, r)
	})
}

type teller struct {
	http.ResponseWriter
	tell   func(int, string)
	status int
	body   strings.Builder
}

func (w *teller) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *teller) Write(b []byte) (int, error) {
	w.body.Write(b)
	w.tell(w.status, w.body.String())
	return w.ResponseWriter.Write(b)
}

func (w *teller) Flush() { w.ResponseWriter.(http.Flusher).Flush() }
