package budget

import (
	"errors"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"plumbline/app/money"
	"plumbline/gateway/event"
	"plumbline/inventory"
)

func budgets(limit money.Nano, window string) []*inventory.Budget {
	return []*inventory.Budget{{ID: "b", Org: "acme", Scope: inventory.ScopeKey, Limit: limit, Window: window}}
}

func TestHoldThenSettle(t *testing.T) {
	now := time.Date(2026, 5, 31, 23, 59, 0, 0, time.UTC)
	c := New(func() time.Time { return now })
	b := budgets(100, "month")
	var first, second Holds
	if _, err := c.Hold(&first, nil, now, "acme", 70, b); err != nil {
		t.Fatal(err)
	}
	var over *Exceeded
	if _, err := c.Hold(&second, nil, now, "acme", 31, b); !errors.As(err, &over) || over.Left != 30 || !over.Resets.Equal(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)) {
		t.Fatalf("a hold that does not fit: %+v", over)
	}
	now = now.Add(2 * time.Minute) // the next month: the charge belongs to the window of its hold
	c.Settle(&first, 80)
	c.Settle(&first, 80)
	if got := c.Now(b[0]); got.Charged != 0 {
		t.Errorf("June: %+v", got)
	}
	now = now.Add(-2 * time.Minute)
	if got := c.Now(b[0]); got.Charged != 80 || got.Held != 0 || got.Overspent != 10 {
		t.Errorf("May: %+v", got)
	}
}

func TestAllBudgetsOrNone(t *testing.T) {
	c := New(time.Now)
	small, large := budgets(10, "total"), []*inventory.Budget{{ID: "large", Org: "acme", Limit: 1000, Window: "total"}}
	if _, err := c.Hold(new(Holds), nil, time.Now(), "acme", 50, large, small); err == nil {
		t.Fatal("held")
	}
	if got := c.Now(large[0]); got.Held != 0 {
		t.Errorf("a refused hold kept %d", got.Held)
	}
}

// A budget that is removed while a call is under way keeps nothing held once that is
// settled, and its charge, although the hold was raised in between.
func TestRaisedWithoutABudget(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name string
		left func(a, b []*inventory.Budget) [][]*inventory.Budget // the lists of the second hold
		want money.Nano                                           // held of a then
	}{
		{"removed", func(_, b []*inventory.Budget) [][]*inventory.Budget { return [][]*inventory.Budget{b} }, 10},
		{"all are", func(_, _ []*inventory.Budget) [][]*inventory.Budget { return nil }, 10},
		{"none is", func(a, b []*inventory.Budget) [][]*inventory.Budget { return [][]*inventory.Budget{b, a} }, 30},
	} {
		t.Run(c.name, func(t *testing.T) {
			counters := New(func() time.Time { return now })
			a, b := []*inventory.Budget{{ID: "a", Org: "acme", Limit: 100, Window: "total"}}, budgets(100, "total")
			var x Holds
			if _, err := counters.Hold(&x, nil, now, "acme", 10, a, b); err != nil {
				t.Fatal(err)
			}
			list, err := counters.Hold(&x, nil, now, "acme", 30, c.left(a, b)...)
			if err != nil {
				t.Fatal(err)
			}
			if got := counters.Now(a[0]); got.Held != c.want {
				t.Errorf("raised: %+v, recorded %+v", got, list)
			}
			counters.Settle(&x, 7)
			for _, of := range []*inventory.Budget{a[0], b[0]} {
				if got := counters.Now(of); got.Held != 0 || got.Charged != 7 {
					t.Errorf("settled: %+v", got)
				}
			}
		})
	}
}

// A budget that the register gives anew goes on in its window, and a window that
// begins is an empty one.
func TestWindowsOutliveTheirBudgets(t *testing.T) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	c := New(func() time.Time { return at })
	for _, step := range []struct {
		name string
		at   time.Time
		want money.Nano // charged, with this step's 10
	}{
		{"first", at, 10},
		{"the same day, another copy", at.Add(time.Hour), 20},
		{"the last second of the day", time.Date(2026, 5, 1, 23, 59, 59, 0, time.UTC), 30},
		{"the next day", time.Date(2026, 5, 2, 0, 0, 0, 0, time.UTC), 10},
		{"the clock was set back", at, 40},
	} {
		at = step.at
		b := budgets(100, "day")
		var x Holds
		for range 2 { // the second hold raises nothing
			if _, err := c.Hold(&x, nil, at, "acme", 10, b); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
		}
		c.Settle(&x, 10)
		if got := c.Now(b[0]); got.Charged != step.want || got.Held != 0 {
			t.Errorf("%s: %+v, want %d charged", step.name, got, step.want)
		}
	}
}

