package projection

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"time"

	"plumbline/app/ident"
	"plumbline/app/money"
	"plumbline/assessments/evidence/record"
	"plumbline/gateway/event"
)

// batch gathers what a run of leaves changes.
type batch struct {
	cur       cursor
	exchanges map[ident.ID]*Exchange
	order     []*Exchange // the exchanges, as they were first seen
	stored    int         // how many of order have a row already
	others    int64       // when the oldest open exchange began that the batch has nothing of; 0: none, or no hour mark in the batch
	counters  map[counterKey]int64
	hours     []hourRow
	observed  map[observedKey]*Observed
	balances  map[balanceKey]*balance
	changes   []Change
	findings  map[string]*Finding
	results   []resultRow
	states    map[stateKey]State
	writers   map[string]*writer
	refusals  []Counted
	further   []furtherRow
	events    []LedgerEvent
}

type counterKey struct {
	system string
	hour   int64
	group  string // with its dot, when the counter is one of a group
	name   string
}

// counter is the counter's whole name.
func (k counterKey) counter() string { return k.group + k.name }

type observedKey struct{ system, provider, model string }
type balanceKey struct {
	budget string
	window int64
}
type balance struct{ charged, overspent money.Nano }
type hourRow struct {
	hour   int64
	leaf   uint64
	at     int64
	openAt int64 // when the oldest exchange began that was open then; 0: none was
}
type furtherRow struct {
	exchange string
	leaf     uint64
}
type resultRow struct {
	leaf         uint64
	id           string
	at           int64
	test, system string
	body         []byte
}
type stateKey struct{ framework, control, system string }
type writer struct{ first, last, gaps uint64 }

func newBatch(c cursor) *batch {
	return &batch{cur: c, exchanges: map[ident.ID]*Exchange{}, counters: map[counterKey]int64{}, observed: map[observedKey]*Observed{}, balances: map[balanceKey]*balance{},
		findings: map[string]*Finding{}, states: map[stateKey]State{}, writers: map[string]*writer{}}
}

func (b *batch) count(system, name string, n int64) { b.countIn(system, "", name, n) }

// countIn counts in a group of counters: group "clear." and name "pii" are the
// counter clear.pii, which is put together once it is written.
func (b *batch) countIn(system, group, name string, n int64) {
	if n != 0 {
		k := counterKey{system, b.cur.hour, group, name}
		b.counters[k] = added(b.counters[k], n)
	}
}

// apply takes one record in.
func (b *batch) apply(leaf uint64, r *record.Record) error {
	b.number(r)
	if b.cur.hour == 0 {
		// Before its first mark a log's hour is that of its first record.
		b.cur.hour = r.At / time.Hour.Microseconds()
	}
	switch body := r.Body.(type) {
	case *event.Event:
		b.exchange(leaf, r, body)
	case *record.Refusals:
		b.count(body.System, "refused", int64(body.Count))
		b.countIn(body.System, "refused.", body.Code, int64(body.Count))
		b.shadow(leaf, body.System, body.Key, body.Code, body.First, int64(body.Count))
		b.refusals = append(b.refusals, Counted{leaf, r.ID.String(), body.System, body.Key, body.Code, int64(body.Count), body.First, body.Last})
	case *record.Started, *record.Stopped, *record.Rotated, *record.Forked:
		b.events = append(b.events, LedgerEvent{leaf, r.At, r.Kind})
	case *record.Hour:
		b.cur.hour = body.Hour
		b.hours = append(b.hours, hourRow{body.Hour, leaf, r.At, b.openAt()})
	case *record.Outage:
		b.events = append(b.events, LedgerEvent{leaf, r.At, r.Kind})
		b.count("", "outages", 1)
		for system, n := range body.System {
			b.count(system, "turned_away", n)
		}
	case *record.Change:
		b.changes = append(b.changes, Change{leaf, r.At, r.ID.String(), body.Kind, body.Object, body.Version, r.Actor, body.Approver, body.Imported, body.Reasoned})
	case *record.TestResult:
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		b.results = append(b.results, resultRow{leaf, r.ID.String(), r.At, body.Test, body.System, text})
	case *record.ControlResult:
		b.states[stateKey{body.Framework, body.Control, body.System}] = State{body.State, leaf, r.At}
	case record.Opaque:
		return fmt.Errorf("a record of %s version %d is newer than this build", r.Kind, r.Version)
	}
	return nil
}

