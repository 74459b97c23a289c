package assessments

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"plumbline/app/seal"
	"plumbline/assessments/evidence"
	"plumbline/assessments/evidence/record"
	"plumbline/assessments/projection"
	"plumbline/frameworks"
	"plumbline/inventory"
)

func (w *world) runTests() {
	w.t.Helper()
	n, err := w.engine.RunTests(w.t.Context(), "acme")
	if err != nil || n != len(w.state.Systems)*len(measures) {
		w.t.Fatal(n, err)
	}
}

func (w *world) evaluate(framework string) *Assessment {
	w.t.Helper()
	a, err := w.engine.Evaluate(w.t.Context(), "acme", "chat", framework)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) control(framework, id string) ControlState {
	w.t.Helper()
	for _, c := range w.evaluate(framework).Controls {
		if c.Control.ID == id {
			return c
		}
	}
	w.t.Fatalf("no control %s", id)
	return ControlState{}
}

// accept attaches evidence for every item of a control and lets a second person
// accept it.
func (w *world) accept(c *frameworks.Control) {
	w.t.Helper()
	for _, item := range c.Human {
		ev := w.attach(Evidence{Framework: c.Framework, Control: c.ID, Type: item.Type})
		if err := w.engine.Decide(w.t.Context(), reviewer, ev.ID, true, "read it"); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) attach(ev Evidence) Evidence {
	w.t.Helper()
	ev.System, ev.Title, ev.Link = "chat", "Minutes", "https://intranet.example/minutes"
	ev, err := w.engine.Attach(w.t.Context(), author, ev)
	if err != nil {
		w.t.Fatal(err)
	}
	return ev
}

// best is a world in which all that a gateway can see is in order.
func best(t testing.TB) *world {
	w := newWorld(t)
	w.calls(60, nil)
	w.refuse(1, "policy_denied", "k1", "chat")
	w.put(w.now, record.RegisterChange, changed("berta", true))
	w.verify()
	w.runTests()
	return w
}

// TestEveryControl: every control of every framework has one of the six states,
// and none is satisfied by what the gateway sees alone, however good it looks.
func TestEveryControl(t *testing.T) {
	w := best(t)
	for _, f := range catalog.Frameworks {
		a := w.evaluate(f.ID)
		if len(a.Controls) != len(f.Controls) {
			t.Errorf("%s: %d of %d controls", f.ID, len(a.Controls), len(f.Controls))
		}
		total := 0
		for _, n := range a.Counts {
			total += n
		}
		if total != len(f.Controls) {
			t.Errorf("%s: counts add up to %d", f.ID, total)
		}
		for _, c := range a.Controls {
			switch {
			case !slices.Contains(States(), c.State):
				t.Errorf("%s %s is %q", f.ID, c.Control.ID, c.State)
			case c.State == Satisfied:
				t.Errorf("%s %s is satisfied by runtime evidence alone", f.ID, c.Control.ID)
			case c.Why == "":
				t.Errorf("%s %s does not say why", f.ID, c.Control.ID)
			case c.State != NotApplicable && c.State != NotYet && len(c.WaitsFor) == 0:
				t.Errorf("%s %s does not say what it waits for", f.ID, c.Control.ID)
			}
		}
	}
}

// TestPeopleAlone: with every piece of people's evidence accepted and no traffic,
// nothing that needs a test is satisfied.
func TestPeopleAlone(t *testing.T) {
	w := newWorld(t)
	for _, f := range catalog.Frameworks {
		for _, c := range f.Controls {
			w.accept(c)
		}
	}
	for _, f := range catalog.Frameworks {
		for _, c := range w.evaluate(f.ID).Controls {
			want := Partial
			if c.Control.Sufficiency == "supporting" || c.Control.Sufficiency == "human_only" || c.Control.Precondition == "image_video_or_audio_traffic_via_gateway" {
				want = Satisfied
			}
			if c.State != want && c.State != NotApplicable && c.State != NotYet {
				t.Errorf("%s %s (%s): %s; want %s", f.ID, c.Control.ID, c.Control.Sufficiency, c.State, want)
			}
		}
	}
	// With it, and with the tests in order, those whose tests are all computed and
	// satisfied are.
	w.calls(60, nil)
	w.refuse(1, "policy_denied", "k1", "chat")
	w.put(w.now, record.RegisterChange, changed("berta", true))
	w.verify()
	w.runTests()
	satisfied := 0
	for _, f := range catalog.Frameworks {
		for _, c := range w.evaluate(f.ID).Controls {
			ok := !slices.ContainsFunc(c.Tests, func(ts TestState) bool { return ts.State != Satisfied })
			if c.State == Satisfied && !ok && c.Control.Sufficiency != "supporting" && c.Control.Precondition == "" {
				t.Errorf("%s %s is satisfied without its tests", f.ID, c.Control.ID)
			}
			if c.State == Satisfied && len(c.Tests) > 0 && ok {
				satisfied++
			}
		}
	}
	if satisfied == 0 {
		t.Error("no control with a test is satisfied by tests and people together")
	}
}

// TestCombine sets single controls against what is known of them.
func TestCombine(t *testing.T) {
	known := func(s State) TestState {
		return TestState{State: s, Result: &projection.Result{TestResult: record.TestResult{Result: string(s)}}}
	}
	stale := func(s State) TestState { ts := known(s); ts.State = NoEvidence; return ts }
	for _, c := range []struct {
		name, sufficiency string
		tests             []TestState
		human             []string
		want              State
	}{
		{"all there", "partial", []TestState{known(Satisfied)}, []string{"current"}, Satisfied},
		{"people missing", "partial", []TestState{known(Satisfied)}, []string{"absent"}, Partial},
		{"people's word pending", "partial", []TestState{known(Satisfied)}, []string{"pending"}, Partial},
		{"not in effect yet", "partial", []TestState{known(Satisfied)}, []string{"upcoming"}, Partial},
		{"people's word expired", "partial", []TestState{known(Satisfied)}, []string{"expired"}, Partial},
		{"rejected", "partial", []TestState{known(Satisfied)}, []string{"rejected"}, NotSatisfied},
		{"test fails", "partial", []TestState{known(NotSatisfied)}, []string{"current"}, NotSatisfied},
		{"test fails, nobody wrote", "partial", []TestState{known(NotSatisfied)}, []string{"absent"}, NotSatisfied},
		{"test partly", "partial", []TestState{known(Partial)}, []string{"current"}, Partial},
		{"one test unknown", "partial", []TestState{known(Satisfied), {State: NoEvidence}}, []string{"current"}, Partial},
		{"a pass gone stale", "partial", []TestState{stale(Satisfied)}, []string{"current"}, Partial},
		{"nothing", "partial", []TestState{{State: NoEvidence}}, []string{"absent"}, NoEvidence},
		{"supported", "supporting", []TestState{known(Satisfied)}, []string{"current"}, Satisfied},
		{"support alone", "supporting", []TestState{known(Satisfied)}, []string{"absent"}, NoEvidence},
		{"support alone, word pending", "supporting", []TestState{known(Satisfied)}, []string{"pending"}, NoEvidence},
		{"contradicted", "supporting", []TestState{known(NotSatisfied)}, []string{"current"}, Partial},
		{"contradicted by a stale result", "supporting", []TestState{stale(NotSatisfied)}, []string{"current"}, Partial},
		{"one of two", "supporting", []TestState{known(Satisfied)}, []string{"current", "absent"}, Partial},
		{"people only", "human_only", nil, []string{"current"}, Satisfied},
		{"people only, expired", "human_only", nil, []string{"expired"}, Partial},
		{"people only, pending", "human_only", nil, []string{"pending"}, NoEvidence},
		{"people only, none", "human_only", nil, []string{"absent"}, NoEvidence},
		{"people only, rejected", "human_only", nil, []string{"rejected"}, NotSatisfied},
		{"full without people", "full", []TestState{known(Satisfied)}, nil, Partial},
		{"full", "full", []TestState{known(Satisfied)}, []string{"current"}, Satisfied},
	} {
		t.Run(c.sufficiency+"/"+c.name, func(t *testing.T) {
			cs := ControlState{Control: &frameworks.Control{Sufficiency: c.sufficiency}, Tests: c.tests}
			for _, h := range c.human {
				cs.Human = append(cs.Human, HumanState{Status: h})
			}
			if cs.combine(); cs.State != c.want {
				t.Errorf("%s (%s); want %s", cs.State, cs.Code, c.want)
			}
		})
	}
}

// TestStale: a result older than its test allows is not a result.
func TestStale(t *testing.T) {
	w := best(t)
	before := w.evaluate(frameworks.AIRMF)
	w.now = w.now.Add(40 * 24 * time.Hour)
	for i, c := range w.evaluate(frameworks.AIRMF).Controls {
		for j, ts := range c.Tests {
			if ts.State != NoEvidence {
				t.Fatalf("%s: %s is %s after 40 days", c.Control.ID, ts.Ref.Test, ts.State)
			}
			if before.Controls[i].Tests[j].State != NoEvidence && !strings.Contains(ts.Why, "stale") {
				t.Errorf("%s: %q", c.Control.ID, ts.Why)
			}
		}
	}
}

// TestPastView: a view of the past says what was said then, whatever came later.
func TestPastView(t *testing.T) {
	w := best(t)
	c, _ := catalog.Framework(frameworks.AIRMF)
	w.accept(c.Controls[0])
	w.runTests()
	type said struct {
		view View
		all  []*Assessment
	}
	var past []said
	frame := func(v *View) (out []*Assessment) {
		for _, f := range catalog.Frameworks {
			a, err := w.engine.Evaluate(t.Context(), "acme", "chat", f.ID)
			if v != nil {
				a, err = w.engine.EvaluateAt(t.Context(), "acme", "chat", f.ID, *v)
			}
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, a)
		}
		return out
	}
	note := func() {
		state := *w.state
		state.Systems = slices.Clone(w.state.Systems)
		past = append(past, said{View{State: &state, At: w.now, Leaves: w.ledger.Size("acme")}, frame(nil)})
	}
	note()
	pending := w.attach(Evidence{Framework: frameworks.AIRMF, Control: c.Controls[1].ID, Type: c.Controls[1].Human[0].Type})
	note()
	w.later(time.Hour)
	w.calls(40, otherModel)
	w.runTests()
	note()
	if err := w.engine.Decide(t.Context(), reviewer, pending.ID, false, "not ours"); err != nil {
		t.Fatal(err)
	}
	w.leaveOut(frameworks.AIRMF, c.Controls[2].ID)
	w.leaveOut(frameworks.AIRMF, c.Controls[0].ID)
	w.later(time.Hour)
	w.system().RiskClass = inventory.Minimal
	w.runTests()
	note()
	w.leaveOut(frameworks.AIRMF, c.Controls[2].ID) // decided once more
	w.later(time.Hour)
	w.runTests()
	// What a piece of evidence or a decision became later is not part of a state.
	ignore := cmp.Options{cmpopts.IgnoreFields(Evidence{}, "Decision", "DecidedBy", "DecidedAt", "DecidedLeaf", "Reason")}
	for i, s := range past {
		if d := cmp.Diff(s.all, frame(&s.view), ignore, cmpopts.IgnoreUnexported(frameworks.Framework{})); d != "" {
			t.Errorf("view %d (-then +now):\n%.3000s", i, d)
		}
	}
	if cmp.Equal(past[0].all[0].Counts, past[3].all[0].Counts) {
		t.Error("nothing changed in between")
	}
}

