package assessments

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"time"

	"plumbline/assessments/projection"
	"plumbline/inventory"
)

// metric is one measured figure. What cannot be measured is not known, never 0.
type metric struct {
	value float64
	share bool // kept in parts per million
	known bool
}

func (m metric) stored() int64 {
	if m.share {
		return int64(math.Round(m.value * 1e6))
	}
	return int64(math.Floor(m.value))
}

// measurement is one test of one system in progress.
type measurement struct {
	*testRun
	system     *inventory.System
	now, from  time.Time
	counters   projection.Counters // of the system in the window; others read the same
	metrics    map[string]metric
	population int64
	cited      []uint64
}

func (m *measurement) ratio(key, part, whole string) {
	v, ok := m.counters.Ratio(part, whole)
	m.metrics[key] = metric{v, true, ok}
}

func (m *measurement) number(key string, v float64) { m.metrics[key] = metric{value: v, known: true} }

func (m *measurement) truth(key string, v bool) {
	m.metrics[key] = metric{known: true}
	if v {
		m.metrics[key] = metric{value: 1, known: true}
	}
}

func (m *measurement) unknown(key string) { m.metrics[key] = metric{} }

func days(d time.Duration) float64 { return d.Hours() / 24 }

// measures are the tests that this product computes. The catalog has more; their
// controls say what they wait for.
var measures = map[string]func(*measurement) error{
	"t.capture_complete":    captureComplete,
	"t.chain_verified":      chainVerified,
	"t.inventory_match":     inventoryMatch,
	"t.shadow_clear":        shadowClear,
	"t.access_enforced":     accessEnforced,
	"t.approval_before_use": approvalBeforeUse,
	"t.change_controlled":   changeControlled,
	"t.guardrail_coverage":  guardrailCoverage,
	"t.budget_enforced":     budgetEnforced,
	"t.retired_quiet":       retiredQuiet,
	"t.cost_attributed":     costAttributed,
	"t.tier_profile":        tierProfile,
	"t.failover_proven":     failoverProven,
}

// Computed reports whether a test is computed by this product.
func Computed(test string) bool { return measures[test] != nil }

// ComputedTests are the ids of the tests that this product computes, sorted.
func ComputedTests() []string { return slices.Sorted(maps.Keys(measures)) }

// captureComplete: missing numbers of the log's writers. There is no invoice feed
// to reconcile with, so that metric is unknown.
func captureComplete(m *measurement) error {
	gaps, err := m.e.d.Projection.Gaps(m.ctx, string(m.org))
	m.number("unexplained_gaps", float64(gaps))
	m.unknown("recon_delta_pct")
	m.population = m.counters["intents"] + m.counters["refused"]
	return err
}

// chainVerified: the newest full check of the log. No witness can be connected, so
// the age of an outside anchor is unknown.
func chainVerified(m *measurement) error {
	c, found, err := m.e.d.Store.lastCheck(m.ctx, m.org)
	if err != nil {
		return err
	}
	if found {
		m.population = 1
		m.truth("verify_ok", c.OK)
		m.number("verify_age_h", m.now.Sub(time.UnixMicro(c.At)).Hours())
	} else {
		m.unknown("verify_ok")
		m.unknown("verify_age_h")
	}
	m.unknown("external_anchor_age_d")
	return nil
}

// inventoryMatch: calls to models that the system declares, and the age of the
// last review of its entry.
func inventoryMatch(m *measurement) error {
	matched := int64(0)
	declared := map[inventory.ModelRef]bool{}
	for _, d := range m.system.Models {
		if declared[d] {
			continue // named twice, called once
		}
		declared[d] = true
		matched += m.counters[projection.ModelCounter(string(d.Provider), d.Model)]
	}
	m.population = m.counters["intents"]
	if m.population > 0 {
		m.metrics["matched_ratio"] = metric{float64(matched) / float64(m.population), true, true}
	} else {
		m.unknown("matched_ratio")
	}
	if m.system.ReviewedAt.IsZero() {
		m.unknown("oldest_record_review_d")
	} else {
		m.number("oldest_record_review_d", days(m.now.Sub(m.system.ReviewedAt)))
	}
	return nil
}

// shadowClear: unregistered use that nobody has handled. A finding is handled once
// its key is revoked or bound to a system. There is no outside feed, so bypass of
// the gateway cannot be seen.
func shadowClear(m *measurement) error {
	findings, err := m.e.d.Projection.Findings(m.ctx, string(m.org))
	if err != nil {
		return err
	}
	m.unknown("oldest_open_finding_d")
	for _, f := range findings {
		if !m.open(f) {
			continue
		}
		m.population++
		m.cited = append(m.cited, f.FirstLeaf)
		if age := days(m.now.Sub(time.UnixMicro(f.FirstAt))); age >= m.metrics["oldest_open_finding_d"].value {
			m.number("oldest_open_finding_d", age)
		}
	}
	m.truth("external_feed_connected", false)
	return nil
}

