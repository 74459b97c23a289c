package reports

import (
	"fmt"
	"slices"
	"strings"

	"plumbline/frameworks"
	"plumbline/reports/render"
)

// VendorRisk builds a report on a supplier of models: what it claims beside what
// was seen (ISO/IEC 42001 A.10.2 to A.10.4; NIST AI RMF GOVERN 6 and MANAGE 3).
func VendorRisk(in Inputs) *render.Doc {
	b := begin(in, KindVendorRisk)
	v := in.Vendor
	if v == nil {
		v = &Vendor{Name: in.Request.Vendor}
	}
	b.doc.Title = "Vendor-risk report"
	name := vendorName(v.Name, v.Simulated)
	b.doc.Subtitle, b.doc.Subject = name, name
	b.doc.Cover = []render.Fact{{Label: "Vendor", Lines: []string{b.doc.Subtitle}}, {Label: "Linked systems", Lines: []string{count(len(v.Systems))}},
		{Label: "Period", Lines: []string{day(b.doc.From) + " to", day(b.doc.To)}}, {Label: "Document", Lines: []string{fmt.Sprintf("%s, revision %d", in.ID, in.Number), "Issued " + day(in.IssuedAt)}}}
	b.doc.Parts = append(b.doc.Parts, render.Part{Key: "control", Title: "Document control", Unnumbered: true, NewPage: true, Blocks: b.control("Changes since the previous issue")},
		render.Part{Key: "contents", Title: "Contents", Unnumbered: true, NewPage: true, Blocks: render.Blocks{&render.Contents{}}})
	findings := b.vendorFindings(v)
	b.doc.Parts = append(b.doc.Parts, render.Part{Key: "summary", Title: "Summary", NewPage: true, Blocks: b.vendorSummary(v, findings)})
	b.part("profile", "Profile", b.vendorProfile(v)...)
	b.part("use", "Use", b.vendorUse(v)...)
	b.part("inherent", "Inherent risk", b.inherent(v)...)
	b.part("diligence", "Due diligence", b.diligence()...)
	b.part("observed", "Observed", b.vendorObserved(v)...)
	b.part("findings", "Findings and decision", b.vendorDecision(findings)...)
	return b.close("What a vendor claims was not checked with the vendor. No questionnaire was answered in this version.",
		"Concentration counts calls and charges that passed the gateway; use of this vendor outside it is unknown.")
}

// inText is a vendor's name within a sentence.
func inText(name string) string {
	if name == vendorName("", true) {
		return "the simulated provider"
	}
	return name
}

// vendorName says of whom it is told that it is no real supplier.
func vendorName(name string, simulated bool) string {
	switch {
	case !simulated:
		return name
	case name == "" || name == "simulated":
		return "Simulated provider"
	}
	return name + " (simulated provider)"
}

func (b *builder) vendorSummary(v *Vendor, findings []render.Finding) render.Blocks {
	failed := int64(0)
	for _, e := range v.Errors {
		failed += e.Count
	}
	lede := fmt.Sprintf("%s of the organisation's calls and %s of its charges in the period went to %s.", share(v.Calls, v.OrgCalls), share(int64(v.Cost), int64(v.OrgCost)), inText(b.doc.Subtitle))
	if v.OrgCalls == 0 {
		lede = "No call of the organisation is recorded in the period: how far it depends on this vendor is unknown."
	}
	if v.Simulated {
		lede += " This vendor is the simulated provider that is built into the product; it is no real supplier."
	}
	return render.Blocks{
		&render.Lede{Text: render.T(lede)},
		&render.Stats{Items: []render.Stat{
			{Label: "Calls", Value: count(v.Calls), Note: "of " + count(v.OrgCalls) + " in the organisation"},
			{Label: "Charged", Value: dollars(v.Cost), Note: "of " + dollars(v.OrgCost)},
			{Label: "Failed or cut", Value: share(failed, v.Calls), Note: fmt.Sprintf("%s of %s calls", count(failed), count(v.Calls))},
			{Label: "Findings", Value: count(len(findings)), Note: "claim against observation"}}},
		&render.Heading{Level: 2, Title: "Conclusion"},
		&render.Paragraph{Text: render.T("A residual risk is not scored: no questionnaire is answered, and an unanswered question is not a low risk. What was seen stands in ", render.Ref("observed", ""),
			"; what is missing in ", render.Ref("limitations", ""), ".")},
	}
}

