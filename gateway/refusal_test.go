package gateway

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"plumbline/gateway/event"
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
