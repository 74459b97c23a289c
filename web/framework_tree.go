package web

import (
	"net/url"
	"strconv"
	"strings"

	"plumbline/assessments"
	"plumbline/frameworks"
)

// branch is a top level of a framework's tree: a function, a chapter.
type branch struct {
	Title    string
	Counts   map[assessments.State]int
	Total    int
	Open     bool
	Sections []treeSection
}

// Satisfied is for templates.
func (b *branch) Satisfied() int { return b.Counts[assessments.Satisfied] }

type treeSection struct {
	ID, Title string
	Counts    map[assessments.State]int
	Total     int
	Open      bool
	Rows      []treeRow
}

// Satisfied is for templates.
func (s *treeSection) Satisfied() int { return s.Counts[assessments.Satisfied] }

type treeRow struct {
	ID, Short, Title string
	State            assessments.State
	Href             string
	Current          bool
}

// treeQuery is what of a tree is shown: the parts of its URL.
type treeQuery struct{ System, Control, Search, State string }

// href is the same tree with another control.
func (q treeQuery) href(framework, control string) string {
	v := url.Values{}
	for _, part := range [][2]string{{"system", q.System}, {"q", q.Search}, {"state", q.State}, {"control", control}} {
		if part[1] != "" {
			v.Set(part[0], part[1])
		}
	}
	return "/frameworks/" + url.PathEscape(framework) + "?" + v.Encode()
}

func (q treeQuery) narrowed() bool { return q.Search != "" || q.State != "" }

func (q treeQuery) shows(c *assessments.ControlState) bool {
	if q.State != "" && string(c.State) != q.State {
		return false
	}
	text := strings.ToLower(c.Control.ID + " " + shortID(c.Control.ID) + " " + c.Control.Title)
	return strings.Contains(text, strings.ToLower(q.Search))
}

// tree groups a framework's controls with the states of one assessment.
func tree(a *assessments.Assessment, q treeQuery) []branch {
	states := map[string]*assessments.ControlState{}
	for i := range a.Controls {
		states[a.Controls[i].Control.ID] = &a.Controls[i]
	}
	var out []branch
	for _, s := range a.Framework.Sections {
		t := treeSection{ID: s.ID, Title: s.Title, Counts: map[assessments.State]int{}, Open: q.narrowed()}
		for _, c := range s.Controls {
			cs := states[c.ID]
			if !q.shows(cs) {
				continue
			}
			t.Counts[cs.State]++
			t.Total++
			current := c.ID == q.Control
			t.Open = t.Open || current
			t.Rows = append(t.Rows, treeRow{c.ID, shortID(c.ID), c.Title, cs.State, q.href(a.Framework.ID, c.ID), current})
		}
		if t.Total == 0 {
			continue
		}
		title := branchOf(a.Framework.ID, s.ID)
		if len(out) == 0 || out[len(out)-1].Title != title {
			out = append(out, branch{Title: title, Counts: map[assessments.State]int{}})
		}
		b := &out[len(out)-1]
		b.Sections, b.Total, b.Open = append(b.Sections, t), b.Total+t.Total, b.Open || t.Open
		for state, n := range t.Counts {
			b.Counts[state] += n
		}
	}
	return out
}

// shortID is how a tree writes an id of the AI RMF: the letters that AI 600-1
// gives its functions.
func shortID(id string) string {
	for long, short := range map[string]string{"GOVERN ": "GV-", "MAP ": "MP-", "MEASURE ": "MS-", "MANAGE ": "MG-"} {
		if rest, ok := strings.CutPrefix(id, long); ok {
			return short + rest
		}
	}
	return id
}

// chapters of the AI Act by the number of their last article.
var chapters = []struct {
	last  int
	title string
}{
	{4, "I General provisions"}, {5, "II Prohibited practices"}, {49, "III High-risk AI systems"}, {50, "IV Transparency"}, {56, "V General-purpose AI models"},
	{63, "VI Innovation"}, {70, "VII Governance"}, {71, "VIII EU database"}, {94, "IX Monitoring, sharing, surveillance"}, {96, "X Codes and guidelines"},
	{98, "XI Delegation"}, {101, "XII Penalties"}, {113, "XIII Final provisions"},
}

// branchOf is the top level over a section.
func branchOf(framework, section string) string {
	switch framework {
	case frameworks.AIRMF:
		function, _, _ := strings.Cut(section, " ")
		return words(strings.ToLower(function))
	case frameworks.ISO:
		if strings.HasPrefix(section, "A.") {
			return "Annex A controls"
		}
		return "Clauses 4 to 10"
	}
	digits := strings.TrimPrefix(section, "Art. ")
	if i := strings.IndexFunc(digits, func(c rune) bool { return c < '0' || c > '9' }); i >= 0 {
		digits = digits[:i]
	}
	if n, err := strconv.Atoi(digits); err == nil {
		for _, c := range chapters {
			if n <= c.last {
				return "Chapter " + c.title
			}
		}
	}
	return "Other"
}
