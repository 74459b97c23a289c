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

func (r *request) apiChanges() error {
	return r.answer(http.StatusOK, map[string]any{"change_requests": orEmpty(r.state.Requests)})
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
	id := inventory.RequestID(r.param("id"))
	return row(r, func(s *inventory.State) []inventory.ChangeRequest { return s.Requests }, "change request", string(id), func(q *inventory.ChangeRequest) bool { return q.ID == id })
}
