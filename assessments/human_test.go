package assessments

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"plumbline/app/authz"
	"plumbline/app/fault"
	"plumbline/frameworks"
	"plumbline/inventory"
)

func code(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Code
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// leaveOut proposes that a control does not apply, and confirms it.
func (w *world) leaveOut(framework, control string) {
	w.t.Helper()
	if _, err := w.engine.ProposeApplicability(w.t.Context(), author, framework, control, "chat", false, "no such use"); err != nil {
		w.t.Fatal(err)
	}
	list, err := w.engine.Proposals(w.t.Context(), "acme", framework, control, "chat")
	if err != nil || len(list) == 0 {
		w.t.Fatal(list, err)
	}
	if err := w.engine.DecideApplicability(w.t.Context(), reviewer, list[len(list)-1].ID, true, ""); err != nil {
		w.t.Fatal(err)
	}
}

// humanOnly is a control that people alone decide, with one item.
func humanOnly(t testing.TB) *frameworks.Control {
	f, _ := catalog.Framework(frameworks.AIRMF)
	for _, c := range f.Controls {
		if c.Sufficiency == "human_only" && len(c.Human) == 1 && c.Human[0].FreshDays > 0 {
			return c
		}
	}
	t.Fatal("no such control")
	return nil
}

func TestEvidenceOfPeople(t *testing.T) {
	w, c := newWorld(t), humanOnly(t)
	state := func(want State) {
		t.Helper()
		if got := w.control(c.Framework, c.ID); got.State != want {
			t.Errorf("%s (%s); want %s", got.State, got.Why, want)
		}
	}
	state(NoEvidence)
	until := w.now.Add(20 * 24 * time.Hour)
	ev := w.attach(Evidence{Framework: c.Framework, Control: c.ID, Type: c.Human[0].Type, From: w.now.Add(time.Hour), Until: until})
	state(NoEvidence)
	for _, try := range []struct {
		name   string
		actor  authz.Actor
		reason string
		want   string
	}{
		{"its author", author, "good", "four_eyes"},
		{"another organisation", authz.Actor{Org: "globex", ID: "carl"}, "good", "not_found"},
		{"without a reason", reviewer, " ", "invalid_field"},
		{"a second person", reviewer, "read it", ""},
		{"once more", authz.Actor{Org: "acme", ID: "dora"}, "read it", "decided"},
	} {
		if got := code(w.engine.Decide(t.Context(), try.actor, ev.ID, true, try.reason)); got != try.want {
			t.Errorf("%s: %q; want %q", try.name, got, try.want)
		}
	}
	state(NoEvidence) // its window begins in an hour
	w.now = w.now.Add(2 * time.Hour)
	state(Satisfied)
	w.now = until.Add(time.Second)
	state(Partial) // expired
}

// TestFreshness: evidence without an end grows stale all the same.
func TestFreshness(t *testing.T) {
	w, c := newWorld(t), humanOnly(t)
	w.accept(c)
	if got := w.control(c.Framework, c.ID).State; got != Satisfied {
		t.Fatal(got)
	}
	w.now = w.now.Add(time.Duration(c.Human[0].FreshDays)*24*time.Hour + time.Second)
	if got := w.control(c.Framework, c.ID); got.State == Satisfied || got.Human[0].Status != "expired" {
		t.Errorf("%s, %s", got.State, got.Human[0].Status)
	}
}

// TestEvidenceWithoutLedger: what the ledger could not record does not count, and
// is recorded at the next run.
func TestEvidenceWithoutLedger(t *testing.T) {
	w, c := newWorld(t), humanOnly(t)
	w.ledger.down = errors.New("disk is full")
	ev, err := w.engine.Attach(t.Context(), author, Evidence{Framework: c.Framework, Control: c.ID, System: "chat", Type: c.Human[0].Type, Title: "Minutes", Link: "https://intranet.example/"})
	if code(err) != "ledger_unavailable" {
		t.Fatal(err)
	}
	if got := code(w.engine.Decide(t.Context(), reviewer, ev.ID, true, "read it")); got != "not_recorded" {
		t.Errorf("decided on what is not on record: %q", got)
	}
	w.ledger.down = nil
	w.runTests()
	if err := w.engine.Decide(t.Context(), reviewer, ev.ID, true, "read it"); err != nil {
		t.Error(err)
	}
	if got := w.control(c.Framework, c.ID).State; got != Satisfied {
		t.Error(got)
	}
}

// TestEvidenceSentAgain: whoever sends evidence again that the ledger could not record
// attaches it once. What is on record may be attached anew, and so may another's.
func TestEvidenceSentAgain(t *testing.T) {
	w, c := newWorld(t), humanOnly(t)
	attach := func(actor authz.Actor, title string, content string) (string, string) {
		t.Helper()
		ev, err := w.engine.Attach(t.Context(), actor, Evidence{Framework: c.Framework, Control: c.ID, System: "chat", Type: c.Human[0].Type, Title: title, FileName: "minutes.txt", Content: []byte(content)})
		w.now = w.now.Add(time.Minute)
		return ev.ID, code(err)
	}
	w.ledger.down = errors.New("disk is full")
	first, said := attach(author, "Minutes", "of May")
	if said != "ledger_unavailable" {
		t.Fatal(said)
	}
	if again, said := attach(author, "Minutes", "of May"); again != first || said != "ledger_unavailable" {
		t.Errorf("sent again while it is down: %s beside %s, %q", again, first, said)
	}
	for _, other := range []struct {
		actor          authz.Actor
		title, content string
	}{{reviewer, "Minutes", "of May"}, {author, "Minutes of the board", "of May"}, {author, "Minutes", "of June"}} {
		if id, _ := attach(other.actor, other.title, other.content); id == first {
			t.Errorf("%s %q of %s is taken for the first", other.title, other.content, other.actor.ID)
		}
	}
	w.ledger.down = nil
	if again, said := attach(author, "Minutes", "of May"); again != first || said != "" {
		t.Errorf("sent again afterwards: %s beside %s, %q", again, first, said)
	}
	if anew, said := attach(author, "Minutes", "of May"); anew == first || said != "" {
		t.Errorf("attached anew: %s, %q", anew, said)
	}
	list, err := w.engine.Attached(t.Context(), author.Org, Sought{Control: c.ID})
	if err != nil || len(list) != 5 {
		t.Errorf("%d pieces, %v", len(list), err)
	}
}

func TestEvidenceForNoSystem(t *testing.T) {
	w, c := newWorld(t), humanOnly(t)
	_, err := w.engine.Attach(t.Context(), author, Evidence{Framework: c.Framework, Control: c.ID, System: "nobody", Type: c.Human[0].Type, Title: "Minutes", Link: "https://intranet.example/"})
	if code(err) != "not_found" {
		t.Errorf("evidence for a system that is not registered: %v", err)
	}
}

func TestNotApplicable(t *testing.T) {
	w, c := best(t), humanOnly(t)
	if _, err := w.engine.ProposeApplicability(t.Context(), author, c.Framework, c.ID, "chat", false, " "); err == nil {
		t.Error("no reason was asked for")
	}
	if _, err := w.engine.ProposeApplicability(t.Context(), author, c.Framework, c.ID, "chat", false, "no such use"); err != nil {
		t.Fatal(err)
	}
	list, err := w.engine.Proposals(t.Context(), "acme", c.Framework, c.ID, "chat")
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if got := w.control(c.Framework, c.ID).State; got == NotApplicable {
		t.Error("a proposal alone leaves a control out")
	}
	if got := code(w.engine.DecideApplicability(t.Context(), author, list[0].ID, true, "")); got != "four_eyes" {
		t.Errorf("its author: %q", got)
	}
	if got := code(w.engine.DecideApplicability(t.Context(), authz.Actor{Org: "globex", ID: "carl"}, list[0].ID, true, "")); got != "not_found" {
		t.Errorf("another organisation: %q", got)
	}
	if err := w.engine.DecideApplicability(t.Context(), reviewer, list[0].ID, false, " "); !strings.Contains(fmt.Sprint(err), "say why") {
		t.Errorf("rejected without a reason: %v", err)
	}
	if err := w.engine.DecideApplicability(t.Context(), reviewer, list[0].ID, true, ""); err != nil {
		t.Fatal(err)
	}
	if got := w.control(c.Framework, c.ID); got.State != NotApplicable || got.Decision == nil || got.Decision.Approver != "berta" {
		t.Errorf("%s %+v", got.State, got.Decision)
	}
	if got := code(w.engine.DecideApplicability(t.Context(), reviewer, list[0].ID, false, "no")); got != "decided" {
		t.Errorf("decided twice: %q", got)
	}
}

// TestApplicabilityIsDecided: a proposal can be rejected, what was left out is taken in
// again by two persons, and each decision says on record what is then in force.
func TestApplicabilityIsDecided(t *testing.T) {
	w, c := best(t), humanOnly(t)
	before := w.control(c.Framework, c.ID).State
	steps := []struct {
		name            string
		applies, accept bool
		want            State // after it
		recorded        bool  // Applies of the record
	}{
		{"rejected", false, false, before, true},
		{"left out", false, true, NotApplicable, false},
		{"stays out", true, false, NotApplicable, false},
		{"taken in", true, true, before, true},
		{"left out again", false, true, NotApplicable, false},
	}
	for i, s := range steps {
		if _, err := w.engine.ProposeApplicability(t.Context(), author, c.Framework, c.ID, "chat", s.applies, s.name); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if _, err := w.engine.ProposeApplicability(t.Context(), author, c.Framework, c.ID, "chat", s.applies, "once more"); code(err) != "proposed" {
			t.Errorf("%s: proposed twice: %q", s.name, code(err))
		}
		list, err := w.engine.Proposals(t.Context(), "acme", c.Framework, c.ID, "chat")
		if err != nil || len(list) != i+1 {
			t.Fatal(list, err)
		}
		at := slices.IndexFunc(list, func(a Applicability) bool { return a.Approver == "" })
		if err := w.engine.DecideApplicability(t.Context(), reviewer, list[at].ID, s.accept, "as I see it"); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		got := w.control(c.Framework, c.ID)
		if got.State != s.want {
			t.Errorf("%s: %s, want %s", s.name, got.State, s.want)
		}
		if s.want == NotApplicable && got.Decision.Reason != "left out" && got.Decision.Reason != "left out again" {
			t.Errorf("%s: the reason shown is %q", s.name, got.Decision.Reason)
		}
		list, err = w.engine.Proposals(t.Context(), "acme", c.Framework, c.ID, "chat")
		if err != nil || list[at].Proposed() != s.applies || list[at].Rejected == s.accept || list[at].Applies != s.recorded || list[at].Answer != "as I see it" {
			t.Errorf("%s: %+v, %v", s.name, list[at], err)
		}
	}
	other := best(t)
	if _, err := other.engine.ProposeApplicability(t.Context(), author, c.Framework, c.ID, "chat", true, "it does"); code(err) != "unchanged" {
		t.Errorf("taken in though nothing left it out: %q", code(err))
	}
}

// TestReach: role, risk class and date decide which duties of the Act concern a
// system.
func TestReach(t *testing.T) {
	w := newWorld(t)
	count := func(class inventory.RiskClass, role inventory.ActRole, day string) map[State]int {
		w.system().RiskClass, w.system().Roles = class, []inventory.ActRole{role}
		at, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		a, err := w.engine.EvaluateAt(t.Context(), "acme", "chat", frameworks.AIAct, View{State: w.state, At: at})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range a.Controls {
			from := c.Control.From(string(class))
			concerns := false
			for _, r := range c.Control.Roles {
				concerns = concerns || r == string(role)
			}
			switch {
			case !concerns && c.State != NotApplicable:
				t.Errorf("%s %s %s: a duty of %v is %s", class, role, c.Control.ID, c.Control.Roles, c.State)
			case concerns && c.State == NotYet != (c.State != NotApplicable && at.Before(from.Effective)):
				t.Errorf("%s %s %s: %s on %s, in effect from %s", class, role, c.Control.ID, c.State, day, from.Effective.Format(time.DateOnly))
			}
		}
		return a.Counts
	}
	early := count(inventory.HighRiskAnnexIII, inventory.RoleDeployer, "2026-11-24")
	late := count(inventory.HighRiskAnnexIII, inventory.RoleDeployer, "2028-12-01")
	minimal := count(inventory.Minimal, inventory.RoleDeployer, "2028-12-01")
	annexI := count(inventory.HighRiskAnnexI, inventory.RoleDeployer, "2028-01-01")
	count(inventory.HighRiskAnnexIII, inventory.RoleProvider, "2028-12-01")
	if early[NotYet] == 0 || late[NotYet] != 0 || annexI[NotYet] == 0 || minimal[NotApplicable] <= late[NotApplicable] {
		t.Errorf("early %v, late %v, minimal %v, Annex I %v", early, late, minimal, annexI)
	}
}

// TestUndecided: what waits for a second person is listed until it is decided, for
// its own organisation alone.
func TestUndecided(t *testing.T) {
	w, c := newWorld(t), humanOnly(t)
	count := func(org inventory.OrgID) [2]int {
		t.Helper()
		list, proposals, err := w.engine.Undecided(t.Context(), org)
		if err != nil {
			t.Fatal(err)
		}
		return [2]int{len(list), len(proposals)}
	}
	w.accept(c)
	if got := count("acme"); got != [2]int{0, 0} {
		t.Errorf("decided evidence still waits: %v", got)
	}
	ev := w.attach(Evidence{Framework: c.Framework, Control: c.ID, Type: c.Human[0].Type})
	if _, err := w.engine.ProposeApplicability(t.Context(), author, c.Framework, c.ID, "chat", false, "no such use"); err != nil {
		t.Fatal(err)
	}
	if got := count("acme"); got != [2]int{1, 1} {
		t.Errorf("%v wait; want one of each", got)
	}
	if got := count("globex"); got != [2]int{0, 0} {
		t.Errorf("another organisation sees %v", got)
	}
	if err := w.engine.Decide(t.Context(), reviewer, ev.ID, false, "not signed"); err != nil {
		t.Fatal(err)
	}
	if got := count("acme"); got != [2]int{0, 1} {
		t.Errorf("%v wait after a rejection; want the proposal alone", got)
	}
}