func (b *builder) vendorProfile(v *Vendor) render.Blocks {
	var endpoints []string
	for _, p := range v.Providers {
		e := fmt.Sprintf("%s (%s)", p.ID, p.Kind)
		if p.Kind == "simulated" {
			e = string(p.ID) + ", built into the product"
		}
		if p.BaseURL != "" {
			e += ", " + p.BaseURL
		}
		endpoints = append(endpoints, e)
	}
	return render.Blocks{&render.KeyValue{Rows: []render.Row{
		b.row("Name in the register", v.Name, "vendor manager"),
		b.row("Legal name and country", "", "vendor manager"),
		b.row("Products and endpoints", strings.Join(endpoints, "; "), "vendor manager"),
		b.row("Contacts", "", "vendor manager"),
		b.row("Contract, term and notice", "", "vendor manager"),
		b.row("Governing law", "", "vendor manager"),
		b.row("Role under the AI Act", "", "vendor manager"),
		b.row("Parents and nth parties", "", "vendor manager"),
	}}}
}

func (b *builder) vendorUse(v *Vendor) render.Blocks {
	out := render.Blocks{}
	if len(v.Systems) == 0 {
		out = append(out, &render.Paragraph{Text: render.T("No AI system is linked with this vendor, by the register or by traffic.")})
	} else {
		t := &render.Table{Caption: "Linked AI systems", Columns: []render.Column{{Title: "System", Width: 38, Key: true}, {Title: "In the register", Width: 26}, {Title: "Keys", Width: 12, Right: true}, {Title: "Calls", Width: 14, Right: true},
			{Title: "Charged", Width: 24, Right: true}, {Title: "Models asked for", Width: 34, Mono: true}, {Title: "Evidence", Width: 18}},
			Note: render.T("In the register: whether the system's entry names this vendor. Use that is not declared stands under findings. Keys: in force at the checkpoint.")}
		for _, s := range v.Systems {
			name := s.Name
			if name == "" {
				name = "unregistered caller"
			}
			t.Rows = append(t.Rows, render.TableRow{Cells: []render.Text{render.T(name), render.T(render.Chip(s.comparison())), render.T(count(s.Keys)), render.T(count(s.Calls)), render.T(s.Cost.String()),
				orMuted(strings.Join(s.Models, ", "), "none"), b.cited(2, s.Cites)}})
		}
		out = append(out, t)
	}
	var data []string
	for _, s := range v.Systems {
		for _, d := range s.Data {
			data = appendOnce(data, words(d))
		}
	}
	return append(out, &render.KeyValue{Rows: []render.Row{
		b.row("Data categories sent, as declared", strings.Join(data, ", "), "system owner"),
		b.row("Criticality", "", "system owner"),
		b.row("Substitutability", "", "system owner"),
		b.row("Exit plan", "", "vendor manager"),
	}})
}

func (s VendorSystem) comparison() render.Status {
	switch {
	case !s.Declared:
		return render.Undeclared
	case s.Calls == 0:
		return render.Unobserved
	}
	return render.Agrees
}

// inherent lists the factors. What nobody answered stays open; there is no score.
func (b *builder) inherent(v *Vendor) render.Blocks {
	highest, pii, sent := "unknown", int64(0), int64(0)
	for _, s := range b.in.Systems {
		linked := slices.ContainsFunc(v.Systems, func(u VendorSystem) bool { return u.ID == s.ID })
		if linked && s.RiskClass != "" && (highest == "unknown" || strings.HasPrefix(string(s.RiskClass), "high")) {
			highest = frameworks.ClassName(string(s.RiskClass))
		}
	}
	for _, p := range v.PII {
		pii += p.Hits
		sent += p.Monitored
	}
	t := &render.Table{Caption: "Factors", Columns: []render.Column{{Title: "Factor", Width: 62, Key: true}, {Title: "Answer", Width: 74}, {Title: "From", Width: 30}}}
	add := func(factor, answer, from string) {
		t.Rows = append(t.Rows, render.TableRow{Cells: []render.Text{render.T(factor), orMuted(answer, "unanswered"), render.T(from)}})
	}
	add("Highest risk class of the systems that use it", highest, "register")
	add("Share of the organisation's calls", share(v.Calls, v.OrgCalls), "ledger")
	add("Share of the organisation's charges", share(int64(v.Cost), int64(v.OrgCost)), "ledger")
	add("Personal data found in prompts", fmt.Sprintf("hits of guards: %s; of them sent as found: %s", count(pii), count(sent)), "ledger")
	for _, q := range []string{"Data used for training", "Sub-processors", "Financial standing", "Access to production systems"} {
		add(q, "", "questionnaire")
	}
	return render.Blocks{t, &render.Paragraph{Text: render.T("Factors and weights belong to a questionnaire that nobody has answered: four factors are unanswered. No score is computed while they are: unknown is neither zero nor low risk.")}}
}

