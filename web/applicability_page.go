package web

import (
	"plumbline/app/fault"
	"plumbline/frameworks"
	"plumbline/inventory"
)

func leaveOutForm(f *frameworks.Framework, c *frameworks.Control, s *inventory.System, back string, again bool) *form {
	x := &form{Title: "Propose: not applicable", Intro: c.ID + " " + c.Title + ", for " + s.Name + ". A second person decides; once it is accepted and on record, the control is shown as not applicable, with this reason.",
		Action: "/frameworks/" + f.ID + "/applicability", Submit: "Propose", Cancel: back, Hidden: map[string]string{"control": c.ID, "system": string(s.ID)}, Fields: []field{reasonField("Why the control does not concern this AI system")}}
	if again {
		x.Title, x.Hidden["applies"] = "Propose: applies after all", "yes"
		x.Intro = c.ID + " " + c.Title + ", for " + s.Name + ". A second person decides; once it is accepted and on record, the control counts again."
		x.Fields = []field{reasonField("Why the control concerns this AI system, against what was decided")}
	}
	return x
}

// controlOfSystem is the control that a form is about, and whose it is.
func (r *request) controlOfSystem() (*frameworks.Framework, *frameworks.Control, *inventory.System, error) {
	f, c, err := r.frameworkControl()
	if err != nil {
		return nil, nil, nil, err
	}
	s, err := r.state.System(inventory.SystemID(r.value("system")))
	return f, c, s, err
}

func (r *request) leavingOut() (page, *form, *frameworks.Framework, *frameworks.Control, *inventory.System, error) {
	f, c, s, err := r.controlOfSystem()
	if err != nil {
		return page{}, nil, nil, nil, nil, err
	}
	back := r.back(f, c)
	form := leaveOutForm(f, c, s, back, r.value("applies") != "")
	return evidenceCrumbs(f, back, form.Title), form, f, c, s, nil
}

func (r *request) applicabilityPage() error {
	p, form, _, _, _, err := r.leavingOut()
	if err != nil {
		return err
	}
	return r.formPage(p, form)
}

func (r *request) proposeNotApplicable() error {
	p, form, f, c, s, err := r.leavingOut()
	if err != nil {
		return err
	}
	if _, err := r.web.d.Engine.ProposeApplicability(r.ctx(), r.actor, f.ID, c.ID, s.ID, r.value("applies") != "", r.value("reason")); err != nil {
		return r.again(p, form, err)
	}
	return r.done(r.back(f, c), "Proposed. It counts once a second person accepted it.")
}

// rejecting is the form on which a proposal is rejected.
func (r *request) rejecting() (page, *form, error) {
	a, err := r.web.d.Engine.ApplicabilityByID(r.ctx(), r.actor.Org, r.param("id"))
	if err != nil {
		return page{}, nil, err
	}
	if a.Approver != "" {
		return page{}, nil, fault.New(fault.Conflict, "decided", "%s decided on it already.", r.person(a.Approver))
	}
	framework, back := r.controlOf(a.Framework, a.Control, a.System)
	proposed := "It does not apply"
	if a.Proposed() {
		proposed = "It applies after all"
	}
	f := &form{Title: "Reject the proposal", Intro: "The control stays as it was. Who proposed it reads why.", Action: "/applicability/" + a.ID + "/decide", Submit: "Reject", Cancel: back,
		Hidden: map[string]string{"decision": "reject", "next": back}, Fields: []field{reasonField("Kept with the decision")},
		Facts: [][2]string{{"Control", a.Control + ", " + framework}, {"AI system", string(a.System)}, {"Proposed", proposed + ", by " + r.person(a.Author)}, {"Reason", a.Reason}}}
	return page{Title: f.Title, Nav: "frameworks", Crumbs: []crumb{{"Frameworks", "/frameworks"}, {framework, back}, {Title: f.Title}}}, f, nil
}

func (r *request) rejectApplicabilityPage() error {
	p, f, err := r.rejecting()
	if err != nil {
		return err
	}
	return r.formPage(p, f)
}

func (r *request) decideApplicability() error {
	accept := r.value("decision") != "reject"
	err := r.web.d.Engine.DecideApplicability(r.ctx(), r.actor, r.param("id"), accept, r.value("reason"))
	if fault.Is(err, fault.Invalid) {
		p, f, gone := r.rejecting()
		if gone != nil {
			return gone
		}
		return r.again(p, f, err)
	}
	if err != nil {
		return err
	}
	said := "Accepted and on record."
	if !accept {
		said = "Rejected and on record: it stays as it was."
	}
	return r.done(local(r.value("next"), "/frameworks"), said)
}