// openAt is when the oldest exchange began that is open now; 0 when none is.
func (b *batch) openAt() int64 {
	oldest := b.others
	for _, x := range b.order {
		if x.OpenedLeaf >= 0 && x.ClosedLeaf < 0 && (oldest == 0 || x.At < oldest) {
			oldest = x.At
		}
	}
	return oldest
}

// number watches each writer's running numbers: a missing one is an unexplained
// gap.
func (b *batch) number(r *record.Record) {
	w := b.writers[r.Writer]
	if w == nil {
		b.writers[r.Writer] = &writer{first: r.Number, last: r.Number}
		return
	}
	if r.Number > w.last+1 {
		w.gaps += r.Number - w.last - 1
	}
	w.last = max(w.last, r.Number)
}

func (b *batch) exchange(leaf uint64, r *record.Record, e *event.Event) {
	x := b.exchanges[e.Exchange]
	if x == nil {
		x = &Exchange{ID: e.Exchange.String(), OpenedLeaf: -1, ClosedLeaf: -1, At: r.At, Source: event.UsageUnknown}
		b.exchanges[e.Exchange] = x
		b.order = append(b.order, x)
	}
	closing := e.Kind == event.Outcome || e.Kind == event.Incomplete || e.Kind == event.Cached || e.Kind == event.Refused
	if closing && x.ClosedLeaf >= 0 || e.Kind == event.Intent && x.OpenedLeaf >= 0 {
		b.count(e.System, "repeated", 1) // the first in leaf order stands: nothing is counted or charged twice
		b.further = append(b.further, furtherRow{x.ID, leaf})
		return
	}
	x.take(e)
	switch e.Kind {
	case event.Intent:
		x.OpenedLeaf, x.At = int64(leaf), r.At
		if x.ClosedLeaf < 0 {
			x.State = Open
		}
		b.intent(leaf, r, e)
	case event.Attempt:
		b.further = append(b.further, furtherRow{x.ID, leaf})
		b.count(e.System, "attempts", 1)
	case event.Outcome, event.Incomplete, event.Cached:
		x.ClosedLeaf = int64(leaf)
		if x.OpenedLeaf < 0 {
			x.At = r.At // it has no beginning on record, whatever came before this
		}
		x.State = stateOf(e)
		b.closed(e, x)
	case event.Refused:
		x.State, x.ClosedLeaf = Refused, int64(leaf)
		if x.OpenedLeaf < 0 {
			x.At = r.At
		}
		b.count(e.System, "refused", 1)
		b.countIn(e.System, "refused.", e.Code, 1)
		b.guards(e.System, e.Prompt, false)
		b.found(e.System, x)
		b.shadow(leaf, e.System, e.Key, e.Code, r.At, 1)
	case event.Adjusted:
		// A correction of the charge: what is added to it, or taken off.
		x.Charge, x.Adjusted = x.Charge.Add(e.Charge), x.Adjusted.Add(e.Charge)
		b.further = append(b.further, furtherRow{x.ID, leaf})
		b.count(e.System, "adjusted", 1)
		b.charge(e, e.Charge)
	}
}

func (b *batch) intent(leaf uint64, r *record.Record, e *event.Event) {
	b.count(e.System, "intents", 1)
	b.count(e.System, "attempts", 1)
	if e.System != "" && e.Key != "" && e.Decision.Effect != event.EffectNone {
		b.count(e.System, "attributed", 1)
	}
	if e.Decision.Effect != event.EffectNone {
		b.count(e.System, "decided", 1)
	}
	if e.Decision.ShadowEffect == event.EffectDeny {
		b.count(e.System, "shadow_denied", 1)
	}
	if e.Stream {
		b.count(e.System, "streams", 1)
	}
	if e.Simulated {
		b.count(e.System, "simulated", 1)
	}
	b.count(e.System, ModelCounter(e.Provider, e.ModelTarget), 1)
	b.guarded(e)
	k := observedKey{e.System, e.Provider, e.ModelTarget}
	o := b.observed[k]
	if o == nil {
		o = &Observed{System: e.System, Provider: e.Provider, Model: e.ModelTarget, FirstAt: r.At, FirstLeaf: leaf, Simulated: e.Simulated}
		b.observed[k] = o
	}
	o.LastAt, o.LastLeaf = r.At, leaf
	o.Calls++
	if e.System == "" {
		b.shadow(leaf, "", e.Key, "system_unregistered", r.At, 1)
	}
}

// ModelCounter names the counter of a model at a provider.
func ModelCounter(provider, model string) string { return "model." + provider + "/" + model }

