package web

import (
	"plumbline/assessments"
	"plumbline/frameworks"
	"plumbline/inventory"
)

// actionForm plans what follows from a finding about a control.
func actionForm(f *frameworks.Framework, c *frameworks.Control, s *inventory.System, back string) *form {
	return &form{Title: "Plan a corrective action", Intro: c.ID + " " + c.Title + ", for " + s.Name + ". It goes on record and is printed with the finding. It does not change the result; a second person accepts it.",
		Action: "/frameworks/" + f.ID + "/action", Submit: "Plan it", Cancel: back, Hidden: map[string]string{"control": c.ID, "system": string(s.ID)}, Fields: []field{
			{Name: "cause", Label: "Cause", Kind: "textarea", Hint: "Why it came to this"},
			{Name: "correction", Label: "Correction", Kind: "textarea", Hint: "What was done at once", Optional: true},
			{Name: "action", Label: "Corrective action", Kind: "textarea", Hint: "So that it does not happen again"},
			{Name: "owner", Label: "Owner", Hint: "Person or team that does it"},
			{Name: "due", Label: "Due", Kind: "date"},
		}}
}

func (r *request) planning() (page, *form, *frameworks.Framework, *frameworks.Control, *inventory.System, error) {
	f, c, s, err := r.controlOfSystem()
	if err != nil {
		return page{}, nil, nil, nil, nil, err
	}
	back := r.back(f, c)
	return evidenceCrumbs(f, back, "Plan a corrective action"), actionForm(f, c, s, back), f, c, s, nil
}

func (r *request) actionPage() error {
	p, form, _, _, _, err := r.planning()
	if err != nil {
		return err
	}
	return r.formPage(p, form)
}

func (r *request) planAction() error {
	p, form, f, c, s, err := r.planning()
	if err != nil {
		return err
	}
	plan := assessments.Plan{Cause: r.value("cause"), Correction: r.value("correction"), Action: r.value("action"), Owner: r.value("owner")}
	if plan.Due, err = dateOf("due", r.value("due")); err == nil {
		_, err = r.web.d.Engine.PlanAction(r.ctx(), r.actor, f.ID, c.ID, s.ID, plan)
	}
	if err != nil {
		return r.again(p, form, err)
	}
	return r.done(r.back(f, c), "The plan is on record. A second person accepts it.")
}
