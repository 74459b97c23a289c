package gateway

import (
	"net/http"
	"testing"
	"time"

	"plumbline/app/money"
	"plumbline/gateway/event"
	"plumbline/gateway/wiretest"
)

// settled waits for the one outcome of an endpoint, and until its hold is given back.
func (b *batchRig) settled(endpoint string) []event.Event {
	b.t.Helper()
	for range 500 {
		if ends := b.outcomes(endpoint); len(ends) > 0 && b.g.OpenBatches() == 0 {
			return ends
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.t.Fatal("it was not settled")
	return nil
}

// A batch that did not complete costs what was answered of it, and nothing stays held.
func TestBatchesThatDidNotCompleteCostWhatTheyUsed(t *testing.T) {
	for _, c := range []struct {
		how, code string // of OpenAI's
		answered  int64
	}{{"cancelled", "batch_cancelled", 1}, {"expired", "batch_expired", 1}, {"failed", "batch_failed", 0}} {
		t.Run(c.how, func(t *testing.T) {
			b := newBatchRig(t)
			b.wire.Ends = c.how
			id := member(b.do(200, "POST", "/v1/batches", testKey, ofFile(b.upload(chatLine("a", "small", "Good morning")+"\n"+chatLine("b", "small", "Good night")))), "id")
			path, method := "/v1/batches/"+id, "GET"
			if c.how == "cancelled" {
				path, method = path+"/cancel", "POST"
			}
			answer := b.do(200, method, path, testKey, "")
			if s := member(answer, "status"); s != c.how {
				t.Fatalf("it is %s", s)
			}
			ends := b.settled("batches.create")
			e := ends[0]
			want := money.Nano(0)
			if c.answered > 0 {
				used := usageOf(t, b.wire.Files()[member(answer, "output_file_id")])
				want = money.Nano(used[0])*75 + money.Nano(used[1])*300
			}
			if e.Code != c.code || e.End != event.EndUpstreamError || e.Source != event.UsageProvider || e.Usage.Requests != c.answered || e.Charge != want || (want > 0) != (c.answered > 0) || b.charged() != want || b.held() != 0 {
				t.Errorf("want a charge of %d, held %d: %+v", want, b.held(), e)
			}
		})
	}
}

func TestMessageBatchesThatDidNotCompleteCostWhatTheyUsed(t *testing.T) {
	one := newBatchRig(t)
	one.do(200, "GET", "/v1/messages/batches/"+member(one.do(200, "POST", "/v1/messages/batches", testKey, messageBatch("Good morning")), "id"), testKey, "")
	want := one.settled("messages.batches.create")[0].Charge
	for _, how := range []string{"cancelled", "expired"} {
		t.Run(how, func(t *testing.T) {
			b := newBatchRig(t)
			b.wire.Ends = how
			path, method := "/v1/messages/batches/"+member(b.do(200, "POST", "/v1/messages/batches", testKey, messageBatch("Good morning", "Good night")), "id"), "GET"
			if how == "cancelled" {
				path, method = path+"/cancel", "POST"
			}
			b.do(200, method, path, testKey, "")
			ends := b.settled("messages.batches.create")
			if len(ends) != 1 || ends[0].Usage.Requests != 1 || ends[0].Charge != want || want == 0 || b.charged() != want || b.held() != 0 {
				t.Errorf("want a charge of %d, held %d: %+v", want, b.held(), ends)
			}
		})
	}
}

// A submit whose connection breaks before an answer began may have made its batch, so
// it is charged at its hold. Where nobody was reached it costs nothing.
func TestBrokenSubmitIsChargedAtItsHold(t *testing.T) {
	for _, c := range []struct {
		name, path, endpoint, class string
		charged                     bool
	}{
		{"of OpenAI", "/v1/batches", "batches.create", "reset", true},
		{"of Anthropic", "/v1/messages/batches", "messages.batches.create", "reset", true},
		{"nobody reached", "/v1/messages/batches", "messages.batches.create", "refused", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBatchRig(t)
			body := messageBatch("Good morning")
			if c.path == "/v1/batches" {
				body = ofFile(b.upload(chatLine("a", "small", "Good morning")))
			}
			b.wire.Write = func(w http.ResponseWriter, q *http.Request, a *wiretest.Answer) { panic(http.ErrAbortHandler) }
			if !c.charged {
				b.wire.Close()
			}
			b.do(502, "POST", c.path, testKey, body)
			ends := b.settled(c.endpoint)
			e := ends[0]
			if e.UpstreamErr != c.class || b.held() != 0 || b.charged() != e.Charge {
				t.Errorf("held %d, charged %d: %+v", b.held(), b.charged(), e)
			}
			if c.charged && (e.Charge == 0 || e.Charge != e.Held || e.Source != event.UsageEstimated) || !c.charged && e.Charge != 0 {
				t.Errorf("charged %d of %d held, source %d", e.Charge, e.Held, e.Source)
			}
		})
	}
}
