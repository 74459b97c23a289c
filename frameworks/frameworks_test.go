package frameworks

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"
)

func load(t *testing.T) *Catalog {
	t.Helper()
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The counts and the ids are facts of the frameworks. A change of either is a
// change of what customers are assessed against.
func TestCountsAndIDs(t *testing.T) {
	c := load(t)
	for _, w := range []struct {
		framework string
		controls  int
		ids       string // prefix of the SHA-256 over the ids in order
	}{
		{AIRMF, 72, "d0bcfd7c8093"}, {ISO, 70, "b8984f572a47"}, {AIAct, 110, "61f86acd6161"},
	} {
		f, err := c.Framework(w.framework)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		seen := map[string]bool{}
		for _, k := range f.Controls {
			ids = append(ids, k.ID)
			if seen[k.ID] {
				t.Errorf("%s: %s is there twice", f.ID, k.ID)
			}
			seen[k.ID] = true
		}
		sum := sha256.Sum256([]byte(strings.Join(ids, "\n")))
		if got := hex.EncodeToString(sum[:6]); len(f.Controls) != w.controls || got != w.ids {
			t.Errorf("%s: %d controls, ids %s; want %d, %s", f.ID, len(f.Controls), got, w.controls, w.ids)
		}
	}
	iso, _ := c.Framework(ISO)
	annex := 0
	for _, k := range iso.Controls {
		if strings.HasPrefix(k.ID, "A.") {
			annex++
		}
	}
	if annex != 38 || len(iso.Controls)-annex != 32 {
		t.Errorf("ISO: %d clauses, %d controls of Annex A", len(iso.Controls)-annex, annex)
	}
	if len(c.Actions) != 212 || len(c.Crosswalk) != 289 || len(c.Tests) != 34 || len(c.Vocabulary) != 26 {
		t.Errorf("%d actions, %d pairs, %d tests, %d evidence types", len(c.Actions), len(c.Crosswalk), len(c.Tests), len(c.Vocabulary))
	}
}

func TestApplicability(t *testing.T) {
	c := load(t)
	f, _ := c.Framework(AIAct)
	day := func(s string) time.Time { d, _ := time.Parse(time.DateOnly, s); return d }
	for _, w := range []struct {
		name, id string
		roles    []string
		class    string
		day      time.Time
		want     Reach
	}{
		{"high-risk duty before its deferred date", "10.2", []string{"provider"}, "high_risk_annex_iii", day("2026-11-24"), NotYet},
		{"and from it", "10.2", []string{"provider"}, "high_risk_annex_iii", day("2027-12-02"), Applies},
		{"annex I is later", "10.2", []string{"provider"}, "high_risk_annex_i", day("2027-12-02"), NotYet},
		{"other class", "10.2", []string{"provider"}, "minimal", day("2028-12-02"), NotApplicable},
		{"other role", "10.2", []string{"deployer"}, "high_risk_annex_iii", day("2028-12-02"), NotApplicable},
		{"literacy for all", "4.1", []string{"deployer"}, "minimal", day("2026-11-24"), Applies},
		{"unclassified is no excuse", "10.2", []string{"provider"}, "", day("2028-12-02"), Applies},
		{"effective later than formal", "72.1", []string{"provider"}, "high_risk_annex_iii", day("2026-11-24"), NotYet},
	} {
		k, err := f.Control(w.id)
		if err != nil {
			t.Fatal(err)
		}
		if got, why := k.Applicable(w.roles, w.class, w.day); got != w.want || (got != Applies) != (why != "") {
			t.Errorf("%s: %s (%s), want %s", w.name, got, why, w.want)
		}
	}
	rmf, _ := c.Framework(AIRMF)
	if got, _ := rmf.Controls[0].Applicable(nil, "", day("2026-01-01")); got != Applies {
		t.Errorf("AI RMF: %s", got)
	}
}

func TestCrosswalkBothWays(t *testing.T) {
	c := load(t)
	if len(c.Mapped(AIRMF, "GOVERN 1.1")) == 0 || len(c.Mapped(ISO, "4.1")) == 0 {
		t.Error("a pair is found from one end only")
	}
}