func (m *measurement) open(f projection.Finding) bool {
	return slices.ContainsFunc(m.state.Keys, func(k inventory.Key) bool {
		return string(k.ID) == f.Subject && k.System == "" && k.RevokedAt.IsZero()
	})
}

// accessEnforced: calls with a key, a system and a decision; whether refusing is
// the default, and was seen to work.
func accessEnforced(m *measurement) error {
	m.population = m.counters["intents"]
	if m.population > 0 {
		m.metrics["attributed_ratio"] = metric{float64(m.counters["attributed"]) / float64(m.population), true, true}
	} else {
		m.unknown("attributed_ratio")
	}
	m.truth("default_deny", m.state.Settings.Unregistered != "flag")
	all, err := m.sum("", m.now.AddDate(0, 0, -90))
	if err != nil {
		return err
	}
	denies := int64(0)
	for _, code := range []string{"system_unregistered", "system_unapproved", "system_suspended", "system_retired", "system_prohibited", "approval_expired", "key_revoked", "key_expired", "model_not_allowed", "policy_denied"} {
		denies += all["refused."+code]
	}
	m.number("denies_90d", float64(denies))
	return m.cite(projection.Filter{State: projection.Refused}, "refused")
}

// cite adds up to five exchanges of the window as examples. When none of the counters
// that each of them is counted in says that there are any, none is looked for.
func (m *measurement) cite(f projection.Filter, counters ...string) error {
	if !slices.ContainsFunc(counters, func(name string) bool { return m.counters[name] > 0 }) {
		return nil
	}
	f.System, f.From, f.Limit = string(m.system.ID), m.from.UnixMicro(), 5
	list, _, err := m.e.d.Projection.Exchanges(m.ctx, string(m.org), f)
	for _, x := range list {
		if x.ClosedLeaf >= 0 {
			m.cited = append(m.cited, uint64(x.ClosedLeaf))
		}
	}
	slices.Sort(m.cited)
	return err
}

// approvalBeforeUse: models whose first call came after an approval of the system
// by somebody other than who asked for it.
func approvalBeforeUse(m *measurement) error {
	observed, err := m.e.d.Projection.Observed(m.ctx, string(m.org), string(m.system.ID))
	if err != nil {
		return err
	}
	approved, err := m.approvedAt()
	if err != nil {
		return err
	}
	before := int64(0)
	m.unknown("late_approval_max_d")
	for _, o := range observed {
		m.population++
		m.cited = append(m.cited, o.FirstLeaf)
		first := time.UnixMicro(o.FirstAt)
		switch {
		case approved.IsZero():
			m.number("late_approval_max_d", 1e6) // never approved counts as endless delay
		case !approved.After(first):
			before++
		default:
			m.number("late_approval_max_d", max(days(approved.Sub(first)), m.metrics["late_approval_max_d"].value))
		}
	}
	if m.population > 0 {
		m.metrics["approved_before_ratio"] = metric{float64(before) / float64(m.population), true, true}
	} else {
		m.unknown("approved_before_ratio")
	}
	slices.Sort(m.cited)
	return nil
}

// approvedAt is when the system was first approved by a second person.
func (m *measurement) approvedAt() (time.Time, error) {
	versions, err := m.e.d.Register.History(m.ctx, m.org, "system", string(m.system.ID))
	if err != nil {
		return time.Time{}, err
	}
	var first time.Time
	for _, v := range versions {
		var s inventory.System
		if err := json.Unmarshal(v.Body, &s); err != nil {
			return first, err
		}
		if a := s.Approval; a.State == inventory.Approved && !v.Imported && a.DecidedBy != "" && a.DecidedBy != a.RequestedBy {
			first = v.At // versions come newest first
		}
	}
	return first, nil
}

// controlled are the kinds of changes that another person should see.
var controlled = []string{"policy.changed", "policy.deleted", "guard_profile.changed", "guard_profile.deleted", "settings.changed", "budget.changed", "budget.deleted", "route.changed", "route.deleted",
	"provider.changed", "provider.secret_entered", "provider.deleted", "policy.declared", "guard_profile.declared", "settings.declared"}

// changeControlled: changes of what the gateway obeys that carry a second person
// and a reason.
func changeControlled(m *measurement) error {
	changes, err := m.e.d.Projection.Changes(m.ctx, string(m.org), m.from.UnixMicro(), 10_000)
	if err != nil {
		return err
	}
	four := int64(0)
	for _, c := range changes {
		if !slices.Contains(controlled, c.Kind) {
			continue
		}
		m.population++
		if c.Approver != "" && c.Approver != c.Actor && c.Reasoned {
			four++
		} else if len(m.cited) < 5 {
			m.cited = append(m.cited, c.Leaf)
		}
	}
	if m.population > 0 {
		m.metrics["four_eyes_ratio"] = metric{float64(four) / float64(m.population), true, true}
	} else {
		m.unknown("four_eyes_ratio")
	}
	m.unknown("baseline_approved_age_d_if_none")
	slices.Sort(m.cited)
	return nil
}

