// Package frameworks is the catalog of controls: NIST AI RMF 1.0 with the actions
// of AI 600-1, ISO/IEC 42001:2023 and the EU AI Act, the crosswalk between them,
// and which tests and which people's evidence speak to each control. All of it is
// embedded data in our own words; ids and short titles are facts.
package frameworks

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"
)

// The frameworks' ids.
const (
	AIRMF  = "nist-ai-rmf-1.0"
	ISO    = "iso-42001-2023"
	AIAct  = "eu-ai-act"
	AI6001 = "nist-ai-600-1"
)

//go:embed catalog/*.json
var files embed.FS

// Catalog is everything, immutable once loaded.
type Catalog struct {
	Frameworks []*Framework
	Tests      []*Test
	Vocabulary []EvidenceType
	Crosswalk  []Pair
	Actions    []Action
	Risks      []Risk
	Hash       string // of all files

	byID  map[string]*Framework
	tests map[string]*Test
}

// Framework is one of the three.
type Framework struct {
	ID       string
	Title    string
	Version  string
	Hash     string // of its file and the evidence map
	Sections []*Section
	Controls []*Control // in order

	byID map[string]*Control
}

// Section groups controls: a category, a clause, an article.
type Section struct {
	ID, Title string
	Controls  []*Control
}

// Control is one thing that is asked for.
type Control struct {
	Framework string
	ID        string
	Title     string // short title or our own words
	Gist      string
	Section   string

	// EU AI Act only.
	Article  string
	Roles    []string
	Triggers []string
	Dates    map[string]Dates // by annex_iii, annex_i or "" for all
	Amended  string           // what changed the dates
	Settled  bool             // false: the law leaves room for another date
	Grace    string           // later date for what was on the market before
	Penalty  string
	Note     string

	Sufficiency  string // full, partial, supporting, human_only
	Shows        string // what runtime evidence shows of it
	Evidence     []string
	Tests        []TestRef
	Human        []HumanItem
	Precondition string
	Rule         map[string]string
}

// Dates are when a duty applies: by its text, and in effect.
type Dates struct{ Formal, Effective time.Time }

// TestRef is a test of a control, with its parameters.
type TestRef struct {
	Test   string         `json:"test"`
	Params map[string]any `json:"params"`
}

// HumanItem is what people must add.
type HumanItem struct {
	Type      string `json:"type"`
	What      string `json:"what"`
	FreshDays int    `json:"fresh_days"`
}

// Test is a control test: metrics set against conditions that are data.
type Test struct {
	ID         string      `json:"id"`
	Name       string      `json:"name"`
	Inputs     []string    `json:"inputs"`
	Metric     string      `json:"metric"`
	Satisfied  string      `json:"satisfied"`
	Partial    string      `json:"partial"`
	Basis      string      `json:"basis"`
	WindowDays int         `json:"window_days"`
	FreshHours float64     `json:"fresh_hours"`
	MinSample  int         `json:"min_sample"`
	Note       string      `json:"note"`
	Conditions []Condition `json:"conditions"`
}

// Condition sets one metric against values. A nil Partial fails the satisfied leg
// only; Missing says how it reads when the metric cannot be measured.
type Condition struct {
	Key       string `json:"key"`
	Op        string `json:"op"`
	Satisfied any    `json:"satisfied"`
	Partial   any    `json:"partial"`
	Missing   string `json:"missing"`
}

// EvidenceType is a word of the evidence vocabulary.
type EvidenceType struct {
	Type      string  `json:"type"`
	Kind      string  `json:"kind"` // runtime, hybrid, human
	Shows     string  `json:"shows"`
	FreshDays float64 `json:"fresh_days"`
}

// Pair is one crosswalk pair: [framework, id].
type Pair struct {
	From       [2]string `json:"from"`
	To         [2]string `json:"to"`
	Source     string    `json:"source"`
	Confidence string    `json:"confidence"`
}

// Action is a suggested action of AI 600-1. It takes over tests and people's
// evidence of its parent, a subcategory of the AI RMF.
type Action struct {
	ID     string   `json:"id"`
	Parent string   `json:"parent"`
	Risks  []string `json:"risks"`
	// Evidence are the types that speak to its own wording; none: its parent's.
	Evidence []string `json:"-"`
}

