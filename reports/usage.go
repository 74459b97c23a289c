package reports

import (
	"fmt"
	"slices"
	"time"

	"plumbline/app/money"
	"plumbline/reports/render"
)

// total adds hours. Down is set when any of them is unknown.
func total(hours []Hour) Hour {
	var t Hour
	for _, h := range hours {
		if t.Start.IsZero() {
			t.Start = h.Start
		}
		t.merge(h)
	}
	return t
}

func (h *Hour) merge(o Hour) {
	h.Exchanges += o.Exchanges
	h.Answered += o.Answered
	h.Refused += o.Refused
	h.Failed += o.Failed
	h.Cached += o.Cached
	h.Incomplete += o.Incomplete
	h.InputTokens += o.InputTokens
	h.OutputTokens += o.OutputTokens
	h.Unpriced += o.Unpriced
	h.Cost = h.Cost.Add(o.Cost)
	h.Down = h.Down || o.Down
}

// slot is an hour or a day of usage.
type slot struct {
	label string
	Hour
}

// slots are the hours given, or their days when they span more than two. Hours
// that are not given are not shown: absent is not zero.
func slots(hours []Hour) []slot {
	if len(hours) == 0 {
		return nil
	}
	first, last := hours[0].Start, hours[len(hours)-1].Start
	byDay := last.Sub(first) > 48*time.Hour
	var out []slot
	for _, h := range hours {
		label := h.Start.UTC().Format("2 Jan 15:00")
		if byDay {
			label = h.Start.UTC().Format("2 Jan")
		}
		if n := len(out); n > 0 && out[n-1].label == label {
			out[n-1].merge(h)
			continue
		}
		out = append(out, slot{label, h})
	}
	return out
}

// traffic is the section on volume and spend.
func (b *builder) traffic() render.Blocks {
	out := render.Blocks{&render.Heading{Level: 2, Key: "traffic", Title: "Traffic and spend"}}
	u := total(b.in.Usage)
	if len(b.in.Usage) == 0 {
		return append(out, &render.Paragraph{Text: render.T("No hour of the period is recorded for this subject. That is unknown, not zero traffic.")})
	}
	text := render.T(fmt.Sprintf("%s exchanges from %s to %s: %s answered, %s refused before anything was sent, %s failed upstream or broke off, %s answered from the cache, %s incomplete after a crash. ",
		count(u.Exchanges), stamp(b.doc.From), stamp(b.doc.To), count(u.Answered), count(u.Refused), count(u.Failed), count(u.Cached), count(u.Incomplete)),
		fmt.Sprintf("%s tokens in, %s out. Charged: %s.", count(u.InputTokens), count(u.OutputTokens), u.Cost))
	if ids := b.cite(3, b.in.UsageAt); len(ids) > 0 {
		text = append(text, render.T(" Counted between the hour marks ", render.Cite(ids...), " and up to the checkpoint.")...)
	}
	out = append(out, &render.Paragraph{Text: text})
	switch n := len(slots(b.in.Usage)); {
	case n >= minSlots:
		out = append(out, b.trafficFigure(u))
		if u.Cost > 0 {
			out = append(out, b.spendFigure(u))
		}
	case len(b.in.Models) > 0:
		out = append(out, b.modelFigure())
	}
	return out
}

// minSlots is how many hours or days a chart over time needs: with fewer there is
// no course to see.
const minSlots = 3

// modelFigure shows calls by model in place of a course over time.
func (b *builder) modelFigure() render.Block {
	c := &render.Columns{Unit: "Calls", Series: []string{"Answered", "Failed or cut"}}
	var calls, failed int64
	for _, m := range b.in.Models {
		if m.Calls == 0 {
			continue
		}
		calls, failed = calls+m.Calls, failed+m.Errors
		c.Slots = append(c.Slots, render.ColumnsSlot{Label: m.Alias, Note: []string{plural(m.Calls, "call"), m.Cost.String()}, Values: []float64{float64(m.Calls - m.Errors), float64(m.Errors)}})
	}
	claim := fmt.Sprintf("%s of %s calls that were sent were answered", count(calls-failed), count(calls))
	return &render.Figure{Claim: claim, Alt: claim + ". Columns of calls by the model asked for.", Chart: render.Chart{Columns: c},
		Source: render.T("By the model asked for, with what was charged. The period holds too few hours for a course over time.")}
}

