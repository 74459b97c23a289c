package assessments

import (
	"errors"
	"slices"
	"testing"
	"time"

	"plumbline/assessments/evidence/record"
	"plumbline/assessments/projection"
	"plumbline/gateway/event"
	"plumbline/inventory"
)

func changed(approver string, reasoned bool) *record.Change {
	return &record.Change{Kind: "policy.changed", Object: "p", Version: 2, Approver: approver, Reasoned: reasoned}
}

// situations says for each test what it makes of the world: every one of them has
// a case that passes as far as this product can see, one that fails, and one in
// which nothing is known.
var situations = []struct {
	test, name string
	make       func(w *world)
	result     State
	reason     string
	population uint64
}{
	{"t.capture_complete", "no invoices to compare with", func(w *world) { w.calls(60, nil) }, Partial, "unknown:recon_delta_pct", 60},
	{"t.capture_complete", "a number is missing", func(w *world) {
		w.calls(60, nil)
		w.ledger.leaves = slices.Delete(w.ledger.leaves, 21, 22) // an outcome
		for i := range w.ledger.leaves {
			w.ledger.leaves[i].Index = uint64(i)
		}
	}, NotSatisfied, "failed:unexplained_gaps", 60},
	{"t.capture_complete", "too few calls", func(w *world) { w.calls(9, nil) }, NoEvidence, "sample_too_small", 9},
	{"t.capture_complete", "no traffic", nil, NoEvidence, "no_traffic", 0},

	{"t.chain_verified", "checked, no anchor outside", func(w *world) { w.verify() }, Partial, "unknown:external_anchor_age_d", 1},
	{"t.chain_verified", "never checked", nil, NoEvidence, "no_traffic", 0},
	{"t.chain_verified", "checked two days ago", func(w *world) { w.verify(); w.later(48 * time.Hour) }, NotSatisfied, "failed:verify_age_h", 1},
	{"t.chain_verified", "does not verify", func(w *world) { w.ledger.broken = errors.New("leaf 3 differs"); w.verify() }, NotSatisfied, "failed:verify_ok", 1},

	{"t.inventory_match", "as declared", func(w *world) { w.calls(60, nil) }, Satisfied, "", 60},
	{"t.inventory_match", "entry never reviewed", func(w *world) { w.calls(60, nil); w.system().ReviewedAt = time.Time{} }, Partial, "unknown:oldest_record_review_d", 60},
	{"t.inventory_match", "entry reviewed long ago", func(w *world) { w.calls(60, nil); w.system().ReviewedAt = w.now.AddDate(-2, 0, 0) }, Partial, "failed:oldest_record_review_d", 60},
	{"t.inventory_match", "a model declared twice counts once", func(w *world) {
		w.system().Models = append(w.system().Models, w.system().Models[0])
		w.calls(30, nil)
		w.calls(30, otherModel)
	}, NotSatisfied, "failed:matched_ratio", 60},
	{"t.inventory_match", "one call in thirty elsewhere", func(w *world) { w.calls(58, nil); w.calls(2, otherModel) }, Partial, "failed:matched_ratio", 60},
	{"t.inventory_match", "no traffic", nil, NoEvidence, "no_traffic", 0},

	{"t.shadow_clear", "nothing found, no feed from outside", nil, Partial, "failed:external_feed_connected", 0},
	{"t.shadow_clear", "found lately", func(w *world) { w.shadowKey(); w.refuse(3, "system_unregistered", "lost", "") }, Partial, "failed:external_feed_connected", 1},
	{"t.shadow_clear", "left open", func(w *world) {
		w.shadowKey()
		w.refuse(3, "system_unregistered", "lost", "")
		w.later(15 * 24 * time.Hour)
	}, NotSatisfied, "failed:oldest_open_finding_d", 1},
	{"t.shadow_clear", "handled by revoking the key", func(w *world) {
		w.shadowKey()
		w.refuse(3, "system_unregistered", "lost", "")
		w.later(15 * 24 * time.Hour)
		w.state.Keys[1].RevokedAt = w.now
	}, Partial, "failed:external_feed_connected", 0},

	{"t.access_enforced", "decided, and deny was seen", func(w *world) { w.calls(60, nil); w.refuse(1, "policy_denied", "k1", "chat") }, Satisfied, "", 60},
	{"t.access_enforced", "deny was never seen", func(w *world) { w.calls(60, nil) }, Partial, "failed:denies_90d", 60},
	{"t.access_enforced", "unregistered use is only flagged", func(w *world) {
		w.calls(60, nil)
		w.refuse(1, "policy_denied", "k1", "chat")
		w.state.Settings.Unregistered = "flag"
	}, Partial, "failed:default_deny", 60},
	{"t.access_enforced", "some have no key, others no decision", func(w *world) {
		w.refuse(1, "policy_denied", "k1", "chat")
		w.calls(56, nil)
		w.calls(2, func(in, _ *event.Event) { in.Key = "" })
		w.calls(2, func(in, _ *event.Event) { in.Decision = event.Decision{} })
	}, NotSatisfied, "failed:attributed_ratio", 60},
	{"t.access_enforced", "no traffic", nil, NoEvidence, "no_traffic", 0},

	{"t.approval_before_use", "approved first", func(w *world) { w.calls(1, nil) }, Satisfied, "", 1},
	{"t.approval_before_use", "used first", func(w *world) { w.calls(1, nil); w.approvedAt(w.now.Add(time.Hour)) }, NotSatisfied, "failed:approved_before_ratio", 1},
	{"t.approval_before_use", "never approved", func(w *world) { w.calls(1, nil); w.history = nil }, NotSatisfied, "failed:approved_before_ratio", 1},
	{"t.approval_before_use", "approved by who asked", func(w *world) {
		w.calls(1, nil)
		w.system().Approval.DecidedBy = "anna"
		w.approvedAt(w.now.AddDate(0, -1, 0))
	}, NotSatisfied, "failed:approved_before_ratio", 1},
	{"t.approval_before_use", "an approval from the configuration file", func(w *world) { w.calls(1, nil); w.history[0].Imported = true }, NotSatisfied, "failed:approved_before_ratio", 1},
	{"t.approval_before_use", "first used beside a request for its renewal", func(w *world) { w.renewing(inventory.Requested); w.calls(1, nil) }, Satisfied, "", 1},
	{"t.approval_before_use", "first used after its renewal was rejected", func(w *world) { w.renewing(inventory.Rejected); w.calls(1, nil) }, Satisfied, "", 1},
	{"t.approval_before_use", "no traffic", nil, NoEvidence, "no_traffic", 0},

	{"t.change_controlled", "a second person and a reason", func(w *world) { w.put(w.now, record.RegisterChange, changed("berta", true)) }, Satisfied, "", 1},
	{"t.change_controlled", "no reason", func(w *world) { w.put(w.now, record.RegisterChange, changed("berta", false)) }, NotSatisfied, "failed:four_eyes_ratio", 1},
	{"t.change_controlled", "nobody else", func(w *world) { w.put(w.now, record.RegisterChange, changed("", true)) }, NotSatisfied, "failed:four_eyes_ratio", 1},
	{"t.change_controlled", "the same person twice", func(w *world) { w.put(w.now, record.RegisterChange, changed("anna", true)) }, NotSatisfied, "failed:four_eyes_ratio", 1},
	{"t.change_controlled", "no change", nil, NoEvidence, "unknown:baseline_approved_age_d_if_none", 0},

	{"t.guardrail_coverage", "all seen", func(w *world) { w.calls(60, nil) }, Satisfied, "", 60},
	{"t.guardrail_coverage", "a guard did not run", func(w *world) { w.calls(57, nil); w.calls(3, unguarded(false)) }, Partial, "failed:evaluated_ratio", 60},
	{"t.guardrail_coverage", "no guards", func(w *world) { w.calls(60, func(in, _ *event.Event) { in.Prompt = nil }) }, NotSatisfied, "failed:evaluated_ratio", 60},
	{"t.guardrail_coverage", "went on without a blocking guard", func(w *world) { w.calls(999, nil); w.calls(1, unguarded(true)) }, Partial, "failed:fail_open_blocking", 1000},
	{"t.guardrail_coverage", "too few, one without a blocking guard", func(w *world) { w.calls(2, unguarded(true)) }, NotSatisfied, "failed:evaluated_ratio", 2},
	{"t.guardrail_coverage", "no traffic", nil, NoEvidence, "no_traffic", 0},

	{"t.budget_enforced", "limited and within", func(w *world) { w.calls(3, nil) }, Satisfied, "", 1},
	{"t.budget_enforced", "no limit", func(w *world) { w.state.Budgets = nil }, NotSatisfied, "failed:systems_with_limit_ratio", 1},
	{"t.budget_enforced", "another system's limit", func(w *world) {
		w.state.Budgets[0].Scope, w.state.Budgets[0].Target = inventory.ScopeSystem, "hire"
	}, NotSatisfied, "failed:systems_with_limit_ratio", 1},
	{"t.budget_enforced", "charged more than held", func(w *world) { w.calls(1, func(_, out *event.Event) { out.Charge = 101 }) }, NotSatisfied, "failed:unapproved_overruns", 1},

	{"t.retired_quiet", "nothing is retired", func(w *world) { w.calls(60, nil) }, NoEvidence, "no_traffic", 0},
	{"t.retired_quiet", "silent, its keys revoked", func(w *world) { w.retire(true) }, Satisfied, "", 1},
	{"t.retired_quiet", "silent, a key is left", func(w *world) { w.retire(false) }, Partial, "failed:keys_revoked", 1},
	{"t.retired_quiet", "still asking", func(w *world) { w.retire(true); w.refuse(1, "system_retired", "k1", "chat") }, NotSatisfied, "failed:post_retirement_requests", 1},
	{"t.retired_quiet", "still served", func(w *world) { w.retire(true); w.calls(1, nil) }, NotSatisfied, "failed:post_retirement_requests", 1},

	{"t.failover_proven", "every one recovered", func(w *world) { w.calls(60, nil); w.calls(5, failedOver(event.EndComplete)) }, Satisfied, "", 5},
	{"t.failover_proven", "one in twenty did not", func(w *world) {
		w.calls(19, failedOver(event.EndComplete))
		w.calls(1, failedOver(event.EndUpstreamError))
	}, Partial, "failed:recovered_ratio", 20},
	{"t.failover_proven", "none did", func(w *world) { w.calls(5, failedOver(event.EndUpstreamError)) }, NotSatisfied, "failed:recovered_ratio", 5},
	{"t.failover_proven", "a caller that hung up says nothing", func(w *world) { w.calls(5, failedOver(event.EndClientGone)) }, NoEvidence, "no_traffic", 0},
	{"t.failover_proven", "long ago", func(w *world) { w.calls(5, failedOver(event.EndComplete)); w.later(200 * 24 * time.Hour) }, Partial, "failed:last_drill_age_d", 5},
	{"t.failover_proven", "routes that nothing put to it", func(w *world) { w.calls(60, nil) }, NoEvidence, "no_traffic", 0},

	{"t.cost_attributed", "all priced", func(w *world) { w.calls(60, nil) }, Satisfied, "", 60},
	{"t.cost_attributed", "one in twenty without a price", func(w *world) { w.calls(57, nil); w.calls(3, unpriced) }, Partial, "failed:attributed_ratio", 60},
	{"t.cost_attributed", "nobody owns the system", func(w *world) { w.calls(60, nil); w.system().Owner = "" }, NotSatisfied, "failed:attributed_ratio", 60},
	{"t.cost_attributed", "no traffic", nil, NoEvidence, "no_traffic", 0},

	{"t.tier_profile", "its profile is in force", nil, Satisfied, "", 1},
	{"t.tier_profile", "not classified", func(w *world) { w.system().RiskClass = inventory.Unclassified }, NotSatisfied, "failed:tiered_enforced_ratio", 1},
	{"t.tier_profile", "another profile", func(w *world) { w.system().Profile = "lax" }, NotSatisfied, "failed:tiered_enforced_ratio", 1},
	{"t.tier_profile", "no profile for the class", func(w *world) { w.state.Profiles[0].Tiers = nil }, NotSatisfied, "failed:tiered_enforced_ratio", 1},
}