// Risk is a risk of generative AI that AI 600-1 names.
type Risk struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

// Framework finds a framework by id.
func (c *Catalog) Framework(id string) (*Framework, error) {
	if f, ok := c.byID[id]; ok {
		return f, nil
	}
	return nil, fmt.Errorf("there is no framework %q", id)
}

// Test finds a test by id.
func (c *Catalog) Test(id string) (*Test, error) {
	if t, ok := c.tests[id]; ok {
		return t, nil
	}
	return nil, fmt.Errorf("there is no test %q", id)
}

// Control finds a control by id.
func (f *Framework) Control(id string) (*Control, error) {
	if c, ok := f.byID[id]; ok {
		return c, nil
	}
	return nil, fmt.Errorf("%s has no control %q", f.Title, id)
}

// Mapped lists the controls of other frameworks that the crosswalk sets beside
// one, as "framework id".
func (c *Catalog) Mapped(framework, id string) []Pair {
	var out []Pair
	for _, p := range c.Crosswalk {
		if p.From == [2]string{framework, id} {
			out = append(out, p)
		} else if p.To == [2]string{framework, id} {
			out = append(out, Pair{p.To, p.From, p.Source, p.Confidence})
		}
	}
	return out
}

// Reach says whether a control concerns a system.
type Reach string

// The reaches.
const (
	Applies       Reach = "applies"
	NotApplicable Reach = "not_applicable"
	NotYet        Reach = "not_yet_applicable"
)

// Applicable says whether a control concerns a system of a risk class whose
// organisation has roles under the Act, on a day, and why. Frameworks other than
// the Act concern every system. An unclassified system is taken for every class:
// that nobody has looked is no reason to look away.
func (c *Control) Applicable(roles []string, class string, day time.Time) (Reach, string) {
	if c.Framework != AIAct {
		return Applies, ""
	}
	if class != "" && !slices.Contains(c.Triggers, "all_ai_systems") && !slices.Contains(c.Triggers, class) {
		return NotApplicable, fmt.Sprintf("concerns %s; the system is classified %s", listed(c.Triggers, "or"), ClassName(class))
	}
	if len(roles) > 0 && !slices.ContainsFunc(c.Roles, func(r string) bool { return slices.Contains(roles, r) }) {
		return NotApplicable, fmt.Sprintf("a duty of the %s; the organisation is %s", listed(c.Roles, "or"), listed(roles, "and"))
	}
	if d := c.From(class); day.Before(d.Effective) {
		return NotYet, "applies from " + d.Effective.Format(time.DateOnly)
	}
	return Applies, ""
}

// classNames are the risk classes of the Act in words.
var classNames = map[string]string{"": "not classified", "prohibited": "prohibited practice", "high_risk_annex_iii": "high-risk, Annex III", "high_risk_annex_i": "high-risk, Annex I",
	"annex_iii_derogated": "Annex III, derogated", "transparency_50": "transparency, Art. 50", "gpai": "GPAI model", "gpai_systemic": "GPAI model with systemic risk", "minimal": "minimal risk",
	"all_ai_systems": "every AI system"}

// ClassName is a risk class of the Act in words.
func ClassName(class string) string {
	if n, ok := classNames[class]; ok {
		return n
	}
	return class
}

// RoleName is a role under the Act in words.
func RoleName(role string) string {
	return strings.Replace(strings.ReplaceAll(role, "_", " "), "gpai", "GPAI", 1)
}

// listed joins roles or classes in words.
func listed(ids []string, word string) string {
	out := make([]string, len(ids))
	for i, id := range ids {
		if out[i] = ClassName(id); out[i] == id {
			out[i] = RoleName(id)
		}
	}
	if n := len(out) - 1; n > 0 {
		sep := ", "
		if strings.Contains(strings.Join(out, ""), ",") {
			sep = "; "
		}
		return strings.Join(out[:n], sep) + " " + word + " " + out[n]
	}
	return strings.Join(out, "")
}