func (b *builder) trafficFigure(u Hour) render.Block {
	c := &render.Columns{Unit: "Exchanges", Series: []string{"Answered", "Refused", "Failed or cut", "Cached or incomplete"}}
	for _, s := range slots(b.in.Usage) {
		col := render.ColumnsSlot{Label: s.label, Note: []string{count(s.Exchanges)}, Values: []float64{float64(s.Answered), float64(s.Refused), float64(s.Failed), float64(s.Cached + s.Incomplete)}}
		if s.Down && s.Exchanges == 0 {
			col = render.ColumnsSlot{Label: s.label, Gap: "not recorded", Note: []string{"unknown"}}
		}
		c.Slots = append(c.Slots, col)
	}
	claim := fmt.Sprintf("%s of %s exchanges were answered", share(u.Answered+u.Cached, u.Exchanges), count(u.Exchanges))
	if u.Down {
		claim += "; part of the period is unknown"
	}
	return &render.Figure{Claim: claim, Alt: claim + ". Stacked columns of exchanges by outcome over time.", Chart: render.Chart{Columns: c},
		Source: render.T("Hours between the ledger's marks, in UTC; an exchange counts where it was closed. Hours outside those shown are not recorded for this subject.")}
}

func (b *builder) spendFigure(u Hour) render.Block {
	c := &render.Cumulative{Unit: "US$, settled, cumulative", ColumnUnit: "US$ per interval", FinalLabel: dollars(u.Cost)}
	for _, s := range slots(b.in.Usage) {
		c.Labels, c.Values = append(c.Labels, s.label), append(c.Values, float64(s.Cost)/float64(money.Dollar))
		c.Unknown = append(c.Unknown, s.Down && s.Exchanges == 0)
	}
	claim := "Calls were charged " + dollars(u.Cost)
	for _, x := range b.in.Budgets {
		if x.Scope == "system" && x.Limit > 0 {
			c.Limit, c.LimitLabel = float64(x.Limit)/float64(money.Dollar), fmt.Sprintf("Limit %s a %s", dollars(x.Limit), x.Window)
			c.FinalDetail = share(int64(u.Cost), int64(x.Limit)) + " of the limit"
			claim += ", against a limit of " + dollars(x.Limit) + " a " + x.Window
			if c.Limit > 8*float64(u.Cost)/float64(money.Dollar) { // the line would lie on the axis
				c.Limit, c.LimitLabel = 0, ""
			}
			break
		}
	}
	off := ""
	if slices.ContainsFunc(c.Values, func(v float64) bool { return v < 0 }) {
		off = "; in outline: more taken off by corrections than charged"
	}
	unpriced := "none unpriced"
	if u.Unpriced > 0 {
		unpriced = count(u.Unpriced) + " unpriced and not in the figures"
	}
	return &render.Figure{Claim: claim, Alt: claim + ". Cumulative line over columns.", Chart: render.Chart{Cumulative: c},
		Source: render.T("Line: settled charges, cumulative. Columns: charges per interval; hatched: not recorded"+off+". Priced with the table ", render.Code(short(b.in.PriceTable)), "; "+unpriced+".")}
}

// dollars rounds for a chart's label; tables print exact amounts.
func dollars(n money.Nano) string {
	d := float64(n) / float64(money.Dollar)
	switch {
	case n == 0:
		return "$0"
	case d >= 100:
		return "$" + count(int64(d+0.5))
	case d >= 1:
		return fmt.Sprintf("$%.2f", d)
	case d >= 0.0001:
		return fmt.Sprintf("$%.4f", d)
	}
	return n.String()
}

