package projection

import (
	"database/sql"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plumbline/assessments/evidence/record"
	"plumbline/gateway/event"
)

// TestSpans: sums over any hours are those of their hours one by one, whether whole
// days stand between or not.
func TestSpans(t *testing.T) {
	backends(t, func(t *testing.T, pool *sql.DB, dialect string) {
		r := rand.New(rand.NewPCG(5, 5))
		f := newFeed("acme", "globex")
		f.batch = func() int { return 1 + r.IntN(9) }
		p := New(pool, dialect, f, nil)
		first := time.Date(2026, 3, 28, 21, 0, 0, 0, time.UTC).Unix() / 3600
		const hours = 75
		want := map[string][hours]int64{}
		for h := range int64(hours) {
			at := time.Unix((first+h)*3600, 0)
			for _, log := range []string{"acme", "globex"} {
				f.put(t, log, at, record.LedgerHour, &record.Hour{Hour: first + h})
			}
			for _, system := range []string{"chat", "hire", ""} {
				of := want[system]
				for range r.IntN(3) {
					f.event(t, "acme", at, event.Event{Kind: event.Refused, Exchange: testID(), System: system, Status: 403, Code: "policy_denied"})
					of[h]++
				}
				want[system] = of
			}
			f.event(t, "globex", at, event.Event{Kind: event.Refused, Exchange: testID(), System: "chat", Status: 403, Code: "policy_denied"})
		}
		if err := p.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		between := func(system string, from, to int64) (n int64) {
			for h, v := range want[system] {
				if h := first + int64(h); h >= from && (to == 0 || h < to) {
					n += v
				}
			}
			return n
		}
		for from := first - 2; from <= first+hours; from++ {
			for _, to := range []int64{0, from, from + 1, from + 5, from + 23, from + 24, from + 26, from + 49, first + hours} {
				got, err := p.SumBySystem(t.Context(), "acme", from, to)
				if err != nil {
					t.Fatal(err)
				}
				for system := range want {
					if n := between(system, from, to); got[system]["refused"] != n {
						t.Errorf("%q from %d to %d: %d, want %d", system, from-first, to-first, got[system]["refused"], n)
					}
				}
			}
			all, err := p.Sum(t.Context(), "acme", "", from)
			chat, err2 := p.Sum(t.Context(), "acme", "chat", from)
			if err != nil || err2 != nil {
				t.Fatal(err, err2)
			}
			if n := between("chat", from, 0); chat["refused"] != n || all["refused"] != n+between("hire", from, 0)+between("", from, 0) {
				t.Errorf("from %d: chat %d, want %d; all %d", from-first, chat["refused"], n, all["refused"])
			}
		}
		days, err := p.Days(t.Context(), "acme", "chat", time.Unix((first+5)*3600, 0))
		if err != nil {
			t.Fatal(err)
		}
		got, wantDays := map[int64]int64{}, map[int64]int64{}
		for _, d := range days {
			got[d.Day] = d.Counters["refused"]
		}
		for d := (first + 5) / 24; d <= (first+hours)/24; d++ {
			if n := between("chat", d*24, d*24+24); n > 0 {
				wantDays[d] = n
			}
		}
		if d := cmp.Diff(wantDays, got); d != "" {
			t.Errorf("days (-want +got):\n%s", d)
		}
	})
}

// TestLargestNumbers: what a provider says without end, and charges that are held at the
// largest amount, stay there in every sum. A page that adds them up has a figure.
func TestLargestNumbers(t *testing.T) {
	backends(t, func(t *testing.T, pool *sql.DB, dialect string) {
		for _, batch := range []int{1, batchLeaves} {
			f := newFeed("acme")
			f.batch = func() int { return batch }
			p := New(pool, dialect, f, nil)
			if err := p.Rebuild(t.Context()); err != nil {
				t.Fatal(err)
			}
			at := time.Date(2026, 3, 28, 21, 30, 0, 0, time.UTC)
			for i := range 6 {
				at = at.Add(20 * time.Minute)
				f.put(t, "acme", at, record.LedgerHour, &record.Hour{Hour: at.Unix() / 3600})
				holds := []event.Hold{{Budget: "org", Amount: 1, Window: 3600}}
				system := []string{"chat", "hire"}[i%2]
				e := event.Event{Exchange: testID(), System: system, Key: "k", Holds: holds}
				e.Kind = event.Intent
				f.event(t, "acme", at, e)
				e.Kind, e.End, e.Charge, e.Usage = event.Outcome, event.EndComplete, math.MaxInt64, event.Usage{Input: math.MaxInt64, Output: 5}
				f.event(t, "acme", at, e)
				f.event(t, "acme", at, event.Event{Kind: event.Adjusted, Exchange: e.Exchange, System: system, Charge: 7, Holds: holds})
			}
			if err := p.CatchUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			check := func(name string, c Counters, err error, output int64) {
				t.Helper()
				if err != nil || c["charge"] != math.MaxInt64 || c["input"] != math.MaxInt64 || c["output"] != output {
					t.Errorf("%s in batches of %d: %v, %v", name, batch, c, err)
				}
			}
			sum, err := p.Sum(t.Context(), "acme", "", 0)
			check("sum", sum, err, 30)
			systems, err := p.SumBySystem(t.Context(), "acme", at.Add(-time.Hour).Unix()/3600, 0)
			check("sum by system", systems["chat"], err, 10)
			hours, err := p.Hours(t.Context(), "acme", "", at, at)
			if len(hours) != 1 {
				t.Fatalf("%d hours, %v", len(hours), err)
			}
			check("hour", hours[0].Counters, err, 10)
			days, err := p.Days(t.Context(), "acme", "", at)
			if len(days) != 1 {
				t.Fatalf("%d days, %v", len(days), err)
			}
			check("day", days[0].Counters, err, 30)
			balances, err := p.Balances(t.Context(), "acme")
			if want := []Balance{{"acme", "org", 3600, math.MaxInt64, math.MaxInt64}}; err != nil || !cmp.Equal(balances, want) {
				t.Errorf("balances in batches of %d: %v, %v", batch, balances, err)
			}
			list, _, err := p.Exchanges(t.Context(), "acme", Filter{Limit: 1})
			if err != nil || list[0].Charge != math.MaxInt64 {
				t.Errorf("exchange in batches of %d: %v, %v", batch, list, err)
			}
		}
	})
}

