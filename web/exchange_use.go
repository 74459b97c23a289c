package web

import (
	"slices"

	"plumbline/assessments"
	"plumbline/assessments/projection"
	"plumbline/frameworks"
	"plumbline/gateway/event"
	"plumbline/inventory"
	"plumbline/reports"
)

// exchangeUse is what became of an exchange as evidence.
type exchangeUse struct {
	Feeds     []string // evidence types
	Tests     []testUse
	Controls  int // that rest on those tests, over all frameworks
	Documents []documentUse
}

// testUse is a control test whose newest result counted the exchange.
type testUse struct {
	*frameworks.Test
	Result   *projection.Result
	Cited    bool // the result names a record of this exchange
	Controls []controlUse
}

type controlUse struct{ Framework, ID, Title, Href string }

// documentUse is an issued document of which the exchange is a part.
type documentUse struct {
	reports.Document
	Items  []string // of its evidence index that are records of this exchange
	Unread bool     // its file could not be read, so what it cites is not known
}

// evidenceOf names the evidence types that one exchange feeds. One exchange feeds
// many; there is no record for each.
func evidenceOf(p *exchangePane) []string {
	e := p.Began
	types := []string{"access.decision", "log.integrity"}
	if p.OpenedLeaf >= 0 || p.State == projection.Complete {
		types = append(types, "usage.metering", "model.inventory.observed")
	}
	if p.System == "" {
		types = append(types, "shadow.usage")
	}
	if len(p.Guards) > 0 {
		types = append(types, "guardrail.coverage")
	}
	if slices.ContainsFunc(p.Guards, func(g guardRow) bool { return g.State == event.Hit }) {
		types = append(types, "guardrail.hit")
	}
	if len(e.Holds) > 0 || p.Code == "budget_exceeded" {
		types = append(types, "budget.enforcement")
	}
	if p.Code == "rate_limited" || p.Code == "concurrency_limited" {
		types = append(types, "ratelimit.enforcement")
	}
	slices.Sort(types)
	return types
}

// useOf finds the tests whose newest result counted the exchange, the controls
// that rest on them, and the documents built over it.
func (r *request) useOf(p *exchangePane) (*exchangeUse, error) {
	u := &exchangeUse{Feeds: evidenceOf(p)}
	if err := r.testsOf(u, p); err != nil {
		return nil, err
	}
	return u, r.documentsOf(u, p)
}

func (r *request) testsOf(u *exchangeUse, p *exchangePane) error {
	if p.System == "" {
		return nil // what no system owns is a finding, and counts for no system's controls
	}
	results, err := r.web.d.Projection.Newest(r.ctx(), string(r.actor.Org), p.System, assessments.ComputedTests(), 0)
	if err != nil {
		return err
	}
	leaf := uint64(max(p.ClosedLeaf, p.OpenedLeaf))
	seen := map[string]bool{}
	for _, x := range results {
		t, err := r.web.d.Catalog.Test(x.Test)
		if err != nil || leaf < x.FirstLeaf || leaf >= x.EndLeaf || !assessments.Computed(x.Test) {
			continue
		}
		cited := slices.ContainsFunc(p.Records, func(l leafRow) bool { return slices.Contains(x.Cited, l.Leaf) })
		if !cited && !slices.ContainsFunc(t.Inputs, func(in string) bool { return slices.Contains(u.Feeds, in) }) {
			continue
		}
		use := testUse{Test: t, Result: &x, Cited: cited}
		for _, f := range r.web.d.Catalog.Frameworks {
			for _, c := range f.Controls {
				if !slices.ContainsFunc(c.Tests, func(ref frameworks.TestRef) bool { return ref.Test == x.Test }) {
					continue
				}
				use.Controls = append(use.Controls, controlUse{f.Title, c.ID, c.Title, treeQuery{System: p.System}.href(f.ID, c.ID)})
				if !seen[f.ID+"/"+c.ID] {
					seen[f.ID+"/"+c.ID] = true
					u.Controls++
				}
			}
		}
		u.Tests = append(u.Tests, use)
	}
	return nil
}

// isAbout reports whether a document's subject takes the exchange in: its AI
// system, or the vendor that it was sent to.
func (r *request) isAbout(d reports.Document, p *exchangePane) bool {
	if d.Vendor == "" {
		return d.System == "" || string(d.System) == p.System
	}
	return p.OpenedLeaf >= 0 && slices.ContainsFunc(r.state.Providers, func(x inventory.Provider) bool {
		return string(x.ID) == p.Provider && (x.Vendor == d.Vendor || x.Kind == d.Vendor)
	})
}

// citingDocuments is how many of the newest documents are opened to look for a
// citation.
const citingDocuments = 12

// documentsOf lists the newest issued documents whose tree has the exchange and
// that are about its system, with what they cite of it.
func (r *request) documentsOf(u *exchangeUse, p *exchangePane) error {
	docs, err := r.web.d.Reports.List(r.ctx(), r.actor.Org)
	if err != nil {
		return err
	}
	leaf, opened := uint64(max(p.ClosedLeaf, p.OpenedLeaf)), 0
	for _, d := range docs {
		about := r.isAbout(d, p)
		if d.State != reports.Issued || !about || leaf >= d.AsOfSize || p.Time().Before(d.From) || p.Time().After(d.To) || opened == citingDocuments {
			continue
		}
		opened++
		use := documentUse{Document: d}
		items, err := r.web.d.Reports.Cited(r.ctx(), d)
		if err != nil {
			r.web.d.Log.Warn("document could not be read for its citations", "request", r.id.String(), "document", d.ID, "error", err)
			use.Unread = true
		}
		for _, l := range p.Records {
			if id, ok := items[l.Leaf]; ok {
				use.Items = append(use.Items, id)
			}
		}
		u.Documents = append(u.Documents, use)
	}
	return nil
}
