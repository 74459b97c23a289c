package web

import (
	"net/http"

	"plumbline/app/fault"
	"plumbline/inventory"
)

type changeDecisionBody struct {
	Decision string `json:"decision" yaml:"decision"` // confirm or reject
	Reason   string `json:"reason" yaml:"reason"`
}

// changeJSON is a change request with the row that it asks for.
type changeJSON struct {
	inventory.ChangeRequest
	Body map[string]any `json:"body,omitempty"` // stands before the stored form's
}

func (r *request) apiChanges() error {
	out := []changeJSON{}
	for _, q := range r.state.Requests {
		out = append(out, changeJSON{q, bare(q.Body)})
	}
	return r.answer(http.StatusOK, map[string]any{"change_requests": out})
}

func (r *request) apiDecideChange() error {
	var in changeDecisionBody
	if err := r.readJSON(&in); err != nil {
		return err
	}
	if in.Decision != "confirm" && in.Decision != "reject" {
		return fault.Field("decision", "%q is neither confirm nor reject", in.Decision)
	}
	return r.ended(r.web.d.Register.DecideRequest(r.ctx(), r.actor, inventory.RequestID(r.param("id")), in.Decision == "confirm", in.Reason))
}

func (r *request) apiWithdrawChange() error {
	var in reasonBody
	if err := r.readJSON(&in); err != nil {
		return err
	}
	return r.ended(r.web.d.Register.WithdrawRequest(r.ctx(), r.actor, inventory.RequestID(r.param("id")), in.Reason))
}

// ended answers with the change request as it is after a decision.
func (r *request) ended(err error) error {
	if err != nil {
		return err
	}
	if err := r.read(); err != nil {
		return err
	}
	q, err := r.state.ChangeRequest(inventory.RequestID(r.param("id")))
	if err != nil {
		return err
	}
	return r.answer(http.StatusOK, changeJSON{*q, bare(q.Body)})
}
