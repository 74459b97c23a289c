package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"plumbline/app/money"
	"plumbline/gateway/budget"
	"plumbline/gateway/event"
	"plumbline/inventory"
)

// backgroundRig is a gateway before an upstream that makes one response in the background.
type backgroundRig struct {
	*batchRig
	mu   sync.Mutex // guards what follows
	said string     // of the response, after its id
	fail int        // a status in place of the next answer to a POST
	gets int
}

const (
	queued    = `"status":"queued","output":[],"usage":null`
	completed = `"status":"completed","output":[{"type":"message","id":"msg_1","role":"assistant","content":[{"type":"output_text","text":"Ask joe@example.com"}]}],"usage":{"input_tokens":3,"output_tokens":4}`
	asked     = `{"model":"gpt-4o-mini","max_output_tokens":100,"input":"hello","background":true}`
	exact     = money.Nano(3*150 + 4*600) // of completed, at 0.15 and 0.60 dollars a million
)

func newBackgroundRig(t *testing.T) *backgroundRig {
	b := &backgroundRig{said: queued}
	b.batchRig = &batchRig{rig: newRig(t, b.answer)}
	return b
}

func (b *backgroundRig) answer(w http.ResponseWriter, q *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	whole := `{"id":"resp_1","object":"response","model":"gpt-4o-mini",` + b.said + `}`
	w.Header().Set("Content-Type", "application/json")
	switch {
	case b.fail != 0:
		w.WriteHeader(b.fail)
		b.fail = 0
	case q.Method == http.MethodDelete:
		fmt.Fprint(w, `{"id":"resp_1","object":"response","deleted":true}`)
	case q.URL.Query().Get("stream") == "true":
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":%s}\n\n", whole)
	default:
		if q.Method == http.MethodGet {
			b.gets++
		}
		fmt.Fprint(w, whole)
	}
}

func (b *backgroundRig) says(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.said = what
}

// begin makes a response that is not done yet.
func (b *backgroundRig) begin() (intent event.Event) {
	b.t.Helper()
	b.do(200, "POST", "/v1/responses", testKey, asked)
	for _, e := range b.rec.events {
		if e.Kind == event.Intent && e.Endpoint == "responses" {
			intent = e
		}
	}
	if b.held() == 0 || b.charged() != 0 || b.g.OpenBatches() != 1 || len(b.outcomes("responses")) != 0 || !event.Lasts(&intent) {
		b.t.Fatalf("held %d, charged %d, %d open, %+v", b.held(), b.charged(), b.g.OpenBatches(), intent)
	}
	return intent
}

// settled checks that the one response is settled, once and exactly.
func (b *backgroundRig) settled(of event.Event, want money.Nano) event.Event {
	b.t.Helper()
	ends := b.outcomes("responses")
	if len(ends) != 1 || b.held() != 0 || b.charged() != want || b.g.OpenBatches() != 0 {
		b.t.Fatalf("%d outcomes, held %d, charged %d and not %d", len(ends), b.held(), b.charged(), want)
	}
	if e := ends[0]; e.Exchange != of.Exchange || e.Charge != want || e.Held != of.Holds[0].Amount || e.Usage.Batch || e.Usage.Requests != 0 {
		b.t.Fatalf("%+v", e)
	}
	if list, err := b.g.c.Kept.List(b.t.Context(), "acme", "SYS-001", KeptResponse); len(list) != 0 || err != nil {
		b.t.Errorf("still kept: %v %v", list, err)
	}
	return ends[0]
}