// guarded counts whether the guards of an exchange that was sent looked at it.
func (b *batch) guarded(e *event.Event) {
	evaluated := len(e.Prompt) > 0
	for _, v := range e.Prompt {
		if v.State == event.NotRun && v.Reason != "no_text" || v.State == event.Errored {
			evaluated = false
			if v.FailOpen && v.Blocking {
				b.count(e.System, "fail_open", 1)
			}
		}
	}
	if evaluated {
		b.count(e.System, "evaluated", 1)
	}
	b.guards(e.System, e.Prompt, false)
}

// guards counts verdicts. An answer that was never given, or that holds no text
// such as an embedding, left a guard nothing to look at: its record says not run
// with the reason, and it is counted apart from guards that should have looked.
func (b *batch) guards(system string, verdicts []event.Verdict, answer bool) {
	for i := range verdicts {
		v := &verdicts[i]
		if answer && nothingToSee(v) {
			b.countIn(system, "nothing.", v.Guard, 1)
			continue
		}
		switch v.State {
		case event.Hit:
			b.countIn(system, "hit.", v.Guard, 1)
			for _, c := range v.Classes {
				b.countIn(system, "class.", c, 1)
			}
			switch v.Action {
			case event.ActionBlocked:
				b.countIn(system, "blocked.", v.Guard, 1)
			case event.ActionRedacted:
				b.countIn(system, "redacted.", v.Guard, 1)
			}
		case event.Clear:
			b.countIn(system, "clear.", v.Guard, 1)
		default:
			b.countIn(system, "not_run.", v.Guard, 1)
		}
	}
}

// found counts exchanges by what their guards found in prompt or answer.
func (b *batch) found(system string, x *Exchange) {
	if x.Findings == "" {
		return
	}
	seen := map[string]bool{}
	once := func(name string) {
		if !seen[name] {
			seen[name] = true
			b.count(system, FindingCounter(name), 1)
		}
	}
	for _, f := range strings.Split(x.Findings, ",") {
		guard, verdict, _ := strings.Cut(f, ":")
		once(f)
		once(":" + verdict)
		if verdict != NotRun {
			once(guard)
		}
	}
}

// FindingCounter names the counter of exchanges with a finding: pii:redacted; pii
// for whatever it found; :redacted whichever guard did.
func FindingCounter(finding string) string { return "found." + finding }

// fallback counts the calls for which a deployment failed or was out of health while
// their route had others: how many, and how many of them got a whole answer all the
// same. A caller that hung up or a guard that blocked says nothing of either.
func (b *batch) fallback(e *event.Event, x *Exchange) {
	if e.Choice != ChoiceFailover && e.Choice != ChoiceBypass && e.Choice != ChoiceAllOpen {
		return
	}
	switch x.State {
	case Complete:
		b.count(e.System, "recovered", 1)
	case Failed, Cut:
	default:
		return
	}
	b.count(e.System, "fallbacks", 1)
}

// Why a deployment was asked, as records have it, where another one was meant.
const (
	ChoiceFailover = "failover"
	ChoiceBypass   = "bypass"
	ChoiceAllOpen  = "all_open"
)

// StateCounter names the counter of a way to fail that has one of its own.
func StateCounter(state string) string { return "state." + state }

func (b *batch) closed(e *event.Event, x *Exchange) {
	b.count(e.System, "closed", 1)
	switch x.State {
	case Complete:
		b.count(e.System, "ok", 1)
	case Incomplete:
		b.count(e.System, "incomplete", 1)
	default:
		b.count(e.System, "failed", 1)
		if x.State != Failed {
			b.count(e.System, StateCounter(x.State), 1)
		}
	}
	b.found(e.System, x)
	b.fallback(e, x)
	if e.Code != "" {
		b.countIn(e.System, "code.", e.Code, 1)
	}
	b.guards(e.System, e.AnswerGuard, true)
	b.count(e.System, "input", max(e.Usage.Input, 0))
	b.count(e.System, "output", max(e.Usage.Output, 0))
	b.countIn(e.System, "usage.", sourceNames[e.Source], 1)
	if e.PriceTable != "" && e.System != "" && e.Key != "" {
		b.count(e.System, "costed", 1)
	}
	b.count(e.System, "latency_us", e.Total)
	b.charge(e, e.Charge)
}

