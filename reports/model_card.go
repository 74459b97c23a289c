package reports

import (
	"fmt"
	"strings"
	"time"

	"plumbline/frameworks"
	"plumbline/reports/render"
)

// ModelCard builds a card of the models behind one system: what is declared
// beside what was observed in production.
func ModelCard(in Inputs) *render.Doc {
	b := begin(in, KindModelCard)
	b.doc.Compact = true
	name := b.subject()
	b.doc.Title = b.modelTitle()
	b.doc.Subtitle = "Models behind " + name
	if in.Simulated {
		b.doc.Subtitle += ". Served by the simulated provider, in whole or in part: such figures are from the simulation."
	}
	b.part("identity", "Identity and description", b.identity()...)
	b.part("observed", "Declared and observed", b.declaredObserved()...)
	b.part("production", "Observed in production", append(b.traffic(), append(b.guards(), b.refused()...)...)...)
	b.part("use", "Use", b.use()...)
	b.part("data", "Parameters, data and evaluation", b.training()...)
	b.part("risks", "Limits, ethics and safety", b.risks()...)
	b.part("control", "Document control", b.control("Changes since the previous issue")...)
	doc := b.close("What a supplier declares about training data, architecture and evaluation was not checked here.",
		"Languages and tools of the calls are not recorded in this version: unknown.")
	doc.Lead = render.Blocks{b.figures()}
	return doc
}

// modelTitle is the one model's name, or says how many there are.
func (b *builder) modelTitle() string {
	names := map[string]bool{}
	title := ""
	for _, m := range b.in.Models {
		n := m.Served
		if n == "" {
			n = m.Declared
		}
		if n != "" && !names[n] {
			names[n] = true
			title = n
		}
	}
	if len(names) == 1 {
		return title
	}
	if b.in.System != nil && len(names) > 1 {
		return fmt.Sprintf("%s: %d models", b.in.System.Name, len(names))
	}
	return "Model card: no model known"
}

// figures open the card. Completeness is known when everything else is built.
func (b *builder) figures() render.Block {
	in, c := b.in, b.doc.Completeness
	u := total(in.Usage)
	same, compared := 0, 0
	for _, m := range in.Models {
		switch m.comparison() {
		case render.Agrees:
			same++
			compared++
		case render.Differs, render.Undeclared:
			compared++
		}
	}
	return &render.Stats{Items: []render.Stat{
		{Label: "Completeness", Value: fmt.Sprintf("%d%%", c.Percent()), Note: fmt.Sprintf("%d of %d required fields; the limitations name the rest", c.Provided, c.Required)},
		{Label: "Calls observed", Value: count(u.Exchanges), Note: span(b.doc.From, b.doc.To)},
		{Label: "Declared = observed", Value: fmt.Sprintf("%d of %d", same, compared), Note: "models that were seen; the rest is unknown"},
		{Label: "Failed or cut", Value: share(u.Failed, u.Exchanges-u.Refused), Note: fmt.Sprintf("%s of %s sent", count(u.Failed), count(u.Exchanges-u.Refused))}}}
}

func (b *builder) identity() render.Blocks {
	in := b.in
	var suppliers, aliases []string
	for _, m := range in.Models {
		v := m.Vendor
		if v == "" {
			v = m.Provider
		}
		suppliers, aliases = appendOnce(suppliers, vendorName(v, m.Simulated)), appendOnce(aliases, m.Alias)
	}
	owner, contact, license := "", "", ""
	if s := in.System; s != nil {
		owner, contact = s.Owner, s.OwnerContact
	}
	return render.Blocks{
		&render.KeyValue{Rows: []render.Row{
			{Label: "Document", Value: render.T(in.ID, fmt.Sprintf(", revision %d, ", in.Number), render.Strong("issued"), " ", stamp(in.IssuedAt), ". Data as of ", stamp(b.doc.AsOf))},
			{Label: "Used by", Value: render.T(b.doc.Subject, ", ", b.classText(), " ", b.cited(1, in.SystemAt))},
			b.row("Overview", b.overview(), "system owner"),
			b.row("Names in use", strings.Join(aliases, ", "), "system owner"),
			b.row("Supplier", strings.Join(suppliers, ", "), "vendor manager"),
			b.row("Owner", owner, "system owner"),
			b.row("Contact", contact, "system owner"),
			b.row("Version and date of release", "", "model supplier"),
			b.row("Base model", "", "model supplier"),
			b.row("Licence", license, "vendor manager"),
			b.row("References and citation", "", "model supplier"),
			b.row("Task and modality", b.modality(), "system owner"),
			b.row("Languages", "", "system owner"),
			b.row("Type and architecture of the model", "", "model supplier"),
			b.row("Autonomy", b.oversight(), "system owner"),
		}}}
}

