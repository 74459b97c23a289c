package web

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"plumbline/app/fault"
	"plumbline/app/ident"
	"plumbline/assessments/projection"
	"plumbline/inventory"
)

// pageRows is how many rows a page of the list has, countLimit how far a filter is
// counted that the counters of the hours cannot answer.
const (
	pageRows   = 50
	countLimit = 10_000
)

type exchangesData struct {
	Alone    bool // one exchange without the list beside it
	Own      bool // only of the reader's own keys
	Filter   *logFilter
	Facets   []facet
	Set      []setFilter
	Periods  []option
	Keys     chooser
	Models   chooser
	Rows     []logRow
	Total    string // how many the filter takes, in words
	OpenN    int    // of them still open
	Counted  int64  // of them refusals that were counted together
	Period   string
	Next     string // what is older
	First    string // the newest page, when this is a later one
	Lag      int64
	Any      bool   // there is an exchange on record at all
	Failed   string // why the list could not be loaded
	Exchange *exchangePane
}

// facet is one way to narrow a list, with how many each choice would leave of the
// whole period.
type facet struct {
	Legend, Name string
	Choices      []facetChoice
	Left         int // choices that are not offered, since they counted less
}

type facetChoice struct {
	Value, Label string
	N            int64
	Known        bool // there is a number
	On           bool
}

// setFilter is a filter that is on, with the address without it.
type setFilter struct{ Label, Value, Href string }

// logRow is one line of the list: an exchange, or refusals counted together.
type logRow struct {
	*projection.Exchange
	Counted  *projection.Counted
	At       int64
	Day      string // heads a new day
	Href     string
	System   string // its name
	Key      string // its name
	Current  bool
	Findings []finding
}

// finding is what a guard did, in two words.
type finding struct{ Guard, Verdict string }

func findings(list string) (out []finding) {
	for _, f := range strings.FieldsFunc(list, func(c rune) bool { return c == ',' }) {
		guard, verdict, _ := strings.Cut(f, ":")
		out = append(out, finding{guard, verdict})
	}
	return out
}

func (r *request) exchangesPage() error {
	if id := strings.ToLower(r.query("q")); id != "" {
		return r.findExchange(id)
	}
	q, err := parseLogFilter(r.c.QueryParams(), r.web.d.Now().UTC())
	if err != nil {
		return err
	}
	data, err := r.exchangeLog(q)
	if err != nil {
		if fault.Is(err, fault.Invalid) {
			return err
		}
		// The frame, the filters and the reason: a blank page would say less.
		r.web.d.Log.Error("list of exchanges", "request", r.id.String(), "error", err)
		data = &exchangesData{Filter: q, Failed: "The index of exchanges could not be read. The ledger itself is not touched by this. The server's log has it under request " + r.id.String() + "."}
	}
	return r.ok("exchanges", page{Title: "Exchanges", Nav: "exchanges", Crumbs: []crumb{{Title: "Exchanges"}}, Wide: true}, data)
}

// findExchange leads to the exchange of a request id.
func (r *request) findExchange(id string) error {
	if _, err := ident.Parse(id); err != nil {
		return fault.New(fault.NotFound, "not_found", "%q is no request id. It has %d letters and digits and comes back to the caller as x-request-id.", id, ident.TextLen)
	}
	return r.redirect("/exchanges/" + id)
}

// exchangeLog reads a page of the list with what stands around it.
func (r *request) exchangeLog(q *logFilter) (*exchangesData, error) {
	data := &exchangesData{Filter: q, Own: r.own(), Lag: r.web.d.Projection.Lag(), Period: q.periodText()}
	org := string(r.actor.Org)
	var err error
	if w := q.f.Window; q.ranged() {
		q.f.Window, q.fromHour, q.toHour, err = r.web.d.Projection.WindowOfLeaves(r.ctx(), org, w.First, w.End)
	} else {
		q.f.Window, err = r.web.d.Projection.WindowOf(r.ctx(), org, q.fromHour, q.toHour)
	}
	if err != nil {
		return nil, err
	}
	if err := r.logRows(data); err != nil {
		return nil, err
	}
	sums, err := r.index().sums(r.ctx(), q.fromHour, q.toHour)
	if err != nil {
		return nil, err
	}
	if err := r.logTotal(data, sums); err != nil {
		return nil, err
	}
	r.logFacets(data, sums)
	r.logChoosers(data, sums)
	data.Set = r.setFilters(q)
	if data.Any = len(data.Rows) > 0; !data.Any {
		if data.Any, err = r.anyExchange(); err != nil {
			return nil, err
		}
	}
	for i := range data.Rows {
		row := &data.Rows[i]
		if row.Exchange != nil && (r.query("x") == "" || r.query("x") == row.ID) {
			row.Current = true
			data.Exchange, err = r.exchangePane(row.Exchange)
			return data, err
		}
	}
	return data, nil
}

// anyExchange reports whether there is anything on record, so that an empty list
// can say which kind of empty it is.
func (r *request) anyExchange() (bool, error) {
	n, _, err := r.index().count(r.ctx(), projection.Filter{}, 1)
	if n > 0 || err != nil {
		return n > 0, err
	}
	counted, err := r.index().countedSum(r.ctx(), projection.Filter{})
	return counted > 0, err
}

