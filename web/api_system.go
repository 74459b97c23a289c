package web

import (
	"net/http"
	"strconv"
	"time"

	"plumbline/app/fault"
	"plumbline/inventory"
)

// setElsewhere are the names of a declared system that the API sets by actions of
// their own, or by itself.
var setElsewhere = []string{"approval", "retired_at", "risk_set_by", "risk_set_at"}

type systemBody struct {
	inventory.DeclaredSystem `yaml:",inline"`
	change                   `yaml:",inline"`
}

// past is the register as of ?leaf= or ?at=, or as it is now.
func (r *request) past() (*inventory.State, error) {
	leaf, at := r.query("leaf"), r.query("at")
	switch {
	case leaf != "" && at != "":
		return nil, fault.Field("at", "ask for a leaf or for a time, not for both")
	case leaf != "":
		n, err := strconv.ParseUint(leaf, 10, 63)
		if err != nil {
			return nil, fault.Field("leaf", "%q is no number of leaves", leaf)
		}
		return r.web.d.Register.AsOf(r.ctx(), r.actor.Org, n)
	case at != "":
		t, err := r.timeQuery("at")
		if err != nil {
			return nil, err
		}
		state, err := r.web.d.Register.AsOfTime(r.ctx(), r.actor.Org, t)
		if fault.Is(err, fault.NotFound) {
			return nil, fault.Wrap(fault.NotFound, "not_found", err, "the register of this organisation begins after %s; a day counts from its beginning, in UTC", t.UTC().Format(time.RFC3339))
		}
		return state, err
	}
	return r.state, nil
}

// timeQuery is a time of the query, zero when it is not given. A day is its
// beginning in UTC.
func (r *request) timeQuery(name string) (time.Time, error) {
	text := r.query(name)
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fault.Field(name, "%q is no time such as 2026-08-02T00:00:00Z", text)
}

func (r *request) apiSystems() error {
	state, err := r.past()
	if err != nil {
		return err
	}
	return r.answer(http.StatusOK, map[string]any{"systems": orEmpty(state.Systems)})
}

func (r *request) apiSystem() error {
	state, err := r.past()
	if err != nil {
		return err
	}
	s, err := state.System(inventory.SystemID(r.param("id")))
	if err != nil {
		return err
	}
	return r.answer(http.StatusOK, s)
}

func (r *request) apiAddSystem() error {
	var in systemBody
	if err := r.readJSON(&in, append(setElsewhere, "version")...); err != nil {
		return err
	}
	if in.Lifecycle == "" {
		in.Lifecycle = inventory.Planned
	}
	s, err := r.web.d.Register.AddSystem(r.ctx(), r.actor, in.System, in.Reason)
	if err != nil {
		return err
	}
	return r.systemAnswer(http.StatusCreated, s.ID)
}

func (r *request) apiUpdateSystem() error {
	var in systemBody
	if err := r.readJSON(&in, setElsewhere...); err != nil {
		return err
	}
	if err := inPath(r, "id", &in.ID); err != nil {
		return err
	}
	if err := r.web.d.Register.UpdateSystem(r.ctx(), r.actor, in.System, in.Version, in.Reason); err != nil {
		return err
	}
	return r.systemAnswer(http.StatusOK, in.ID)
}

func (r *request) systemAnswer(status int, id inventory.SystemID) error {
	if err := r.read(); err != nil {
		return err
	}
	s, err := r.state.System(id)
	if err != nil {
		return err
	}
	return r.answer(status, s)
}

func (r *request) apiSystemHistory() error {
	s, err := r.system()
	if err != nil {
		return err
	}
	versions, err := r.web.d.Register.History(r.ctx(), r.actor.Org, "system", string(s.ID))
	if err != nil {
		return err
	}
	return r.answer(http.StatusOK, map[string]any{"versions": orEmpty(versions)})
}

