package assessments

import (
	"strings"

	"plumbline/frameworks"
)

// State of a test or a control. Unknown is a state of its own and never a pass.
type State string

// The six states of a control; tests use the first four.
const (
	Satisfied     State = "satisfied"
	Partial       State = "partially_satisfied"
	NotSatisfied  State = "not_satisfied"
	NoEvidence    State = "no_evidence"
	NotApplicable State = "not_applicable"
	NotYet        State = "not_yet_applicable"
)

// States lists them from best to furthest.
func States() []State {
	return []State{Satisfied, Partial, NotSatisfied, NoEvidence, NotYet, NotApplicable}
}

// judge sets metrics against a test's conditions. All at the satisfied value:
// satisfied. Else all conditions that have a partial value at that value: partial.
// Else not satisfied. A metric that is not known reads as its condition says; when
// the condition says nothing, one without a partial value fails the satisfied leg
// only, any other leaves the test without evidence. Small samples never pass, but
// a broken zero-tolerance condition counts at any size. The reason is a code.
func judge(t *frameworks.Test, metrics map[string]metric, population int64) (State, string) {
	result, reason := weigh(t, metrics, population)
	if result == NoEvidence && population == 0 && t.MinSample > 0 {
		reason = "no_traffic"
	}
	return result, reason
}

func weigh(t *frameworks.Test, metrics map[string]metric, population int64) (State, string) {
	satisfied, partial, partials := true, true, 0
	broken, reason := false, ""
	fallback := population == 0 && hasFallback(t)
	for _, c := range t.Conditions {
		if strings.HasSuffix(c.Key, "_if_none") != fallback && (strings.HasSuffix(c.Key, "_if_none") || strings.HasSuffix(c.Key, "_ratio")) {
			continue
		}
		m := metrics[c.Key]
		if !m.known {
			switch {
			case c.Missing == "satisfied":
				if c.Partial != nil {
					partials++
				}
			case c.Missing == "partial":
				satisfied = false
				partials++
				reason = first(reason, "unknown:"+c.Key)
			case c.Partial == nil && !fallback:
				satisfied = false
				reason = first(reason, "unknown:"+c.Key)
			default:
				return NoEvidence, "unknown:" + c.Key
			}
			continue
		}
		if !holds(m.value, c.Op, c.Satisfied) {
			satisfied = false
			reason = first(reason, "failed:"+c.Key)
			broken = broken || zeroTolerance(c)
		}
		if c.Partial != nil {
			partials++
			partial = partial && holds(m.value, c.Op, c.Partial)
		}
	}
	result := NotSatisfied
	switch {
	case satisfied:
		result, reason = Satisfied, ""
	case partial && partials > 0:
		result = Partial
	}
	if population < int64(t.MinSample) && !broken {
		return NoEvidence, "sample_too_small"
	}
	return result, reason
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func hasFallback(t *frameworks.Test) bool {
	for _, c := range t.Conditions {
		if strings.HasSuffix(c.Key, "_if_none") {
			return true
		}
	}
	return false
}

// zeroTolerance: "== 0" and "== false".
func zeroTolerance(c frameworks.Condition) bool {
	v, ok := threshold(c.Satisfied)
	return c.Op == "==" && ok && v == 0
}

func holds(v float64, op string, want any) bool {
	w, ok := threshold(want)
	if !ok {
		return false
	}
	const close = 1e-9 // shares are quotients
	switch op {
	case "==":
		return v > w-close && v < w+close
	case ">=":
		return v >= w-close
	case "<=":
		return v <= w+close
	case ">":
		return v > w
	case "<":
		return v < w
	}
	return false
}

// parameters are the defaults of conditions that name one.
var parameters = map[string]float64{"min_days": 184, "max_seconds": 60, "min_block": 0.95, "min_block_partial": 0.8}

func threshold(v any) (float64, bool) {
	switch x := v.(type) {
	case float64:
		return x, true
	case bool:
		if x {
			return 1, true
		}
		return 0, true
	case string:
		p, ok := parameters[x]
		return p, ok
	}
	return 0, false
}