func (b *builder) diligence() render.Blocks {
	var rows []render.Row
	for _, q := range []string{"Training on customer data", "Retention and zero retention", "Residency", "Sub-processors", "Certifications with expiry", "Model provenance and notice of change",
		"Evaluation and red-team proof", "Bias", "Notice of incidents", "Indemnity and right to audit", "AI Act class and conformity papers", "Downstream documentation received (Art. 53(1)(b), Annex XII)"} {
		rows = append(rows, b.row(q, "", "vendor manager"))
	}
	return render.Blocks{&render.KeyValue{Rows: rows}}
}

func (b *builder) vendorObserved(v *Vendor) render.Blocks {
	out := render.Blocks{&render.Heading{Level: 2, Title: "Dependence"}, b.dependence(v)}
	out = append(out, b.traffic()...)
	out = append(out, &render.Heading{Level: 2, Title: "Models and versions seen"})
	out = append(out, b.models("Models of this vendor, declared and served")...)
	out = append(out, &render.Heading{Level: 2, Title: "Latency, region and errors"})
	t := &render.Table{Caption: "By model served", Columns: []render.Column{{Title: "Model", Width: 48, Mono: true}, {Title: "Region", Width: 30}, {Title: "p50", Width: 20, Right: true}, {Title: "p95", Width: 20, Right: true}, {Title: "Errors", Width: 30, Right: true}, {Title: "Seen until", Width: 34}}}
	for _, m := range b.in.Models {
		if m.Calls == 0 {
			continue
		}
		p50, p95 := "unknown", "unknown"
		if m.P95 > 0 {
			p50, p95 = seconds(m.P50), seconds(m.P95)
		}
		t.Rows = append(t.Rows, render.TableRow{Cells: []render.Text{orMuted(m.Served, "not named"), orMuted(m.Region, "not claimed"), render.T(p50), render.T(p95),
			render.T(fmt.Sprintf("%s of %s", count(m.Errors), count(m.Calls))), render.T(stamp(m.LastSeen))}})
	}
	if len(t.Rows) == 0 {
		out = append(out, &render.Paragraph{Text: render.T("No call to this vendor is recorded in the period: availability and latency are unknown.")})
	} else {
		out = append(out, t)
	}
	out = append(out, b.counts("Classes of upstream failures", "Class", v.Errors, "No upstream failure is recorded.")...)
	return append(out, b.vendorPII(v)...)
}

// dependence says how far the organisation hangs on this vendor.
func (b *builder) dependence(v *Vendor) render.Block {
	var failed, undeclared, changed int64
	for _, e := range v.Errors {
		failed += e.Count
	}
	for _, s := range v.Systems {
		if !s.Declared {
			undeclared += s.Calls
		}
	}
	for _, m := range b.in.Models {
		if m.comparison() == render.Differs {
			changed++
		}
	}
	claimed := "none claimed by the endpoints"
	var regions []string
	for _, m := range b.in.Models {
		regions = appendOnce(regions, m.Region)
	}
	if len(regions) > 0 {
		claimed = strings.Join(regions, ", ") + ", as the endpoints claim"
	}
	return &render.KeyValue{Rows: []render.Row{
		{Label: "Share of calls", Value: render.T(fmt.Sprintf("%s (%s of %s)", share(v.Calls, v.OrgCalls), count(v.Calls), count(v.OrgCalls)))},
		{Label: "Share of spend", Value: render.T(fmt.Sprintf("%s (%s of %s)", share(int64(v.Cost), int64(v.OrgCost)), v.Cost, v.OrgCost))},
		{Label: "Answered", Value: render.T(fmt.Sprintf("%s of calls sent (%s of %s)", share(v.Calls-failed, v.Calls), count(v.Calls-failed), count(v.Calls)))},
		{Label: "Version changes that nobody declared", Value: render.T(count(changed))},
		{Label: "Calls of systems that do not declare it", Value: render.T(count(undeclared))},
		{Label: "Regions", Value: render.T(claimed)},
	}}
}

