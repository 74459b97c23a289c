package web

import (
	"net/http"

	"plumbline/app/fault"
	"plumbline/app/money"
	"plumbline/inventory"
)

type budgetBody struct {
	inventory.DeclaredBudget `yaml:",inline"`
	change                   `yaml:",inline"`
}

// budgetJSON is a budget with its amounts in dollars, as they are written.
type budgetJSON struct {
	inventory.Budget
	Nano    *struct{} `json:"limit_nano,omitempty"` // stands before the stored form's
	Limit   string    `json:"limit"`
	Charged string    `json:"charged"` // in the window that runs
	Held    string    `json:"held"`
	Left    string    `json:"left"`
}

func (r *request) budgetJSON(b inventory.Budget) budgetJSON {
	charged, held, left := r.web.d.Budgets(&b)
	return budgetJSON{Budget: b, Limit: amount(b.Limit), Charged: amount(charged), Held: amount(held), Left: amount(left)}
}

// amount is a number of dollars that money.Parse reads back.
func amount(n money.Nano) string { return n.Plain() }

func (r *request) apiBudgets() error {
	out := []budgetJSON{}
	for _, b := range r.state.Budgets {
		if r.listed(b) {
			out = append(out, r.budgetJSON(b))
		}
	}
	return r.answer(http.StatusOK, map[string]any{"budgets": out})
}

func (r *request) apiPutBudget() error {
	var in budgetBody
	if err := r.readJSON(&in); err != nil {
		return err
	}
	if err := inPath(r, "id", &in.ID); err != nil {
		return err
	}
	b := in.Budget
	b.Version = in.change.Version
	var wrong fault.Fields
	limit, err := money.Parse(in.DeclaredBudget.Limit)
	if b.Limit = limit; err != nil {
		wrong.Add("limit", "%v", err)
	}
	err = gathered(wrong.Err(), func() error { return r.web.d.Register.CheckBudget(r.actor, b) },
		func() error { return r.web.d.Register.PutBudget(r.ctx(), r.actor, b, in.Reason) })
	if err != nil {
		return err
	}
	if err := r.read(); err != nil {
		return err
	}
	now, err := find(r.state.Budgets, "budget", string(b.ID), func(x *inventory.Budget) bool { return x.ID == b.ID })
	if err != nil {
		return err
	}
	return r.answer(http.StatusOK, r.budgetJSON(*now))
}

// apiDelete takes a row of a kind out of force; param names its id in the path.
func apiDelete(kind, param string) func(*request) error {
	return func(r *request) error {
		var in reasonBody
		if err := r.readJSON(&in); err != nil {
			return err
		}
		if err := r.web.d.Register.Delete(r.ctx(), r.actor, kind, r.param(param), in.Reason); err != nil {
			return err
		}
		return r.c.NoContent(http.StatusNoContent)
	}
}
