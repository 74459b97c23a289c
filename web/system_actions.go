package web

import (
	"fmt"
	"time"

	"plumbline/app/fault"
	"plumbline/inventory"
)

// act is something that is done to a system beside editing it.
type act struct {
	title  string // with the system's name
	intro  string
	submit string
	danger bool
	fields func() []field
	other  string // a second way to answer: reject
	run    func(r *request, s *inventory.System) error
	said   string
}

// acts are the actions by their name in the path, for pages and the API alike.
var acts = map[string]act{
	"request": {title: "Ask for the approval of %s", intro: "A second person decides. Until then the gateway refuses its calls.", submit: "Ask for approval",
		fields: func() []field { return []field{reasonField("What the decision should rest on")} },
		run: func(r *request, s *inventory.System) error {
			return r.web.d.Register.RequestApproval(r.ctx(), r.actor, s.ID, r.value("reason"))
		}, said: "The approval is asked for."},
	"decide": {title: "Decide on %s", intro: "Approved, its keys work within two seconds. Your name stands beside the decision; whoever asked cannot decide.", submit: "Approve", other: "Reject",
		fields: func() []field {
			return []field{{Name: "until", Label: "Approved until", Kind: "date", Hint: "With that day, in UTC. Empty: no end", Optional: true}, reasonField("What the decision rests on")}
		},
		run: (*request).decideApproval, said: "The decision is on record."},
	"withdraw": {title: "Withdraw the approval of %s?", intro: "The gateway refuses its calls within two seconds, also while the ledger cannot write, until the system is approved anew. A request that is open stays open. To stop it for a time and lose no approval, suspend it.", submit: "Withdraw the approval", danger: true,
		fields: func() []field { return []field{reasonField("The people whose calls stop will ask")} },
		run: func(r *request, s *inventory.System) error {
			return r.web.d.Register.WithdrawApproval(r.ctx(), r.actor, s.ID, r.value("reason"))
		}, said: "The approval is withdrawn; calls are refused."},
	"suspend": {title: "Suspend %s?", intro: "The gateway refuses its calls within two seconds, also while the ledger cannot write. Calls that run may end. Resuming is one step.", submit: "Suspend", danger: true,
		fields: func() []field { return []field{reasonField("The people whose calls stop will ask")} },
		run: func(r *request, s *inventory.System) error {
			return r.web.d.Register.Suspend(r.ctx(), r.actor, s.ID, r.value("reason"))
		}, said: "It is suspended; its calls are refused."},
	"resume": {title: "Resume %s", intro: "Its keys work again within two seconds, if its approval holds.", submit: "Resume",
		fields: func() []field { return []field{reasonField("What was mended")} },
		run: func(r *request, s *inventory.System) error {
			return r.web.d.Register.Resume(r.ctx(), r.actor, s.ID, r.value("reason"))
		}, said: "It is resumed."},
	"retire": {title: "Retire %s?", intro: "This cannot be undone. The gateway refuses its calls for good; its records and documents stay.", submit: "Retire", danger: true,
		fields: func() []field { return []field{reasonField("What takes its place")} },
		run: func(r *request, s *inventory.System) error {
			return r.web.d.Register.Retire(r.ctx(), r.actor, s.ID, r.value("reason"))
		}, said: "It is retired."},
	"review": {title: "Note a review of %s", intro: "Says that what is declared was looked at today and still holds.", submit: "Note the review",
		fields: func() []field { return []field{reasonField("What was looked at")} },
		run: func(r *request, s *inventory.System) error {
			return r.web.d.Register.Review(r.ctx(), r.actor, s.ID, r.value("reason"))
		}, said: "The review is noted."},
}

func (r *request) decideApproval(s *inventory.System) error {
	approve := r.value("decision") != "reject"
	until := time.Time{}
	if approve {
		var err error
		if until, err = throughDay("until", r.value("until")); err != nil {
			return err
		}
	}
	return r.web.d.Register.DecideApproval(r.ctx(), r.actor, s.ID, approve, until, r.value("reason"))
}

func (r *request) actForm(name string, s *inventory.System) *form {
	a := acts[name]
	f := &form{Title: fmt.Sprintf(a.title, s.Name), Intro: a.intro, Action: "/systems/" + string(s.ID) + "/" + name, Submit: a.submit, Danger: a.danger, Cancel: "/systems/" + string(s.ID), Fields: a.fields()}
	if held := inForce(s.Approval, r.web.d.Now()); held != nil && (name == "request" || name == "decide") {
		r.renewing(f, name, s, held)
	}
	if a.other != "" {
		f.Other, f.OtherV = a.other, "reject"
		f.Facts = append([][2]string{{"Purpose", s.Purpose}, {"Class", className(s.RiskClass)}, {"Why this class", s.RiskReason}, {"Owner", s.Owner}, {"Asked by", r.person(s.Approval.RequestedBy)}, {"Asked because", r.askedBecause(s)}}, f.Facts...)
	}
	return f
}

// askedBecause is the reason of the newest request for an approval: what the decision
// should rest on. It is empty when it cannot be read.
func (r *request) askedBecause(s *inventory.System) string {
	versions, err := r.web.d.Register.History(r.ctx(), r.actor.Org, "system", string(s.ID))
	if err != nil {
		r.web.d.Log.Warn("reason of a request", "request", r.id.String(), "error", err)
	}
	for _, v := range versions {
		if v.Change == "system.approval_requested" || v.Change == "system.renewal_requested" {
			return v.Reason
		}
	}
	return ""
}

func systemActionPage(name string) func(*request) error {
	return func(r *request) error {
		s, err := r.system()
		if err != nil {
			return err
		}
		if s.Origin.FromFile() && name != "suspend" && name != "resume" && name != "review" {
			return readOnly(s.Origin)
		}
		return r.formPage(systemCrumbs(s, acts[name].submit), r.actForm(name, s))
	}
}

func systemAction(name string) func(*request) error {
	return func(r *request) error {
		s, err := r.system()
		if err != nil {
			return err
		}
		if err := acts[name].run(r, s); err != nil {
			if fault.KindOf(err) == fault.NotFound {
				return err
			}
			return r.again(systemCrumbs(s, acts[name].submit), r.actForm(name, s), err)
		}
		return r.done("/systems/"+string(s.ID), acts[name].said)
	}
}
