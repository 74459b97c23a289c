package reports

import (
	"fmt"
	"slices"
	"strings"

	"plumbline/frameworks"
	"plumbline/reports/render"
)

// states in the order of bars and counts.
var states = []render.Status{render.Satisfied, render.Partial, render.NotSatisfied, render.NoEvidence, render.NotYet, render.NotApplicable}

// tally counts controls by result. A state that this version does not know counts
// as no evidence: unknown is never a pass.
type tally map[render.Status]int

func tallyOf(controls []Control) tally {
	t := tally{}
	for _, c := range controls {
		t[c.result()]++
	}
	return t
}

func stateOf(c Control) render.Status {
	for _, s := range states {
		if c.State == s {
			return s
		}
	}
	return render.NoEvidence
}

// result is the state as documents print it. A control that is not yet applicable
// is judged for readiness: as if its date, which is printed grey, had come.
func (c Control) result() render.Status {
	if c.State != render.NotYet || c.Readiness == "" {
		return stateOf(c)
	}
	c.State = c.Readiness
	return stateOf(c)
}

// reason says why the result is what it is.
func (c Control) reason() string {
	if c.State == render.NotYet && c.ReadinessWhy != "" {
		return c.ReadinessWhy
	}
	return c.Why
}

// ahead reports whether the control's date lies ahead.
func (c Control) ahead() bool { return c.State == render.NotYet }

// applicable is how many controls apply, now or later.
func (t tally) applicable() int {
	return t[render.Satisfied] + t[render.Partial] + t[render.NotSatisfied] + t[render.NoEvidence] + t[render.NotYet]
}

// Audit builds an audit report of one system against one framework
// (ISO 19011:2018 6.5.1; ISO/IEC 42001 6.1.3 and 9.2).
func Audit(in Inputs) *render.Doc {
	b := begin(in, KindAudit)
	name := b.subject()
	b.doc.Title = strings.TrimSpace(in.Framework.Title + " audit report")
	b.doc.Cover = []render.Fact{{Label: "System", Lines: []string{name, b.systemVersion()}}, {Label: "Criteria", Lines: []string{in.Framework.Title, in.Framework.Version}},
		{Label: "Period", Lines: []string{day(b.doc.From) + " to", day(b.doc.To)}}, {Label: "Document", Lines: []string{fmt.Sprintf("%s, revision %d", in.ID, in.Number), "Issued " + day(in.IssuedAt)}}}
	front := b.control("Changes since the previous issue")
	b.doc.Parts = append(b.doc.Parts, render.Part{Key: "control", Title: "Document control", Unnumbered: true, NewPage: true, Blocks: front},
		render.Part{Key: "contents", Title: "Contents", Unnumbered: true, NewPage: true, Blocks: render.Blocks{&render.Contents{}}})
	findings := b.findings()
	b.doc.Parts = append(b.doc.Parts, render.Part{Key: "summary", Title: "Executive summary", NewPage: true, Blocks: b.summary(findings)})
	b.part("scope", "Objectives, scope and method", b.scope()...)
	b.part("findings", "Findings", b.findingsPart(findings)...)
	b.part("matrix", "Control matrix", b.matrix()...)
	b.part("tests", "Runtime tests", b.tests()...)
	b.part("people", "Evidence of people", b.people()...)
	if details := b.details(); len(details) > 0 {
		b.doc.Parts = append(b.doc.Parts, render.Part{Key: "details", Title: "Controls in detail", NewPage: true, Blocks: details})
	}
	b.part("runtime", "Runtime annex", b.runtime()...)
	if strings.Contains(in.Framework.ID, "42001") {
		b.part("soa", "Statement of applicability", b.applicability()...)
	}
	b.part("open", "Open points", b.open()...)
	return b.close("A result ahead of its date of application is a readiness result.",
		"No control is satisfied by runtime evidence alone in this version: no anchor outside the operator's control and no invoice feed are connected.")
}

func (b *builder) subject() string {
	if s := b.in.System; s != nil {
		b.doc.Subtitle = s.Name
		b.doc.Subject = fmt.Sprintf("%s (%s)", s.Name, b.systemVersion())
		return s.Name
	}
	b.doc.Subtitle, b.doc.Subject = "System unknown", "System unknown"
	return b.doc.Subtitle
}