func TestAdded(t *testing.T) {
	for _, c := range []struct {
		name       string
		a, b, want int64
	}{
		{"small", 2, -5, -3},
		{"up to the largest", math.MaxInt64 - 1, 1, math.MaxInt64},
		{"beyond it", math.MaxInt64, 1, math.MaxInt64},
		{"beyond the least", -math.MaxInt64, -1, -math.MaxInt64},
		{"back from the largest", math.MaxInt64, -7, math.MaxInt64 - 7},
	} {
		if got := added(c.a, c.b); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
		var high, low int64
		for _, v := range []int64{c.a, c.b} {
			high, low = high+v/4294967296, low+v%4294967296
		}
		if got := joined(high, low); got != c.want {
			t.Errorf("%s from halves: %d, want %d", c.name, got, c.want)
		}
	}
}

// TestWindowOfWhatWasOpen: a list of a window reaches back to when the oldest exchange
// began that was open at its beginning, and no further.
func TestWindowOfWhatWasOpen(t *testing.T) {
	backends(t, func(t *testing.T, pool *sql.DB, dialect string) {
		for _, batch := range []int{1, 2, 3, batchLeaves} {
			f := newFeed("acme")
			f.batch = func() int { return batch }
			p := New(pool, dialect, f, nil)
			if err := p.Rebuild(t.Context()); err != nil {
				t.Fatal(err)
			}
			nine := time.Date(2026, 3, 28, 9, 0, 0, 0, time.UTC)
			mark := func(at time.Time) { f.put(t, "acme", at, record.LedgerHour, &record.Hour{Hour: at.Unix() / 3600}) }
			begin := func(at time.Time) event.Event {
				e := event.Event{Kind: event.Intent, Exchange: testID(), System: "chat", Key: "k"}
				f.event(t, "acme", at, e)
				return e
			}
			end := func(at time.Time, e event.Event) {
				e.Kind, e.End = event.Outcome, event.EndComplete
				f.event(t, "acme", at, e)
			}
			mark(nine)
			short := begin(nine.Add(time.Minute))
			long := begin(nine.Add(10 * time.Minute))
			end(nine.Add(11*time.Minute), short)
			for h := 1; h < 6; h++ {
				mark(nine.Add(time.Duration(h) * time.Hour))
			}
			end(nine.Add(5*time.Hour+time.Minute), long)
			// Nothing is on record of how this one began; it is of the hour of its end.
			lost := event.Event{Kind: event.Attempt, Exchange: testID(), System: "chat", Key: "k", Try: 2}
			f.event(t, "acme", nine.Add(5*time.Hour+2*time.Minute), lost)
			mark(nine.Add(10 * time.Hour))
			end(nine.Add(10*time.Hour+time.Minute), lost)
			if err := p.CatchUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			hour := nine.Unix() / 3600
			for _, c := range []struct {
				name string
				from int64
				at   time.Time
				want []string
			}{
				{"it ends in it", hour + 5, nine.Add(10 * time.Minute), []string{lost.Exchange.String(), long.Exchange.String()}},
				{"it has ended", hour + 10, nine.Add(9 * time.Hour), []string{lost.Exchange.String()}},
				{"of no hour yet", hour + 20, nine.Add(19 * time.Hour), nil},
			} {
				w, err := p.WindowOf(t.Context(), "acme", c.from, 0)
				if err != nil || w.FromAt != c.at.UnixMicro() {
					t.Errorf("%s, batches of %d: from %v, want %v; %v", c.name, batch, time.UnixMicro(w.FromAt).UTC(), c.at, err)
				}
				list, _, err := p.Exchanges(t.Context(), "acme", Filter{Window: w})
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, x := range list {
					got = append(got, x.ID)
				}
				if d := cmp.Diff(c.want, got); d != "" {
					t.Errorf("%s, batches of %d (-want +got):\n%s", c.name, batch, d)
				}
			}
			marks, err := p.Marks(t.Context(), "acme", 0, math.MaxInt64)
			if err != nil || len(marks) != 7 {
				t.Fatal(marks, err)
			}
			w, from, to, err := p.WindowOfLeaves(t.Context(), "acme", marks[3].Leaf, marks[4].Leaf)
			if want := (Window{marks[3].Leaf, marks[4].Leaf, nine.Add(10 * time.Minute).UnixMicro(), nine.Add(5 * time.Hour).UnixMicro()}); err != nil || w != want || from != hour+3 || to != hour+4 {
				t.Errorf("window of leaves: %v %d %d, want %v; %v", w, from-hour, to-hour, want, err)
			}
		}
	})
}
