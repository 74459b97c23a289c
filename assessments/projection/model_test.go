package projection

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plumbline/app/money"
	"plumbline/assessments/evidence/record"
	"plumbline/gateway/event"
)

// model computes what a stream means in the plainest way: whole, from the first
// record, into maps.
type model struct {
	exchanges map[string]modelExchange
	counters  map[string]int64 // "system hour name"
	balances  map[string]money.Nano
	observed  map[string]int64
	gaps      int64
}

type modelExchange struct {
	State          string
	Opened, Closed int64
	System, Code   string
	Served         string
	Input, Output  int64
	Charge         money.Nano
	Classes        string
	Findings       string
}

func newModel() *model {
	return &model{map[string]modelExchange{}, map[string]int64{}, map[string]money.Nano{}, map[string]int64{}, 0}
}

// stream writes a random stream to a log of a feed and tells the model of it.
type stream struct {
	t    testing.TB
	r    *rand.Rand
	f    *feed
	log  string
	now  time.Time
	hour int64
	open []event.Event // intents without an end
	done []event.Event
	m    *model
}

func newStream(t testing.TB, r *rand.Rand, f *feed, log string) *stream {
	now := time.Date(2026, 3, 29, 0, 40, 0, 0, time.UTC) // a night on which clocks change in Europe
	return &stream{t: t, r: r, f: f, log: log, now: now, hour: now.Unix() / 3600, m: newModel()}
}

func (s *stream) add(system, name string, n int64) {
	if n != 0 {
		s.m.counters[fmt.Sprintf("%s %d %s", system, s.hour, name)] += n
	}
}

func (s *stream) step() {
	s.now = s.now.Add(time.Duration(s.r.IntN(200)) * time.Second)
	system := []string{"chat", "hire", ""}[s.r.IntN(3)]
	switch n := s.r.IntN(24); {
	case n < 8:
		s.intent(system)
	case n < 14 && len(s.open) > 0:
		i := s.r.IntN(len(s.open))
		e := s.open[i]
		s.open = slices.Delete(s.open, i, i+1)
		s.end(e, s.r.IntN(5) == 0)
		s.done = append(s.done, e)
	case n == 14 && len(s.open) > 0:
		e := s.open[s.r.IntN(len(s.open))]
		s.f.event(s.t, s.log, s.now, event.Event{Kind: event.Attempt, Exchange: e.Exchange, System: e.System, Key: e.Key, Try: 2})
		s.add(e.System, "attempts", 1)
	case n == 15 && len(s.done) > 0: // an end after the end
		e := s.done[s.r.IntN(len(s.done))]
		s.f.event(s.t, s.log, s.now, event.Event{Kind: event.Outcome, Exchange: e.Exchange, System: e.System, End: event.EndComplete, Charge: 999, Holds: e.Holds})
		s.add(e.System, "repeated", 1)
	case n == 16 && len(s.done) > 0:
		e, delta := s.done[s.r.IntN(len(s.done))], money.Nano(s.r.IntN(100)-50)
		s.f.event(s.t, s.log, s.now, event.Event{Kind: event.Adjusted, Exchange: e.Exchange, System: e.System, Charge: delta, Holds: e.Holds})
		x := s.m.exchanges[e.Exchange.String()]
		x.Charge += delta
		s.m.exchanges[e.Exchange.String()] = x
		s.m.balances["team 3600"] += delta
		s.add(e.System, "adjusted", 1)
		s.add(e.System, "charge", int64(delta))
	case n == 17:
		s.refused(system)
	case n == 18:
		s.f.put(s.t, s.log, s.now, record.RefusalsCounted, &record.Refusals{Key: "k1", System: system, Code: "rate_limited", Count: 7, First: 1, Last: 2})
		s.add(system, "refused", 7)
		s.add(system, "refused.rate_limited", 7)
	case n == 19:
		s.cached(system)
	case n == 20:
		s.f.put(s.t, s.log, s.now, record.LedgerOutage, &record.Outage{From: 1, To: 2, Turned: 3, System: map[string]int64{"chat": 3}})
		s.add("", "outages", 1)
		s.add("chat", "turned_away", 3)
	case n == 21:
		s.f.put(s.t, s.log, s.now, record.RegisterChange, &record.Change{Kind: "policy.changed", Object: "p", Version: 2, Approver: "berta", Reasoned: true})
	case n == 22:
		s.f.numbers[s.log] += 2 // two numbers that never came
		s.m.gaps += 2
		s.intent(system)
	default:
		if h := s.now.Unix() / 3600; h > s.hour {
			s.f.put(s.t, s.log, s.now, record.LedgerHour, &record.Hour{Hour: h})
			s.hour = h
		}
	}
}