// A response that is made in the background keeps its hold until the app, or the gateway
// itself, learns what it used; that is charged, once.
func TestBackgroundResponses(t *testing.T) {
	get := func(query string) func(*backgroundRig) {
		return func(b *backgroundRig) {
			answer := b.do(200, "GET", "/v1/responses/resp_1"+query, testKey, "")
			if strings.Contains(answer, "joe@") || strings.Contains(b.said, "joe@") && !strings.Contains(answer, "[EMAIL]") {
				b.t.Errorf("guards do not read it: %s", answer)
			}
		}
	}
	poll := func(b *backgroundRig) {
		if n, err := b.settleNow(); n != 1 || err != nil {
			b.t.Fatalf("%d %v", n, err)
		}
	}
	for _, c := range []struct {
		name, said string
		ask        func(*backgroundRig)
		charge     money.Nano
		source     event.UsageSource
		code       string
	}{
		{"asked for", completed, get(""), exact, event.UsageProvider, ""},
		{"asked for as a stream", completed, get("?stream=true"), exact, event.UsageProvider, ""},
		{"polled", completed, poll, exact, event.UsageProvider, ""},
		{"deleted", completed, func(b *backgroundRig) { b.do(200, "DELETE", "/v1/responses/resp_1", testKey, "") }, exact, event.UsageProvider, ""},
		{"cancelled", `"status":"cancelled","output":[],"usage":{"input_tokens":3,"output_tokens":1}`, func(b *backgroundRig) { b.do(200, "POST", "/v1/responses/resp_1/cancel", testKey, "") }, 3*150 + 600, event.UsageProvider, "response_cancelled"},
		{"incomplete", strings.Replace(completed, "completed", "incomplete", 1), get(""), exact, event.UsageProvider, ""},
		{"failed with usage", `"status":"failed","error":{"code":"server_error"},"output":[],"usage":{"input_tokens":3,"output_tokens":0}`, poll, 3 * 150, event.UsageProvider, "response_failed"},
		{"failed without", `"status":"failed","error":{"code":"server_error"},"output":[],"usage":null`, get(""), 0, event.UsageProvider, "response_failed"},
		{"no usage said", strings.Replace(completed, `{"input_tokens":3,"output_tokens":4}`, "null", 1), poll, money.Nano(len(asked)/4*150 + 5*600), event.UsageCounted, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBackgroundRig(t)
			intent := b.begin()
			if left := intent.Deadline - intent.At; left != (26 * time.Hour).Microseconds() {
				t.Errorf("its deadline is %d µs away", left)
			}
			get("")(b)
			if n, err := b.settleNow(); n != 0 || err != nil || b.held() == 0 || b.gets != 2 {
				t.Fatalf("not done yet: %d %v, asked %d times", n, err, b.gets)
			}
			b.says(c.said)
			c.ask(b)
			waitUntil(t, func() bool { return b.g.OpenBatches() == 0 })
			if e := b.settled(intent, c.charge); e.Source != c.source || e.Code != c.code || e.Kind != event.Outcome || e.Provider != "up" || e.Tries != 1 {
				t.Errorf("%+v", e)
			}
			if c.name != "deleted" { // again, nothing is charged
				get("")(b)
			}
			if n, err := b.settleNow(); n != 0 || err != nil {
				t.Errorf("settled again: %d %v", n, err)
			}
			b.settled(intent, c.charge)
		})
	}
}

