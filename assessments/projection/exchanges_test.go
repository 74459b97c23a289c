package projection

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"plumbline/app/money"
	"plumbline/assessments/evidence/record"
	"plumbline/gateway/event"
)

// story is a small log of three hours in which every kind of row occurs once.
type story struct {
	*feed
	names map[string]string // of exchanges, by id
}

func newStory(t testing.TB) *story {
	s := &story{newFeed("acme"), map[string]string{}}
	ten := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	put := func(name string, at time.Time, e event.Event) event.Event {
		if e.Exchange.IsZero() {
			e.Exchange = testID()
			s.names[e.Exchange.String()] = name
		}
		s.event(t, "acme", at, e)
		return e
	}
	hour := func(at time.Time) {
		s.put(t, "acme", at, record.LedgerHour, &record.Hour{Hour: at.Unix() / 3600})
	}
	s.put(t, "acme", ten, record.LedgerStarted, &record.Started{Version: "test"}) // leaf 0
	hour(ten)                                                                     // 1
	clear := []event.Verdict{{Guard: "pii", State: event.Clear}, {Guard: "secrets", State: event.Clear}}
	plain := put("plain", ten.Add(time.Minute), event.Event{Kind: event.Intent, System: "chat", Key: "k1", Provider: "up", ModelTarget: "small", Prompt: clear}) // 2
	put("", ten.Add(2*time.Minute), event.Event{Kind: event.Outcome, Exchange: plain.Exchange, System: "chat", End: event.EndComplete, Source: event.UsageProvider, AnswerGuard: clear})
	late := put("late", ten.Add(50*time.Minute), event.Event{Kind: event.Intent, System: "chat", Key: "k1", Provider: "up", ModelTarget: "large",
		Prompt: []event.Verdict{{Guard: "pii", State: event.Hit, Action: event.ActionRedacted, Classes: []string{"email"}}}}) // 4
	hour(ten.Add(time.Hour)) // 5
	put("", ten.Add(61*time.Minute), event.Event{Kind: event.Attempt, Exchange: late.Exchange, System: "chat", Try: 2})
	put("", ten.Add(62*time.Minute), event.Event{Kind: event.Outcome, Exchange: late.Exchange, System: "chat", End: event.EndCut, Code: "upstream_cut", Source: event.UsagePartial,
		AnswerGuard: []event.Verdict{{Guard: "pii", State: event.NotRun, Reason: "no_answer"}, {Guard: "injection", State: event.Errored}}}) // 7
	put("", ten.Add(63*time.Minute), event.Event{Kind: event.Adjusted, Exchange: late.Exchange, System: "chat", Charge: 5})
	put("refused", ten.Add(64*time.Minute), event.Event{Kind: event.Refused, Key: "k2", Code: "system_unregistered", Status: 403}) // 9
	s.put(t, "acme", ten.Add(66*time.Minute), record.RefusalsCounted, &record.Refusals{Key: "k2", Code: "system_unregistered", Count: 40,
		First: ten.Add(65 * time.Minute).UnixMicro(), Last: ten.Add(65*time.Minute + 9*time.Second).UnixMicro()}) // 10
	hour(ten.Add(2 * time.Hour))                                                                                                                           // 11
	put("open", ten.Add(121*time.Minute), event.Event{Kind: event.Intent, System: "hire", Key: "k3", Provider: "up", ModelTarget: "small", Prompt: clear}) // 12
	put("blocked", ten.Add(122*time.Minute), event.Event{Kind: event.Refused, System: "hire", Key: "k3", Code: "guard_blocked", Status: 400, ModelAsked: "small",
		Prompt: []event.Verdict{{Guard: "pii", State: event.Clear}, {Guard: "secrets", State: event.Hit, Action: event.ActionBlocked}}}) // 13
	s.put(t, "acme", ten.Add(123*time.Minute), record.LedgerOutage, &record.Outage{From: 1, To: 2}) // 14
	return s
}