func (s *stream) intent(system string) {
	e := event.Event{Kind: event.Intent, Exchange: testID(), System: system, Key: "k1", Provider: "openai", ModelTarget: []string{"a", "b"}[s.r.IntN(2)],
		Holds: []event.Hold{{Budget: "team", Amount: 500, Window: 3600}}}
	if s.r.IntN(2) == 0 {
		e.Prompt = []event.Verdict{{Guard: "pii", State: event.Hit, Classes: []string{"iban"}}}
		s.add(system, "hit.pii", 1)
		s.add(system, "class.iban", 1)
		s.add(system, "evaluated", 1)
	}
	leaf := s.f.event(s.t, s.log, s.now, e)
	x := modelExchange{State: Open, Opened: int64(leaf), Closed: -1, System: system}
	if e.Prompt != nil {
		x.Classes, x.Findings = "iban", "pii:monitored"
	}
	s.m.exchanges[e.Exchange.String()] = x
	s.m.observed[system+"/"+e.ModelTarget]++
	s.add(system, "intents", 1)
	s.add(system, "attempts", 1)
	s.open = append(s.open, e)
}

func (s *stream) end(e event.Event, lost bool) {
	out := event.Event{Kind: event.Outcome, Exchange: e.Exchange, System: e.System, Key: e.Key, Status: 200, End: event.EndComplete, ModelServed: "a-2026", Usage: event.Usage{Input: 10, Output: int64(s.r.IntN(9))},
		Source: event.UsageProvider, Charge: money.Nano(s.r.IntN(900)), Held: 500, Holds: e.Holds}
	x := s.m.exchanges[e.Exchange.String()]
	x.State = Complete
	switch {
	case lost:
		out.Kind, out.End, out.ModelServed, out.Usage, out.Charge = event.Incomplete, event.EndUnknown, "", event.Usage{}, 500
		x.State = Incomplete
		s.add(e.System, "incomplete", 1)
	case s.r.IntN(3) == 0:
		out.Code, out.End, out.Status = "upstream_failed", event.EndUpstreamError, 502
		x.State = Failed
		s.add(e.System, "failed", 1)
	default:
		out.AnswerGuard = []event.Verdict{{Guard: "pii", State: event.Hit, Classes: []string{"email", "iban"}}}
		s.add(e.System, "hit.pii", 1)
		s.add(e.System, "class.email", 1)
		s.add(e.System, "class.iban", 1)
		s.add(e.System, "ok", 1)
		x.Classes, x.Findings = "email,iban", "pii:monitored"
	}
	if x.Findings != "" {
		s.add(e.System, "found.pii:monitored", 1)
	}
	x.Closed, x.Code, x.Served = int64(s.f.event(s.t, s.log, s.now, out)), out.Code, out.ModelServed
	x.Input, x.Output, x.Charge = out.Usage.Input, out.Usage.Output, out.Charge
	s.m.exchanges[e.Exchange.String()] = x
	s.m.balances["team 3600"] += out.Charge
	s.add(e.System, "closed", 1)
	s.add(e.System, "charge", int64(out.Charge))
	s.add(e.System, "output", out.Usage.Output)
	if out.Charge > 500 {
		s.add(e.System, "overruns", 1)
	}
}

func (s *stream) refused(system string) {
	e := event.Event{Kind: event.Refused, Exchange: testID(), System: system, Key: "k1", Status: 403, Code: "policy_denied"}
	leaf := s.f.event(s.t, s.log, s.now, e)
	s.m.exchanges[e.Exchange.String()] = modelExchange{State: Refused, Opened: -1, Closed: int64(leaf), System: system, Code: e.Code}
	s.add(system, "refused", 1)
	s.add(system, "refused.policy_denied", 1)
}

func (s *stream) cached(system string) {
	e := event.Event{Kind: event.Cached, Exchange: testID(), System: system, Key: "k1", Status: 200, End: event.EndComplete}
	leaf := s.f.event(s.t, s.log, s.now, e)
	s.m.exchanges[e.Exchange.String()] = modelExchange{State: Complete, Opened: -1, Closed: int64(leaf), System: system}
	s.add(system, "closed", 1)
	s.add(system, "ok", 1)
}