// logRows merges exchanges and counted refusals into one page, the newest first.
func (r *request) logRows(data *exchangesData) error {
	q := data.Filter
	f := q.f
	f.Before, f.Limit = r.query("before"), pageRows+1
	list, _, err := r.index().list(r.ctx(), f)
	if err != nil {
		return err
	}
	counted, err := r.index().counted(r.ctx(), f)
	if err != nil {
		return err
	}
	for i := range list {
		x := &list[i]
		data.Rows = append(data.Rows, logRow{Exchange: x, At: x.At, Href: q.exchangeHref(x.ID), System: r.systemName(x.System), Key: r.keyName(x.Key), Findings: findings(x.Findings)})
	}
	for i := range counted {
		c := &counted[i]
		data.Rows = append(data.Rows, logRow{Counted: c, At: c.Last, Href: "/ledger/" + decimal(int64(c.Leaf)), System: r.systemName(c.System), Key: r.keyName(c.Key)})
	}
	slices.SortStableFunc(data.Rows, func(a, b logRow) int {
		if n := cmp.Compare(b.At, a.At); n != 0 {
			return n
		}
		return cmp.Compare(b.id(), a.id())
	})
	if len(data.Rows) > pageRows {
		data.Rows = data.Rows[:pageRows]
		last := data.Rows[pageRows-1]
		data.Next = q.href("before", projection.CursorOf(last.At, last.id()))
	}
	if f.Before != "" {
		data.First = q.href()
	}
	day := ""
	for i := range data.Rows {
		if d := clock(data.Rows[i].At).Format("Monday, 2 January 2006"); d != day {
			day, data.Rows[i].Day = d, d
		}
	}
	return nil
}

func (row *logRow) id() string {
	if row.Exchange != nil {
		return row.Exchange.ID
	}
	return row.Counted.ID
}

func (r *request) systemName(id string) string {
	if s, err := r.state.System(inventory.SystemID(id)); err == nil {
		return s.Name
	}
	return id
}

// logTotal says how many the filter takes. The counters of the hours answer for
// whole outcomes and systems, exactly; the rest is counted row by row, to a limit.
func (r *request) logTotal(data *exchangesData, sums map[string]projection.Counters) error {
	q := data.Filter
	var err error
	if data.Counted, err = r.index().countedSum(r.ctx(), q.f); err != nil {
		return err
	}
	if len(q.f.States) == 0 || slices.Contains(q.f.States, projection.Open) {
		open := q.f
		open.States = []string{projection.Open}
		if data.OpenN, _, err = r.index().count(r.ctx(), open, countLimit); err != nil {
			return err
		}
	}
	if sums != nil && q.plain() {
		n, chosen := int64(data.OpenN), sumChosen(sums, q.f.Systems)
		for _, s := range projection.States() {
			if len(q.f.States) == 0 || slices.Contains(q.f.States, s) {
				n += endedIn(chosen, s)
			}
		}
		data.Total = group(n)
		return nil
	}
	n, more, err := r.index().count(r.ctx(), q.f, countLimit)
	if err != nil {
		return err
	}
	data.Total = group(int64(n) + data.Counted)
	if more {
		data.Total = "more than " + data.Total
	}
	return nil
}

// sumChosen adds up the counters of the chosen systems; none chosen takes all.
func sumChosen(sums map[string]projection.Counters, systems []string) projection.Counters {
	out := projection.Counters{}
	for system, counters := range sums {
		if len(systems) == 0 || slices.Contains(systems, system) {
			out.AddAll(counters)
		}
	}
	return out
}

// endedIn is how many exchanges ended in a state; of those that are open no
// counter knows.
func endedIn(c projection.Counters, state string) int64 {
	switch state {
	case projection.Complete:
		return c["ok"]
	case projection.Refused:
		return c["refused"]
	case projection.Incomplete:
		return c["incomplete"]
	case projection.Failed:
		return c["failed"] - c[projection.StateCounter(projection.Blocked)] - c[projection.StateCounter(projection.Cut)] - c[projection.StateCounter(projection.ClientGone)]
	case projection.Open:
		return 0
	}
	return c[projection.StateCounter(state)]
}

// periodText says which time or range a list is about.
func (q *logFilter) periodText() string {
	hour := func(h int64) string { return time.Unix(h*3600, 0).UTC().Format("2 Jan 2006 15:04") }
	switch v := q.values; {
	case q.ranged():
		first, end, _ := strings.Cut(v.Get("leaves"), "-")
		return "closed in leaves " + first + " to " + end
	case v.Has("from") && v.Has("to"):
		return "closed from " + hour(q.fromHour) + " to " + hour(q.toHour) + " UTC"
	case v.Has("from"):
		return "closed since " + hour(q.fromHour) + " UTC"
	case v.Has("to"):
		return "closed before " + hour(q.toHour) + " UTC"
	case v.Get("days") == "all":
		return "on record"
	case v.Get("days") == "1":
		return "in 24 hours"
	case v.Has("days"):
		return "in " + v.Get("days") + " days"
	}
	return fmt.Sprintf("in %d days", standardDays)
}
