package web

import (
	"slices"

	"plumbline/app/fault"
	"plumbline/inventory"
	"plumbline/reports"
)

func documentCrumbs(title string) page {
	return page{Title: title, Nav: "documents", Crumbs: []crumb{{"Documents", "/documents"}, {Title: title}}}
}

func kindOptions() []option {
	var out []option
	for _, k := range reports.Kinds() {
		out = append(out, option{Value: string(k.Kind), Label: k.Title, Hint: k.About})
	}
	return out
}

// everySystem offers retired systems too: what was in use can be reported on.
func (r *request) everySystem(none string) []option {
	out := []option{{Label: none}}
	for _, s := range r.state.Systems {
		o := option{Value: string(s.ID), Label: string(s.ID) + " " + s.Name}
		if s.Lifecycle == inventory.Retired {
			o.Label += " (retired)"
		}
		out = append(out, o)
	}
	return out
}

// vendors are the names that the gateway's providers bear.
func (r *request) vendors() []option {
	out := []option{{Label: "None"}}
	for _, p := range r.state.Providers {
		name := p.Vendor
		if name == "" {
			name = string(p.ID)
		}
		if !slices.ContainsFunc(out, func(o option) bool { return o.Value == name }) {
			out = append(out, option{Value: name, Label: name})
		}
	}
	return out
}

// subjectForm asks what a document is about.
func (r *request) subjectForm() *form {
	frameworks := []option{{Label: "None"}}
	for _, f := range r.web.d.Catalog.Frameworks {
		frameworks = append(frameworks, option{Value: f.ID, Label: f.Title + ", " + f.Version})
	}
	kind := r.query("kind")
	if _, ok := reports.KindOf(reports.Kind(kind)); !ok {
		kind = string(reports.Kinds()[0].Kind)
	}
	return &form{Cancel: "/documents", Fields: []field{
		{Name: "kind", Label: "Document", Kind: "radios", Value: kind, Options: kindOptions()},
		{Name: "system", Label: "AI system", Kind: "select", Value: r.query("system"), Hint: "For an audit report and a model card", Options: r.everySystem("None")},
		{Name: "framework", Label: "Criteria", Kind: "select", Value: r.query("framework"), Hint: "For an audit report", Options: frameworks},
		{Name: "vendor", Label: "Vendor", Kind: "select", Value: r.query("vendor"), Hint: "For a vendor-risk report; as the gateway's providers name it", Options: r.vendors()},
	}}
}

// givenSubject reads what subjectForm asked.
func (r *request) givenSubject() (reports.Request, error) {
	return r.checkSubject(reports.Request{Org: r.actor.Org, Kind: reports.Kind(r.value("kind")), System: inventory.SystemID(r.value("system")), Framework: r.value("framework"), Vendor: r.value("vendor")})
}

// checkSubject holds a document's subject to what there is. What the kind does not need
// is left out, so that the same subject always gets the same number.
func (r *request) checkSubject(given reports.Request) (reports.Request, error) {
	out := reports.Request{Org: given.Org, Kind: given.Kind}
	kind, ok := reports.KindOf(out.Kind)
	if !ok {
		return out, notListed("kind", "document", string(out.Kind))
	}
	var system, framework, vendor error
	if kind.NeedsSystem {
		if out.System = given.System; out.System != "" {
			if _, err := r.state.System(out.System); err != nil {
				system = notListed("system", "AI system", string(out.System))
			}
		}
	}
	if kind.NeedsFramework {
		if out.Framework = given.Framework; out.Framework != "" {
			if _, err := r.web.d.Catalog.Framework(out.Framework); err != nil {
				framework = notListed("framework", "framework", out.Framework)
			}
		}
	}
	if kind.NeedsVendor {
		if out.Vendor = given.Vendor; !slices.ContainsFunc(r.vendors(), func(o option) bool { return o.Value == out.Vendor }) {
			vendor = notListed("vendor", "vendor", out.Vendor)
		}
	}
	var wrong fault.Fields
	return out, wrong.Join(system, framework, vendor)
}

func (r *request) documentForm() *form {
	f := r.subjectForm()
	f.Title, f.Action, f.Submit = "Issue a document", "/documents", "Issue"
	f.Intro = "It is built from the ledger as of this moment and recorded in it. A document on the same subject is the next revision, and supersedes the one before."
	mark := r.state.Settings.Confidential
	if mark == "" {
		mark = "Confidential"
	}
	f.Facts = [][2]string{{"Issued by", r.account.Name}, {"Mark on every page", mark + ", as set under Routes and guards"}}
	f.Fields = append(f.Fields,
		field{Name: "from", Label: "Period from", Kind: "date", Hint: "Empty: 30 days, and 90 for a vendor-risk report. Days are UTC.", Optional: true},
		field{Name: "to", Label: "Period to", Kind: "date", Hint: "With that day. Empty: now", Optional: true})
	return f
}

func (r *request) newDocumentPage() error {
	return r.formPage(documentCrumbs("Issue a document"), r.documentForm())
}

func (r *request) issueDocument() error {
	var d reports.Document
	wanted, err := r.givenDocument()
	err = gathered(err, func() error { return reports.Check(wanted) }, func() (err error) {
		d, err = r.web.d.Reports.Issue(r.ctx(), r.actor, wanted)
		return err
	})
	if err != nil {
		return r.again(documentCrumbs("Issue a document"), r.documentForm(), err)
	}
	return r.done("/documents/"+d.ID, d.ID+" is issued, and its hashes are on record.")
}

func (r *request) givenDocument() (reports.Request, error) {
	var (
		wrong    fault.Fields
		from, to error
	)
	out, subject := r.givenSubject()
	out.From, from = dateOf("from", r.value("from"))
	out.To, to = dateOf("to", r.value("to"))
	if !out.To.IsZero() {
		if !out.From.IsZero() && out.To.Before(out.From) {
			wrong.Add("to", "the period ends before it begins")
		}
		out.To = out.To.AddDate(0, 0, 1) // to the end of the day
	}
	if !out.From.IsZero() && out.From.After(r.web.d.Now()) {
		wrong.Add("from", "that day has not come yet")
	}
	return out, wrong.Join(subject, from, to)
}