// waitUntil waits for what follows an answer.
func waitUntil(t *testing.T, ok func() bool) {
	t.Helper()
	for range 2000 {
		if ok() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("it did not come about")
}

// One that is under way is not deleted, for its cost would stay unknown.
func TestBackgroundResponseUnderWayIsNotDeleted(t *testing.T) {
	b := newBackgroundRig(t)
	intent := b.begin()
	if answer := b.do(409, "DELETE", "/v1/responses/resp_1", testKey, ""); code(answer) != "response_open" {
		t.Error(answer)
	}
	b.says(completed)
	b.do(200, "DELETE", "/v1/responses/resp_1", testKey, "")
	b.settled(intent, exact)
}

// What is known when the call ends is charged then.
func TestBackgroundResponseMadeAtOnce(t *testing.T) {
	b := newBackgroundRig(t)
	b.says(completed)
	b.do(200, "POST", "/v1/responses", testKey, asked)
	b.rec.wait(t, 2)
	if e := b.rec.last(); e.Source != event.UsageProvider || e.Charge != exact || b.held() != 0 || b.charged() != exact || b.g.OpenBatches() != 0 {
		t.Errorf("%+v", e)
	}
	b.says(queued) // in the foreground nothing is left open
	b.do(200, "POST", "/v1/responses", testKey, strings.Replace(asked, "true", "false", 1))
	b.rec.wait(t, 4)
	if b.held() != 0 || b.g.OpenBatches() != 0 {
		t.Errorf("held %d", b.held())
	}
}

// Where it cannot be noted whose response it is, the call is charged at its hold.
func TestBackgroundResponseThatCannotBeNoted(t *testing.T) {
	b := newBackgroundRig(t)
	b.g.c.Kept = keptDownStore{b.g.c.Kept}
	b.do(200, "POST", "/v1/responses", testKey, asked)
	b.rec.wait(t, 2)
	if e := b.rec.last(); e.Source != event.UsageEstimated || e.Charge == 0 || e.Charge != e.Held || b.held() != 0 || b.charged() != e.Charge {
		t.Errorf("%+v", e)
	}
}

// The next run of the process takes up what the one before left open. With no word at its
// deadline it is charged at its hold; the attempts before it are charged besides.
func TestBackgroundResponseOutlivesTheProcess(t *testing.T) {
	b := newBackgroundRig(t)
	b.fail = 503
	intent := b.begin()
	held, kept := b.held(), b.g.c.Kept
	restart := func(at time.Time) *backgroundRig {
		r := newBackgroundRig(t)
		r.org().Providers["up"] = b.org().Providers["up"]
		now := func() time.Time { return at }
		r.g.c.Now, r.g.c.Since, r.g.c.Kept, r.g.c.Budgets = now, func(t time.Time) time.Duration { return at.Sub(t) }, kept, budget.New(now)
		r.use()
		again := intent
		again.Try = 2 // as the ledger gives it
		r.g.Reopen([]*event.Event{&again})
		return r
	}
	began := intent.Exchange.Time()
	r := restart(began.Add(time.Hour))
	if n, err := r.settleNow(); n != 0 || err != nil || r.held() != held {
		t.Errorf("%d %v, held %d", n, err, r.held())
	}
	b.says(completed)
	if n, err := r.settleNow(); n != 1 || err != nil {
		t.Fatalf("%d %v", n, err)
	}
	if e := r.settled(intent, exact); e.Tries != 2 || e.Source != event.UsageProvider {
		t.Errorf("%+v", e)
	}
	late := restart(began.Add(26*time.Hour + time.Second)) // and nothing is known of it any more
	if n, err := late.settleNow(); n != 1 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	if e := late.settled(intent, held); e.Kind != event.Incomplete || e.Code != "response_overdue" || e.Source != event.UsageEstimated {
		t.Errorf("%+v", e)
	}
}

// What an attempt before it may have cost is charged with it.
func TestBackgroundResponseAfterATimeout(t *testing.T) {
	b := newBackgroundRig(t)
	o := &Object{Org: "acme", System: "SYS-001", Kind: KeptResponse, ID: "resp_1", Provider: inventory.ProviderID("up"), Target: "gpt-4o-mini", Op: "responses", Abandoned: 1000}
	intent := b.begin()
	o.Exchange = intent.Exchange
	if err := b.g.c.Kept.Put(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	b.says(completed)
	if n, err := b.settleNow(); n != 1 || err != nil {
		t.Fatalf("%d %v", n, err)
	}
	if e := b.settled(intent, exact+1000); e.Abandoned != 1000 {
		t.Errorf("%+v", e)
	}
}

// keptDownStore notes nothing.
type keptDownStore struct{ Kept }

func (keptDownStore) Put(context.Context, *Object) error { return errors.New("the database is down") }
