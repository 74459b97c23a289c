package assessments

import (
	"strings"
	"testing"
	"time"

	"plumbline/frameworks"
)

func TestPlanNeverMovesTheState(t *testing.T) {
	w, c := newWorld(t), humanOnly(t)
	before := w.control(c.Framework, c.ID)
	good := Plan{Cause: "nobody was asked", Action: "ask " + strings.Repeat("everybody ", 30), Owner: "Support", Due: w.now.Add(72 * time.Hour)}
	for field, p := range map[string]Plan{
		"cause":  {Action: good.Action, Owner: good.Owner, Due: good.Due},
		"action": {Cause: good.Cause, Owner: good.Owner, Due: good.Due},
		"owner":  {Cause: good.Cause, Action: good.Action, Due: good.Due},
		"due":    {Cause: good.Cause, Action: good.Action, Owner: good.Owner, Due: w.now.Add(-time.Hour)},
	} {
		if _, err := w.engine.PlanAction(t.Context(), author, c.Framework, c.ID, "chat", p); code(err) != "invalid_field" {
			t.Errorf("without %s: %v", field, err)
		}
	}
	ev, err := w.engine.PlanAction(t.Context(), author, c.Framework, c.ID, "chat", good)
	if err != nil {
		t.Fatal(err)
	}
	if len(ev.Title) > 110 || ev.Leaf < 0 {
		t.Errorf("%q at leaf %d", ev.Title, ev.Leaf)
	}
	check := func(status string) {
		t.Helper()
		got := w.control(c.Framework, c.ID)
		if got.State != before.State || len(got.Human) != 1 || got.Human[0].Status != "absent" || len(got.Others) != 0 {
			t.Errorf("a plan counts: %s, %+v, %+v", got.State, got.Human, got.Others)
		}
		if got.Plan == nil || got.Plan.Status != status || got.Plan.Owner != "Support" || !got.Plan.Due.Equal(good.Due) {
			t.Errorf("plan %+v; want it %s", got.Plan, status)
		}
	}
	check("pending")
	if got := code(w.engine.Decide(t.Context(), author, ev.ID, true, "mine")); got != "four_eyes" {
		t.Errorf("its author accepts it: %q", got)
	}
	if err := w.engine.Decide(t.Context(), reviewer, ev.ID, true, "will do"); err != nil {
		t.Fatal(err)
	}
	check("current")
	w.now = good.Due.Add(time.Hour)
	check("expired")
}

// TestNewestPlanThatStands: a plan that was turned down gives way to any other.
func TestNewestPlanThatStands(t *testing.T) {
	w, c := newWorld(t), humanOnly(t)
	plan := func(owner string) Evidence {
		t.Helper()
		w.now = w.now.Add(time.Second)
		ev, err := w.engine.PlanAction(t.Context(), author, c.Framework, c.ID, "chat", Plan{Cause: "x", Action: "y", Owner: owner, Due: w.now.Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		return ev
	}
	plan("first")
	second := plan("second")
	if got := w.control(c.Framework, c.ID).Plan; got == nil || got.Owner != "second" {
		t.Errorf("%+v", got)
	}
	if err := w.engine.Decide(t.Context(), reviewer, second.ID, false, "not enough"); err != nil {
		t.Fatal(err)
	}
	if got := w.control(c.Framework, c.ID).Plan; got == nil || got.Owner != "first" {
		t.Errorf("after the second was turned down: %+v", got)
	}
}

// TestException: an approval with an end that the control does not ask for.
func TestException(t *testing.T) {
	w, c := newWorld(t), humanOnly(t)
	w.attach(Evidence{Framework: c.Framework, Control: c.ID, Type: "vendor.review", Title: "beside the point"})
	ev := w.attach(Evidence{Framework: c.Framework, Control: c.ID, Type: "human.approval", Title: "accepted until spring", Until: w.now.Add(48 * time.Hour)})
	if err := w.engine.Decide(t.Context(), reviewer, ev.ID, true, "for two days"); err != nil {
		t.Fatal(err)
	}
	got := w.control(c.Framework, c.ID)
	if got.State != NoEvidence || len(got.Others) != 2 {
		t.Fatalf("%s, %+v", got.State, got.Others)
	}
	if a, b := got.Others[0], got.Others[1]; a.Exception() || !b.Exception() || a.Status != "pending" || b.Status != "current" {
		t.Errorf("%+v, %+v", a, b)
	}
	w.now = w.now.Add(72 * time.Hour)
	if got := w.control(c.Framework, c.ID); got.Others[1].Status != "expired" {
		t.Errorf("after its end it is %s", got.Others[1].Status)
	}
}

// TestReadiness: ahead of its date a control is not yet applicable whatever there
// is, and says what it would be.
func TestReadiness(t *testing.T) {
	w := newWorld(t)
	f, err := catalog.Framework(frameworks.AIAct)
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.Control("26.9") // the deployer's DPIA, from 2 December 2027
	if err != nil {
		t.Fatal(err)
	}
	if got := w.control(c.Framework, c.ID); got.State != NotYet || got.Readiness != NoEvidence {
		t.Errorf("%s, ready as %s", got.State, got.Readiness)
	}
	w.accept(c)
	got := w.control(c.Framework, c.ID)
	if got.State != NotYet || got.Readiness != Satisfied || !strings.Contains(got.Why, "2027-12-02") || got.ReadinessWhy == "" {
		t.Errorf("%s (%s), ready as %s (%s)", got.State, got.Why, got.Readiness, got.ReadinessWhy)
	}
	w.now = time.Date(2027, 12, 2, 0, 0, 0, 0, time.UTC)
	ev := w.attach(Evidence{Framework: c.Framework, Control: c.ID, Type: c.Human[0].Type, Title: "once more"})
	if err := w.engine.Decide(t.Context(), reviewer, ev.ID, true, "good"); err != nil {
		t.Fatal(err)
	}
	if got := w.control(c.Framework, c.ID); got.State != Satisfied || got.Readiness != "" {
		t.Errorf("on its day it is %s, ready as %q", got.State, got.Readiness)
	}
}
