package web

import (
	"net/http"
	"time"

	"plumbline/assessments"
	"plumbline/inventory"
)

// applicabilityJSON is a proposal that a control does not concern a system, or that it
// does after all, with what was decided on it.
type applicabilityJSON struct {
	ID        string             `json:"id"`
	Framework string             `json:"framework"`
	Control   string             `json:"control"`
	System    inventory.SystemID `json:"system"`
	Applies   bool               `json:"applies"` // as proposed
	State     string             `json:"state"`   // open, accepted or rejected
	Reason    string             `json:"reason"`
	Author    string             `json:"author"`
	At        time.Time          `json:"at"`
	DecidedBy string             `json:"decided_by,omitempty"`
	DecidedAt time.Time          `json:"decided_at,omitzero"`
	Answer    string             `json:"answer,omitempty"` // why it was decided so
	Leaf      int64              `json:"leaf"`             // of the decision; -1 until recorded
}

func applicabilityOf(a assessments.Applicability) applicabilityJSON {
	out := applicabilityJSON{a.ID, a.Framework, a.Control, a.System, a.Proposed(), "open", a.Reason, a.Author, a.At, a.Approver, a.DecidedAt, a.Answer, a.Leaf}
	switch {
	case a.Rejected:
		out.State = "rejected"
	case a.Approver != "":
		out.State = "accepted"
	}
	return out
}

func (r *request) apiApplicability() error {
	want, err := r.sought()
	if err != nil {
		return err
	}
	state, err := r.oneOf("state", []string{"open", "accepted", "rejected"})
	if err != nil {
		return err
	}
	list, err := r.web.d.Engine.Applicabilities(r.ctx(), r.actor.Org, want)
	if err != nil {
		return err
	}
	out := []applicabilityJSON{}
	for _, a := range list {
		if given := applicabilityOf(a); state == "" || given.State == state {
			out = append(out, given)
		}
	}
	return r.answer(http.StatusOK, map[string]any{"applicability": out})
}

type applicabilityBody struct {
	Framework string             `json:"framework" yaml:"framework"`
	Control   string             `json:"control" yaml:"control"`
	System    inventory.SystemID `json:"system" yaml:"system"`
	Applies   bool               `json:"applies" yaml:"applies"`
	Reason    string             `json:"reason" yaml:"reason"`
}

// apiProposeApplicability asks that a control be left out for a system, or with applies
// be taken in again.
func (r *request) apiProposeApplicability() error {
	var in applicabilityBody
	if err := r.readJSON(&in); err != nil {
		return err
	}
	if err := r.controlAndSystem(in.Framework, in.Control, in.System); err != nil {
		return err
	}
	a, err := r.web.d.Engine.ProposeApplicability(r.ctx(), r.actor, in.Framework, in.Control, in.System, in.Applies, in.Reason)
	if err != nil {
		return err
	}
	return r.answer(http.StatusCreated, applicabilityOf(a))
}

// apiDecideApplicability is the second person's word.
func (r *request) apiDecideApplicability() error {
	var in evidenceDecisionBody
	if err := r.readJSON(&in); err != nil {
		return err
	}
	accept, err := accepts(in.Decision)
	if err != nil {
		return err
	}
	if err := r.web.d.Engine.DecideApplicability(r.ctx(), r.actor, r.param("id"), accept, in.Reason); err != nil {
		return err
	}
	a, err := r.web.d.Engine.ApplicabilityByID(r.ctx(), r.actor.Org, r.param("id"))
	if err != nil {
		return err
	}
	return r.answer(http.StatusOK, applicabilityOf(a))
}