func otherModel(in, _ *event.Event) { in.ModelTarget = "gpt-unknown" }
func unpriced(_, out *event.Event)  { out.PriceTable = "" }
func failedOver(end event.End) func(in, out *event.Event) {
	return func(_, out *event.Event) {
		out.Choice, out.End = projection.ChoiceFailover, end
		if end == event.EndUpstreamError {
			out.Code, out.Status = "upstream_error", 502
		}
	}
}

func unguarded(open bool) func(in, _ *event.Event) {
	return func(in, _ *event.Event) {
		in.Prompt = []event.Verdict{{Guard: "pii", State: event.NotRun, Blocking: true, FailOpen: open, Reason: "timeout"}}
	}
}

func (w *world) verify() {
	if _, _, err := w.engine.VerifyChain(w.t.Context(), "acme"); err != nil {
		w.t.Fatal(err)
	}
}

// later lets time pass with a collector that lives.
func (w *world) later(d time.Duration) {
	w.now = w.now.Add(d)
	w.mark(w.now)
}

func (w *world) shadowKey() { w.state.Keys = append(w.state.Keys, inventory.Key{ID: "lost"}) }

func (w *world) retire(revoke bool) {
	w.system().Lifecycle, w.system().RetiredAt = inventory.Retired, w.now
	if revoke {
		w.state.Keys[0].RevokedAt = w.now
	}
	w.later(time.Minute)
}

