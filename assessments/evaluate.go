package assessments

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"plumbline/assessments/projection"
	"plumbline/frameworks"
	"plumbline/inventory"
)

// Assessment is the state of every control of a framework for one system.
type Assessment struct {
	Org       inventory.OrgID
	System    inventory.System
	Framework *frameworks.Framework
	At        time.Time
	Controls  []ControlState
	Counts    map[State]int
}

// ControlState is a control's state with its reasons.
type ControlState struct {
	Control  *frameworks.Control
	State    State
	Code     string // reason, stable
	Why      string // one sentence
	WaitsFor []string
	Tests    []TestState
	Human    []HumanState
	Others   []OtherEvidence
	Plan     *PlanState     // what is to be done about it; nil: nobody said
	Decision *Applicability // that it does not apply

	// Of a control that is not yet applicable: what it would be if its date had
	// come. Elsewhere empty.
	Readiness     State
	ReadinessCode string
	ReadinessWhy  string
}

// OtherEvidence is attached to a control without being asked for by it. It never
// raises the state. A human.approval among it that ends is an exception: somebody
// accepts for a time that the control is as it is.
type OtherEvidence struct {
	Status   string
	Evidence *Evidence
}

// Exception reports whether it waives something until a date.
func (o OtherEvidence) Exception() bool {
	return o.Evidence.Type == "human.approval" && !o.Evidence.Until.IsZero()
}

// TestState is a control's test. Result is nil when there is none.
type TestState struct {
	Ref    frameworks.TestRef
	Test   *frameworks.Test
	State  State
	Why    string
	Result *projection.Result
}

// HumanState is what people must add to a control, and what there is of it.
type HumanState struct {
	Item     frameworks.HumanItem
	Status   string // current, pending, upcoming, expired, rejected, absent
	Evidence *Evidence
}

// Ends is when the evidence of an item is too old or at its end, whichever comes first;
// zero when it has no end or there is none.
func (h HumanState) Ends() time.Time {
	if h.Evidence == nil {
		return time.Time{}
	}
	return h.Evidence.Ends(h.Item.FreshDays)
}

// View is what an evaluation rests on besides the ledger: given, so that a
// document can be built as of a past checkpoint.
type View struct {
	State  *inventory.State
	At     time.Time
	Leaves uint64 // results before this leaf; 0: all
}

// Evaluate computes a framework for a system as things stand now.
func (e *Engine) Evaluate(ctx context.Context, org inventory.OrgID, system inventory.SystemID, framework string) (*Assessment, error) {
	state, err := e.d.Register.State(org)
	if err != nil {
		return nil, err
	}
	return e.EvaluateAt(ctx, org, system, framework, View{State: state, At: e.d.Now().UTC()})
}

// EvaluateAll computes every framework of the catalogue, in its order, for a system as
// things stand now.
func (e *Engine) EvaluateAll(ctx context.Context, org inventory.OrgID, system inventory.SystemID) ([]*Assessment, error) {
	state, err := e.d.Register.State(org)
	if err != nil {
		return nil, err
	}
	return e.evaluate(ctx, org, system, e.d.Catalog.Frameworks, View{State: state, At: e.d.Now().UTC()})
}

