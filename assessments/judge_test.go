package assessments

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"plumbline/frameworks"
)

func drawMetrics(t *rapid.T, test *frameworks.Test) map[string]metric {
	out := map[string]metric{}
	for _, c := range test.Conditions {
		if rapid.Bool().Draw(t, "known "+c.Key) {
			v := rapid.SampledFrom([]float64{0, 0.5, 0.8, 0.9, 0.95, 0.96, 0.99, 0.995, 0.999, 1, 2, 7, 14, 24, 25, 30, 60, 184, 365, 366}).Draw(t, c.Key)
			out[c.Key] = metric{value: v, known: true}
		}
	}
	return out
}

// TestUnknownNeverPasses: for every test of the catalog, taking a figure away, or
// observations, never makes a pass of what was none. Figures whose absence the
// catalog itself reads as satisfied (no finding is open, so there is no oldest
// one) are not taken.
func TestUnknownNeverPasses(t *testing.T) {
	for _, test := range catalog.Tests {
		t.Run(test.ID, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				metrics := drawMetrics(t, test)
				population := int64(rapid.IntRange(1, 100).Draw(t, "population"))
				before, _ := judge(test, metrics, population)
				for _, c := range test.Conditions {
					if c.Missing == "satisfied" {
						continue
					}
					less := maps.Clone(metrics)
					delete(less, c.Key)
					if after, reason := judge(test, less, population); after == Satisfied && before != Satisfied {
						t.Fatalf("without %s: %s (%s), before %s", c.Key, after, reason, before)
					}
				}
				fewer := int64(rapid.IntRange(1, int(population)).Draw(t, "fewer"))
				if after, _ := judge(test, metrics, fewer); after == Satisfied && before != Satisfied {
					t.Fatalf("%s with %d observations, %s with %d", after, fewer, before, population)
				}
				if after, _ := judge(test, nil, 0); after == Satisfied {
					t.Fatal("passes with nothing known")
				}
			})
		})
	}
}

// TestConditionsAreObeyed: each threshold of each computed test, as the catalog
// has it, decides; nothing of it is fixed in code.
func TestConditionsAreObeyed(t *testing.T) {
	for id := range measures {
		test, err := catalog.Test(id)
		if err != nil {
			t.Fatal(err)
		}
		metrics := map[string]metric{}
		for _, c := range test.Conditions {
			v, ok := threshold(c.Satisfied)
			if !ok {
				t.Fatalf("%s: %s has no value", id, c.Key)
			}
			metrics[c.Key] = metric{value: v, known: true}
		}
		population := int64(max(test.MinSample, 1))
		if got, reason := judge(test, metrics, population); got != Satisfied {
			t.Errorf("%s at its thresholds: %s (%s)", id, got, reason)
		}
		if test.MinSample > 1 {
			if got, _ := judge(test, metrics, population-1); got == Satisfied {
				t.Errorf("%s passes with a sample below %d", id, test.MinSample)
			}
		}
		for _, c := range test.Conditions {
			if population > 0 && len(c.Key) > 8 && c.Key[len(c.Key)-8:] == "_if_none" {
				continue
			}
			worse := maps.Clone(metrics)
			v := worse[c.Key].value
			switch c.Op {
			case ">=", ">":
				v -= 0.001
			case "<=", "<":
				v += 0.001
			default:
				v = 1 - min(v, 1)
			}
			worse[c.Key] = metric{value: v, known: true}
			got, reason := judge(test, worse, population)
			if got == Satisfied || reason != "failed:"+c.Key {
				t.Errorf("%s beyond %s %s %v: %s (%s)", id, c.Key, c.Op, c.Satisfied, got, reason)
			}
			changed := *test
			changed.Conditions = slices.Clone(test.Conditions)
			i := slices.IndexFunc(changed.Conditions, func(x frameworks.Condition) bool { return x.Key == c.Key })
			changed.Conditions[i].Satisfied = v
			if got, reason := judge(&changed, worse, population); got != Satisfied {
				t.Errorf("%s with its threshold moved to %v: %s (%s)", id, v, got, reason)
			}
		}
	}
}

// TestViolationsCount: a broken zero tolerance counts however small the sample.
func TestViolationsCount(t *testing.T) {
	test, _ := catalog.Test("t.guardrail_coverage")
	got, _ := judge(test, map[string]metric{"evaluated_ratio": {value: 1, share: true, known: true}, "fail_open_blocking": {value: 1, known: true}}, 3)
	if got != Partial {
		t.Errorf("one fail-open among 3 calls: %s", got)
	}
}