func (b *builder) systemVersion() string {
	if s := b.in.System; s != nil {
		return fmt.Sprintf("%s, version %d of the register entry", s.ID, s.Version)
	}
	return "unknown"
}

func (b *builder) summary(findings []render.Finding) render.Blocks {
	t := tallyOf(b.in.Controls)
	grades := map[string]int{}
	for _, f := range findings {
		grades[f.Grade]++
	}
	ahead := 0
	for _, c := range b.in.Controls {
		if c.ahead() {
			ahead++
		}
	}
	n := t.applicable()
	lede := fmt.Sprintf("Of %d applicable controls, %s satisfied, %d partially and %d not; %s no evidence.", n, is(t[render.Satisfied]), t[render.Partial], t[render.NotSatisfied], have(t[render.NoEvidence]))
	if ahead > 0 {
		lede += fmt.Sprintf(" %s in force today; %d apply later and are assessed here for readiness.", is(n-ahead), ahead)
	}
	if len(b.in.Controls) == 0 {
		lede = "No control was assessed: nothing can be concluded about this system."
	}
	u := total(b.in.Usage)
	scope := fmt.Sprintf("%d in force, %d ahead of date; %d more not applicable", n-ahead, ahead, t[render.NotApplicable])
	if ahead == 0 {
		scope = fmt.Sprintf("%d not applicable", t[render.NotApplicable])
	}
	return render.Blocks{
		&render.Lede{Text: render.T(lede)},
		&render.Stats{Items: []render.Stat{
			{Label: "Controls applicable", Value: count(n), Note: scope},
			{Label: "Satisfied", Value: share(int64(t[render.Satisfied]), int64(n)), Note: fmt.Sprintf("%d of %d; no evidence is never a pass", t[render.Satisfied], n)},
			{Label: "Findings", Value: count(len(findings)), Note: fmt.Sprintf("%d major, %d minor, %s", grades["major"], grades["minor"], plural(int64(grades["observation"]), "observation"))},
			{Label: "Exchanges in the period", Value: count(u.Exchanges), Note: b.simulatedNote()}}},
		&render.Heading{Level: 2, Title: "Conclusion"},
		&render.Paragraph{Text: b.conclusion(t, findings)},
		&render.Heading{Level: 2, Title: "Degree to which the criteria are fulfilled"},
		b.coverage(t),
	}
}

// is and have agree with a number.
func is(n int) string {
	if n == 1 {
		return "1 is"
	}
	return fmt.Sprintf("%d are", n)
}

func have(n int) string {
	if n == 1 {
		return "1 has"
	}
	return fmt.Sprintf("%d have", n)
}

func (b *builder) simulatedNote() string {
	if b.in.Simulated {
		return "some or all answered by the simulated provider"
	}
	return "recorded in the ledger"
}

// conclusion says in words what the figures say; it never grades an unknown.
func (b *builder) conclusion(t tally, findings []render.Finding) render.Text {
	if len(b.in.Controls) == 0 {
		return render.T("There is no result to conclude from.")
	}
	out := render.T()
	switch {
	case t[render.NotSatisfied] > 0:
		out = append(out, render.T(fmt.Sprintf("The criteria are not met: %s not satisfied. ", is(t[render.NotSatisfied])))...)
	case t[render.Partial]+t[render.NoEvidence] > 0:
		out = append(out, render.T("No control failed, and the criteria are not shown to be met: for the controls that are partially satisfied or without evidence something is still missing. ")...)
	default:
		out = append(out, render.T("Every applicable control is satisfied by the evidence cited. ")...)
	}
	if t[render.NoEvidence] > 0 {
		out = append(out, render.T(fmt.Sprintf("%s no evidence; most wait for a person, as ", have(t[render.NoEvidence])), render.Ref("open", ""), " lists. ")...)
	}
	for _, c := range b.in.Controls {
		if c.Contradicted {
			out = append(out, render.T("What people claim for "+c.ID+" is contradicted by what was recorded. ")...)
			break
		}
	}
	if len(findings) > 0 {
		out = append(out, render.T("The gravest finding is ", render.Ref(findings[0].ID, findings[0].ID), ": ", lower(findings[0].Title), ". ")...)
	}
	return append(out, render.T("The conclusion rests on the records cited and on what people attached; ", render.Ref("limitations", ""), " says what it cannot show.")...)
}