func (b *batch) charge(e *event.Event, amount money.Nano) {
	b.count(e.System, "charge", int64(amount))
	if e.Held > 0 && amount > e.Held {
		b.count(e.System, "overruns", 1)
	}
	for _, h := range e.Holds {
		k := balanceKey{h.Budget, h.Window}
		if b.balances[k] == nil {
			b.balances[k] = &balance{}
		}
		b.balances[k].charged = b.balances[k].charged.Add(amount)
		if amount > h.Amount && h.Amount > 0 {
			b.balances[k].overspent = b.balances[k].overspent.Add(amount - h.Amount)
		}
	}
}

// shadow notes use by a key that no registered system owns.
func (b *batch) shadow(leaf uint64, system, key, code string, at, n int64) {
	if code != "system_unregistered" || key == "" {
		return
	}
	id := "shadow:" + key
	f := b.findings[id]
	if f == nil {
		f = &Finding{ID: id, Kind: "unregistered_use", Subject: key, FirstAt: at, FirstLeaf: leaf}
		b.findings[id] = f
	}
	f.LastAt, f.LastLeaf = at, leaf
	f.Count += n
}

var sourceNames = [...]string{"unknown", "provider", "counted", "estimated", "partial"}

// SourceName is the word for a source of usage.
func SourceName(s event.UsageSource) string { return sourceNames[s] }

func stateOf(e *event.Event) string {
	switch {
	case e.Kind == event.Incomplete:
		return Incomplete
	case e.End == event.EndComplete && e.Code == "":
		return Complete
	case e.End == event.EndBlocked:
		return Blocked
	case e.End == event.EndCut:
		return Cut
	case e.End == event.EndClientGone:
		return ClientGone
	}
	return Failed
}

// take copies what an event says into the exchange's row.
func (x *Exchange) take(e *event.Event) {
	set := func(to *string, v string) {
		if v != "" {
			*to = v
		}
	}
	set(&x.System, e.System)
	set(&x.Key, e.Key)
	set(&x.Endpoint, e.Endpoint)
	set(&x.ModelAsked, e.ModelAsked)
	set(&x.ModelTarget, e.ModelTarget)
	set(&x.ModelServed, e.ModelServed)
	set(&x.Provider, e.Provider)
	set(&x.Region, e.Region)
	set(&x.Code, e.Code)
	set(&x.Rule, e.Decision.Rule)
	set(&x.ShadowRule, e.Decision.ShadowRule)
	x.Stream, x.Simulated = x.Stream || e.Stream, x.Simulated || e.Simulated
	x.addClasses(e.Prompt)
	x.addClasses(e.AnswerGuard)
	x.addFindings(e.Prompt, false)
	x.addFindings(e.AnswerGuard, true)
	if e.Status != 0 {
		x.Status = int(e.Status)
	}
	if e.Kind == event.Refused {
		x.Total = e.Total
	}
	if e.Kind == event.Outcome || e.Kind == event.Incomplete || e.Kind == event.Cached {
		x.End, x.Input, x.Output, x.Source = e.End, e.Usage.Input, e.Usage.Output, e.Source
		x.Charge, x.Held, x.Tries, x.Total = e.Charge, e.Held, int(e.Tries), e.Total
	}
}

func (x *Exchange) addClasses(verdicts []event.Verdict) {
	for _, v := range verdicts {
		for _, c := range v.Classes {
			x.Classes = withItem(x.Classes, c)
		}
	}
}

// addFindings notes what is not clear. A guard that had nothing to look at in an
// answer found nothing and missed nothing.
func (x *Exchange) addFindings(verdicts []event.Verdict, answer bool) {
	for i := range verdicts {
		if v := &verdicts[i]; v.State != event.Clear && !(answer && nothingToSee(v)) {
			x.Findings = withItem(x.Findings, v.Guard+":"+findingOf(v))
		}
	}
}

func findingOf(v *event.Verdict) string {
	switch {
	case v.State != event.Hit:
		return NotRun
	case v.Action == event.ActionBlocked:
		return BlockedBy
	case v.Action == event.ActionRedacted:
		return Redacted
	}
	return Monitored
}

func nothingToSee(v *event.Verdict) bool {
	return v.State == event.NotRun && (v.Reason == "no_answer" || v.Reason == "no_text")
}

// withItem adds an item to a sorted list that is kept with commas between.
func withItem(list, item string) string {
	if list == "" {
		return item
	}
	if strings.Contains(","+list+",", ","+item+",") {
		return list
	}
	items := append(strings.Split(list, ","), item)
	sort.Strings(items)
	return strings.Join(items, ",")
}
