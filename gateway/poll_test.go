package gateway

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"plumbline/app/ident"
	"plumbline/gateway/event"
	"plumbline/gateway/wiretest"
)

// settleNow asks for every open batch, whether it is due or not.
func (r *rig) settleNow() (int, error) {
	r.g.open.mu.Lock()
	for _, o := range r.g.open.by {
		o.next = time.Time{}
	}
	r.g.open.mu.Unlock()
	return r.g.SettleBatches(r.t.Context())
}

// A batch that does not end is asked for ever more rarely, once more at its deadline and
// never again, though its end cannot be recorded yet.
func TestBatchesAreAskedForEverMoreRarely(t *testing.T) {
	b := newBatchRig(t)
	b.pending = true
	b.do(200, "POST", "/v1/messages/batches", testKey, messageBatch("x"))
	began := time.Now()
	var at atomic.Int64 // past the beginning
	b.g.c.Now = func() time.Time { return began.Add(time.Duration(at.Load())) }
	b.wire.Forget()
	var asked []time.Duration
	for minute := range 26 * 60 {
		at.Store(int64(time.Duration(minute) * time.Minute))
		before := len(b.wire.Received())
		if n, err := b.g.SettleBatches(t.Context()); n != 0 || err != nil {
			t.Fatalf("at %d min: %d %v", minute, n, err)
		}
		switch n := len(b.wire.Received()) - before; {
		case n > 1:
			t.Fatalf("asked %d times at once", n)
		case n == 1:
			asked = append(asked, time.Duration(minute)*time.Minute)
		}
	}
	wait := time.Duration(0)
	for i, when := range asked[1:] {
		// Whole minutes are looked at, so one that is due comes up to a minute later.
		wait = min(max(2*wait, time.Minute), 15*time.Minute)
		if w := when - asked[i]; w < wait || w > wait+wait/4+time.Minute {
			t.Errorf("asked after %s, want %s and up to a quarter more", w, wait)
		}
	}
	if len(asked) < 80 || len(asked) > 110 {
		t.Errorf("asked %d times in 26 hours", len(asked))
	}
	b.rec.mu.Lock()
	b.rec.down = true
	b.rec.mu.Unlock()
	before := len(b.wire.Received())
	for range 3 {
		at.Add(int64(time.Hour))
		if n, err := b.g.SettleBatches(t.Context()); n != 0 || err == nil || b.held() == 0 {
			t.Errorf("settled without a record: %d %v, held %s", n, err, b.held())
		}
	}
	b.rec.mu.Lock()
	b.rec.down = false
	b.rec.mu.Unlock()
	at.Add(int64(time.Hour))
	if n, err := b.g.SettleBatches(t.Context()); n != 1 || err != nil || b.held() != 0 {
		t.Errorf("%d %v, held %s", n, err, b.held())
	}
	if n := len(b.wire.Received()) - before; n != 1 {
		t.Errorf("asked %d times after its deadline", n)
	}
	if ends := b.outcomes("messages.batches.create"); len(ends) != 1 || ends[0].Kind != event.Incomplete || ends[0].Code != "batch_overdue" || ends[0].Charge != ends[0].Held {
		t.Errorf("%+v", ends)
	}
}

// However many are open, no more than a few are asked for at once.
func TestFewBatchesAreAskedForAtOnce(t *testing.T) {
	b := newBatchRig(t)
	b.pending = true
	for range 30 {
		b.do(200, "POST", "/v1/messages/batches", testKey, messageBatch("x"))
	}
	var mu sync.Mutex
	now, most, all := 0, 0, 0
	b.wire.Write = func(w http.ResponseWriter, r *http.Request, a *wiretest.Answer) {
		mu.Lock()
		now++
		all++
		most = max(most, now)
		mu.Unlock()
		time.Sleep(5 * time.Millisecond)
		if n, err := b.g.SettleBatches(t.Context()); n != 0 || err != nil { // one is under way
			t.Errorf("%d %v", n, err)
		}
		mu.Lock()
		now--
		mu.Unlock()
		wiretest.Send(w, a)
	}
	if n, err := b.g.SettleBatches(t.Context()); n != 0 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	if all != 30 || most > mostAtOne || most < 2 {
		t.Errorf("%d asked for, %d at once", all, most)
	}
}

// Those of one provider that hang hold up no other's, and the one that waits longest is first.
func TestDueBatches(t *testing.T) {
	now := time.UnixMicro(1_800_000_000_000_000)
	at := func(s int) time.Time { return now.Add(time.Duration(s) * time.Second) }
	b := openBatches{by: map[ident.ID]*opened{}}
	id := func(n byte) ident.ID { return ident.ID{15: n} }
	for n, o := range map[byte]opened{
		1: {next: at(-5)}, 2: {next: at(-9)}, 3: {next: at(1)}, 4: {}, 5: {busy: true},
		6: {next: at(9), end: event.Event{Deadline: at(-1).UnixMicro()}},
		7: {next: at(9), over: true, end: event.Event{Deadline: at(-1).UnixMicro()}},
		8: {end: event.Event{Provider: "other"}},
	} {
		o.end.Log = "acme"
		if o.end.Deadline == 0 {
			o.end.Deadline = at(3600).UnixMicro()
		}
		if o.end.Provider == "" {
			o.end.Provider = "one"
		}
		b.by[id(n)] = &o
	}
	var got [][]byte
	for _, queue := range b.due(now) {
		var ns []byte
		for _, id := range queue {
			ns = append(ns, id[15])
		}
		got = append(got, ns)
	}
	if len(got) != 2 || string(got[0]) != "\x04\x02\x01\x06" || string(got[1]) != "\x08" {
		t.Errorf("%v", got)
	}
}