// vendorPII is what guards found in prompts that went to the vendor.
func (b *builder) vendorPII(v *Vendor) render.Blocks {
	out := render.Blocks{&render.Heading{Level: 2, Title: "Personal data in prompts to this vendor"}}
	if len(v.PII) == 0 {
		return append(out, &render.Paragraph{Text: render.T("No hit is recorded. A guard that did not run found nothing: see ", render.Ref("limitations", ""), ".")})
	}
	t := &render.Table{Caption: "Classes that guards found in prompts", Columns: []render.Column{{Title: "Class", Width: 50, Key: true}, {Title: "Found", Width: 22, Right: true}, {Title: "Redacted", Width: 24, Right: true}, {Title: "Sent as found", Width: 28, Right: true}, {Title: "Evidence", Width: 42}},
		Note: render.T("Redacted: taken out before the prompt left the gateway. Sent as found: the guard only watched, as the system's profile says.")}
	for _, g := range v.PII {
		t.Rows = append(t.Rows, render.TableRow{Cells: []render.Text{render.T(className(g.Class)), render.T(count(g.Hits)), render.T(count(g.Redacted)), render.T(count(g.Monitored)), b.cited(2, g.Cites)}})
	}
	return append(out, t)
}

func (b *builder) counts(caption, title string, rows []Refusal, none string) render.Blocks {
	if len(rows) == 0 {
		return render.Blocks{&render.Paragraph{Text: render.T(none)}}
	}
	t := &render.Table{Caption: caption, Columns: []render.Column{{Title: title, Width: 80, Mono: true}, {Title: "Count", Width: 30, Right: true}, {Title: "Evidence", Width: 56}}}
	for _, r := range rows {
		t.Rows = append(t.Rows, render.TableRow{Cells: []render.Text{render.T(r.Code), render.T(count(r.Count)), b.cited(3, r.Cites)}})
	}
	return render.Blocks{t}
}

// vendorFindings set claims against observations.
func (b *builder) vendorFindings(v *Vendor) []render.Finding {
	var out []render.Finding
	for _, m := range b.in.Models {
		if m.comparison() == render.Differs {
			out = append(out, b.finding("minor", "Another model answered than was declared for "+m.Alias, render.T("Models and versions as declared (ISO/IEC 42001 A.10.3)"),
				render.T("Declared ", render.Code(m.Declared), ", served ", render.Code(m.Served), " in "+plural(m.Calls, "call")+"."), m.Cites, nil))
		}
	}
	for _, s := range v.Systems {
		if !s.Declared && s.Calls > 0 {
			name := s.Name
			if name == "" {
				name = "An unregistered caller"
			}
			out = append(out, b.finding("minor", name+" uses this vendor without declaring it", render.T("Use of suppliers is declared in the register (ISO/IEC 42001 A.10.3)"),
				render.T(count(s.Calls)+" calls were sent; the register does not name this vendor."), s.Cites, nil))
		}
	}
	var sent []string
	var cites Cites
	for _, g := range v.PII {
		if g.Monitored > 0 {
			sent = append(sent, fmt.Sprintf("%s (%s)", className(g.Class), count(g.Monitored)))
			cites = append(cites, g.Cites...)
		}
	}
	if len(sent) > 0 {
		out = append(out, b.finding("observation", "Personal data went to this vendor as it was found", render.T("Data that a processor receives are known and agreed (GDPR Art. 28; ISO/IEC 42001 A.10.3)"),
			render.T("Guards that only watch found in prompts: "+strings.Join(sent, ", ")+". What was redacted did not leave the gateway and is not counted here."), cites, nil))
	}
	for i := range out {
		out[i].ID = fmt.Sprintf("F-%02d", i+1)
	}
	return out
}

func (b *builder) vendorDecision(findings []render.Finding) render.Blocks {
	out := render.Blocks{}
	if len(findings) == 0 {
		out = append(out, &render.Paragraph{Text: render.T("No difference between claim and observation was found in what passed the gateway.")})
	}
	for i := range findings {
		out = append(out, &findings[i])
	}
	return append(out, &render.Heading{Level: 2, Title: "Decision"}, &render.KeyValue{Rows: []render.Row{
		b.row("Residual risk", "", "compliance officer"),
		b.row("Conditions", "", "compliance officer"),
		b.row("Decision and approver", b.in.Approver, "approver"),
		b.row("Next review", "", "vendor manager"),
		{Label: "History of scores", Value: render.T("None: no score was computed so far.")},
		{Label: "Sources", Value: render.T("Ledger as of ", stamp(b.doc.AsOf), " and register.")},
	}})
}
