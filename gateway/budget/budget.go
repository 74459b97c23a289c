// Package budget holds and settles money, and limits rates. Holds are in memory;
// the ledger is their truth: at start the counters are restored from what it
// recorded. Amounts are nano-dollars.
package budget

import (
	"fmt"
	"sync"
	"time"

	"plumbline/app/ident"
	"plumbline/app/money"
	"plumbline/gateway/event"
	"plumbline/inventory"
)

// Counters are all budgets, keys' rates and open holds of one process.
type Counters struct {
	now func() time.Time

	mu      sync.Mutex
	windows map[windowID]*window
	open    map[ident.ID][]event.Hold // what each exchange has reserved
	free    [][]event.Hold            // lists of exchanges that have ended, for those to come
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

// New makes empty counters.
func New(now func() time.Time) *Counters {
	return &Counters{now: now, windows: map[windowID]*window{}, open: map[ident.ID][]event.Hold{}, zones: map[string]*time.Location{},
		rates: rates{now: now, keys: map[inventory.KeyID]*rate{}}}
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

// Hold reserves amount in every budget of the lists, or in none: it returns
// *Exceeded for the first that has less left. The holds are appended to dst. A
// second hold of the same exchange raises the first to amount, never lowers it.
func (c *Counters) Hold(dst []event.Hold, org inventory.OrgID, exchange ident.ID, amount money.Nano, lists ...[]*inventory.Budget) ([]event.Hold, error) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.open[exchange]
	from := len(dst)
	for _, list := range lists {
		for _, b := range list {
			start, resets := c.window(b, now)
			held := money.Nano(0)
			for _, h := range before {
				if h.Budget == string(b.ID) {
					held, start = h.Amount, h.Window // a charge belongs to the window of its first hold
				}
			}
			w := c.at(windowID{org, b.ID, start})
			if left := b.Limit - w.charged - w.held + held; amount > left {
				return dst[:from], &Exceeded{b.ID, b.Scope, max(left, 0), resets}
			}
			dst = append(dst, event.Hold{Budget: string(b.ID), Amount: max(amount, held), Window: start})
		}
	}
	if len(dst) == from {
		return dst, nil
	}
	for _, h := range dst[from:] {
		w := c.at(windowID{org, inventory.BudgetID(h.Budget), h.Window})
		w.held += h.Amount
		for _, b := range before {
			if b.Budget == h.Budget {
				w.held -= b.Amount
			}
		}
	}
	if n := len(c.free); before == nil && n > 0 {
		before, c.free = c.free[n-1], c.free[:n-1]
	}
	c.open[exchange] = append(before[:0], dst[from:]...)
	return dst, nil
}

// Settle turns an exchange's holds into a charge. It is idempotent: what is
// settled has no holds any more. A charge above the hold is booked in full.
func (c *Counters) Settle(org inventory.OrgID, exchange ident.ID, charge money.Nano) {
	c.mu.Lock()
	defer c.mu.Unlock()
	holds := c.open[exchange]
	for _, h := range holds {
		w := c.at(windowID{org, inventory.BudgetID(h.Budget), h.Window})
		w.held -= h.Amount
		w.charged += charge
		if charge > h.Amount {
			w.overspent += charge - h.Amount
		}
	}
	delete(c.open, exchange)
	if holds != nil && len(c.free) < freeLists {
		c.free = append(c.free, holds)
	}
}

// freeLists is how many lists are kept for exchanges to come.
const freeLists = 1024

func (c *Counters) at(id windowID) *window {
	w, ok := c.windows[id]
	if !ok {
		w = &window{}
		c.windows[id] = w
	}
	return w
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