// guards is the section on what the guardrails did.
func (b *builder) guards() render.Blocks {
	out := render.Blocks{&render.Heading{Level: 2, Key: "guards", Title: "Guardrails"}}
	if len(b.in.Guards) == 0 {
		return append(out, &render.Paragraph{Text: render.T("No verdict of a guard is recorded in the period. Whether anything would have been found is unknown.")})
	}
	if f := b.hitsFigure(); f != nil {
		out = append(out, f)
	}
	t := &render.Table{Caption: "Verdicts by guard and data class", Columns: []render.Column{{Title: "Guard, class", Width: 40, Key: true}, {Title: "Where", Width: 17},
		{Title: "Evaluated", Width: 17, Right: true}, {Title: "Hits", Width: 12, Right: true}, {Title: "Watched", Width: 16, Right: true}, {Title: "Redacted", Width: 16, Right: true}, {Title: "Blocked", Width: 15, Right: true},
		{Title: "Not run", Width: 14, Right: true}, {Title: "Evidence", Width: 22}},
		Note: render.T("Evaluated and hits count prompts and answers. Not run is neither a hit nor clear: nothing is known of those texts. The injection guard is a heuristic. A hit can hold several classes.")}
	for _, g := range b.in.Guards {
		name := render.T(guardName(g.Guard))
		if g.Class != "" {
			name = render.T("\u00A0\u00A0\u00A0", render.Muted(className(g.Class)))
		}
		t.Rows = append(t.Rows, render.TableRow{Cells: []render.Text{name, render.T(g.Phase), known(g.Evaluated, g.Class == ""), render.T(count(g.Hits)),
			render.T(count(g.Monitored)), render.T(count(g.Redacted)), render.T(count(g.Blocked)), known(g.NotRun, g.Class == ""), b.cited(2, g.Cites)}})
	}
	return append(out, t)
}

// hitsFigure shows hits by data class, with how many texts were looked at.
func (b *builder) hitsFigure() render.Block {
	c := &render.Columns{Unit: "Hits", Series: []string{"In prompts", "In answers"}}
	at := map[string]int{}
	looked := map[string]int64{}
	var prompts, answers int64
	for _, g := range b.in.Guards {
		if g.Class == "" {
			looked[g.Guard] = g.Evaluated
			continue
		}
		i, ok := at[g.Class]
		if !ok {
			i = len(c.Slots)
			at[g.Class] = i
			c.Slots = append(c.Slots, render.ColumnsSlot{Label: className(g.Class), Values: []float64{0, 0}})
		}
		if g.Phase == "answer" {
			c.Slots[i].Values[1] += float64(g.Hits)
			answers += g.Hits
		} else {
			c.Slots[i].Values[0] += float64(g.Hits)
			prompts += g.Hits
		}
		c.Slots[i].Note = []string{count(int64(c.Slots[i].Values[0] + c.Slots[i].Values[1])), "of " + count(looked[g.Guard])}
	}
	if len(c.Slots) == 0 {
		return nil
	}
	claim := fmt.Sprintf("Guards had %s in prompts and %s in answers", plural(prompts, "hit"), count(answers))
	return &render.Figure{Claim: claim, Alt: claim + ". Columns of hits by data class.", Chart: render.Chart{Columns: c},
		Source: render.T("Under each column: hits, and how many texts the guard of that class evaluated. A class without a column had no hit; that proves no absence.")}
}

var guardNames = map[string]string{"pii": "Personal data", "secrets": "Secrets", "injection": "Injection (heuristic)"}

func guardName(guard string) string {
	if n, ok := guardNames[guard]; ok {
		return n
	}
	return guard
}

var classNames = map[string]string{"email": "e-mail", "card": "payment card", "iban": "IBAN", "ssn": "SSN", "ip": "IP address", "aws_key": "AWS key", "override": "override", "extraction": "extraction", "jailbreak": "jailbreak"}

// className is a data class in words.
func className(class string) string {
	if n, ok := classNames[class]; ok {
		return n
	}
	return words(class)
}

func known(n int64, is bool) render.Text {
	if !is {
		return render.T(render.Muted("–"))
	}
	return render.T(count(n))
}

