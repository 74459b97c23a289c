package reports

import (
	"strings"

	"plumbline/reports/render"
)

// open is what each control waits for, and what was accepted meanwhile.
func (b *builder) open() render.Blocks {
	out := render.Blocks{&render.Heading{Level: 2, Title: "What each control waits for"}}
	t := &render.Table{Caption: "Controls that are not satisfied, and why", Columns: []render.Column{{Title: "Ref.", Width: 18, Key: true}, {Title: "Result", Width: 31}, {Title: "Why", Width: 42}, {Title: "Waits for", Width: 75}}}
	for _, c := range b.in.Controls {
		if s := c.result(); s == render.Satisfied || s == render.NotApplicable {
			continue
		}
		t.Rows = append(t.Rows, render.TableRow{Cells: []render.Text{render.T(c.ID), render.T(render.Chip(c.result())), orMuted(sentence(c.reason()), "unknown"), orMuted(strings.Join(c.WaitsFor, ";\n"), "nothing named")}})
	}
	if len(t.Rows) == 0 {
		out = append(out, &render.Paragraph{Text: render.T("No control waits for anything.")})
	} else {
		out = append(out, t)
	}
	if na := b.notApplicable(); na != nil {
		out = append(out, &render.Heading{Level: 2, Title: "What does not apply"}, na)
	}
	if dates := b.dates(); dates != nil {
		out = append(out, &render.Heading{Level: 2, Title: "Dates to watch"}, dates)
	}
	return append(append(out, &render.Heading{Level: 2, Key: "exceptions", Title: "Exceptions and accepted risks"}), b.exceptions()...)
}

// dates are those of applicable controls on which the law is not plain.
func (b *builder) dates() render.Block {
	t := &render.Table{Caption: "Controls whose date is not plain", Columns: []render.Column{{Title: "Ref.", Width: 18, Key: true}, {Title: "By its text", Width: 26}, {Title: "Taken here as", Width: 26}, {Title: "Why", Width: 96}}}
	for _, c := range b.in.Controls {
		if c.result() == render.NotApplicable || c.ByItsText.IsZero() && !c.Unsettled && c.Grace == "" {
			continue
		}
		text := day(c.AppliesFrom)
		if !c.ByItsText.IsZero() {
			text = day(c.ByItsText)
		}
		why := c.Grace
		if c.Unsettled {
			why = "The law leaves room for another date. A lawyer should confirm the one taken here."
		}
		t.Rows = append(t.Rows, render.TableRow{Cells: []render.Text{render.T(c.ID), render.T(text), render.T(day(c.AppliesFrom)), orMuted(ended(sentence(why)), "The duty follows another one that was put off.")}})
	}
	if len(t.Rows) == 0 {
		return nil
	}
	return t
}

// notApplicable groups controls by the reason for which they do not apply.
func (b *builder) notApplicable() render.Block {
	var reasons []string
	refs, cites := map[string][]string{}, map[string]Cites{}
	for _, c := range b.in.Controls {
		if c.result() != render.NotApplicable {
			continue
		}
		if refs[c.Why] == nil {
			reasons = append(reasons, c.Why)
		}
		refs[c.Why] = append(refs[c.Why], c.ID)
		if c.DecidedBy != "" {
			cites[c.Why] = append(cites[c.Why], c.Cites...)
		}
	}
	if len(reasons) == 0 {
		return nil
	}
	t := &render.Table{Caption: "Controls that do not apply, by reason", Columns: []render.Column{{Title: "Reason", Width: 62}, {Title: "Controls", Width: 84}, {Title: "Decision", Width: 20}},
		Note: render.T("Without a decision the reason follows from the register: roles and risk class of the system.")}
	for _, why := range reasons {
		t.Rows = append(t.Rows, render.TableRow{Cells: []render.Text{orMuted(sentence(why), "unknown"), render.T(strings.Join(refs[why], ", ")), b.cited(2, cites[why])}})
	}
	return t
}

// exceptions are approvals with an end that people attached to controls.
func (b *builder) exceptions() render.Blocks {
	t := &render.Table{Caption: "What was waived, by whom and until when", Columns: []render.Column{{Title: "Control", Width: 18, Key: true}, {Title: "What", Width: 52}, {Title: "Approved by", Width: 46}, {Title: "Expires", Width: 28}, {Title: "Evidence", Width: 22}},
		Note: render.T("An exception never raises a result: it says that somebody accepts the result for a time.")}
	for _, c := range b.in.Controls {
		for _, x := range c.Exceptions {
			by := render.T(x.Approver, render.Muted(", asked for by "+x.By))
			switch x.State {
			case "pending":
				by = render.T(render.Muted("pending, asked for by " + x.By))
			case "rejected":
				by = render.T("rejected by "+x.Approver, render.Muted(", asked for by "+x.By))
			}
			until := day(x.Until)
			if x.State == "expired" {
				until += ", expired"
			}
			t.Rows = append(t.Rows, render.TableRow{Cells: []render.Text{render.T(c.ID), render.T(x.What), by, render.T(until), b.cited(2, x.Cites)}})
		}
	}
	if len(t.Rows) == 0 {
		return render.Blocks{&render.Paragraph{Text: render.T("None is attached to a control of these criteria. Whether any was granted elsewhere is unknown.")}}
	}
	return render.Blocks{t}
}