func TestSituations(t *testing.T) {
	covered := map[string]map[State]bool{}
	for _, s := range situations {
		t.Run(s.test+"/"+s.name, func(t *testing.T) {
			w := newWorld(t)
			if s.make != nil {
				s.make(w)
			}
			r := w.run(s.test)
			if State(r.Result) != s.result || r.Reason != s.reason || r.Population != s.population {
				t.Errorf("%s (%s) over %d; want %s (%s) over %d\n%+v", r.Result, r.Reason, r.Population, s.result, s.reason, s.population, r.Metrics)
			}
			test, _ := catalog.Test(s.test)
			if r.To != w.now.UnixMicro() || r.From != w.now.AddDate(0, 0, -test.WindowDays).UnixMicro() || r.EndLeaf != w.ledger.Size("") || r.FirstLeaf != 0 {
				t.Errorf("window %d to %d, leaves %d to %d", r.From, r.To, r.FirstLeaf, r.EndLeaf)
			}
			for _, leaf := range r.Cited {
				if leaf >= r.EndLeaf {
					t.Errorf("cites leaf %d of %d", leaf, r.EndLeaf)
				}
			}
			// The same with a collector that has been silent for two days, or for longer
			// than the test's evidence stays fresh, which is well within its window.
			w.now = w.now.Add(time.Duration(max(48, test.FreshHours+1)) * time.Hour)
			if r := w.run(s.test); State(r.Result) != NoEvidence || r.Reason != "collector_down" {
				t.Errorf("with a silent collector: %s (%s)", r.Result, r.Reason)
			}
		})
		if covered[s.test] == nil {
			covered[s.test] = map[State]bool{}
		}
		covered[s.test][s.result] = true
	}
	for id := range measures {
		if len(covered[id]) < 2 || !covered[id][NotSatisfied] {
			t.Errorf("%s has no case that fails, or no other", id)
		}
	}
}