// coverage is the figure of states by section.
func (b *builder) coverage(t tally) render.Block {
	shown := slices.DeleteFunc(slices.Clone(states), func(s render.Status) bool { return t[s] == 0 && (s == render.NotYet || s == render.NotApplicable) })
	bars := &render.Bars{Statuses: shown}
	at := map[string]int{}
	for _, c := range b.in.Controls {
		section := chapterOf(c.Section)
		i, ok := at[section]
		if !ok {
			i = len(bars.Rows)
			at[section] = i
			bars.Rows = append(bars.Rows, render.BarRow{Label: section, Counts: make([]int, len(shown))})
		}
		for k, s := range shown {
			if c.result() == s {
				bars.Rows[i].Counts[k]++
			}
		}
	}
	if len(bars.Rows) == 0 {
		return &render.Paragraph{Text: render.T("No control was assessed.")}
	}
	are := "are"
	if t[render.Satisfied] == 1 {
		are = "is"
	}
	claim := fmt.Sprintf("%d of %d applicable controls %s satisfied; %s no evidence", t[render.Satisfied], t.applicable(), are, have(t[render.NoEvidence]))
	return &render.Figure{Claim: claim, Alt: claim + ". Stacked bars of controls by state and section.", Chart: render.Chart{Bars: bars},
		Source: render.T(fmt.Sprintf("Number of controls by result, %d in the catalogue. Source: control matrix, ", len(b.in.Controls)), render.Ref("matrix", ""), ".")}
}

// chapters of the EU AI Act by their first article: a bar for each article would
// not fit on a page.
var chapters = []struct {
	from  int
	title string
}{{1, "I  General provisions"}, {5, "II  Prohibited practices"}, {6, "III, Section 1  Classification"}, {8, "III, Section 2  Requirements"},
	{16, "III, Section 3  Providers, deployers, others"}, {40, "III, Section 5  Conformity, registration"}, {50, "IV  Transparency"}, {51, "V  General-purpose AI models"},
	{57, "VI  Real-world testing"}, {72, "IX  Monitoring, incidents, rights"}, {95, "X  Codes of conduct"}}

// functions of the AI RMF, by which its categories are counted.
var functions = []string{"GOVERN", "MAP", "MEASURE", "MANAGE"}

// chapterOf is the section itself, the function of a category or the chapter of an
// article.
func chapterOf(section string) string {
	for _, f := range functions {
		if strings.HasPrefix(section, f+" ") {
			return f
		}
	}
	var article int
	if _, err := fmt.Sscanf(section, "Art. %d", &article); err != nil {
		if section == "" {
			return "Controls"
		}
		return section
	}
	title := section
	for _, c := range chapters {
		if article >= c.from {
			title = c.title
		}
	}
	return title
}

// team says who audited, and claims no review that nobody is named for.
func (b *builder) team() string {
	switch {
	case b.in.Reviewer != "" && b.in.Approver != "":
		return "Computed by the assessment engine; reviewed and approved by the persons named in document control."
	case b.in.Reviewer != "":
		return "Computed by the assessment engine; reviewed by the person named in document control. Nobody is named who approved it."
	case b.in.Approver != "":
		return "Computed by the assessment engine; approved by the person named in document control. Nobody is named who reviewed it."
	}
	return "Computed by the assessment engine. Nobody is named who reviewed or approved it."
}

