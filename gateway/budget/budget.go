// Package budget holds and settles money, and limits rates. Holds are in memory;
// the ledger is their truth: at start the counters are restored from what it
// recorded. Amounts are nano-dollars.
package budget

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"plumbline/app/money"
	"plumbline/gateway/event"
	"plumbline/inventory"
)

// Counters are all budgets, keys' rates and open holds of one process.
type Counters struct {
	now func() time.Time

	mu      sync.Mutex
	windows map[windowID]*window
	current map[*inventory.Budget]period // where a budget of the register stands; found again from windows and the calendar
	zones   map[string]*time.Location

	rates rates
}

type windowID struct {
	org    inventory.OrgID
	budget inventory.BudgetID
	start  int64
}

type window struct {
	charged, held, overspent money.Nano
}

// period is the window that a budget is in, and when that is.
type period struct {
	*window
	start, end int64     // seconds since 1970; the end is not part of it
	resets     time.Time // zero: never
}

// Holds is what one exchange has reserved; the zero Holds is nothing. It is the
// exchange's own, and may be used for another once it is settled.
type Holds struct {
	list, next []held
}

// held is a hold and the window that it is in.
type held struct {
	event.Hold
	in *window
}

// New makes empty counters.
func New(now func() time.Time) *Counters {
	return &Counters{now: now, windows: map[windowID]*window{}, current: map[*inventory.Budget]period{}, zones: map[string]*time.Location{},
		rates: rates{keys: map[inventory.KeyID]*rate{}}}
}

// Exceeded says which budget a hold did not fit into.
type Exceeded struct {
	Budget inventory.BudgetID
	Scope  inventory.BudgetScope
	Left   money.Nano
	Resets time.Time // zero: never
}

func (e *Exceeded) Error() string {
	if e.Resets.IsZero() {
		return fmt.Sprintf("the %s's budget %q has %s left", e.Scope, e.Budget, e.Left)
	}
	return fmt.Sprintf("the %s's budget %q has %s left until %s", e.Scope, e.Budget, e.Left, e.Resets.Format(time.RFC3339))
}

// Hold reserves amount for x in every budget of the lists, or in none: it returns
// *Exceeded for the first that has less left. The holds are appended to dst. A
// second hold of the same exchange raises the first to amount, never lowers it; on a
// budget that is not in the lists any more the first stays until it is settled. at is now, which the caller has just read from its clock.
func (c *Counters) Hold(x *Holds, dst []event.Hold, at time.Time, org inventory.OrgID, amount money.Nano, lists ...[]*inventory.Budget) ([]event.Hold, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, next, from := x.list, x.next[:0], len(dst)
	for _, list := range lists {
		for _, b := range list {
			p := c.period(org, b, at)
			h := held{event.Hold{Budget: string(b.ID), Amount: amount, Window: p.start}, p.window}
			already := money.Nano(0)
			for i := range before {
				if before[i].Budget == h.Budget {
					already = before[i].Amount
					h.Window, h.in = before[i].Window, before[i].in // a charge belongs to the window of its first hold
				}
			}
			if left := b.Limit - h.in.charged - h.in.held + already; amount > left {
				return dst[:from], &Exceeded{b.ID, b.Scope, max(left, 0), p.resets}
			}
			h.Amount = max(amount, already)
			next, dst = append(next, h), append(dst, h.Hold)
		}
	}
	if len(next) == 0 {
		return dst, nil
	}
	for i := range next {
		h := &next[i]
		h.in.held += h.Amount
		for k := range before {
			if before[k].Budget == h.Budget {
				h.in.held -= before[k].Amount
			}
		}
	}
	for k := range before { // of a budget that was removed meanwhile
		if !slices.ContainsFunc(next, func(h held) bool { return h.Budget == before[k].Budget }) {
			next, dst = append(next, before[k]), append(dst, before[k].Hold)
		}
	}
	x.list, x.next = next, before
	return dst, nil
}

