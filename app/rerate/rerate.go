// Package rerate computes the charges of a period again with a price table, and
// corrects those that differ. What was charged stays on record: a correction is a
// record of its own, with the difference, the new figure and the table's hash.
package rerate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"plumbline/app/ident"
	"plumbline/app/money"
	"plumbline/assessments/evidence"
	"plumbline/assessments/evidence/record"
	"plumbline/gateway/event"
	"plumbline/gateway/price"
	"plumbline/gateway/provider"
	"plumbline/inventory"
)

// Reason is the code on the records of corrections.
const Reason = "rerated"

// Why a charge is left as it is.
const (
	NoPrice    = "the table has no price for the model"
	NoProvider = "the register has never had the provider"
	AtItsHold  = "the end was lost, so it is charged at its hold"
	SumOfBatch = "a batch, of which only the sum of its answers' usage is on record, and the price depends on the size of each"
)

// Deps are what charges are computed from.
type Deps struct {
	Ledger   *evidence.Ledger
	Register *inventory.Register
	Prices   *price.Table // without the organisation's own, which come on top
}

// Line is one model of one system.
type Line struct {
	System   string     `json:"system"`
	Provider string     `json:"provider"`
	Model    string     `json:"model"`
	Calls    int        `json:"calls"`
	Changed  int        `json:"changed"`
	Before   money.Nano `json:"before_nano"`
	After    money.Nano `json:"after_nano"`
}

// Kept counts charges that stay for a reason.
type Kept struct {
	Why    string     `json:"why"`
	Model  string     `json:"model,omitempty"`
	Calls  int        `json:"calls"`
	Charge money.Nano `json:"charge_nano"`
}

// Plan is what re-rating a period would change.
type Plan struct {
	Org   string `json:"organisation"`
	Table string `json:"price_table"` // hash, with the organisation's own prices
	Lines []Line `json:"lines"`       // by system, provider and model
	Kept  []Kept `json:"kept"`

	corrections []event.Event
}

// Corrections is how many charges differ.
func (p *Plan) Corrections() int { return len(p.corrections) }

// Compute reads an organisation's log and rates every call that began in [begin,
// end) anew, at the price of the day on which it began; an end that is zero is
// none. Corrections of before count: what was re-rated with the same table already
// does not differ. It changes nothing. The error is of kind NotFound when there is
// no such organisation.
func Compute(ctx context.Context, d Deps, org inventory.OrgID, begin, end time.Time) (*Plan, error) {
	state, err := d.Register.State(org)
	if err != nil {
		return nil, err
	}
	table, err := d.Prices.With(state.Prices)
	if err != nil {
		return nil, err
	}
	c := &computing{d: d, ctx: ctx, org: org, table: table, adjusted: map[ident.ID]money.Nano{}, seen: map[ident.ID]bool{}, vendors: map[string][]vendorSince{},
		lines: map[[3]string]*Line{}, kept: map[[2]string]*Kept{}, plan: &Plan{Org: string(org), Table: table.Hash()}}
	within := func(e *event.Event) bool {
		at := e.Exchange.Time()
		return !at.Before(begin) && (end.IsZero() || at.Before(end))
	}
	// A correction stands after what it corrects, so they are gathered first.
	for _, step := range []func(*event.Event) error{c.gather, c.rate} {
		if err := eachEvent(ctx, d.Ledger, string(org), func(e *event.Event) error {
			if !within(e) {
				return nil
			}
			return step(e)
		}); err != nil {
			return nil, err
		}
	}
	return c.finish(), nil
}

// computing is the state of one Compute.
type computing struct {
	d        Deps
	ctx      context.Context
	org      inventory.OrgID
	table    *price.Table
	adjusted map[ident.ID]money.Nano // by corrections that are on record
	seen     map[ident.ID]bool       // the first end of an exchange counts
	vendors  map[string][]vendorSince
	lines    map[[3]string]*Line
	kept     map[[2]string]*Kept
	plan     *Plan
}

// vendorSince is whose prices counted for a provider from a time on.
type vendorSince struct {
	at     time.Time
	vendor string
}

func (c *computing) gather(e *event.Event) error {
	if e.Kind == event.Adjusted {
		c.adjusted[e.Exchange] = c.adjusted[e.Exchange].Add(e.Charge)
	}
	return nil
}