// From is when a control applies to a class; for an unclassified system the
// earliest date.
func (c *Control) From(class string) Dates {
	key := map[string]string{"high_risk_annex_iii": "annex_iii", "annex_iii_derogated": "annex_iii", "high_risk_annex_i": "annex_i"}[class]
	if d, ok := c.Dates[key]; ok {
		return d
	}
	var earliest Dates
	for _, d := range c.Dates {
		if earliest.Effective.IsZero() || d.Effective.Before(earliest.Effective) {
			earliest = d
		}
	}
	return earliest
}

// Load reads and checks the catalog.
func Load() (*Catalog, error) {
	c := &Catalog{byID: map[string]*Framework{}, tests: map[string]*Test{}}
	all := sha256.New()
	raw := map[string][]byte{}
	names, err := files.ReadDir("catalog")
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		b, err := files.ReadFile("catalog/" + n.Name())
		if err != nil {
			return nil, err
		}
		raw[strings.TrimSuffix(n.Name(), ".json")] = b
		all.Write(b)
	}
	c.Hash = hex.EncodeToString(all.Sum(nil)[:8])
	for _, load := range []func(*Catalog, map[string][]byte) error{loadRMF, loadISO, loadAct, loadRest} {
		if err := load(c, raw); err != nil {
			return nil, fmt.Errorf("framework data: %w", err)
		}
	}
	for _, f := range c.Frameworks {
		sum := sha256.Sum256(append(slices.Clone(raw[f.ID]), raw["evidence-map"]...))
		f.Hash = hex.EncodeToString(sum[:8])
	}
	return c, c.check()
}

func (c *Catalog) add(f *Framework) {
	f.byID = map[string]*Control{}
	for _, s := range f.Sections {
		for _, k := range s.Controls {
			k.Framework, k.Section = f.ID, s.ID
			f.Controls = append(f.Controls, k)
			f.byID[k.ID] = k
		}
	}
	c.Frameworks = append(c.Frameworks, f)
	c.byID[f.ID] = f
}

// check holds every reference.
func (c *Catalog) check() error {
	types := map[string]bool{}
	for _, v := range c.Vocabulary {
		types[v.Type] = true
	}
	for _, f := range c.Frameworks {
		for _, k := range f.Controls {
			if k.Sufficiency == "" {
				return fmt.Errorf("%s %s has no evidence mapping", f.ID, k.ID)
			}
			for _, t := range k.Tests {
				if c.tests[t.Test] == nil {
					return fmt.Errorf("%s %s names the test %q", f.ID, k.ID, t.Test)
				}
			}
			for _, e := range k.Evidence {
				if !types[e] {
					return fmt.Errorf("%s %s names the evidence type %q", f.ID, k.ID, e)
				}
			}
		}
	}
	risks := map[string]bool{}
	for _, r := range c.Risks {
		risks[r.ID] = true
	}
	for _, a := range c.Actions {
		if f := c.byID[AIRMF]; f.byID[a.Parent] == nil {
			return fmt.Errorf("%s names the subcategory %q", a.ID, a.Parent)
		}
		for _, r := range a.Risks {
			if !risks[r] {
				return fmt.Errorf("%s names the risk %q", a.ID, r)
			}
		}
		for _, e := range a.Evidence {
			if !types[e] {
				return fmt.Errorf("%s names the evidence type %q", a.ID, e)
			}
		}
	}
	for _, p := range c.Crosswalk {
		for _, end := range [][2]string{p.From, p.To} {
			if f := c.byID[end[0]]; f == nil || !f.has(end[1]) {
				return fmt.Errorf("crosswalk names %s %s", end[0], end[1])
			}
		}
	}
	sort.SliceStable(c.Tests, func(i, j int) bool { return c.Tests[i].ID < c.Tests[j].ID })
	return nil
}

// has also knows sections and parents, which some crosswalk pairs name.
func (f *Framework) has(id string) bool {
	if f.byID[id] != nil {
		return true
	}
	return slices.ContainsFunc(f.Controls, func(k *Control) bool {
		return k.Section == id || k.Article == id || strings.HasPrefix(k.ID, id+".") || strings.HasPrefix(k.ID, id+" ")
	})
}

func decode(raw []byte, into any) error { return json.Unmarshal(raw, into) }