// TestWindow: what lies before a test's window is not counted.
func TestWindow(t *testing.T) {
	w := newWorld(t)
	w.calls(60, otherModel)
	w.later(40 * 24 * time.Hour)
	w.system().ReviewedAt = w.now
	first := w.ledger.Size("") - 1
	w.calls(60, nil)
	if r := w.run("t.inventory_match"); State(r.Result) != Satisfied || r.Population != 60 || r.FirstLeaf != first {
		t.Errorf("%s (%s) over %d from leaf %d; want the window's 60 from leaf %d", r.Result, r.Reason, r.Population, r.FirstLeaf, first)
	}
}

// TestOneRunAddsUpOnce: what a run has added up stands for every test of it that asks,
// and no test changes it for the next.
func TestOneRunAddsUpOnce(t *testing.T) {
	w := newWorld(t)
	w.calls(60, nil)
	w.system().Owner = ""
	w.run("t.cost_attributed") // catches up
	run := w.engine.newRun(t.Context(), "acme", w.state)
	for _, id := range ComputedTests() {
		if _, err := run.test(w.system(), id); err != nil {
			t.Fatal(err)
		}
	}
	w.calls(60, nil)
	if err := w.index.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	for of, sum := range run.sums {
		now, err := w.index.Sum(t.Context(), "acme", string(of.system), of.fromHour)
		if err != nil {
			t.Fatal(err)
		}
		if sum["closed"] != 60 || sum["costed"] != 60 || now["closed"] != 120 {
			t.Errorf("%+v: %d of %d with a cost, and %d now", of, sum["costed"], sum["closed"], now["closed"])
		}
	}
	again, err := run.sum(w.system().ID, w.now.AddDate(0, 0, -30))
	if err != nil || again["closed"] != 60 {
		t.Errorf("asked again: %d, %v", again["closed"], err)
	}
}

// TestMetricsHaveNames: a figure that a page or a document shows of a test is called by
// words, and not by its key.
func TestMetricsHaveNames(t *testing.T) {
	for id := range measures {
		test, err := catalog.Test(id)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range test.Conditions {
			if metricNames[c.Key] == "" {
				t.Errorf("%s: %s has no name", id, c.Key)
			}
		}
	}
}