// Settle turns an exchange's holds into a charge. It is idempotent: what is
// settled has no holds any more. A charge above the hold is booked in full.
func (c *Counters) Settle(x *Holds, charge money.Nano) {
	if len(x.list) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range x.list {
		h := &x.list[i]
		h.in.held -= h.Amount
		h.in.charged += charge
		if charge > h.Amount {
			h.in.overspent += charge - h.Amount
		}
	}
	x.list = x.list[:0]
}

// Reset makes x that of another exchange. What was not settled stays held.
func (x *Holds) Reset() { x.list = x.list[:0] }

func (c *Counters) at(id windowID) *window {
	w, ok := c.windows[id]
	if !ok {
		w = &window{}
		c.windows[id] = w
	}
	return w
}

// budgetsKnown bounds c.current, which also holds budgets of registers that are in
// force no more; a full one is emptied.
const budgetsKnown = 8192

// period is the window of an organisation's budget at a time. Reading the calendar
// and hashing three names costs more than all else here, so it is done once a window.
func (c *Counters) period(org inventory.OrgID, b *inventory.Budget, at time.Time) period {
	now := at.Unix()
	if p, ok := c.current[b]; ok && p.start <= now && now < p.end {
		return p
	}
	start, resets := c.window(b, at)
	p := period{c.at(windowID{org, b.ID, start}), start, math.MaxInt64, resets}
	if !resets.IsZero() {
		p.end = resets.Unix()
	}
	if len(c.current) >= budgetsKnown {
		clear(c.current)
	}
	c.current[b] = p
	return p
}

// Balance is one budget window, as it is restored and shown.
type Balance struct {
	Org       inventory.OrgID
	Budget    inventory.BudgetID
	Window    int64 // start, seconds since 1970
	Charged   money.Nano
	Held      money.Nano
	Overspent money.Nano
}

// Restore sets what earlier runs charged.
func (c *Counters) Restore(balances []Balance) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range balances {
		w := c.at(windowID{b.Org, b.Budget, b.Window})
		w.charged += b.Charged
		w.overspent += b.Overspent
	}
}

// Reopen takes up what an earlier run held for an exchange, in the windows that it is in,
// whether it fits or not: what it is for is under way.
func (c *Counters) Reopen(org inventory.OrgID, holds []event.Hold) Holds {
	c.mu.Lock()
	defer c.mu.Unlock()
	var x Holds
	for _, h := range holds {
		w := c.at(windowID{org, inventory.BudgetID(h.Budget), h.Window})
		w.held += h.Amount
		x.list = append(x.list, held{h, w})
	}
	return x
}

// Now is a budget's window as it stands.
func (c *Counters) Now(b *inventory.Budget) Balance {
	c.mu.Lock()
	defer c.mu.Unlock()
	start, _ := c.window(b, c.now())
	out := Balance{Org: b.Org, Budget: b.ID, Window: start}
	if w, ok := c.windows[windowID{b.Org, b.ID, start}]; ok {
		out.Charged, out.Held, out.Overspent = w.charged, w.held, w.overspent
	}
	return out
}

// window is the start of the budget's window at t, and its end.
func (c *Counters) window(b *inventory.Budget, t time.Time) (int64, time.Time) {
	if b.Window == "total" {
		return 0, time.Time{}
	}
	y, m, d := t.In(c.zone(b.Zone)).Date()
	if b.Window == "day" {
		return time.Date(y, m, d, 0, 0, 0, 0, c.zone(b.Zone)).Unix(), time.Date(y, m, d+1, 0, 0, 0, 0, c.zone(b.Zone))
	}
	return time.Date(y, m, 1, 0, 0, 0, 0, c.zone(b.Zone)).Unix(), time.Date(y, m+1, 1, 0, 0, 0, 0, c.zone(b.Zone))
}

// zone caches locations: time.LoadLocation reads files. The register has
// refused names that it does not know.
func (c *Counters) zone(name string) *time.Location {
	if name == "" {
		return time.UTC
	}
	if z, ok := c.zones[name]; ok {
		return z
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		z = time.UTC
	}
	c.zones[name] = z
	return z
}
