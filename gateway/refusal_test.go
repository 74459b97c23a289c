package gateway

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"plumbline/gateway/event"
	"plumbline/inventory"
)

// lateLedger makes a refusal's record durable when it is told to.
type lateLedger struct {
	seen    chan event.Event
	durable *event.Commit
}

func (l *lateLedger) Submit(e *event.Event) (*event.Commit, error) {
	l.seen <- *e
	return l.durable, nil
}

// watched notes when the answer begins.
type watched struct {
	*httptest.ResponseRecorder
	begun atomic.Bool
}

func (w *watched) WriteHeader(status int) {
	w.begun.Store(true)
	w.ResponseRecorder.WriteHeader(status)
}

func TestRefusalsAreDurableBeforeTheyAreGiven(t *testing.T) {
	r := newRig(t, answerPlain)
	for _, outcome := range []error{nil, event.ErrUnavailable} {
		ledger := &lateLedger{make(chan event.Event, 1), event.NewCommit()}
		r.g.c.Recorder = ledger
		w := &watched{ResponseRecorder: httptest.NewRecorder()}
		q := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(ask("no-such-model", "x")))
		q.Header.Set("Authorization", "Bearer "+testKey)
		done := make(chan struct{})
		go func() { defer close(done); r.g.ServeHTTP(w, q) }()
		e := <-ledger.seen
		if e.Kind != event.Refused || e.Code != "model_not_found" || e.Status != http.StatusNotFound {
			t.Errorf("recorded %+v", e)
		}
		if w.begun.Load() {
			t.Error("the refusal was given before its record was durable")
		}
		ledger.durable.Resolve(outcome)
		<-done
		if w.Code != http.StatusNotFound || code(w.Body.String()) != "model_not_found" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		select {
		case again := <-ledger.seen:
			t.Errorf("recorded twice: %+v", again)
		default:
		}
	}
}

// TestRefusalsSayWhoseTheyAre: an error names its exchange, the provider where one refused
// or failed, and the rule where a policy did.
func TestRefusalsSayWhoseTheyAre(t *testing.T) {
	status := 400
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		io.WriteString(w, `{"error":{"message":"no","type":"invalid_request_error"}}`)
	})
	check := func(name string, provider, policy string) {
		t.Helper()
		resp, answer := r.post(ask("gpt-4o-mini", "x"))
		h := resp.Header
		if resp.StatusCode < 400 || h.Get("X-Plumbline-Exchange") == "" || h.Get("X-Plumbline-Exchange") != h.Get("X-Request-Id") || h.Get("X-Plumbline-Provider") != provider || h.Get("X-Plumbline-Policy") != policy {
			t.Errorf("%s: %d %v %s", name, resp.StatusCode, h, answer)
		}
	}
	check("a request that the provider refuses", "up", "")
	for status = range map[int]bool{401: true, 404: true, 500: true} {
		check("a provider that fails", "up", "")
	}
	r.org().Policies = []*inventory.Policy{{ID: "house", Mode: "enforce", Source: "package plumbline\n\ndeny contains \"never\" if true"}}
	r.use()
	check("a policy", "", "house:never")
	r.org().OrgBudgets[0].Limit, r.org().Policies = 1, nil
	r.use()
	check("a budget", "", "")
}
