package web

import (
	"fmt"
	"net/http"
	"time"

	"plumbline/app/fault"
	"plumbline/app/ident"
	"plumbline/app/money"
	"plumbline/assessments/projection"
	"plumbline/gateway/event"
)

// Batch is what is known of a batch beside its records: how many requests the gateway
// read in it, and what its provider said last. A count that nobody said is -1.
type Batch struct {
	ID       string // the provider's
	Requests int64
	Status   string    // in the provider's word; "" when it said none that its API has
	At       time.Time // when it said so; zero where that was not noted

	Waiting, Succeeded, Errored, Expired, Cancelled int64
}

// batchPane is a batch with what it was held for and what it cost. A batch of
// which nothing is noted (deleted by its app, older than such things are kept, or not
// answered yet) has no Known.
type batchPane struct {
	Known   *Batch
	Failed  bool // it could not be looked up
	Rows    []batchCount
	Held    money.Nano
	Budgets int        // that it is held in
	Settled bool       // Charge is what it cost, before corrections
	Charge  money.Nano // in all budgets above it
	Until   int64      // the deadline at which it is settled in any case, in microseconds
	Whole   bool       // its API counts a request as without an end until all have one
}

type batchCount struct {
	Label string
	N     int64
}

// batchOf is the batch that an exchange made, by its first and its last record; nil when
// it made none, or none that anybody was told of.
func (r *request) batchOf(began, end *event.Event, x *projection.Exchange) *batchPane {
	if !event.MakesBatch(began.Endpoint) || began.Kind != event.Intent || end != nil && end.Kind == event.Outcome && end.Status != http.StatusOK {
		return nil
	}
	b := &batchPane{Until: began.Deadline, Budgets: len(began.Holds), Whole: began.Endpoint == "messages.batches.create"}
	for _, h := range began.Holds {
		b.Held = max(b.Held, h.Amount)
	}
	if end != nil {
		b.Settled, b.Held, b.Charge = true, end.Held, end.Charge
	}
	id, err := ident.Parse(x.ID)
	var known Batch
	if err == nil {
		known, err = r.web.d.Batches(r.ctx(), r.actor.Org, id)
	}
	switch {
	case fault.Is(err, fault.NotFound):
	case err != nil:
		b.Failed = true
		r.web.d.Log.Error("batch could not be looked up", "request", r.id.String(), "exchange", x.ID, "error", err)
	default:
		b.Known = &known
		b.Rows = []batchCount{{"Not ended", known.Waiting}, {"Succeeded", known.Succeeded}, {"Errored", known.Errored}, {"Expired", known.Expired}, {"Cancelled", known.Cancelled}}
	}
	return b
}

// batchJSON is the same for programs. What nobody said is null.
type batchJSON struct {
	ID       string     `json:"id,omitempty"` // the provider's
	Requests *int64     `json:"requests"`
	Status   string     `json:"status"`
	SaidAt   *time.Time `json:"said_at"`
	Counts   struct {
		Waiting   *int64 `json:"waiting"`
		Succeeded *int64 `json:"succeeded"`
		Errored   *int64 `json:"errored"`
		Expired   *int64 `json:"expired"`
		Cancelled *int64 `json:"cancelled"`
	} `json:"counts"`
	Held    string  `json:"held"`    // dollars
	Settled *string `json:"settled"` // dollars
}

// addBatch adds the batch that an exchange made, from the two records that hold its money.
func (r *request) addBatch(out *exchangeJSON, x *projection.Exchange) error {
	if !event.MakesBatch(x.Endpoint) || x.OpenedLeaf < 0 {
		return nil
	}
	var ends [2]*event.Event
	for i, leaf := range []int64{x.OpenedLeaf, x.ClosedLeaf} {
		if leaf < 0 {
			continue
		}
		_, rec, err := r.readLeaf(uint64(leaf))
		if err != nil {
			return err
		}
		e, ok := rec.Body.(*event.Event)
		if !ok {
			return fmt.Errorf("leaf %d is no record of an exchange", leaf)
		}
		ends[i] = e
	}
	b := r.batchOf(ends[0], ends[1], x)
	switch {
	case b == nil:
	case b.Failed:
		return fault.New(fault.Unavailable, "batch_unknown", "What is known of the batch could not be read. Try again.")
	default:
		out.Batch = b.json()
	}
	return nil
}

func (b *batchPane) json() *batchJSON {
	out := &batchJSON{Held: amount(b.Held)}
	if b.Settled {
		charge := amount(b.Charge)
		out.Settled = &charge
	}
	k := b.Known
	if k == nil {
		return out
	}
	out.ID, out.Status = k.ID, k.Status
	if !k.At.IsZero() {
		at := k.At.UTC()
		out.SaidAt = &at
	}
	for _, c := range []struct {
		n  int64
		to **int64
	}{{k.Requests, &out.Requests}, {k.Waiting, &out.Counts.Waiting}, {k.Succeeded, &out.Counts.Succeeded}, {k.Errored, &out.Counts.Errored}, {k.Expired, &out.Counts.Expired}, {k.Cancelled, &out.Counts.Cancelled}} {
		if c.n >= 0 {
			*c.to = &c.n
		}
	}
	return out
}