// TestStatesOnRecord: the states that controls reached are in the ledger, once for
// each change.
func TestStatesOnRecord(t *testing.T) {
	w := best(t)
	size := w.ledger.Size("acme")
	w.runTests()
	if n := w.ledger.Size("acme") - size; n != uint64(len(measures)) {
		t.Errorf("%d records of a run that changed nothing; want %d results", n, len(measures))
	}
	for _, f := range catalog.Frameworks {
		states, err := w.index.States(t.Context(), "acme", f.ID, "chat")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range w.evaluate(f.ID).Controls {
			got, ok := states[c.Control.ID]
			if ok && got.State != string(c.State) || !ok && c.State != NoEvidence && c.State != NotApplicable {
				t.Errorf("%s %s: on record %q, computed %s", f.ID, c.Control.ID, got.State, c.State)
			}
		}
	}
}

// TestRealLedger runs the engine over a ledger in SQLite, and reads its results
// back through the projection.
func TestRealLedger(t *testing.T) {
	w := newWorld(t)
	sealer, err := seal.New(make([]byte, 32), nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := evidence.Open(t.Context(), evidence.Config{Dir: t.TempDir(), Instance: "test", Sealer: sealer, Pause: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(context.WithoutCancel(t.Context())) }) // the test's own context has ended by then
	if err := l.CreateLog(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	d := w.engine.d
	d.Ledger, d.Projection, d.Now = l, projection.New(d.Store.db, "sqlite", l, nil), time.Now
	if err := d.Projection.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.engine, err = New(d); err != nil {
		t.Fatal(err)
	}
	if err := l.Wait(t.Context(), "acme", 0); err != nil { // for its first hour mark
		t.Fatal(err)
	}
	w.accept(humanOnly(t))
	if ok, leaves, err := w.engine.VerifyChain(t.Context(), "acme"); !ok || err != nil || leaves == 0 {
		t.Fatal(ok, leaves, err)
	}
	w.runTests()
	c := w.evaluate(frameworks.ISO)
	i := slices.IndexFunc(c.Controls, func(c ControlState) bool { return c.Control.ID == "A.6.2.8" })
	for _, ts := range c.Controls[i].Tests {
		if ts.Ref.Test == "t.chain_verified" && (ts.State != Partial || ts.Result.Leaf >= l.Size("acme")) {
			t.Errorf("%s: %s (%s)", ts.Ref.Test, ts.State, ts.Why)
		}
	}
	if ok, _, err := w.engine.VerifyChain(t.Context(), "acme"); !ok || err != nil {
		t.Error("the log with results does not verify", err)
	}
}

// TestNothingChecked: a log without a record, and a check that was cut short, are
// neither verified nor broken.
func TestNothingChecked(t *testing.T) {
	w := newWorld(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	w.ledger.broken = context.Canceled
	if ok, _, err := w.engine.VerifyChain(ended, "acme"); ok || err == nil {
		t.Error("a check that was cut short passed", ok, err)
	}
	w.ledger.leaves = nil
	if ok, leaves, err := w.engine.VerifyChain(t.Context(), "acme"); !ok || leaves != 0 || err != nil {
		t.Error(ok, leaves, err)
	}
	if _, found, err := w.engine.d.Store.lastCheck(t.Context(), "acme"); found || err != nil {
		t.Error("noted as checked", err)
	}
}
