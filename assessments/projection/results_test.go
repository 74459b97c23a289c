package projection

import (
	"testing"
	"time"

	"plumbline/assessments/evidence/record"
)

// TestNewest: of each named test of a system its newest result, also one that ran
// long before the others, and none of another system, organisation or later leaf.
func TestNewest(t *testing.T) {
	pool := sqlite(t)
	f := newFeed("acme", "globex")
	now := time.Unix(1_800_000_000, 0)
	put := func(log, system, test string) uint64 {
		return f.put(t, log, now, record.ControlTest, &record.TestResult{Test: test, Version: 1, System: system, Result: "satisfied"})
	}
	rare := put("acme", "SYS-001", "t.rare")
	var early, last uint64
	for i := range 600 {
		last = put("acme", "SYS-001", "t.often")
		if i == 10 {
			early = last
		}
	}
	put("acme", "SYS-002", "t.often")
	put("acme", "SYS-001", "t.unasked")
	put("globex", "SYS-001", "t.rare")
	p := New(pool, "sqlite", f, nil)
	if err := p.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		tests  []string
		before uint64
		want   []uint64
	}{
		{"all", []string{"t.rare", "t.often", "t.never"}, 0, []uint64{last, rare}},
		{"as of a leaf", []string{"t.rare", "t.often"}, early + 1, []uint64{early, rare}},
		{"none", nil, 0, nil},
	} {
		results, err := p.Newest(t.Context(), "acme", "SYS-001", c.tests, c.before)
		if err != nil || len(results) != len(c.want) {
			t.Errorf("%s: %d results, %v", c.name, len(results), err)
			continue
		}
		for i, r := range results {
			if r.Leaf != c.want[i] {
				t.Errorf("%s: leaf %d, want %d", c.name, r.Leaf, c.want[i])
			}
		}
	}
}
