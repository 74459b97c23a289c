package frameworks

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

func loadRMF(c *Catalog, raw map[string][]byte) error {
	var d struct {
		Functions []struct {
			ID, Title  string
			Categories []struct {
				ID, Gist      string
				Subcategories []struct{ ID, Gist string }
			}
		}
	}
	if err := decode(raw[AIRMF], &d); err != nil {
		return err
	}
	f := &Framework{ID: AIRMF, Title: "NIST AI RMF", Version: "1.0 (2023-01-26)"}
	for _, fn := range d.Functions {
		for _, cat := range fn.Categories {
			s := &Section{ID: cat.ID, Title: cat.Gist}
			for _, sub := range cat.Subcategories {
				s.Controls = append(s.Controls, &Control{ID: sub.ID, Title: sub.Gist, Gist: sub.Gist})
			}
			f.Sections = append(f.Sections, s)
		}
	}
	c.add(f)
	return nil
}

// isoNode is a clause or an area, with whatever it groups.
type isoNode struct {
	ID, Title  string
	Assessable bool
	Children   []isoNode
	Groups     []isoNode
	Controls   []isoNode
}

func (n *isoNode) leaves(out []*Control, annex bool) []*Control {
	if annex || n.Assessable && len(n.Children) == 0 {
		if len(n.Children)+len(n.Groups)+len(n.Controls) == 0 {
			return append(out, &Control{ID: n.ID, Title: n.Title, Gist: n.Title})
		}
	}
	for _, list := range [][]isoNode{n.Children, n.Groups, n.Controls} {
		for i := range list {
			out = list[i].leaves(out, annex)
		}
	}
	return out
}

func loadISO(c *Catalog, raw map[string][]byte) error {
	var d struct {
		Clauses []isoNode
		AnnexA  []isoNode `json:"annex_a"`
	}
	if err := decode(raw[ISO], &d); err != nil {
		return err
	}
	f := &Framework{ID: ISO, Title: "ISO/IEC 42001", Version: "2023"}
	for i := range d.Clauses {
		n := &d.Clauses[i]
		f.Sections = append(f.Sections, &Section{ID: n.ID, Title: n.Title, Controls: n.leaves(nil, false)})
	}
	for i := range d.AnnexA {
		n := &d.AnnexA[i]
		f.Sections = append(f.Sections, &Section{ID: n.ID, Title: n.Title, Controls: n.leaves(nil, true)})
	}
	c.add(f)
	return nil
}

func loadAct(c *Catalog, raw map[string][]byte) error {
	var d struct {
		Version     string
		Obligations []struct {
			ID, Article, Title, Gist, Penalty, Note string
			Roles, Triggers                         []string
			Application                             struct {
				Current                json.RawMessage
				Amended                string `json:"amended_by"`
				Confidence, Transition string
			}
		}
	}
	if err := decode(raw[AIAct], &d); err != nil {
		return err
	}
	f := &Framework{ID: AIAct, Title: "EU AI Act", Version: d.Version}
	var s *Section
	for _, o := range d.Obligations {
		if id := "Art. " + o.Article; s == nil || s.ID != id {
			s = &Section{ID: id, Title: o.Title}
			f.Sections = append(f.Sections, s)
		}
		k := &Control{ID: o.ID, Article: o.Article, Title: o.Gist, Gist: o.Gist, Roles: o.Roles, Triggers: o.Triggers, Penalty: o.Penalty, Note: o.Note,
			Amended: o.Application.Amended, Settled: o.Application.Confidence != "ambiguous", Grace: o.Application.Transition}
		var err error
		if k.Dates, err = dates(o.Application.Current); err != nil {
			return fmt.Errorf("%s: %w", o.ID, err)
		}
		s.Controls = append(s.Controls, k)
	}
	c.add(f)
	return nil
}

// dates reads one date, one for each annex, or a formal one with effective ones.
func dates(raw json.RawMessage) (map[string]Dates, error) {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		t, err := time.Parse(time.DateOnly, one)
		return map[string]Dates{"": {t, t}}, err
	}
	var many map[string]string
	if err := json.Unmarshal(raw, &many); err != nil {
		return nil, err
	}
	var formal time.Time
	var err error
	if text, ok := many["formal"]; ok {
		if formal, err = time.Parse(time.DateOnly, text); err != nil {
			return nil, err
		}
	}
	out := map[string]Dates{}
	for key, text := range many {
		if key == "formal" {
			continue
		}
		t, err := time.Parse(time.DateOnly, text)
		if err != nil {
			return nil, err
		}
		d := Dates{t, t}
		if !formal.IsZero() {
			d.Formal = formal
		}
		out[strings.TrimPrefix(key, "effective_")] = d
	}
	return out, nil
}

func loadRest(c *Catalog, raw map[string][]byte) error {
	var m struct {
		Vocabulary []EvidenceType
		Tests      []*Test
		Controls   []struct {
			Framework, ID, Sufficiency, Shows, Precondition string
			Evidence                                        []string
			Tests                                           []TestRef
			Human                                           []HumanItem `json:"human_remains"`
			Rule                                            map[string]string
		}
		Gen struct {
			Direct []struct {
				ID       string
				Evidence []string
			}
		} `json:"ai600_1"`
	}
	if err := decode(raw["evidence-map"], &m); err != nil {
		return err
	}
	c.Vocabulary, c.Tests = m.Vocabulary, m.Tests
	for _, t := range c.Tests {
		c.tests[t.ID] = t
	}
	for _, e := range m.Controls {
		f, err := c.Framework(e.Framework)
		if err != nil {
			return err
		}
		k, err := f.Control(e.ID)
		if err != nil {
			return err
		}
		k.Sufficiency, k.Shows, k.Precondition, k.Evidence, k.Tests, k.Human, k.Rule = e.Sufficiency, e.Shows, e.Precondition, e.Evidence, e.Tests, e.Human, e.Rule
	}
	var x struct{ Pairs []Pair }
	if err := decode(raw["crosswalks"], &x); err != nil {
		return err
	}
	c.Crosswalk = x.Pairs
	var a struct {
		Actions []Action
		Risks   []Risk
	}
	if err := decode(raw[AI6001], &a); err != nil {
		return err
	}
	c.Actions, c.Risks = a.Actions, a.Risks
	for _, d := range m.Gen.Direct {
		i := slices.IndexFunc(c.Actions, func(a Action) bool { return a.ID == d.ID })
		if i < 0 {
			return fmt.Errorf("the evidence map names the action %q", d.ID)
		}
		c.Actions[i].Evidence = d.Evidence
	}
	return nil
}