// TestFilters sets each filter of the list of exchanges against the story.
func TestFilters(t *testing.T) {
	backends(t, func(t *testing.T, pool *sql.DB, dialect string) {
		s := newStory(t)
		p := New(pool, dialect, s, nil)
		if err := p.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		window := func(from, to int64) Window {
			base := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC).Unix() / 3600
			if to != 0 {
				to += base
			}
			w, err := p.WindowOf(t.Context(), "acme", from+base, to)
			if err != nil {
				t.Fatal(err)
			}
			return w
		}
		for _, c := range []struct {
			name   string
			filter Filter
			want   string // exchanges, the newest first
			counts int64  // refusals counted together
		}{
			{"everything", Filter{}, "blocked open refused late plain", 40},
			{"one system", Filter{Systems: []string{"chat"}}, "late plain", 0},
			{"two systems", Filter{Systems: []string{"chat", "hire"}}, "blocked open late plain", 0},
			{"no registered system", Filter{Systems: []string{""}}, "refused", 40},
			{"key", Filter{Key: "k2"}, "refused", 40},
			{"model", Filter{Model: "small"}, "blocked open plain", 0},
			{"states", Filter{States: []string{Cut, Open}}, "open late", 0},
			{"refused", Filter{States: []string{Refused}}, "blocked refused", 40},
			{"code", Filter{Codes: []string{"system_unregistered"}}, "refused", 40},
			{"code of a failure", Filter{Codes: []string{"upstream_cut"}}, "late", 0},
			{"a guard found something", Filter{Findings: []string{"pii"}}, "late", 0},
			{"a guard redacted", Filter{Findings: []string{"pii:redacted"}}, "late", 0},
			{"a guard blocked", Filter{Findings: []string{"pii:blocked", "secrets:blocked"}}, "blocked", 0},
			{"a guard did not run", Filter{Findings: []string{"injection:not_run"}}, "late", 0},
			{"nothing to look at is not a miss", Filter{Findings: []string{"pii:not_run"}}, "", 0},
			{"any guard redacted", Filter{Findings: []string{":redacted"}}, "late", 0},
			{"any guard did not run", Filter{Findings: []string{":not_run", ":monitored"}}, "late", 0},
			{"sent to a model", Filter{Target: "up/small"}, "open plain", 0},
			{"usage", Filter{Sources: []event.UsageSource{event.UsagePartial, event.UsageCounted}}, "late", 0},
			{"usage of what never ran is none", Filter{Sources: []event.UsageSource{event.UsageUnknown}}, "", 0},
			{"first hour", Filter{Window: window(10, 11)}, "plain", 0},
			{"second hour has what was closed in it", Filter{Window: window(11, 12)}, "refused late", 40},
			{"from an hour on", Filter{Window: window(12, 0)}, "blocked open", 0},
			{"an hour that has not begun", Filter{Window: window(15, 0)}, "", 0},
			{"before the log", Filter{Window: window(2, 0)}, "blocked open refused late plain", 40},
			{"leaves of a test", Filter{Window: Window{First: 3, End: 8}}, "late plain", 0},
		} {
			t.Run(c.name, func(t *testing.T) {
				got := ""
				c.filter.Limit = 2
				for {
					list, next, err := p.Exchanges(t.Context(), "acme", c.filter)
					if err != nil {
						t.Fatal(err)
					}
					for _, x := range list {
						if got != "" {
							got += " "
						}
						got += s.names[x.ID]
					}
					if c.filter.Before = next; next == "" {
						break
					}
				}
				if got != c.want {
					t.Errorf("listed %q, want %q", got, c.want)
				}
				c.filter.Before = ""
				n, more, err := p.Count(t.Context(), "acme", c.filter, 100)
				if want := len(strings.Fields(c.want)); err != nil || n != want || more {
					t.Errorf("counted %d, more %v, %v; want %d", n, more, err, want)
				}
				sum, err := p.CountedSum(t.Context(), "acme", c.filter)
				if err != nil || sum != c.counts {
					t.Errorf("%d refusals counted together, %v; want %d", sum, err, c.counts)
				}
				rows, err := p.Counted(t.Context(), "acme", c.filter)
				if err != nil || len(rows) != int(c.counts/40) {
					t.Errorf("rows of counted refusals: %v, %v", rows, err)
				}
			})
		}
		if n, more, err := p.Count(t.Context(), "acme", Filter{}, 3); n != 3 || !more || err != nil {
			t.Errorf("counted to %d, more %v, %v", n, more, err)
		}
		if _, _, err := p.Exchanges(t.Context(), "acme", Filter{Before: "x"}); err == nil {
			t.Error("a cursor that no list gave out was taken")
		}
		// A cursor stands between exchanges and counted refusals alike.
		at := time.Date(2026, 11, 20, 11, 4, 30, 0, time.UTC).UnixMicro()
		list, _, err := p.Exchanges(t.Context(), "acme", Filter{Before: CursorOf(at, "z"), Limit: 1})
		if err != nil || len(list) != 1 || s.names[list[0].ID] != "refused" {
			t.Errorf("behind a time: %v, %v", list, err)
		}
		if rows, err := p.Counted(t.Context(), "acme", Filter{Before: CursorOf(at, "z"), Limit: 1}); err != nil || len(rows) != 0 {
			t.Errorf("counted refusals behind an earlier time: %v, %v", rows, err)
		}
	})
}