func TestZoneOfTheBudget(t *testing.T) {
	at := time.Date(2026, 5, 1, 1, 0, 0, 0, time.UTC) // still 30 April in New York
	c := New(func() time.Time { return at })
	b := &inventory.Budget{ID: "b", Window: "day", Zone: "America/New_York", Limit: 1}
	if start, _ := c.window(b, at); start != time.Date(2026, 4, 30, 4, 0, 0, 0, time.UTC).Unix() {
		t.Errorf("day begins at %v", time.Unix(start, 0).UTC())
	}
}

// Whatever the order of holds, raises and settlements: no window is promised more
// than its limit, and what is charged is the sum of the charges.
func TestNeverOversubscribed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := New(time.Now)
		b := budgets(1000, "total")
		held, exchanges := map[int]money.Nano{}, [6]Holds{}
		var charged money.Nano
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			id := rapid.IntRange(1, 5).Draw(t, "id")
			amount := money.Nano(rapid.IntRange(0, 400).Draw(t, "amount"))
			if rapid.Bool().Draw(t, "hold") {
				if _, err := c.Hold(&exchanges[id], nil, time.Now(), "acme", amount, b); err == nil {
					held[id] = max(held[id], amount)
				}
			} else if h, ok := held[id]; ok {
				charge := min(amount, h)
				c.Settle(&exchanges[id], charge)
				charged += charge
				delete(held, id)
			}
			var sum money.Nano
			for _, h := range held {
				sum += h
			}
			if got := c.Now(b[0]); got.Held != sum || got.Charged != charged || sum+charged > 1000 {
				t.Fatalf("got %+v, model held %d charged %d", got, sum, charged)
			}
		}
	})
}

func TestConcurrentHoldsFitTheLimit(t *testing.T) {
	c := New(time.Now)
	b := budgets(100, "total")
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			var x Holds
			if _, err := c.Hold(&x, nil, time.Now(), "acme", 10, b); err == nil {
				c.Settle(&x, 10)
			}
		})
	}
	wg.Wait()
	if got := c.Now(b[0]); got.Charged != 100 || got.Held != 0 {
		t.Errorf("%+v", got)
	}
}

func TestRateAndConcurrency(t *testing.T) {
	now := time.Now()
	c := New(func() time.Time { return now })
	k := &inventory.Key{ID: "k", PerMinute: 60, Concurrency: 2}
	var places [2]Place
	for i := range places {
		var err error
		if places[i], err = c.Admit(k, now); err != nil {
			t.Fatal(err)
		}
	}
	var l *Limited
	if _, err := c.Admit(k, now); !errors.As(err, &l) || l.Code != "concurrency_limited" {
		t.Fatalf("third at a time: %v", err)
	}
	c.Release(&places[0])
	c.Release(&places[0])
	if _, err := c.Admit(k, now); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Admit(k, now); err == nil {
		t.Fatal("a place was given back twice")
	}
	c.Release(&places[1])
	for range 57 {
		p, err := c.Admit(k, now)
		if err != nil {
			t.Fatal(err)
		}
		c.Release(&p)
	}
	if _, err := c.Admit(k, now.Add(-time.Second)); err == nil {
		t.Error("a request that was overtaken made room")
	}
	if _, err := c.Admit(k, now); !errors.As(err, &l) || l.Code != "rate_limited" || l.RetryAfter <= 0 || l.RetryAfter > time.Second {
		t.Fatalf("61st in a minute: %+v", l)
	}
	now = now.Add(time.Second)
	if _, err := c.Admit(k, now); err != nil {
		t.Errorf("a second later: %v", err)
	}
}

func BenchmarkHoldSettle(b *testing.B) {
	c := New(time.Now)
	list := budgets(1<<60, "month")
	dst, x := make([]event.Hold, 0, 3), Holds{}
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = c.Hold(&x, dst[:0], time.Now(), "acme", 10, list, list[:0])
		c.Settle(&x, 5)
	}
}