// refused is the section on calls turned away and budgets.
func (b *builder) refused() render.Blocks {
	out := render.Blocks{&render.Heading{Level: 2, Key: "refused", Title: "Refusals and budgets"}}
	if len(b.in.Refusals) == 0 {
		out = append(out, &render.Paragraph{Text: render.T("No refusal is recorded in the period.")})
	} else {
		t := &render.Table{Caption: "Calls refused, by code", Columns: []render.Column{{Title: "Code", Width: 40, Mono: true}, {Title: "What it means", Width: 70}, {Title: "Calls", Width: 18, Right: true}, {Title: "Evidence", Width: 38}}}
		for _, r := range b.in.Refusals {
			t.Rows = append(t.Rows, render.TableRow{Cells: []render.Text{render.T(r.Code), render.T(sentence(refusalWords(r.Code))), render.T(count(r.Count)), b.cited(3, r.Cites)}})
		}
		out = append(out, t)
	}
	if len(b.in.Budgets) == 0 {
		return append(out, &render.Paragraph{Text: render.T("No budget covers this subject.")})
	}
	t := &render.Table{Caption: "Budgets", Columns: []render.Column{{Title: "Budget", Width: 36, Key: true}, {Title: "Scope", Width: 40}, {Title: "Window", Width: 18},
		{Title: "Limit", Width: 22, Right: true}, {Title: "Charged", Width: 26, Right: true}, {Title: "Overspend", Width: 22, Right: true}, {Title: "Evidence", Width: 20}}}
	for _, x := range b.in.Budgets {
		scope := x.Scope
		if x.Target != "" {
			scope += " " + x.Target
		}
		t.Rows = append(t.Rows, render.TableRow{Cells: []render.Text{render.T(x.ID), render.T(scope), render.T(x.Window), render.T(x.Limit.String()), render.T(x.Charged.String()),
			render.T(x.Over.String()), b.cited(1, x.Cites)}})
	}
	return append(out, t)
}

var refusals = map[string]string{
	"system_unapproved": "the system had no valid approval", "system_unregistered": "the key belongs to no registered system", "system_retired": "the system is retired", "system_suspended": "the system was suspended",
	"system_prohibited": "the system's class is prohibited", "approval_expired": "the approval had run out", "key_revoked": "the key was revoked", "key_expired": "the key had run out", "key_unknown": "no valid key",
	"model_not_allowed": "the model is not allowed for the system", "model_unknown": "no route leads to the model", "model_unpriced": "the model has no price", "policy_denied": "a policy said no", "guard_blocked": "a guard blocked the prompt",
	"budget_exceeded": "a budget was used up", "rate_limited": "too many calls in a minute", "concurrency_limited": "too many calls at once", "ledger_unavailable": "the ledger could not record",
}

// refusalWords say what a code means; a code without words stands for itself.
func refusalWords(code string) string {
	if w, ok := refusals[code]; ok {
		return w
	}
	return words(code)
}

// uptime is the section on whether the collector was there.
func (b *builder) uptime() render.Blocks {
	out := render.Blocks{&render.Heading{Level: 2, Key: "uptime", Title: "Collector and ledger"}, &render.Paragraph{Text: b.collector()}}
	if len(b.in.Outages) == 0 {
		return append(out, &render.Paragraph{Text: render.T("No outage of the ledger is recorded in the period. While the ledger cannot write, calls are refused and not served unrecorded.")})
	}
	t := &render.Table{Caption: "Times in which the ledger could not write", Columns: []render.Column{{Title: "From", Width: 42}, {Title: "To", Width: 42}, {Title: "Calls turned away", Width: 30, Right: true}, {Title: "Cause", Width: 27}, {Title: "Evidence", Width: 25}}}
	for _, o := range b.in.Outages {
		t.Rows = append(t.Rows, render.TableRow{Cells: []render.Text{render.T(stamp(o.From)), render.T(stamp(o.To)), render.T(count(o.Turned)), render.T(o.Cause), b.cited(1, o.Cites)}})
	}
	return append(out, t)
}