func (b *builder) classText() string {
	if b.in.System == nil || b.in.System.RiskClass == "" {
		return "risk class unclassified"
	}
	return "risk class: " + frameworks.ClassName(string(b.in.System.RiskClass))
}

// overview says in a sentence what the models are used for.
func (b *builder) overview() string {
	if b.in.System == nil || b.in.System.Purpose == "" {
		return ""
	}
	return "Used by " + b.in.System.Name + ": " + lower(b.in.System.Purpose)
}

// modality says what kinds of calls were made, and no more: what they carried is
// not on record.
func (b *builder) modality() string {
	if len(b.in.Endpoints) == 0 {
		return ""
	}
	var calls []string
	for _, e := range b.in.Endpoints {
		calls = append(calls, e.Name+" ("+plural(e.Calls, "call")+")")
	}
	return "As called at the gateway: " + strings.Join(calls, ", ")
}

// carried is what those calls take and give.
func (b *builder) carried() string {
	if len(b.in.Endpoints) == 0 {
		return ""
	}
	return "What these kinds of calls carry; text, pictures and sound are not told apart on record"
}

func (b *builder) oversight() string {
	if b.in.System == nil {
		return ""
	}
	return b.in.System.Oversight
}

func appendOnce(list []string, s string) []string {
	for _, x := range list {
		if x == s {
			return list
		}
	}
	if s == "" {
		return list
	}
	return append(list, s)
}

// declaredObserved is a table of properties for each model.
func (b *builder) declaredObserved() render.Blocks {
	out := render.Blocks{&render.Paragraph{Text: render.T("Declared values come from the register; observed values from every exchange in the period. A filled diamond marks a difference. What was never declared or never seen says so: neither agrees.")}}
	if len(b.in.Models) == 0 {
		return append(out, &render.Paragraph{Text: render.T("No model is declared and none was observed.")})
	}
	t := &render.Table{Caption: "Declared against observed", Columns: []render.Column{{Title: "Property", Width: 34, Key: true}, {Title: "Declared", Width: 38}, {Title: "Observed in production", Width: 48}, {Title: "Comparison", Width: 26}, {Title: "Evidence", Width: 20}}}
	for _, m := range b.in.Models {
		title := m.Alias + " at " + m.Provider
		if m.Simulated {
			title += " (simulated provider)"
		}
		t.Rows = append(t.Rows, render.TableRow{Group: title})
		t.Rows = append(t.Rows, b.modelRows(m)...)
	}
	return append(out, t)
}

func (b *builder) modelRows(m Model) []render.TableRow {
	cites := b.cited(2, m.Cites)
	row := func(property, declared string, observed string, s render.Status) render.TableRow {
		return render.TableRow{Cells: []render.Text{render.T(property), orMuted(declared, "not declared"), orMuted(observed, "not observed"), render.T(render.Chip(s)), cites}}
	}
	region := render.Undeclared
	switch {
	case m.Calls == 0:
		region = render.Unobserved
	case m.DeclaredRegion != "" && m.DeclaredRegion == m.Region:
		region = render.Agrees
	case m.DeclaredRegion != "":
		region = render.Differs
	}
	only := render.Undeclared
	if m.Calls == 0 {
		only = render.Unobserved
	}
	seen, latency, errors, tokens, cost := "", "", "", "", ""
	if m.Calls > 0 {
		seen = stamp(m.FirstSeen) + " to " + stamp(m.LastSeen)
		errors = fmt.Sprintf("%s (%s of %s)", share(m.Errors, m.Calls), count(m.Errors), count(m.Calls))
		tokens = fmt.Sprintf("%s in, %s out", count(m.InputTokens), count(m.OutputTokens))
		cost = m.Cost.String()
		latency = "unknown"
		if m.P95 > 0 {
			latency = fmt.Sprintf("p50 %s, p95 %s", seconds(m.P50), seconds(m.P95))
		}
	}
	observedRegion := m.Region
	if observedRegion != "" {
		observedRegion += " (as the endpoint claims)"
	}
	if m.Calls == 0 {
		observedRegion = ""
	}
	if m.Calls == 0 {
		return []render.TableRow{row("Model id at the provider", m.Declared, m.Served, m.comparison())}
	}
	return []render.TableRow{
		row("Model id at the provider", m.Declared, m.Served, m.comparison()),
		row("First and last seen", "", seen, only),
		row("Calls", "", countIf(m.Calls), only),
		row("Region", m.DeclaredRegion, observedRegion, region),
		row("Latency", "", latency, only),
		row("Errors", "", errors, only),
		row("Languages", "", "unknown: not recorded by this version", render.Unobserved),
		row("Tools called", "", "unknown: not recorded by this version", render.Unobserved),
		row("Tokens", "", tokens, only),
		row("Charged", "", cost, only),
	}
}