// guardrailCoverage: exchanges that every guard of the required profile looked at,
// and those that went on although a blocking guard did not run.
func guardrailCoverage(m *measurement) error {
	m.population = m.counters["intents"]
	m.ratio("evaluated_ratio", "evaluated", "intents")
	m.number("fail_open_blocking", float64(m.counters["fail_open"]))
	return m.cite(projection.Filter{State: projection.Blocked}, projection.StateCounter(projection.Blocked))
}

// budgetEnforced: whether a limit is set above the system, and charges beyond
// their hold.
func budgetEnforced(m *measurement) error {
	limited := slices.ContainsFunc(m.state.Budgets, func(b inventory.Budget) bool {
		return b.Scope == inventory.ScopeOrg || b.Scope == inventory.ScopeSystem && b.Target == string(m.system.ID)
	})
	m.population = 1
	m.metrics["systems_with_limit_ratio"] = metric{share: true, known: true}
	if limited {
		m.metrics["systems_with_limit_ratio"] = metric{1, true, true}
	}
	m.number("unapproved_overruns", float64(m.counters["overruns"]))
	return m.cite(projection.Filter{Code: "budget_exceeded"}, "refused.budget_exceeded", "code.budget_exceeded")
}

// failoverProven: calls for which a deployment failed or was out of health while their
// route had others, the share of them that got a whole answer all the same, and the age
// of the newest hour with one. Routes that were never put to it prove nothing.
func failoverProven(m *measurement) error {
	last, err := m.e.d.Projection.LastFallback(m.ctx, string(m.org), string(m.system.ID), m.from.Unix()/3600)
	if err != nil {
		return err
	}
	m.population = m.counters["fallbacks"]
	m.ratio("recovered_ratio", "recovered", "fallbacks")
	m.unknown("last_drill_age_d")
	if last > 0 {
		m.number("last_drill_age_d", max(days(m.now.Sub(time.Unix(last*3600, 0))), 0))
	}
	return nil
}

// retiredQuiet: requests in the name of retired systems after their retirement,
// refused ones too, and whether their keys are revoked. It is measured over the
// organisation's retired systems, whichever system's control asks.
func retiredQuiet(m *measurement) error {
	requests, revoked := int64(0), true
	for i := range m.state.Systems {
		s := &m.state.Systems[i]
		if s.Lifecycle != inventory.Retired {
			continue
		}
		m.population++
		c, err := m.sum(s.ID, m.from)
		if err != nil {
			return err
		}
		requests += c["refused.system_retired"]
		list, _, err := m.e.d.Projection.Exchanges(m.ctx, string(m.org), projection.Filter{System: string(s.ID), From: s.RetiredAt.UnixMicro(), Limit: 1000})
		if err != nil {
			return err
		}
		for _, x := range list {
			if x.OpenedLeaf >= 0 {
				requests++
			}
			if x.ClosedLeaf >= 0 && len(m.cited) < 5 {
				m.cited = append(m.cited, uint64(x.ClosedLeaf))
			}
		}
		for _, k := range m.state.Keys {
			revoked = revoked && (k.System != s.ID || !k.RevokedAt.IsZero())
		}
	}
	m.number("post_retirement_requests", float64(requests))
	m.truth("keys_revoked", revoked)
	slices.Sort(m.cited)
	return nil
}

// costAttributed: ended exchanges that have a system with an owner, and a cost.
func costAttributed(m *measurement) error {
	if m.population = m.counters["closed"]; m.system.Owner != "" || m.population == 0 {
		m.ratio("attributed_ratio", "costed", "closed")
		return nil
	}
	m.metrics["attributed_ratio"] = metric{0, true, true}
	return nil
}

// tierProfile: whether the system has a risk class and obeys the guard profile
// that is required for it.
func tierProfile(m *measurement) error {
	m.population = 1
	enforced := m.system.RiskClass != inventory.Unclassified && slices.ContainsFunc(m.state.Profiles, func(p inventory.GuardProfile) bool {
		return slices.Contains(p.Tiers, m.system.RiskClass) && (m.system.Profile == "" || m.system.Profile == p.ID)
	})
	m.metrics["tiered_enforced_ratio"] = metric{share: true, known: true}
	if enforced {
		m.metrics["tiered_enforced_ratio"] = metric{1, true, true}
	}
	return nil
}