// rate takes the end of a call.
func (c *computing) rate(e *event.Event) error {
	if e.Kind != event.Outcome && e.Kind != event.Incomplete || c.seen[e.Exchange] {
		return nil
	}
	c.seen[e.Exchange] = true
	before := e.Charge.Add(c.adjusted[e.Exchange])
	if e.Kind == event.Incomplete {
		c.keep(AtItsHold, e, before)
		return nil
	}
	vendor, err := c.vendor(e.Provider, e.Exchange.Time())
	if err != nil {
		return err
	}
	if vendor == "" {
		c.keep(NoProvider, e, before)
		return nil
	}
	rate, ok := c.table.Rate(vendor, e.ModelTarget, e.Exchange.Time())
	if !ok {
		c.keep(NoPrice, e, before)
		return nil
	}
	if e.Usage.Batch && e.Usage.Requests > 1 && e.Source != event.UsageEstimated && rate.Apart(&e.Usage) {
		c.keep(SumOfBatch, e, before)
		return nil
	}
	after := rate.Cost(e.Usage)
	if e.Source == event.UsageEstimated { // nobody knows what it used, so it costs the most that it could
		after = rate.Ceiling(e.Usage)
	}
	after = after.Add(e.Abandoned) // at the hold of then: what those attempts used, nobody said
	key := [3]string{e.System, e.Provider, e.ModelTarget}
	line := c.lines[key]
	if line == nil {
		line = &Line{System: e.System, Provider: e.Provider, Model: e.ModelTarget}
		c.lines[key] = line
	}
	line.Calls++
	line.Before, line.After = line.Before.Add(before), line.After.Add(after)
	if after == before {
		return nil
	}
	line.Changed++
	fix := event.Event{Kind: event.Adjusted, Log: string(c.org), Exchange: e.Exchange, System: e.System, Key: e.Key, PriceTable: c.table.Hash(),
		Usage: e.Usage, Source: e.Source, Charge: after - before, Figure: after, Reason: Reason}
	for _, h := range e.Holds {
		fix.Holds = append(fix.Holds, event.Hold{Budget: h.Budget, Window: h.Window}) // the budgets that it is booked on; nothing is held any more
	}
	c.plan.corrections = append(c.plan.corrections, fix)
	return nil
}

func (c *computing) keep(why string, e *event.Event, charge money.Nano) {
	key := [2]string{why, e.ModelTarget}
	k := c.kept[key]
	if k == nil {
		k = &Kept{Why: why, Model: e.ModelTarget}
		c.kept[key] = k
	}
	k.Calls++
	k.Charge = k.Charge.Add(charge)
}

// vendor is whose prices a provider had at a time, by the version of its row; of a
// call older than the first version, by that one. It is empty when the register
// never had the provider.
func (c *computing) vendor(id string, at time.Time) (string, error) {
	list, known := c.vendors[id]
	if !known {
		versions, err := c.d.Register.History(c.ctx, c.org, "provider", id)
		if err != nil {
			return "", err
		}
		slices.Reverse(versions)
		for _, v := range versions {
			var p inventory.Provider
			if err := json.Unmarshal(v.Body, &p); err != nil {
				return "", fmt.Errorf("provider %s, version %d: %w", id, v.Version, err)
			}
			if kind, err := provider.KindOf(p.Kind); err == nil && p.Vendor == "" {
				p.Vendor = kind.Vendor
			}
			list = append(list, vendorSince{v.At, p.Vendor})
		}
		c.vendors[id] = list
	}
	vendor := ""
	for i, v := range list {
		if i == 0 || !v.at.After(at) {
			vendor = v.vendor
		}
	}
	return vendor, nil
}

func (c *computing) finish() *Plan {
	p := c.plan
	for _, l := range c.lines {
		p.Lines = append(p.Lines, *l)
	}
	slices.SortFunc(p.Lines, func(a, b Line) int {
		return strings.Compare(a.System+"\x00"+a.Provider+"\x00"+a.Model, b.System+"\x00"+b.Provider+"\x00"+b.Model)
	})
	for _, k := range c.kept {
		p.Kept = append(p.Kept, *k)
	}
	slices.SortFunc(p.Kept, func(a, b Kept) int { return strings.Compare(a.Why+a.Model, b.Why+b.Model) })
	return p
}

// Apply puts every correction on record in the name of an actor and returns once
// all are durable. After an error some may be on record: computing again finds the
// rest.
func (p *Plan) Apply(ctx context.Context, l *evidence.Ledger, actor string, now time.Time) error {
	var waiting []*event.Commit
	for i := range p.corrections {
		e := p.corrections[i]
		e.At = now.UnixMicro()
		commit, err := l.Adjust(&e, actor)
		if err != nil {
			return fmt.Errorf("correct exchange %s: %w", e.Exchange, err)
		}
		if n := len(waiting); n == 0 || waiting[n-1] != commit {
			waiting = append(waiting, commit)
		}
	}
	for _, commit := range waiting {
		select {
		case <-commit.Done():
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := commit.Err(); err != nil {
			return fmt.Errorf("write corrections: %w", err)
		}
	}
	return nil
}

// eachEvent calls f for the record of every event of a log, in its order.
func eachEvent(ctx context.Context, l *evidence.Ledger, log string, f func(*event.Event) error) error {
	var d record.Decoder
	for at, size := uint64(0), l.Size(log); at < size; {
		leaves, err := l.Feed(ctx, log, at, 4096)
		if err != nil {
			return err
		}
		if len(leaves) == 0 {
			return fmt.Errorf("the log of %q has %d records, and none is there after the first %d", log, size, at)
		}
		for _, leaf := range leaves {
			at = leaf.Index + 1
			r, err := d.Decode(leaf.Bytes)
			if errors.Is(err, record.ErrErased) {
				continue
			}
			if err != nil {
				return fmt.Errorf("leaf %d: %w", leaf.Index, err)
			}
			switch body := r.Body.(type) {
			case *event.Event:
				if err := f(body); err != nil {
					return err
				}
			case record.Opaque:
				return fmt.Errorf("leaf %d is a record of %s that a newer version wrote: run that version", leaf.Index, r.Kind)
			}
		}
	}
	return nil
}
