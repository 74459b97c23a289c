package gateway

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plumbline/gateway/event"
)

// What is said of a batch is read as it stands; what is not said is not made up.
func TestStanding(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	unsaid := Standing{At: at, Waiting: -1, Succeeded: -1, Errored: -1, Expired: -1, Cancelled: -1}
	with := func(change func(*Standing)) Standing {
		s := unsaid
		change(&s)
		return s
	}
	for _, c := range []struct {
		name string
		kind ObjectKind
		said string
		want Standing
	}{
		{"of OpenAI", KeptBatch, `{"status":"in_progress","request_counts":{"total":5,"completed":3,"failed":1}}`, with(func(s *Standing) { s.Status, s.Succeeded, s.Errored = "in_progress", 3, 1 })},
		{"of Anthropic", KeptMessageBatch, `{"processing_status":"ended","request_counts":{"processing":0,"succeeded":1,"errored":2,"canceled":3,"expired":4}}`,
			with(func(s *Standing) {
				s.Status, s.Waiting, s.Succeeded, s.Errored, s.Cancelled, s.Expired = "ended", 0, 1, 2, 3, 4
			})},
		{"words of the other", KeptMessageBatch, `{"status":"completed","request_counts":{"completed":3,"failed":1}}`, unsaid},
		{"no counts", KeptBatch, `{"status":"validating","request_counts":null}`, with(func(s *Standing) { s.Status = "validating" })},
		{"counts that are none", KeptBatch, `{"status":"<b>","request_counts":{"completed":-1,"failed":"7"}}`, unsaid},
		{"a count too large", KeptBatch, `{"status":["failed"],"request_counts":{"completed":1e99,"failed":2}}`, with(func(s *Standing) { s.Errored = 2 })},
		{"counts as a list", KeptBatch, `{"status":"failed","request_counts":[1]}`, unsaid},
		{"nothing", KeptBatch, ``, unsaid},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := &Object{Kind: c.kind, Said: []byte(c.said), SaidAt: at}
			if diff := cmp.Diff(c.want, o.Standing()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What a provider says of a batch is noted when the gateway asks for itself, too: the app
// of this one never does.
func TestWhatIsSaidOfABatchIsNoted(t *testing.T) {
	b := newBatchRig(t)
	b.pending, b.wire.Ends = true, "expired"
	b.do(200, "POST", "/v1/messages/batches", testKey, messageBatch("Good morning", "Good night", "Sleep well"))
	var intent event.Event
	for _, e := range b.rec.events {
		if e.Kind == event.Intent && e.Endpoint == "messages.batches.create" {
			intent = e
		}
	}
	standing := func() Standing {
		t.Helper()
		o, err := b.g.c.Kept.OfExchange(t.Context(), "acme", intent.Exchange)
		if err != nil {
			t.Fatal(err)
		}
		if o.Lot.Requests != 3 {
			t.Errorf("%d requests", o.Lot.Requests)
		}
		return o.Standing()
	}
	made := standing()
	if want := (Standing{Status: "in_progress", At: made.At, Waiting: 3}); made != want || made.At.IsZero() {
		t.Errorf("when it was made: %+v", made)
	}
	b.pending = false
	if n, err := b.settleNow(); n != 1 || err != nil {
		t.Fatalf("%d settled: %v", n, err)
	}
	ended := standing()
	if want := (Standing{Status: "ended", At: ended.At, Succeeded: 1, Expired: 2}); ended != want || !ended.At.After(made.At) {
		t.Errorf("when it had ended: %+v", ended)
	}
	list := b.do(200, "GET", "/v1/messages/batches", testKey, "")
	if !strings.Contains(list, `"processing_status":"ended"`) || strings.Contains(list, "api.anthropic.com") {
		t.Error(list)
	}
}
