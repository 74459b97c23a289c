package policy

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"plumbline/gateway/event"
	"plumbline/inventory"
)

func set(t testing.TB, policies ...inventory.Policy) *Set {
	t.Helper()
	var in []*inventory.Policy
	for i := range policies {
		in = append(in, &policies[i])
	}
	s, err := Compile(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func example(t testing.TB, name, mode string) inventory.Policy {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("examples", name+".rego"))
	if err != nil {
		t.Fatal(err)
	}
	return inventory.Policy{ID: inventory.PolicyID(name), Mode: mode, Source: string(text)}
}

// caseFile holds what a policy decides on some inputs, written as rules see them.
type caseFile struct {
	Policy string `yaml:"policy"`
	Cases  []struct {
		Name  string         `yaml:"name"`
		Input map[string]any `yaml:"input"`
		Deny  string         `yaml:"deny"` // rule; empty: allow
	} `yaml:"cases"`
}

// input makes an Input of a case: what it leaves out is zero.
func input(t testing.TB, doc map[string]any) Input {
	t.Helper()
	text := func(m map[string]any, key string) string { s, _ := m[key].(string); return s }
	joined := func(v any) string {
		var out []string
		list, _ := v.([]any)
		for _, e := range list {
			out = append(out, e.(string))
		}
		return strings.Join(out, ",")
	}
	system, _ := doc["system"].(map[string]any)
	provider, _ := doc["provider"].(map[string]any)
	in := Input{Org: text(doc, "organisation"), Key: text(doc, "key"), Model: text(doc, "model"), Endpoint: text(doc, "endpoint"), Phase: text(doc, "phase"),
		System: text(system, "id"), RiskClass: text(system, "risk_class"), Lifecycle: text(system, "lifecycle"), Regions: joined(system["regions"]),
		Provider: text(provider, "id"), Vendor: text(provider, "vendor"), Region: text(provider, "region"), Found: joined(doc["found"])}
	_, in.Inspected = doc["found"]
	in.Stream, _ = doc["stream"].(bool)
	in.Tools, _ = doc["tools"].(bool)
	in.Registered, _ = system["registered"].(bool)
	in.Approved, _ = system["approved"].(bool)
	in.Hour, _ = doc["hour"].(int)
	return in
}

// The default policy and each example decide as their case files say.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("examples/*_cases.yaml")
	if err != nil || len(files) != 3 {
		t.Fatalf("%v %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var f caseFile
		dec := yaml.NewDecoder(bytes.NewReader(text))
		dec.KnownFields(true)
		if err := dec.Decode(&f); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		p := Default()
		if f.Policy != "default" {
			p = example(t, f.Policy, "enforce")
		}
		s, rules := set(t, p), map[string]bool{}
		for _, c := range f.Cases {
			in := input(t, c.Input)
			d := s.Decide(t.Context(), &in)
			want := ""
			if c.Deny != "" {
				want = f.Policy + ":" + c.Deny
				rules[c.Deny] = true
			}
			if d.Rule != want || (d.Effect == event.EffectDeny) != (want != "") {
				t.Errorf("%s, %s: %+v, want %q", file, c.Name, d, want)
			}
		}
		for _, m := range regexp.MustCompile(`deny contains "(\w+)"`).FindAllStringSubmatch(p.Source, -1) {
			if !rules[m[1]] {
				t.Errorf("%s: no case is denied by %s", file, m[1])
			}
		}
	}
}

// What nobody has looked for is unknown to a rule, not absent.
func TestFindingsAreUnknownUntilGuardsRan(t *testing.T) {
	s := set(t, inventory.Policy{ID: "p", Mode: "enforce", Source: "package plumbline\n\ndeny contains \"clean\" if count(input.found) == 0"})
	for _, c := range []struct {
		name string
		in   Input
		want event.Effect
	}{
		{"before", Input{Phase: "before"}, event.EffectAllow},
		{"no guard ran", Input{Phase: "after"}, event.EffectAllow},
		{"nothing found", Input{Phase: "after", Inspected: true}, event.EffectDeny},
		{"something found", Input{Phase: "after", Inspected: true, Found: "email"}, event.EffectAllow},
	} {
		if d := s.Decide(t.Context(), &c.in); d.Effect != c.want {
			t.Errorf("%s: %+v", c.name, d)
		}
	}
}

// The document that rules read has the fields of the schema, no more and no fewer.
func TestInputMatchesItsSchema(t *testing.T) {
	var s struct {
		Properties map[string]struct {
			Type       string
			Properties map[string]json.RawMessage
		}
	}
	if err := json.Unmarshal(schema, &s); err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for name, p := range s.Properties {
		want = append(want, name)
		for below := range p.Properties {
			want = append(want, name+"."+below)
		}
	}
	for name, v := range (&Input{Inspected: true}).document() {
		got = append(got, name)
		if m, ok := v.(map[string]any); ok {
			for below := range m {
				got = append(got, name+"."+below)
			}
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// docs/policies.md shows every field of the input, the default policy and both
// examples as they are.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(text)
	for _, source := range []string{defaultSource, example(t, "residency", "shadow").Source, example(t, "personal_data", "shadow").Source} {
		if !strings.Contains(doc, "```rego\n"+source+"```") {
			t.Errorf("docs/policies.md does not show, as it is:\n%s", source)
		}
	}
	for name, v := range (&Input{Inspected: true}).document() {
		names := []string{name}
		if m, ok := v.(map[string]any); ok {
			names = nil
			for below := range m {
				names = append(names, name+"."+below)
			}
		}
		for _, n := range names {
			if !strings.Contains(doc, "| `input."+n+"` |") {
				t.Errorf("docs/policies.md does not list input.%s", n)
			}
		}
	}
}

// A decision is evaluated once for each combination of the declared dimensions,
// the cache is bounded, and another policy is never answered from it.
func TestCache(t *testing.T) {
	s := set(t, Default())
	in := Input{Org: "acme", Phase: "after", RiskClass: "prohibited"}
	first := s.Decide(t.Context(), &in)
	s.enforce = nil // an evaluation would now allow
	if again := s.Decide(t.Context(), &in); again != first || again.Effect != event.EffectDeny {
		t.Errorf("%+v, then %+v", first, again)
	}
	in.Hour = 5 // another time bucket
	if other := s.Decide(t.Context(), &in); other.Effect != event.EffectAllow {
		t.Errorf("a decision of another hour was reused: %+v", other)
	}
	for i := range 3 * cacheSize {
		in.Hour = i
		s.Decide(t.Context(), &in)
	}
	if len(s.cache) > cacheSize {
		t.Errorf("%d decisions are kept", len(s.cache))
	}
	other := set(t, Default(), example(t, "residency", "enforce"))
	if other.Revision() == first.Revision || other.Decide(t.Context(), &Input{}).Revision != other.Revision() {
		t.Errorf("revision %s", other.Revision())
	}
}

func TestShadowIsRecordedAndNeverApplied(t *testing.T) {
	s := set(t, Default(), example(t, "residency", "shadow"))
	d := s.Decide(t.Context(), &Input{RiskClass: "high_risk_annex_iii", Region: "us"})
	if d.Effect != event.EffectAllow || d.ShadowEffect != event.EffectDeny || d.ShadowRule != "residency:outside_eu" {
		t.Errorf("%+v", d)
	}
}

// The default policy holds until a policy of the organisation's own is enforced, and not
// only until there is one.
func TestTheDefaultHoldsUntilAnotherIsEnforced(t *testing.T) {
	in := Input{RiskClass: "prohibited", Phase: "before"}
	for _, c := range []struct {
		name string
		own  []inventory.Policy
		want event.Effect
	}{
		{"none", nil, event.EffectDeny},
		{"one in shadow mode", []inventory.Policy{example(t, "residency", "shadow")}, event.EffectDeny},
		{"one enforced", []inventory.Policy{example(t, "residency", "shadow"), example(t, "personal_data", "enforce")}, event.EffectAllow},
	} {
		var own []*inventory.Policy
		for i := range c.own {
			own = append(own, &c.own[i])
		}
		s, err := Compile(t.Context(), InForce(own))
		if err != nil {
			t.Fatal(err)
		}
		if d := s.Decide(t.Context(), &in); d.Effect != c.want {
			t.Errorf("%s: %+v", c.name, d)
		}
	}
}

func TestAFailingPolicyDenies(t *testing.T) {
	s := set(t, inventory.Policy{ID: "bad", Mode: "enforce", Source: "package plumbline\n\ndeny contains \"x\" if 1 / to_number(input.hour) == 5"})
	if d := s.Decide(t.Context(), &Input{Hour: 0}); d.Effect != event.EffectDeny || d.Rule != "bad:error" {
		t.Errorf("%+v", d)
	}
}

// A policy that does not come to an end in time denies, and nothing is kept of it.
func TestASlowPolicyDenies(t *testing.T) {
	s := set(t, inventory.Policy{ID: "slow", Mode: "enforce", Source: `package plumbline

deny contains "x" if {
	some a in numbers.range(1, 3000)
	some b in numbers.range(1, 3000)
	a * b == 0 - input.hour - 1
}`})
	began := time.Now()
	if d := s.Decide(t.Context(), &Input{}); d.Rule != "slow:error" || d.Effect != event.EffectDeny || len(s.cache) != 0 {
		t.Errorf("%+v, %d kept", d, len(s.cache))
	}
	if took := time.Since(began); took > 10*evaluationTime {
		t.Errorf("it took %v", took)
	}
}

// A failing shadow policy is recorded as one that would have denied.
func TestAFailingShadowPolicyChangesNothing(t *testing.T) {
	s := set(t, inventory.Policy{ID: "bad", Mode: "shadow", Source: "package plumbline\n\ndeny contains \"x\" if 1 / to_number(input.hour) == 5"})
	if d := s.Decide(t.Context(), &Input{}); d.Effect != event.EffectAllow || d.ShadowRule != "bad:error" || d.ShadowEffect != event.EffectDeny {
		t.Errorf("%+v", d)
	}
}

func TestCompileRefuses(t *testing.T) {
	for name, c := range map[string]struct{ source, want string }{
		"syntax":      {"package plumbline\n\ndeny contains x if {", "3"},
		"package":     {"package other\n\ndeny contains \"x\" if true", "package plumbline"},
		"no deny":     {"package plumbline\n\nallow if true", "deny"},
		"network":     {"package plumbline\n\ndeny contains \"x\" if http.send({\"method\": \"get\", \"url\": \"x\"})", "http.send"},
		"environment": {"package plumbline\n\ndeny contains \"x\" if opa.runtime().env.HOME", "opa.runtime"},
		"undeclared":  {"package plumbline\n\ndeny contains \"x\" if input.prompt == \"a\"", "input.prompt"},
		"below":       {"package plumbline\n\ndeny contains \"x\" if input.system.owner == \"a\"", "input.system.owner"},
		"alias":       {"package plumbline\n\ndeny contains \"x\" if {\n\ty := input\n\ty.hour == 1\n}", "line 4"},
		"computed":    {"package plumbline\n\ndeny contains \"x\" if {\n\tsome k\n\tinput[k] == 1\n}", "line 5"},
		"whole":       {"package plumbline\n\ndeny contains \"x\" if object.get(input, \"prompt\", 1) == 1", "line 3"},
		"nested":      {"package plumbline\n\ndeny contains \"x\" if input.found[count(input)]", "line 3"},
		"data":        {"package plumbline\n\ndeny contains \"x\" if data.users.anna", "line 3"},
		"wrong type":  {"package plumbline\n\ndeny contains \"x\" if input.hour == \"noon\"", "match error"},
		"clock":       {"package plumbline\n\ndeny contains \"x\" if time.now_ns() > 0", "time.now_ns"},
	} {
		_, err := Compile(t.Context(), []*inventory.Policy{{ID: "p", Mode: "enforce", Source: c.source}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func BenchmarkCached(b *testing.B) {
	s := set(b, Default())
	in := Input{Org: "acme", Key: "k", System: "SYS-001", Model: "gpt-4o-mini", Phase: "after", RiskClass: "minimal"}
	b.ReportAllocs()
	for b.Loop() {
		s.Decide(b.Context(), &in)
	}
}
