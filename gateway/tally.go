package gateway

import (
	"net/http"
	"time"

	"plumbline/app/money"
	"plumbline/gateway/event"
	"plumbline/gateway/peek"
	"plumbline/gateway/price"
)

// tally sums what the answers of a batch used, or the one that was made in the background. Each is billed as a call of its own: its
// size alone decides on its tier.
type tally struct {
	rate    price.Rate
	priced  bool
	usage   event.Usage
	charge  money.Nano
	served  string
	counted bool   // an answer did not say what it used
	table   string // hash of the price table
	chunk   peek.Body
}

// ends makes e the outcome of what was counted.
func (t *tally) ends(e *event.Event, at time.Time) {
	e.Kind, e.At, e.PriceTable, e.Status, e.End = event.Outcome, at.UnixMicro(), t.table, http.StatusOK, event.EndComplete
	e.Usage = t.sum()
	e.ModelServed, e.Charge = t.served, t.charge
	if e.Source = event.UsageProvider; t.counted {
		e.Source = event.UsageCounted
	}
}

// line takes a line of results. One without an answer, such as an error, costs nothing.
func (t *tally) line(o *Object, line []byte) {
	at, _, ok := placeOf(o, line)
	if !ok || t.chunk.Answer(at.Of(line), grammars[o.Op]) != nil || t.chunk.Failed && !t.chunk.HasUsage {
		return
	}
	u := t.chunk.Usage
	if !t.chunk.HasUsage {
		t.counted = true
		u = event.Usage{Input: o.Lot.Input / max(o.Lot.Requests, 1) / bytesPerToken, CacheRead: -1, CacheWrite: -1, Reasoning: -1}
		for _, s := range t.chunk.Text {
			u.Output += int64(s.End - s.Start)
		}
		u.Output = (u.Output + bytesPerToken - 1) / bytesPerToken
	}
	if m := t.chunk.Model; t.served == "" && t.chunk.HasModel && !m.Escaped {
		t.served, _ = printable(at.Of(line)[m.Start:m.End])
	}
	t.usage.Requests++
	t.add(u)
	if u.Batch = t.usage.Batch; t.priced && t.rate.Tiered(u.Batch) {
		t.charge = t.charge.Add(t.rate.Cost(u))
	}
}

// sum is the whole usage; nothing at all when no request was answered.
func (t *tally) sum() event.Usage {
	if t.usage.Requests == 0 {
		return event.Usage{Batch: t.usage.Batch}
	}
	if t.priced && !t.rate.Apart(&t.usage) { // as one figure, which can be computed again from the record
		t.charge = t.rate.Cost(t.usage)
	}
	return t.usage
}

// add sums counts. What one answer does not say is not known of it, and none of the
// others' is lost.
func (t *tally) add(u event.Usage) {
	h := &t.usage
	for _, f := range [...]struct{ to, from *int64 }{{&h.Input, &u.Input}, {&h.Output, &u.Output}, {&h.CacheRead, &u.CacheRead}, {&h.CacheWrite, &u.CacheWrite}, {&h.Reasoning, &u.Reasoning}} {
		if *f.from >= 0 {
			*f.to = sum(max(*f.to, 0), *f.from)
		}
	}
	for _, f := range [...]struct{ to, from *int64 }{{&h.CacheWrite1h, &u.CacheWrite1h}, {&h.AudioIn, &u.AudioIn}, {&h.CachedAudio, &u.CachedAudio}, {&h.ImageIn, &u.ImageIn},
		{&h.AudioOut, &u.AudioOut}, {&h.ImageOut, &u.ImageOut}, {&h.Images, &u.Images}, {&h.Seconds, &u.Seconds}, {&h.Searches, &u.Searches}} {
		*f.to = sum(max(*f.to, 0), max(*f.from, 0))
	}
}
