package policy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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

func TestPolicies(t *testing.T) {
	for _, c := range []struct {
		name   string
		policy inventory.Policy
		in     Input
		want   string // rule; empty: allow
	}{
		{"plain", Default(), Input{RiskClass: "minimal", Phase: "after"}, ""},
		{"prohibited", Default(), Input{RiskClass: "prohibited", Phase: "before"}, "default:prohibited_practice"},
		{"secret", Default(), Input{Phase: "after", Found: "aws_key,email"}, "default:secret_in_prompt"},
		{"secret is not known before", Default(), Input{Phase: "before"}, ""},
		{"high risk inside", example(t, "residency", "enforce"), Input{RiskClass: "high_risk_annex_iii", Region: "eu-west"}, ""},
		{"high risk outside", example(t, "residency", "enforce"), Input{RiskClass: "high_risk_annex_iii", Region: "us-east"}, "residency:outside_eu"},
		{"undeclared region", example(t, "residency", "enforce"), Input{RiskClass: "minimal", Region: "us-east", Regions: "eu-west,eu-north"}, "residency:undeclared_region"},
		{"card", example(t, "personal_data", "enforce"), Input{Phase: "after", Found: "card", Vendor: "mistral"}, "personal_data:payment_data"},
		{"no agreement", example(t, "personal_data", "enforce"), Input{Phase: "after", Found: "email", Vendor: "other"}, "personal_data:no_processing_agreement"},
		{"agreement", example(t, "personal_data", "enforce"), Input{Phase: "after", Found: "email", Vendor: "mistral"}, ""},
	} {
		d := set(t, c.policy).Decide(t.Context(), &c.in)
		if d.Rule != c.want || (d.Effect == event.EffectDeny) != (c.want != "") {
			t.Errorf("%s: %+v, want %q", c.name, d, c.want)
		}
	}
}

func TestShadowIsRecordedAndNeverApplied(t *testing.T) {
	s := set(t, Default(), example(t, "residency", "shadow"))
	d := s.Decide(t.Context(), &Input{RiskClass: "high_risk_annex_iii", Region: "us"})
	if d.Effect != event.EffectAllow || d.ShadowEffect != event.EffectDeny || d.ShadowRule != "residency:outside_eu" {
		t.Errorf("%+v", d)
	}
}

func TestAFailingPolicyDenies(t *testing.T) {
	s := set(t, inventory.Policy{ID: "bad", Mode: "enforce", Source: "package plumbline\n\ndeny contains \"x\" if 1 / to_number(input.hour) == 5"})
	if d := s.Decide(t.Context(), &Input{Hour: 0}); d.Effect != event.EffectDeny || d.Rule != "bad:error" {
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