// scope is what the audit set out to do (ISO 19011:2018 6.5.1 a to f).
func (b *builder) scope() render.Blocks {
	s := b.in.System
	owner, contact, purpose, class, roles := "", "", "", "unclassified", ""
	if s != nil {
		owner, contact, purpose = s.Owner, s.OwnerContact, s.Purpose
		if s.RiskClass != "" {
			class = frameworks.ClassName(string(s.RiskClass))
		}
		for i, r := range s.Roles {
			if i > 0 {
				roles += ", "
			}
			roles += frameworks.RoleName(string(r))
		}
	}
	if contact != "" && owner != "" {
		owner += ", " + contact
	}
	return render.Blocks{
		&render.Heading{Level: 2, Title: "Objectives and scope"},
		&render.KeyValue{Rows: []render.Row{
			{Label: "Objectives", Value: render.T("To determine how far the system meets the criteria, from all recorded evidence of its use and from evidence that people attached.")},
			{Label: "Organisation", Value: render.T(b.in.OrgName)},
			{Label: "System", Value: render.T(b.doc.Subject, " ", b.cited(1, b.in.SystemAt))},
			b.row("Purpose", purpose, "system owner"),
			{Label: "Risk class", Value: render.T(class, b.riskBy())},
			b.row("Roles under the Act", roles, "compliance officer"),
			b.row("Audit client", b.in.Contact, "compliance officer"),
			b.row("Auditee", owner, "system owner"),
			{Label: "Audit team", Value: render.T(b.team())},
			{Label: "Dates and places", Value: render.T("Evidence window ", stamp(b.doc.From), " to ", stamp(b.doc.To), "; remote, from the ledger.")},
			{Label: "Criteria", Value: render.T(b.in.Framework.Title, ", ", b.in.Framework.Version, ", catalogue ", render.Code(short(b.in.Framework.Hash)))},
		}},
		&render.Heading{Level: 2, Title: "Method and sampling"},
		&render.Paragraph{Text: render.T("Every runtime test is a saved query over ", render.Strong("all"), " evidence of the system in its window, so nothing was sampled from the ledger: population and range of leaves stand beside each test in ", render.Ref("tests", ""), ". There is no seed and no sample list. Human evidence was taken as attached, with its author and its approver; its content was not sampled. Auditing rests on the information available: what was never recorded was not seen.")},
		&render.Paragraph{Text: render.T("A control's state follows from its tests and from human evidence in a fixed order. A failed test cannot be raised by a person; a missing one is no evidence. A control whose date of application lies ahead is not yet applicable: its date is printed grey, and the result beside it is a readiness result, computed as if the date had come.")},
		&render.Heading{Level: 2, Title: "Conduct of the audit"},
		&render.KeyValue{Rows: []render.Row{
			{Label: "Plan and obstacles", Value: render.T("By the schedule of the product; obstacles are the outages in ", render.Ref("uptime", ""), ".")},
			{Label: "Areas not covered", Value: render.T("Traffic outside the gateway, development before deployment, and every control listed with no evidence in ", render.Ref("open", ""), ".")},
			{Label: "Diverging opinions", Value: render.T("None is recorded. The product has no register of diverging opinions yet: whether there are any is unknown.")},
			{Label: "Good practice", Value: render.T("Not graded: the engine proposes findings only.")},
			{Label: "Follow-up plan", Value: b.needText("Follow-up plan", b.followUp(), "compliance officer")},
			{Label: "Next audits", Value: render.T("The next revision compares itself with this one, figure by figure.")},
		}},
	}
}

// followUp counts the corrective actions that people planned.
func (b *builder) followUp() render.Text {
	n, accepted := 0, 0
	for _, c := range b.in.Controls {
		if c.Plan != nil && c.Plan.State != "rejected" {
			n++
			if c.Plan.Approver != "" {
				accepted++
			}
		}
	}
	if n == 0 {
		return nil
	}
	return render.T(fmt.Sprintf("Corrective actions with owner and date are planned for %d controls, %d accepted by a second person; they stand with the findings in ", n, accepted), render.Ref("findings", ""), ".")
}

func (b *builder) riskBy() string {
	s := b.in.System
	if s == nil || s.RiskBy == "" {
		return ", set by: unknown"
	}
	out := ", set by " + s.RiskBy
	if !s.RiskAt.IsZero() {
		out += " on " + day(s.RiskAt)
	}
	if s.RiskReason != "" {
		out += ": " + s.RiskReason
	}
	return out
}

func (b *builder) runtime() render.Blocks {
	var out render.Blocks
	for _, blocks := range []render.Blocks{b.traffic(), {&render.Heading{Level: 2, Key: "models", Title: "Models declared and observed"}}, b.models("Models declared for the system and models served to it"),
		b.guards(), b.refused(), b.uptime(), b.changeLog()} {
		out = append(out, blocks...)
	}
	return out
}
