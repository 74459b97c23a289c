package web

import (
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plumbline/app/fault"
	"plumbline/assessments/projection"
	"plumbline/gateway/event"
)

func TestLogFilter(t *testing.T) {
	now := time.Date(2026, 11, 24, 9, 30, 0, 0, time.UTC)
	hour := func(text string) int64 {
		at, err := time.Parse(hourLayout, text)
		if err != nil {
			t.Fatal(err)
		}
		return at.Unix() / 3600
	}
	for _, c := range []struct {
		name, in string
		filter   projection.Filter
		from, to int64
		address  string // as it is given on
		period   string
	}{
		{"nothing", "", projection.Filter{}, hour("2026-10-25T09:00"), 0, "/exchanges", "in 30 days"},
		{"the standard period is not spelt out", "days=30", projection.Filter{}, hour("2026-10-25T09:00"), 0, "/exchanges", "in 30 days"},
		{"a day", "days=1", projection.Filter{}, hour("2026-11-23T09:00"), 0, "/exchanges?days=1", "in 24 hours"},
		{"all", "days=all&key=k1", projection.Filter{Key: "k1"}, 0, 0, "/exchanges?days=all&key=k1", "on record"},
		{"several of one", "state=refused&state=cut&system=none&system=SYS-001", projection.Filter{States: []string{"refused", "cut"}, Systems: []string{"", "SYS-001"}}, hour("2026-10-25T09:00"), 0,
			"/exchanges?state=refused&state=cut&system=none&system=SYS-001", "in 30 days"},
		{"guard, usage, code, model, target", "guard=pii&guard=:not_run&usage=partial&code=x&model=m&target=up/m", projection.Filter{Findings: []string{"pii", ":not_run"}, Sources: []event.UsageSource{event.UsagePartial}, Codes: []string{"x"}, Model: "m", Target: "up/m"},
			hour("2026-10-25T09:00"), 0, "/exchanges?code=x&guard=pii&guard=%3Anot_run&model=m&target=up%2Fm&usage=partial", "in 30 days"},
		{"hours", "from=2026-11-20T10:00&to=2026-11-20T12:00", projection.Filter{}, hour("2026-11-20T10:00"), hour("2026-11-20T12:00"), "/exchanges?from=2026-11-20T10%3A00&to=2026-11-20T12%3A00", "closed from 20 Nov 2026 10:00 to 20 Nov 2026 12:00 UTC"},
		{"a minute is of its hour", "from=2026-11-20T10:40", projection.Filter{}, hour("2026-11-20T10:00"), 0, "/exchanges?from=2026-11-20T10%3A00", "closed since 20 Nov 2026 10:00 UTC"},
		{"a day for an hour", "to=2026-11-20", projection.Filter{}, 0, hour("2026-11-20T00:00"), "/exchanges?to=2026-11-20T00%3A00", "closed before 20 Nov 2026 00:00 UTC"},
		{"choosing days lets go of hours", "days=7&from=2026-11-20T10:00&leaves=1-2", projection.Filter{}, hour("2026-11-17T09:00"), 0, "/exchanges?days=7", "in 7 days"},
		{"leaves", "leaves=120-450&from=2026-11-20T10:00", projection.Filter{Window: projection.Window{First: 120, End: 450}}, 0, 0, "/exchanges?leaves=120-450", "closed in leaves 120 to 450"},
		{"what is not a filter is left behind", "x=1&before=2&theme=dark", projection.Filter{}, hour("2026-10-25T09:00"), 0, "/exchanges", "in 30 days"},
	} {
		t.Run(c.name, func(t *testing.T) {
			values, err := url.ParseQuery(c.in)
			if err != nil {
				t.Fatal(err)
			}
			q, err := parseLogFilter(values, now)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.filter, q.f); d != "" {
				t.Errorf("filter (-want +got):\n%s", d)
			}
			if q.fromHour != c.from || q.toHour != c.to {
				t.Errorf("hours %d to %d, want %d to %d", q.fromHour, q.toHour, c.from, c.to)
			}
			if got := q.href(); got != c.address {
				t.Errorf("address %s, want %s", got, c.address)
			}
			if got := q.periodText(); got != c.period {
				t.Errorf("period %q, want %q", got, c.period)
			}
		})
	}
	for _, bad := range []string{"state=lost", "guard=pii:maybe", "guard=a%25", "usage=guess", "days=0", "days=x", "from=yesterday", "from=2026-11-20T10:00&to=2026-11-20T10:00", "leaves=9", "leaves=9-9", "leaves=9-x", "target=m"} {
		values, _ := url.ParseQuery(bad)
		if _, err := parseLogFilter(values, now); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestLogFilterLinks(t *testing.T) {
	values, _ := url.ParseQuery("state=refused&state=cut&key=k1")
	q, err := parseLogFilter(values, time.Now().UTC())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ what, got, want string }{
		{"one value less", q.without("state", "cut"), "/exchanges?key=k1&state=refused"},
		{"the next page", q.href("before", "5.a"), "/exchanges?before=5.a&key=k1&state=refused&state=cut"},
		{"over all time", q.Ever(), "/exchanges?days=all&key=k1&state=refused&state=cut"},
		{"an exchange of the list", q.exchangeHref("06h"), "/exchanges/06h?key=k1&state=refused&state=cut"},
		{"the list of a number", exchangesHref("system", "SYS-1", "state", broken, "days", 30, "key", ""), "/exchanges?state=failed&state=blocked&state=cut&state=client_gone&state=incomplete&system=SYS-1"},
		{"the list of a day", dayHref(time.Date(2026, 11, 20, 13, 0, 0, 0, time.UTC), "refused", ""), "/exchanges?from=2026-11-20T00%3A00&state=refused&to=2026-11-21T00%3A00"},
		{"no list of no leaves", windowHref("SYS-1", 4, 4), ""},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", c.what, c.got, c.want)
		}
	}
}
