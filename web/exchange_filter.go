package web

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"plumbline/app/fault"
	"plumbline/assessments/projection"
	"plumbline/gateway/event"
)

// none is the address of what has no name, such as use by no registered system.
const none = "none"

// hourLayout is how an hour stands in an address and in a box for one.
const hourLayout = "2006-01-02T15:04"

// filterNames are the parts of a list's address, in the order in which they are
// shown. Each narrows the list; several values of one take any of them.
var filterNames = []string{"system", "key", "model", "target", "state", "code", "guard", "usage", "days", "from", "to", "leaves"}

// logFilter is what a list of exchanges is narrowed to, as its address says it.
type logFilter struct {
	values url.Values
	// Hours since 1970, To not included; 0 is open.
	fromHour, toHour int64
	f                projection.Filter
}

// parseLogFilter reads an address. What it does not understand is an error that
// names the part, never a list of something else.
func parseLogFilter(in url.Values, now time.Time) (*logFilter, error) {
	q := &logFilter{values: url.Values{}}
	for _, name := range filterNames {
		for _, v := range in[name] {
			if v = strings.TrimSpace(v); v != "" && !slices.Contains(q.values[name], v) {
				q.values.Add(name, v)
			}
		}
	}
	for _, s := range q.values["system"] {
		if s == none {
			s = ""
		}
		q.f.Systems = append(q.f.Systems, s)
	}
	q.f.Key, q.f.Model, q.f.Codes, q.f.Findings = q.values.Get("key"), q.values.Get("model"), q.values["code"], q.values["guard"]
	if q.f.Target = q.values.Get("target"); q.f.Target != "" && !strings.Contains(q.f.Target, "/") {
		return nil, fault.Field("target", "name a provider and a model, as openai/gpt-4o")
	}
	for _, s := range q.values["state"] {
		if !slices.Contains(projection.States(), s) {
			return nil, fault.Field("state", "there is no such outcome")
		}
		q.f.States = append(q.f.States, s)
	}
	for _, g := range q.f.Findings {
		if _, verdict, given := strings.Cut(g, ":"); given && !slices.Contains(projection.Findings(), verdict) || strings.ContainsAny(g, "%,") {
			return nil, fault.Field("guard", "there is no such finding of a guard")
		}
	}
	for _, s := range q.values["usage"] {
		i := slices.IndexFunc(usageSources, func(x event.UsageSource) bool { return projection.SourceName(x) == s })
		if i < 0 {
			return nil, fault.Field("usage", "there is no such source of usage")
		}
		q.f.Sources = append(q.f.Sources, usageSources[i])
	}
	return q, q.period(now)
}

var usageSources = []event.UsageSource{event.UsageProvider, event.UsageCounted, event.UsageEstimated, event.UsagePartial, event.UsageUnknown}

// standardDays is the period of a list that names none.
const standardDays = 30

// period reads which hours, or which leaves, a list is about. A number of days goes
// before a range of leaves, and that before hours: choosing days lets go of a range.
func (q *logFilter) period(now time.Time) error {
	v := q.values
	switch {
	case v.Has("days"):
		v.Del("from")
		v.Del("to")
		v.Del("leaves")
		return q.days(now)
	case v.Has("leaves"):
		v.Del("from")
		v.Del("to")
		return q.leaves()
	case v.Has("from"), v.Has("to"):
		return q.hours()
	}
	q.fromHour = now.AddDate(0, 0, -standardDays).Unix() / 3600
	return nil
}

func (q *logFilter) days(now time.Time) error {
	days := q.values.Get("days")
	if days == "all" {
		return nil
	}
	n, err := strconv.Atoi(days)
	if err != nil || n < 1 || n > 3660 {
		return fault.Field("days", "a period is a number of days, or all")
	}
	q.fromHour = now.AddDate(0, 0, -n).Unix() / 3600
	if n == standardDays {
		q.values.Del("days")
	}
	return nil
}

func (q *logFilter) leaves() error {
	first, end, ok := strings.Cut(q.values.Get("leaves"), "-")
	a, err := strconv.ParseUint(first, 10, 63)
	b, err2 := strconv.ParseUint(end, 10, 63)
	if !ok || err != nil || err2 != nil || b <= a {
		return fault.Field("leaves", "write a range of leaves as 120-450")
	}
	q.f.Window = projection.Window{First: a, End: b}
	return nil
}

func (q *logFilter) hours() error {
	for name, into := range map[string]*int64{"from": &q.fromHour, "to": &q.toHour} {
		v := q.values.Get(name)
		if v == "" {
			continue
		}
		t, err := time.Parse(hourLayout, v)
		if err != nil {
			t, err = time.Parse(time.DateOnly, v)
		}
		if err != nil {
			return fault.Field(name, "write an hour as 2026-11-24T10:00, UTC")
		}
		*into = t.Unix() / 3600
		q.values.Set(name, t.Truncate(time.Hour).Format(hourLayout))
	}
	if q.values.Has("to") && q.toHour <= q.fromHour {
		return fault.Field("to", "the end comes after the beginning")
	}
	return nil
}

// href is the address of the list with some parts set anew: an empty value takes
// one out. The page begins at its newest row.
func (q *logFilter) href(pairs ...string) string {
	return "/exchanges" + q.suffix(pairs...)
}

func (q *logFilter) suffix(pairs ...string) string {
	v := url.Values{}
	for name, list := range q.values {
		v[name] = list
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Del(pairs[i])
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	if len(v) == 0 {
		return ""
	}
	return "?" + v.Encode()
}

// without is the address with one value of a part taken out.
func (q *logFilter) without(name, value string) string {
	v := url.Values{}
	for n, list := range q.values {
		for _, x := range list {
			if n != name || x != value {
				v.Add(n, x)
			}
		}
	}
	if len(v) == 0 {
		return "/exchanges"
	}
	return "/exchanges?" + v.Encode()
}

// exchangeHref is the address of one exchange that leads back to this list.
func (q *logFilter) exchangeHref(id string) string { return "/exchanges/" + id + q.suffix() }

// has reports whether a value of a part is chosen.
func (q *logFilter) has(name, value string) bool { return slices.Contains(q.values[name], value) }

// plain reports whether the counters of the hours alone can say how many there are.
func (q *logFilter) plain() bool {
	return q.f.Key == "" && q.f.Model == "" && q.f.Target == "" && len(q.f.Codes)+len(q.f.Findings)+len(q.f.Sources) == 0 && !q.ranged()
}

// ranged reports whether the list is of a range of leaves instead of hours.
func (q *logFilter) ranged() bool { return q.values.Has("leaves") }
