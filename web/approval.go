package web

import (
	"fmt"
	"time"

	"plumbline/inventory"
)

// soon is how many days before its end an approval, or evidence, is said to end soon.
const soon = 30

// inForce is the approval by which a system may be used now: the one that was decided
// last, or the one that stands beside it. It is nil when there is none.
func inForce(a inventory.Approval, now time.Time) *inventory.Approval {
	if a.ValidAt(now) {
		return a.Grant()
	}
	return nil
}

// approvalStatus is where an approval stands, in one word.
func approvalStatus(a inventory.Approval, now time.Time) string {
	switch held := inForce(a, now); {
	case held != nil && a.State == inventory.Requested:
		return "renewal"
	case held != nil:
		return string(inventory.Approved)
	case a.State == inventory.Approved:
		return "lapsed"
	}
	return string(a.State)
}

// calls reports whether the calls of a system of a status are let in.
func calls(status string) bool { return status == "approved" || status == "renewal" }

// term says how long an approval stands.
func term(a *inventory.Approval) string {
	if a.Until.IsZero() {
		return "without an end"
	}
	return "to " + a.Until.Format("2 Jan 2006")
}

func endsSoon(a *inventory.Approval, now time.Time) bool {
	return !a.Until.IsZero() && a.Until.Before(now.AddDate(0, 0, soon))
}

// approvalFacts is what a system's page says of its approval.
type approvalFacts struct {
	Given    *inventory.Approval // in force, else the last that was given; nil when there is none
	Last     *inventory.Approval // the last decision; nil when there is none that is kept
	InForce  bool                // Given holds now
	EndsSoon bool
	Rejected bool   // its renewal was rejected, and Given holds
	Term     string // of Given
}

func approvalOf(a inventory.Approval, now time.Time) approvalFacts {
	f := approvalFacts{Given: a.Grant()}
	if a.DecidedBy != "" {
		f.Last = &a
	}
	if f.Given != nil {
		f.InForce, f.Term = a.ValidAt(now), term(f.Given)
		f.EndsSoon, f.Rejected = f.InForce && endsSoon(f.Given, now), f.InForce && a.State == inventory.Rejected
	}
	return f
}

// approvalTask is what waits for somebody in a system's approval, if anything does.
func (r *request) approvalTask(s *inventory.System) (task, bool) {
	now, a := r.web.d.Now(), s.Approval
	held, given := inForce(a, now), a.Grant()
	href, sub := "/systems/"+string(s.ID), string(s.ID)+" "+s.Name
	asked := sub + " · asked by " + r.person(a.RequestedBy)
	until := ""
	if given != nil && !given.Until.IsZero() {
		until = given.Until.Format("2 Jan 2006")
	}
	switch {
	case a.State == inventory.Requested && held != nil:
		t := task{"note", "tasks", "Approve or reject its renewal", asked + " · its calls go on: the approval in force stands " + term(held), href + "/decide", until}
		if endsSoon(held, now) {
			t.Tone, t.Icon = "warn", "clock"
		}
		return t, true
	case a.State == inventory.Requested && given != nil:
		return task{"bad", "clock", "Approve or reject its renewal: the approval ended", asked + " · its calls are refused until decided", href + "/decide", until}, true
	case a.State == inventory.Requested:
		return task{"note", "tasks", "Approve or reject", asked + " · its calls are refused until decided", href + "/decide", ""}, true
	case a.State == inventory.Approved && held == nil:
		return task{"bad", "clock", "Approval ended: ask again", sub, href, until}, true
	case held == nil:
		return task{"note", "tasks", "Ask for an approval", sub + " · its calls are refused until then", href, ""}, true
	case a.State == inventory.Rejected:
		return task{"warn", "not", "Renewal rejected: ask again, or withdraw the approval", sub + " · its calls go on: the approval in force stands " + term(held), href, until}, true
	case endsSoon(held, now):
		how := "it stays in force beside the request"
		if s.Origin.FromFile() {
			how = "in the configuration file, where it is declared"
		}
		return task{"warn", "clock", fmt.Sprintf("Approval ends within %d days: have it renewed", soon), sub + " · " + how, href, until}, true
	}
	return task{}, false
}

// approvalStage is the approval among the steps of a system's life.
func (r *request) approvalStage(a inventory.Approval) stage {
	const title = "Approved"
	held, given := inForce(a, r.web.d.Now()), a.Grant()
	switch {
	case held != nil && held.Imported:
		return stage{"is-done", "satisfied", title, "as the configuration file says"}
	case held != nil:
		note := held.DecidedAt.Format("2 Jan 2006") + ", " + r.person(held.DecidedBy)
		switch a.State {
		case inventory.Requested:
			note += "; renewal asked for"
		case inventory.Rejected:
			note += "; renewal rejected"
		}
		return stage{"is-done", "satisfied", title, note}
	case a.State == inventory.Approved:
		return stage{"is-stuck", "not", title, "ended " + given.Until.Format("2 Jan 2006")}
	case a.State == inventory.Requested && given != nil:
		return stage{"is-stuck", "not", title, "ended " + given.Until.Format("2 Jan 2006") + "; renewal asked for"}
	case a.State == inventory.Requested:
		return stage{"is-now", "partial", title, "waits for a second person"}
	case a.State == inventory.Rejected:
		return stage{"is-stuck", "not", title, "rejected"}
	case a.State == inventory.Withdrawn:
		return stage{"is-stuck", "not", title, "withdrawn " + a.DecidedAt.Format("2 Jan 2006")}
	}
	return stage{"", "none", title, "not asked for"}
}

// restsOn warns whoever edits a system of what becomes of its approval.
func restsOn(a inventory.Approval) string {
	const what = "The approval rests on purpose, class, roles and models. Changing one of them ends "
	switch {
	case a.Grant() != nil && a.State == inventory.Requested:
		return what + "it and the request for its renewal, and calls are refused until it is given anew."
	case a.Grant() != nil:
		return what + "it, and calls are refused until it is given anew."
	case a.State == inventory.Requested:
		return what + "the request for it."
	}
	return ""
}

// renewing says, on the form that asks for an approval or decides on it, what becomes
// of the one that is in force.
func (r *request) renewing(f *form, name string, s *inventory.System, held *inventory.Approval) {
	ends := "which has no end"
	if !held.Until.IsZero() {
		ends = "until it ends on " + held.Until.Format("2 Jan 2006")
	}
	switch name {
	case "request":
		f.Title, f.Submit = "Ask for the renewal of the approval of "+s.Name, "Ask for renewal"
		f.Intro = "A second person decides. The approval in force stands beside the request, " + ends + ", and calls go on: approved, the new one takes its place; rejected, it stays. A change of purpose, class, roles or models ends both."
	case "decide":
		f.Title = "Decide on the renewal of " + s.Name
		f.Intro = "Approved, the new approval takes the place of the one in force. Rejected, that one stays, " + ends + ": withdrawing it is an act of its own, on the system's page. Your name stands beside the decision; whoever asked cannot decide."
		f.Facts = [][2]string{{"In force", "approved by " + r.person(held.DecidedBy) + " on " + held.DecidedAt.Format("2 Jan 2006") + ", " + term(held)}, {"Given because", held.Reason}}
	}
}