// TestListsAgreeWithCounters holds a list of a window to the counters of its hours.
func TestListsAgreeWithCounters(t *testing.T) {
	s := newStory(t)
	p := New(sqlite(t), "sqlite", s, nil)
	if err := p.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	base := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC).Unix() / 3600
	for hour := base + 9; hour < base+14; hour++ {
		w, err := p.WindowOf(t.Context(), "acme", hour, hour+1)
		if err != nil {
			t.Fatal(err)
		}
		hours, err := p.Hours(t.Context(), "acme", "", time.Unix(hour*3600, 0), time.Unix(hour*3600, 0))
		if err != nil {
			t.Fatal(err)
		}
		sum := Counters{}
		if len(hours) > 0 {
			sum = hours[0].Counters
		}
		for name, f := range map[string]Filter{
			"ok": {States: []string{Complete}}, "refused": {States: []string{Refused}}, "failed": {States: []string{Failed, Blocked, Cut, ClientGone}},
			StateCounter(Cut): {States: []string{Cut}}, FindingCounter("pii:redacted"): {Findings: []string{"pii:redacted"}}, FindingCounter("pii"): {Findings: []string{"pii"}}, FindingCounter(":not_run"): {Findings: []string{":not_run"}}, "refused.guard_blocked": {Codes: []string{"guard_blocked"}},
			"usage.partial": {Sources: []event.UsageSource{event.UsagePartial}},
		} {
			f.Window = w
			n, _, err := p.Count(t.Context(), "acme", f, 1000)
			if err != nil {
				t.Fatal(err)
			}
			counted, err := p.CountedSum(t.Context(), "acme", f)
			if err != nil {
				t.Fatal(err)
			}
			if int64(n)+counted != sum[name] {
				t.Errorf("hour %d: the list has %d and %d counted, the counter %s %d", hour-base, n, counted, name, sum[name])
			}
		}
	}
}

// TestLeaves finds every record of an exchange, and what befell the ledger.
func TestLeaves(t *testing.T) {
	s := newStory(t)
	p := New(sqlite(t), "sqlite", s, nil)
	if err := p.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := map[string][]uint64{}
	for id, name := range s.names {
		x, err := p.Exchange(t.Context(), "acme", id)
		if err != nil {
			t.Fatal(err)
		}
		if got[name], err = p.Leaves(t.Context(), "acme", &x); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string][]uint64{"plain": {2, 3}, "late": {4, 6, 7, 8}, "refused": {9}, "open": {12}, "blocked": {13}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("leaves (-want +got):\n%s", d)
	}
	events, err := p.LedgerEvents(t.Context(), "acme", 10)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, e := range events {
		kinds = append(kinds, fmt.Sprint(e.Leaf, " ", e.Kind))
	}
	if d := cmp.Diff([]string{"14 ledger.outage", "0 ledger.started"}, kinds); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
}

// TestDetailsAsJSON: the details that are written by hand are what encoding/json would
// write, for any text and number.
func TestDetailsAsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := func(name string) string {
			return rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z<>&"\\\x00-\x1f]*`), rapid.Just("\xff\u2028")).Draw(t, name)
		}
		d := details{
			Endpoint: text("endpoint"), Stream: rapid.Bool().Draw(t, "stream"), Simulated: rapid.Bool().Draw(t, "simulated"), Region: text("region"),
			Status: rapid.Int().Draw(t, "status"), End: event.End(rapid.Uint8().Draw(t, "end")), Input: rapid.Int64().Draw(t, "input"), Output: rapid.Int64().Draw(t, "output"),
			Charge: money.Nano(rapid.Int64().Draw(t, "charge")), Adjusted: money.Nano(rapid.Int64().Draw(t, "adjusted")), Held: money.Nano(rapid.Int64().Draw(t, "held")),
			Tries: rapid.Int().Draw(t, "tries"), Total: rapid.Int64().Draw(t, "total"), Classes: text("classes"), Rule: text("rule"), ShadowRule: text("shadow_rule"),
		}
		var x Exchange
		d.into(&x)
		want, err := json.Marshal(&d)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(x.appendDetails(nil)); got != string(want) {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	})
}