// collector says in how many hours the ledger ran.
func (b *builder) collector() render.Text {
	c := b.in.Collector
	if c.Marks == 0 {
		return render.T("No mark of an hour is recorded in the period: whether the collector ran is unknown.")
	}
	hours := int(c.Last.Sub(c.First)/time.Hour) + 1
	text := render.T(fmt.Sprintf("The ledger marks each hour in which it runs, also an idle one. Between %s and %s it marked %d of %d hours", stamp(c.First), stamp(c.Last), c.Marks, hours))
	if c.Marks < hours {
		text = append(text, render.T("; the others are unknown, not idle")...)
	}
	if b.doc.From.Before(c.First) {
		text = append(text, render.T(". Before that nothing of the period is recorded")...)
	}
	return append(text, render.T(". ", b.cited(2, c.Cites))...)
}

// changeLog is the section on what people changed.
func (b *builder) changeLog() render.Blocks {
	out := render.Blocks{&render.Heading{Level: 2, Key: "changes", Title: "Changes in the period"}}
	if len(b.in.Changes) == 0 {
		return append(out, &render.Paragraph{Text: render.T("No change of the register or of policy that concerns this subject is recorded in the period.")})
	}
	t := &render.Table{Caption: "Changes of register and policy", Columns: []render.Column{{Title: "When (UTC)", Width: 28}, {Title: "Change", Width: 38, Key: true}, {Title: "Object", Width: 36},
		{Title: "By", Width: 44}, {Title: "Evidence", Width: 20}},
		Note: render.T("Imported: declared in the configuration file, a statement of its author and not a second person's signature. The ledger holds account ids; names are those of the register at the checkpoint.")}
	for _, c := range b.in.Changes {
		by := render.T(c.Actor)
		if c.Approver != "" && c.Approver != c.Actor {
			by = append(by, render.T(", approved by "+c.Approver)...)
		}
		if c.Imported {
			by = append(by, render.T(" ", render.Muted("(imported)"))...)
		}
		t.Rows = append(t.Rows, render.TableRow{Cells: []render.Text{render.T(c.At.UTC().Format("2006-01-02\u00A015:04")), render.T(sentence(words(c.Kind))), render.T(c.Object), by, b.cited(1, c.Cites)}})
	}
	return append(out, t)
}

// models is the table of what was declared and what was seen.
func (b *builder) models(caption string) render.Blocks {
	if len(b.in.Models) == 0 {
		return render.Blocks{&render.Paragraph{Text: render.T("No model is declared and none was observed.")}}
	}
	t := &render.Table{Caption: caption, Columns: []render.Column{{Title: "Asked for", Width: 28, Key: true}, {Title: "Provider", Width: 22}, {Title: "Declared", Width: 30, Mono: true},
		{Title: "Served", Width: 34, Mono: true}, {Title: "Calls", Width: 14, Right: true}, {Title: "Comparison", Width: 25}, {Title: "Evidence", Width: 16}},
		Note: render.T("Served is the name that the provider gave in its answer. A region is what the endpoint claims.")}
	for _, m := range b.in.Models {
		provider := m.Provider
		if m.Simulated && provider != "simulated" {
			provider += " (simulated)"
		}
		t.Rows = append(t.Rows, render.TableRow{Cells: []render.Text{render.T(m.Alias), render.T(provider), orMuted(m.Declared, "not declared"), orMuted(m.Served, "never seen"),
			render.T(count(m.Calls)), render.T(render.Chip(m.comparison())), b.cited(1, m.Cites)}})
	}
	return render.Blocks{t}
}

// comparison sets what was declared against what was seen.
func (m Model) comparison() render.Status {
	switch {
	case m.Served == "":
		return render.Unobserved
	case m.Declared == "":
		return render.Undeclared
	case m.Declared == m.Served:
		return render.Agrees
	}
	return render.Differs
}

func orMuted(value, none string) render.Text {
	if value == "" {
		return render.T(render.Muted(none))
	}
	return render.T(value)
}