type observedJSON struct {
	Provider  string    `json:"provider"`
	Model     string    `json:"model"`
	Declared  bool      `json:"declared"`
	Simulated bool      `json:"simulated"`
	Calls     int64     `json:"calls"`
	FirstAt   time.Time `json:"first_at"`
	LastAt    time.Time `json:"last_at"`
	FirstLeaf uint64    `json:"first_leaf"`
	LastLeaf  uint64    `json:"last_leaf"`
}

func (r *request) apiObserved() error {
	s, err := r.system()
	if err != nil {
		return err
	}
	seen, err := r.web.d.Projection.Observed(r.ctx(), string(r.actor.Org), string(s.ID))
	if err != nil {
		return err
	}
	declared := map[inventory.ModelRef]bool{}
	for _, m := range s.Models {
		declared[m] = true
	}
	out := []observedJSON{}
	for _, o := range seen {
		ref := inventory.ModelRef{Provider: inventory.ProviderID(o.Provider), Model: o.Model}
		out = append(out, observedJSON{o.Provider, o.Model, declared[ref], o.Simulated, o.Calls, time.UnixMicro(o.FirstAt).UTC(), time.UnixMicro(o.LastAt).UTC(), o.FirstLeaf, o.LastLeaf})
	}
	return r.answer(http.StatusOK, map[string]any{"observed": out})
}

type reasonBody struct {
	Reason string `json:"reason" yaml:"reason"`
}

// apiSystemAction carries out an action whose body is a reason.
func apiSystemAction(do func(r *request, id inventory.SystemID, reason string) error) func(*request) error {
	return func(r *request) error {
		var in reasonBody
		if err := r.readJSON(&in); err != nil {
			return err
		}
		s, err := r.system()
		if err != nil {
			return err
		}
		if err := do(r, s.ID, in.Reason); err != nil {
			return err
		}
		return r.systemAnswer(http.StatusOK, s.ID)
	}
}

var (
	apiRequestApproval = apiSystemAction(func(r *request, id inventory.SystemID, reason string) error {
		return r.web.d.Register.RequestApproval(r.ctx(), r.actor, id, reason)
	})
	apiWithdrawApproval = apiSystemAction(func(r *request, id inventory.SystemID, reason string) error {
		return r.web.d.Register.WithdrawApproval(r.ctx(), r.actor, id, reason)
	})
	apiSuspend = apiSystemAction(func(r *request, id inventory.SystemID, reason string) error {
		return r.web.d.Register.Suspend(r.ctx(), r.actor, id, reason)
	})
	apiResume = apiSystemAction(func(r *request, id inventory.SystemID, reason string) error {
		return r.web.d.Register.Resume(r.ctx(), r.actor, id, reason)
	})
	apiRetire = apiSystemAction(func(r *request, id inventory.SystemID, reason string) error {
		return r.web.d.Register.Retire(r.ctx(), r.actor, id, reason)
	})
	apiReview = apiSystemAction(func(r *request, id inventory.SystemID, reason string) error {
		return r.web.d.Register.Review(r.ctx(), r.actor, id, reason)
	})
)

type decisionBody struct {
	Decision string    `json:"decision" yaml:"decision"`
	Until    time.Time `json:"until" yaml:"until"`
	Reason   string    `json:"reason" yaml:"reason"`
}

// apiDecideApproval approves or rejects what somebody else asked for.
func (r *request) apiDecideApproval() error {
	var in decisionBody
	if err := r.readJSON(&in); err != nil {
		return err
	}
	if in.Decision != "approve" && in.Decision != "reject" {
		return fault.Field("decision", "%q is neither approve nor reject", in.Decision)
	}
	id := inventory.SystemID(r.param("id"))
	if err := r.web.d.Register.DecideApproval(r.ctx(), r.actor, id, in.Decision == "approve", in.Until, in.Reason); err != nil {
		return err
	}
	return r.systemAnswer(http.StatusOK, id)
}