func countIf(n int64) string {
	if n == 0 {
		return ""
	}
	return count(n)
}

func seconds(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.1f\u00A0ms", float64(d.Microseconds())/1000)
	}
	return fmt.Sprintf("%.2f\u00A0s", d.Seconds())
}

func (b *builder) use() render.Blocks {
	purpose, users, out, affected := "", "", "", ""
	if s := b.in.System; s != nil {
		purpose, users, out, affected = s.Purpose, s.Users, s.OutOfScope, s.Affected
	}
	return render.Blocks{&render.KeyValue{Rows: []render.Row{
		b.row("Direct use", purpose, "system owner"),
		b.row("Use cases", b.useCases(), "system owner"),
		b.row("Downstream use", "", "system owner"),
		b.row("Out of scope", out, "system owner"),
		b.row("Intended users", users, "system owner"),
		b.row("Persons affected", affected, "system owner"),
	}}}
}

// useCases is the use case of Annex III, where the system has one.
func (b *builder) useCases() string {
	if b.in.System == nil || b.in.System.AnnexIII == "" {
		return ""
	}
	return "Annex III of the EU AI Act, use case " + b.in.System.AnnexIII
}

func (b *builder) training() render.Blocks {
	return render.Blocks{&render.Paragraph{Text: render.T("What only the supplier knows is listed as not provided. The gateway sees calls, not training.")},
		&render.KeyValue{Rows: []render.Row{
			b.row("Learning approach", "", "model supplier"),
			b.row("Inputs and outputs", b.carried(), "system owner"),
			b.row("Formats", b.formats(), "system owner"),
			b.row("Hyperparameters", "", "model supplier"),
			b.row("Preprocessing", b.preprocessing(), "system owner"),
			b.row("Training data", "", "model supplier"),
			b.row("Evaluation data", "", "model supplier"),
			b.row("Collection, size and confidentiality of the data", "", "model supplier"),
			b.row("Sensitive data and anonymisation", "", "model supplier"),
			b.row("Known bias of the data", "", "model supplier"),
			b.row("Metrics by slice, with confidence interval", "", "system owner"),
			b.row("Decision threshold", "", "system owner"),
		}}}
}

func (b *builder) formats() string {
	var names []string
	for _, e := range b.in.Endpoints {
		names = append(names, e.Name)
	}
	if names == nil {
		return ""
	}
	return "Those of the calls named under task and modality: " + strings.Join(names, ", ")
}

// preprocessing is what the gateway does to a prompt before it is sent.
func (b *builder) preprocessing() string {
	var redacted []string
	for _, g := range b.in.Guards {
		if g.Class == "" && g.Redacted > 0 {
			redacted = append(redacted, lower(guardName(g.Guard)))
		}
	}
	if len(redacted) == 0 {
		return ""
	}
	return "The gateway redacted " + strings.Join(redacted, ", ") + " in prompts or answers, as the section on guardrails shows"
}

func (b *builder) risks() render.Blocks {
	limits := ""
	if s := b.in.System; s != nil {
		limits = s.Limitations
	}
	return render.Blocks{&render.KeyValue{Rows: []render.Row{
		b.row("Technical limitations and trade-offs", limits, "system owner"),
		b.row("Bias and risks", "", "system owner"),
		b.row("Recommendations", "", "system owner"),
		b.row("Ethical risks and mitigation", "", "system owner"),
		b.row("Groups at risk, harms and benefits", "", "system owner"),
		b.row("Explainability", "", "model supplier"),
		b.row("Safety assessment", "", "model supplier"),
		b.row("Standards complied with", "", "model supplier"),
		b.row("Energy, hardware and place of computing", "", "model supplier"),
	}}}
}
