package frameworks

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestContentIsPinned pins what each obligation, mapping, test, pair and action
// says, as the program reads it. Whoever changes the data changes a line here and
// sees which part.
func TestContentIsPinned(t *testing.T) {
	c := load(t)
	parts := map[string]*strings.Builder{}
	say := func(part, format string, args ...any) {
		if parts[part] == nil {
			parts[part] = &strings.Builder{}
		}
		fmt.Fprintf(parts[part], format+"\n", args...)
	}
	for _, f := range c.Frameworks {
		for _, k := range f.Controls {
			if f.ID == AIAct {
				say("obligations", "%s|%s|%v|%v|%s|%v", k.ID, k.Article, k.Roles, k.Triggers, k.Penalty, k.Settled)
				for _, class := range slices.Sorted(maps.Keys(k.Dates)) {
					say("dates", "%s|%s|%s|%s", k.ID, class, k.Dates[class].Formal.Format(time.DateOnly), k.Dates[class].Effective.Format(time.DateOnly))
				}
			}
			say("mapping", "%s|%s|%s|%v|%s", f.ID, k.ID, k.Sufficiency, k.Evidence, k.Precondition)
			for _, r := range k.Tests {
				say("mapping", " %s %v", r.Test, r.Params)
			}
			for _, h := range k.Human {
				say("mapping", " %s %s %d", h.Type, h.What, h.FreshDays)
			}
		}
	}
	for _, x := range c.Tests {
		say("tests", "%s|%s|%v|%d|%g|%d", x.ID, x.Name, x.Inputs, x.WindowDays, x.FreshHours, x.MinSample)
		for _, k := range x.Conditions {
			say("tests", " %s %s %v %v %s", k.Key, k.Op, k.Satisfied, k.Partial, k.Missing)
		}
	}
	for _, p := range c.Crosswalk {
		say("crosswalk", "%v|%v|%s|%s", p.From, p.To, p.Source, p.Confidence)
	}
	for _, a := range c.Actions {
		say("actions", "%s|%s|%v|%v", a.ID, a.Parent, a.Risks, a.Evidence)
	}
	for _, v := range c.Vocabulary {
		say("vocabulary", "%s|%s|%g", v.Type, v.Kind, v.FreshDays)
	}
	got := map[string]string{}
	for part, text := range parts {
		sum := sha256.Sum256([]byte(text.String()))
		got[part] = hex.EncodeToString(sum[:6])
	}
	want := map[string]string{"obligations": "be6f37070587", "dates": "5d6dfa25ab43", "mapping": "7a14ee3e7a2c", "tests": "ca307a2265cc", "crosswalk": "1c8d61fab115", "actions": "c515d9095069",
		"vocabulary": "bdb1523635b7"}
	for part := range got {
		if got[part] != want[part] {
			t.Errorf("%s: %s, want %s", part, got[part], want[part])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d parts, want %d", len(got), len(want))
	}
}

func TestEveryControlIsMapped(t *testing.T) {
	c := load(t)
	mapped, direct := 0, 0
	for _, f := range c.Frameworks {
		for _, k := range f.Controls {
			if k.Title == "" || k.Sufficiency == "" || len(k.Rule) == 0 {
				t.Errorf("%s %s: title %q, sufficiency %q, rule %v", f.ID, k.ID, k.Title, k.Sufficiency, k.Rule)
			}
			if (k.Sufficiency == "human_only") != (len(k.Tests) == 0) {
				t.Errorf("%s %s is %s and has %d tests", f.ID, k.ID, k.Sufficiency, len(k.Tests))
			}
			mapped++
		}
	}
	for _, a := range c.Actions {
		if len(a.Evidence) > 0 {
			direct++
		}
	}
	if mapped != 252 || direct != 27 || len(c.Risks) != 12 {
		t.Errorf("%d controls mapped, %d actions with evidence of their own, %d risks", mapped, direct, len(c.Risks))
	}
}

// TestFormalAndEffectiveDates holds the dates where the text of the Act and what
// it comes to part ways, and where the law is not settled.
func TestFormalAndEffectiveDates(t *testing.T) {
	f, err := load(t).Framework(AIAct)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []struct {
		id, class, formal, effective string
		settled, grace               bool
	}{
		{"4.1", "minimal", "2025-02-02", "2025-02-02", true, false},
		{"5.1.bb", "high_risk_annex_iii", "2026-12-02", "2026-12-02", true, false},
		{"26.1", "high_risk_annex_iii", "2027-12-02", "2027-12-02", true, false},
		{"9.1", "high_risk_annex_i", "2028-08-02", "2028-08-02", true, false},
		{"43.1", "high_risk_annex_iii", "2026-08-02", "2027-12-02", false, false},
		{"43.1", "high_risk_annex_i", "2026-08-02", "2028-08-02", false, false},
		{"50.2", "transparency_50", "2026-08-02", "2026-08-02", true, true},
		{"53.1.a", "gpai", "2025-08-02", "2025-08-02", true, true},
	} {
		k, err := f.Control(w.id)
		if err != nil {
			t.Fatal(err)
		}
		d := k.From(w.class)
		if got := d.Formal.Format(time.DateOnly); got != w.formal {
			t.Errorf("%s for %s: formally from %s, want %s", w.id, w.class, got, w.formal)
		}
		if got := d.Effective.Format(time.DateOnly); got != w.effective {
			t.Errorf("%s for %s: in effect from %s, want %s", w.id, w.class, got, w.effective)
		}
		if k.Settled != w.settled || (k.Grace != "") != w.grace {
			t.Errorf("%s: settled %v, grace %q", w.id, k.Settled, k.Grace)
		}
	}
}

// TestApplicabilityOfEveryObligation sets every role, class and a day before,
// at and after each date against the plain rule.
func TestApplicabilityOfEveryObligation(t *testing.T) {
	f, err := load(t).Framework(AIAct)
	if err != nil {
		t.Fatal(err)
	}
	roles := []string{"provider", "deployer", "importer", "distributor", "authorised_representative", "product_manufacturer", "gpai_provider", "third_party"}
	classes := []string{"prohibited", "high_risk_annex_iii", "high_risk_annex_i", "annex_iii_derogated", "transparency_50", "gpai", "gpai_systemic", "minimal"}
	seen := map[Reach]int{}
	for _, k := range f.Controls {
		for _, role := range roles {
			for _, class := range classes {
				for _, days := range []int{-1, 0, 1} {
					day := k.From(class).Effective.AddDate(0, 0, days)
					want := Applies
					switch {
					case !slices.Contains(k.Triggers, class) && !slices.Contains(k.Triggers, "all_ai_systems"), !slices.Contains(k.Roles, role):
						want = NotApplicable
					case days < 0:
						want = NotYet
					}
					got, why := k.Applicable([]string{role}, class, day)
					if got != want || (why == "") != (got == Applies) {
						t.Fatalf("%s for %s of %s on %s: %s (%s), want %s", k.ID, role, class, day.Format(time.DateOnly), got, why, want)
					}
					seen[got]++
				}
			}
		}
		// A set of roles is reached by any of them; without roles by all.
		if got, _ := k.Applicable(roles, "", k.From("").Effective); got != Applies {
			t.Errorf("%s does not reach an organisation of every role", k.ID)
		}
		if got, _ := k.Applicable(nil, "", k.From("").Effective); got != Applies {
			t.Errorf("%s does not reach an organisation whose roles nobody set", k.ID)
		}
	}
	if seen[Applies] == 0 || seen[NotYet] == 0 || seen[NotApplicable] == 0 {
		t.Errorf("seen %v", seen)
	}
}

func TestReasonsAreInWords(t *testing.T) {
	f, err := load(t).Framework(AIAct)
	if err != nil {
		t.Fatal(err)
	}
	k, err := f.Control("25.1")
	if err != nil {
		t.Fatal(err)
	}
	_, why := k.Applicable([]string{"authorised_representative"}, "high_risk_annex_iii", time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	if want := "a duty of the deployer, importer, distributor or third party; the organisation is authorised representative"; why != want {
		t.Errorf("%q, want %q", why, want)
	}
	_, why = k.Applicable([]string{"deployer"}, "minimal", time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	if strings.ContainsRune(why, '_') || !strings.Contains(why, "minimal risk") {
		t.Errorf("%q", why)
	}
}