// EvaluateAt computes it as of a view.
func (e *Engine) EvaluateAt(ctx context.Context, org inventory.OrgID, system inventory.SystemID, framework string, v View) (*Assessment, error) {
	f, err := e.d.Catalog.Framework(framework)
	if err != nil {
		return nil, err
	}
	list, err := e.evaluate(ctx, org, system, []*frameworks.Framework{f}, v)
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

func (e *Engine) evaluate(ctx context.Context, org inventory.OrgID, system inventory.SystemID, list []*frameworks.Framework, v View) (out []*Assessment, err error) {
	s, err := v.State.System(system)
	if err != nil {
		return nil, err
	}
	results, err := e.d.Projection.Newest(ctx, string(org), string(system), ComputedTests(), v.Leaves)
	if err != nil {
		return nil, err
	}
	newest := map[string]*projection.Result{}
	for i := range results {
		newest[results[i].Test] = &results[i]
	}
	for _, f := range list {
		human, err := e.d.Store.evidence(ctx, org, f.ID, "", system)
		if err != nil {
			return nil, err
		}
		decisions, err := e.d.Store.applicability(ctx, org, f.ID, system)
		if err != nil {
			return nil, err
		}
		a := &Assessment{Org: org, System: *s, Framework: f, At: v.At, Counts: map[State]int{}}
		for _, c := range f.Controls {
			cs := e.control(c, s, v, newest, human[c.ID], decided(decisions[c.ID], v))
			if cs.Plan, err = e.plan(ctx, human[c.ID], v); err != nil {
				return nil, err
			}
			a.Counts[cs.State]++
			a.Controls = append(a.Controls, cs)
		}
		out = append(out, a)
	}
	return out, nil
}

func (e *Engine) control(c *frameworks.Control, s *inventory.System, v View, newest map[string]*projection.Result, human []Evidence, decision *Applicability) ControlState {
	cs := ControlState{Control: c}
	for _, ref := range c.Tests {
		cs.Tests = append(cs.Tests, e.test(ref, v, newest[ref.Test]))
	}
	for _, item := range c.Human {
		cs.Human = append(cs.Human, humanState(item, human, v))
	}
	cs.Others = others(c, human, v)
	cs.wait()
	if decision != nil && !decision.Applies {
		cs.Decision = decision
		cs.set(NotApplicable, "decided", fmt.Sprintf("decided not to apply: %s", decision.Reason))
		return cs
	}
	roles := make([]string, len(s.Roles))
	for i, r := range s.Roles {
		roles[i] = string(r)
	}
	switch reach, why := c.Applicable(roles, string(s.RiskClass), v.At); reach {
	case frameworks.NotApplicable:
		cs.set(NotApplicable, "scope", why)
	case frameworks.NotYet:
		cs.combine()
		cs.Readiness, cs.ReadinessCode, cs.ReadinessWhy = cs.State, cs.Code, cs.Why
		cs.set(NotYet, "date", why)
	default:
		cs.combine()
	}
	return cs
}

// decided is the newest decision that a view knows; nil when none. A proposal that was
// rejected changed nothing.
func decided(list []Applicability, v View) *Applicability {
	var newest *Applicability
	for i := range list {
		if a := &list[i]; a.Approver != "" && !a.Rejected && recordedBefore(a.Leaf, v) && (newest == nil || a.Leaf > newest.Leaf) {
			newest = a
		}
	}
	return newest
}

func recordedBefore(leaf int64, v View) bool {
	return leaf >= 0 && (v.Leaves == 0 || uint64(leaf) < v.Leaves)
}

func (e *Engine) test(ref frameworks.TestRef, v View, r *projection.Result) TestState {
	t, err := e.d.Catalog.Test(ref.Test)
	if err != nil {
		return TestState{Ref: ref, State: NoEvidence, Why: err.Error()}
	}
	ts := TestState{Ref: ref, Test: t, State: NoEvidence}
	switch {
	case !measuredWith(ref):
		ts.Why = fmt.Sprintf("this version measures it for everything together, not for %v", ref.Params)
	case !Computed(ref.Test):
		ts.Why = "not computed by this version; it needs evidence of " + listed(t.Inputs)
	case r == nil:
		ts.Why = "has not run yet"
	case v.At.Sub(time.UnixMicro(r.At)) > time.Duration(t.FreshHours*float64(time.Hour)):
		ts.Result, ts.Why = r, "the last result is stale: "+time.UnixMicro(r.At).UTC().Format("2006-01-02 15:04")
	default:
		ts.Result, ts.State, ts.Why = r, State(r.Result), explain(r)
	}
	return ts
}

// measuredWith reports whether a test's figures are those that a control's
// parameters ask for. Guards' coverage is measured over the prompts of all guards;
// a figure for something else does not stand in for it.
func measuredWith(ref frameworks.TestRef) bool {
	for key, v := range ref.Params {
		if ref.Test == "t.guardrail_coverage" && (key != "categories" || v != "input") {
			return false
		}
	}
	return true
}

// explain puts a result's reason code into words.
func explain(r *projection.Result) string {
	kind, key, _ := strings.Cut(r.Reason, ":")
	key = MetricName(key)
	switch kind {
	case "":
		return fmt.Sprintf("all conditions hold over %d observations", r.Population)
	case "failed":
		return key + ": beyond the threshold"
	case "unknown":
		return key + ": cannot be measured"
	case "sample_too_small":
		return fmt.Sprintf("only %d observations in the window", r.Population)
	case "no_traffic":
		return "nothing to observe in the window"
	case "collector_down":
		return "the collector has not reported lately"
	}
	return r.Reason
}

// listed joins words of the vocabulary: access.decision becomes access decision.
func listed(types []string) string {
	return strings.ReplaceAll(strings.Join(types, ", "), ".", " ")
}

// metricNames say what the figures of the tests are.
var metricNames = map[string]string{
	"unexplained_gaps":                "missing records",
	"recon_delta_pct":                 "difference from the provider's invoice",
	"verify_ok":                       "whole log verified",
	"verify_age_h":                    "hours since it was verified",
	"external_anchor_age_d":           "days since an outside anchor",
	"matched_ratio":                   "calls to declared models",
	"oldest_record_review_d":          "days since the register entry was reviewed",
	"oldest_open_finding_d":           "days that unregistered use is open",
	"external_feed_connected":         "outside feed of AI use connected",
	"default_deny":                    "refusing is the default",
	"denies_90d":                      "refusals of any system in 90 days",
	"approved_before_ratio":           "models approved before first use",
	"late_approval_max_d":             "longest delay of an approval in days",
	"four_eyes_ratio":                 "changes with a second person and a reason",
	"baseline_approved_age_d_if_none": "days since the settings were approved",
	"evaluated_ratio":                 "exchanges seen by every guard",
	"fail_open_blocking":              "exchanges let through unseen",
	"systems_with_limit_ratio":        "covered by a spend limit",
	"unapproved_overruns":             "charges beyond their hold",
	"post_retirement_requests":        "requests after retirement",
	"keys_revoked":                    "keys of retired systems revoked",
	"tiered_enforced_ratio":           "guard profile of its class in force",
	"attributed_ratio":                "exchanges attributed",
	"last_drill_age_d":                "days since a fallback was put to use",
	"recovered_ratio":                 "calls that a fallback answered in whole",
}

// MetricName is a metric's key in words.
func MetricName(key string) string {
	if name, ok := metricNames[key]; ok {
		return name
	}
	return strings.ReplaceAll(key, "_", " ")
}

// humanState finds the evidence that speaks best for an item.
func humanState(item frameworks.HumanItem, list []Evidence, v View) HumanState {
	best := HumanState{Item: item, Status: "absent"}
	rank := map[string]int{"absent": 0, "rejected": 1, "expired": 2, "upcoming": 3, "pending": 4, "current": 5}
	for i := range list {
		ev := &list[i]
		if ev.Type != item.Type || ev.Form == formPlan || !recordedBefore(ev.Leaf, v) {
			continue
		}
		status := ev.status(v, item.FreshDays)
		if rank[status] > rank[best.Status] {
			best.Status, best.Evidence = status, ev
		}
	}
	return best
}

// others are the pieces of evidence whose type no item of the control asks for.
func others(c *frameworks.Control, list []Evidence, v View) (out []OtherEvidence) {
	for i := range list {
		ev := &list[i]
		asked := slices.ContainsFunc(c.Human, func(item frameworks.HumanItem) bool { return item.Type == ev.Type })
		if !asked && ev.Form != formPlan && recordedBefore(ev.Leaf, v) {
			out = append(out, OtherEvidence{ev.status(v, 0), ev})
		}
	}
	return out
}

func (ev *Evidence) status(v View, freshDays int) string {
	switch {
	case ev.Decision == "" || !recordedBefore(ev.DecidedLeaf, v):
		return "pending"
	case ev.Decision == "rejected":
		return "rejected"
	case v.At.Before(ev.From):
		return "upcoming"
	case !ev.Until.IsZero() && v.At.After(ev.Until), freshDays > 0 && v.At.Sub(ev.From) > time.Duration(freshDays)*24*time.Hour:
		return "expired"
	}
	return "current"
}

func (cs *ControlState) set(s State, code, why string) { cs.State, cs.Code, cs.Why = s, code, why }

// wait lists what a control lacks.
func (cs *ControlState) wait() {
	for _, t := range cs.Tests {
		if t.State == Satisfied {
			continue
		}
		name := t.Ref.Test
		if t.Test != nil {
			name = fmt.Sprintf("%s (%s)", t.Test.Name, name)
		}
		cs.WaitsFor = append(cs.WaitsFor, name+": "+t.Why)
	}
	for _, h := range cs.Human {
		item := fmt.Sprintf("%s: %s", TypeName(h.Item.Type), h.Item.What)
		switch h.Status {
		case "absent":
			cs.WaitsFor = append(cs.WaitsFor, item)
		case "pending":
			cs.WaitsFor = append(cs.WaitsFor, "a second person's word on "+item)
		case "upcoming":
			cs.WaitsFor = append(cs.WaitsFor, fmt.Sprintf("%s, attached and in force from %s", item, h.Evidence.From.UTC().Format("2006-01-02")))
		case "expired":
			cs.WaitsFor = append(cs.WaitsFor, item+", as what is attached has expired")
		case "rejected":
			cs.WaitsFor = append(cs.WaitsFor, item+", as what is attached was rejected")
		}
	}
	if cs.Control.Sufficiency == "full" && cs.Control.Precondition != "" {
		cs.WaitsFor = append(cs.WaitsFor, "a recorded statement that all model traffic passes the gateway")
	}
}

var typeNames = map[string]string{"human.approval": "approval", "assessment.record": "assessment", "vendor.review": "vendor review"}

// TypeName is a type of people's evidence in words.
func TypeName(t string) string {
	if name, ok := typeNames[t]; ok {
		return name
	}
	return t
}

// combine follows the evaluation order of the evidence map.
func (cs *ControlState) combine() {
	var fresh, failed, satisfied, contradicted int
	for _, t := range cs.Tests {
		if t.Result != nil && State(t.Result.Result) == NotSatisfied {
			contradicted++ // also when it is stale: that nobody looked since clears nothing
		}
		switch t.State {
		case NotSatisfied:
			failed++
			fresh++
		case Satisfied:
			satisfied++
			fresh++
		case Partial:
			fresh++
		}
	}
	count := map[string]int{}
	for _, h := range cs.Human {
		count[h.Status]++
	}
	allHuman := count["current"] == len(cs.Human)
	allTests := satisfied == len(cs.Tests)
	onFile := count["current"] + count["pending"] + count["upcoming"] + count["expired"]
	supporting, humanOnly := cs.Control.Sufficiency == "supporting", cs.Control.Sufficiency == "human_only"
	if cs.Control.Sufficiency == "partial" && cs.Control.Precondition != "" {
		supporting = true // such traffic is not known to pass the gateway
	}
	switch {
	case count["rejected"] > 0:
		cs.set(NotSatisfied, "rejected", "what people attached was rejected")
	case failed > 0 && !supporting:
		cs.set(NotSatisfied, "test_failed", "a required test is not satisfied")
	case supporting && count["current"] == 0:
		cs.set(NoEvidence, "no_human", "needs people's evidence; what the gateway sees is a signal only")
	case humanOnly && count["current"]+count["expired"] == 0:
		cs.set(NoEvidence, "no_human", "needs people's evidence; nothing of it passes through a gateway")
	case fresh == 0 && onFile == 0:
		cs.set(NoEvidence, "none", "neither a fresh test result nor people's evidence")
	case supporting && contradicted > 0:
		cs.set(Partial, "contradicted", "people's evidence is current, but a test contradicts it")
	case supporting && allHuman, allTests && allHuman && !(cs.Control.Sufficiency == "full"):
		cs.set(Satisfied, "", "every test is satisfied and every piece of people's evidence is current")
		switch {
		case supporting:
			cs.Why = "people's evidence is current and no test contradicts it"
		case len(cs.Tests) == 0:
			cs.Why = "every piece of people's evidence is current; no test speaks to it"
		case len(cs.Human) == 0:
			cs.Why = "every test is satisfied"
		}
	case cs.Control.Sufficiency == "full" && allTests && allHuman && len(cs.Human) > 0:
		cs.set(Satisfied, "", "every test is satisfied, and the recorded statement is current")
	default:
		cs.set(Partial, "incomplete", "some of what is needed is there; see what it waits for")
	}
}