// check compares the projection with the model.
func (s *stream) check(p *Store) {
	t, ctx := s.t, s.t.(*testing.T).Context()
	t.Helper()
	got := map[string]modelExchange{}
	for before := ""; ; {
		list, next, err := p.Exchanges(ctx, s.log, Filter{Before: before, Limit: 7})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range list {
			got[x.ID] = modelExchange{x.State, x.OpenedLeaf, x.ClosedLeaf, x.System, x.Code, x.ModelServed, x.Input, x.Output, x.Charge, x.Classes, x.Findings}
		}
		if before = next; next == "" {
			break
		}
	}
	if d := cmp.Diff(s.m.exchanges, got); d != "" {
		t.Errorf("exchanges of %s (-model +projection):\n%s", s.log, d)
	}
	modelled := map[string]bool{}
	for k := range s.m.counters {
		modelled[k[strings.LastIndexByte(k, ' ')+1:]] = true
	}
	counters := map[string]int64{}
	total, wantTotal := map[string]int64{}, map[string]int64{}
	for _, system := range []string{"chat", "hire"} {
		hours, err := p.Hours(ctx, s.log, system, time.Unix(0, 0), s.now.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range hours {
			for name, v := range h.Counters {
				if modelled[name] {
					counters[fmt.Sprintf("%s %d %s", system, h.Hour, name)] = v
				}
			}
		}
	}
	want := maps.Clone(s.m.counters)
	for k, v := range s.m.counters {
		wantTotal[k[strings.LastIndexByte(k, ' ')+1:]] += v
		if k[0] == ' ' {
			delete(want, k)
		}
	}
	// Sums that come to nothing are rows all the same.
	maps.DeleteFunc(counters, func(_ string, v int64) bool { return v == 0 })
	maps.DeleteFunc(want, func(_ string, v int64) bool { return v == 0 })
	if d := cmp.Diff(want, counters); d != "" {
		t.Errorf("hours of %s (-model +projection):\n%s", s.log, d)
	}
	sum, err := p.Sum(ctx, s.log, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range sum {
		if modelled[name] {
			total[name] = v
		}
	}
	if d := cmp.Diff(wantTotal, total); d != "" {
		t.Errorf("sum of %s (-model +projection):\n%s", s.log, d)
	}
	s.checkRest(ctx, p)
}

func (s *stream) checkRest(ctx context.Context, p *Store) {
	balances, observed := map[string]money.Nano{}, map[string]int64{}
	list, err := p.Balances(ctx, s.log)
	for _, b := range list {
		balances[fmt.Sprintf("%s %d", b.Budget, b.Window)] = b.Charged
	}
	seen, err2 := p.Observed(ctx, s.log, "")
	for _, o := range seen {
		observed[o.System+"/"+o.Model] = o.Calls
	}
	gaps, err3 := p.Gaps(ctx, s.log)
	if err := errors.Join(err, err2, err3); err != nil {
		s.t.Fatal(err)
	}
	if d := cmp.Diff(s.m.balances, balances) + cmp.Diff(s.m.observed, observed) + cmp.Diff(s.m.gaps, gaps); d != "" {
		s.t.Errorf("balances, observed, gaps of %s (-model +projection):\n%s", s.log, d)
	}
}

// TestModel feeds random streams of two organisations in random batches and sets
// every query against the plain model; then builds all again in other batches.
func TestModel(t *testing.T) {
	backends(t, func(t *testing.T, pool *sql.DB, dialect string) {
		for seed := range uint64(6) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 1))
				f := newFeed("acme", "globex")
				f.batch = func() int { return 1 + r.IntN(40) }
				p := New(pool, dialect, f, nil)
				if err := p.Rebuild(t.Context()); err != nil {
					t.Fatal(err)
				}
				streams := []*stream{newStream(t, r, f, "acme"), newStream(t, r, f, "globex")}
				for range 400 {
					streams[r.IntN(2)].step()
					if r.IntN(10) == 0 {
						if err := p.CatchUp(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
				}
				if err := p.CatchUp(t.Context()); err != nil {
					t.Fatal(err)
				}
				for _, s := range streams {
					s.check(p)
				}
				before := dump(t, pool)
				f.batch = func() int { return batchLeaves }
				if err := p.Rebuild(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := p.CatchUp(t.Context()); err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(before, dump(t, pool)); d != "" {
					t.Errorf("built again (-incremental +rebuilt):\n%s", d)
				}
			})
		}
	})
}

// dump reads every table as text.
func dump(t testing.TB, pool *sql.DB) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for _, table := range tables {
		rows, err := pool.Query("SELECT * FROM " + table)
		if err != nil {
			t.Fatal(err)
		}
		columns, _ := rows.Columns()
		for rows.Next() {
			values, into := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			out[table] = append(out[table], fmt.Sprint(values...))
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		slices.Sort(out[table])
	}
	return out
}
