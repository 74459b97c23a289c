package web

import (
	"slices"
	"strings"
	"time"

	"plumbline/assessments"
	"plumbline/inventory"
)

// attachedRow is a piece of people's evidence in the list of all.
type attachedRow struct {
	assessments.Evidence
	Status    string    // as Evidence.Status has it
	Ends      time.Time // zero: it has no end
	Ending    bool      // current, and ends soon
	Framework string    // its title
	Href      string    // of its control; empty when there is no such control any more
}

// Look is the state that it is drawn with.
func (a *attachedRow) Look() string { return evidenceLook(a.Status) }

// evidenceLook is the state that evidence of a status is drawn with: expired is another
// thing for a key.
func evidenceLook(status string) string {
	if status == "expired" {
		return "stale"
	}
	return status
}

// proposalRow is a proposal on whether a control concerns an AI system.
type proposalRow struct {
	assessments.Applicability
	Status, FrameworkTitle, Href string
}

type attachedData struct {
	Rows      []attachedRow // of this page, the newest first
	Pager     pager
	All       int
	Proposals []proposalRow // the newest first
	Query     string
	State     chooser // each state with how many there are
	Framework chooser
	System    chooser
	Form      chooser
}

// attachedPage lists what people attached and planned, and what they decided does not
// apply, over all frameworks.
func (r *request) attachedPage() error {
	data := &attachedData{Query: r.query("q"), State: chooser{Name: "state", Label: "State", Value: r.query("state")},
		Framework: chooser{Name: "framework", Label: "Framework", Value: r.query("framework"), Options: []option{{Label: "Every framework"}}},
		System:    chooser{Name: "system", Label: "AI system", Value: r.query("system"), Options: r.everySystem("Every AI system")},
		Form:      chooser{Name: "form", Label: "Form", Value: r.query("form"), Options: []option{{Label: "Every form"}, {Value: "file", Label: "Files"}, {Value: "link", Label: "Links"}, {Value: "plan", Label: "Corrective actions"}}}}
	for _, f := range r.web.d.Catalog.Frameworks {
		data.Framework.Options = append(data.Framework.Options, option{Value: f.ID, Label: f.Title})
	}
	list, err := r.web.d.Engine.Attached(r.ctx(), r.actor.Org, assessments.Sought{})
	if err != nil {
		return err
	}
	data.All = len(list)
	count := map[string]int{}
	var matching []attachedRow
	for i := len(list) - 1; i >= 0; i-- {
		row := r.attachedRow(list[i])
		if !data.takes(&row, r.person(row.Author)) {
			continue
		}
		count[row.Status]++
		if row.Ending {
			count["ending"]++
		}
		if state := data.State.Value; state == "" || state == row.Status || state == "ending" && row.Ending {
			matching = append(matching, row)
		}
	}
	if data.Query+data.State.Value+data.Form.Value == "" { // which are of evidence alone
		if data.Proposals, err = r.proposalRows(assessments.Sought{Framework: data.Framework.Value, System: inventory.SystemID(data.System.Value)}); err != nil {
			return err
		}
	}
	var first, last int
	first, last, data.Pager = r.pageOf(len(matching))
	data.Rows = matching[first:last]
	data.State.Options = attachedStates(count)
	return r.ok("attached", page{Title: "People's evidence", Nav: "evidence", Crumbs: []crumb{{Title: "People's evidence"}}}, data)
}

func (r *request) attachedRow(ev assessments.Evidence) attachedRow {
	now, fresh := r.web.d.Now(), r.freshDays(&ev)
	row := attachedRow{Evidence: ev, Status: ev.Status(now, fresh), Ends: ev.Ends(fresh)}
	row.Ending = row.Status == "current" && !row.Ends.IsZero() && row.Ends.Before(now.AddDate(0, 0, soon))
	row.Framework, row.Href = r.controlOf(ev.Framework, ev.Control, ev.System)
	return row
}

// controlOf is the title of a framework and the address of a control in it; without an
// address where the catalog has it no more.
func (r *request) controlOf(framework, control string, system inventory.SystemID) (title, href string) {
	f, err := r.web.d.Catalog.Framework(framework)
	if err != nil {
		return framework, ""
	}
	if _, err := f.Control(control); err != nil {
		return f.Title, ""
	}
	return f.Title, treeQuery{System: string(system)}.href(framework, control)
}

// takes reports whether all filters but that of states let a row through. Evidence for
// every AI system is evidence of each.
func (d *attachedData) takes(row *attachedRow, author string) bool {
	text := strings.ToLower(strings.Join([]string{row.Title, row.Type, row.Control, row.Framework, string(row.System), row.FileName, row.Link, author}, " "))
	return strings.Contains(text, strings.ToLower(d.Query)) && (d.Framework.Value == "" || d.Framework.Value == row.Evidence.Framework) &&
		(d.System.Value == "" || row.System == "" || d.System.Value == string(row.System)) && (d.Form.Value == "" || d.Form.Value == row.Form)
}

func (r *request) proposalRows(want assessments.Sought) ([]proposalRow, error) {
	list, err := r.web.d.Engine.Applicabilities(r.ctx(), r.actor.Org, want)
	if err != nil {
		return nil, err
	}
	var out []proposalRow
	for _, a := range slices.Backward(list) {
		row := proposalRow{Applicability: a, Status: "accepted"}
		switch {
		case a.Approver == "":
			row.Status = "pending"
		case a.Rejected:
			row.Status = "rejected"
		}
		row.FrameworkTitle, row.Href = r.controlOf(a.Framework, a.Control, a.System)
		out = append(out, row)
	}
	return out, nil
}

// attachedStates are the states to choose from, with how many there are of each.
func attachedStates(count map[string]int) []option {
	out := []option{{Label: "Every state"}}
	for _, s := range append([]string{"ending"}, evidenceStates...) {
		word := lookOf(evidenceLook(s)).word
		if s == "ending" {
			word = "Ends within " + decimal(soon) + " days"
		}
		out = append(out, option{Value: s, Label: word + " (" + group(count[s]) + ")"})
	}
	return out
}
