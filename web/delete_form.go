package web

import (
	"fmt"
	"slices"

	"plumbline/app/fault"
	"plumbline/inventory"
)

// deletable says where a kind of row is shown, and whether there is such a row.
var deletable = map[string]struct {
	word, back, path, nav string
	has                   func(s *inventory.State, id string) bool
}{
	"budget": {"budget", "/budgets", "/budgets/", "budgets", func(s *inventory.State, id string) bool {
		return slices.ContainsFunc(s.Budgets, func(b inventory.Budget) bool { return string(b.ID) == id })
	}},
	"provider": {"provider", "/gateway", "/gateway/providers/", "gateway", func(s *inventory.State, id string) bool {
		return slices.ContainsFunc(s.Providers, func(p inventory.Provider) bool { return string(p.ID) == id })
	}},
	"route": {"route", "/gateway", "/gateway/routes/", "gateway", func(s *inventory.State, id string) bool {
		return slices.ContainsFunc(s.Routes, func(v inventory.Route) bool { return v.Model == id })
	}},
	"guard_profile": {"guard profile", "/gateway", "/gateway/guard_profiles/", "gateway", func(s *inventory.State, id string) bool {
		return slices.ContainsFunc(s.Profiles, func(p inventory.GuardProfile) bool { return string(p.ID) == id })
	}},
	"policy": {"policy", "/gateway", "/gateway/policies/", "gateway", func(s *inventory.State, id string) bool {
		return slices.ContainsFunc(s.Policies, func(p inventory.Policy) bool { return string(p.ID) == id })
	}},
	"price": {"price", "/gateway", "/gateway/prices/", "gateway", func(s *inventory.State, id string) bool {
		return slices.ContainsFunc(s.Prices, func(p inventory.Price) bool { return p.ID() == id })
	}},
}

func (r *request) deleteForm(kind string) (*form, page, error) {
	d, id := deletable[kind], r.param("id")
	p := page{Title: "Delete " + d.word, Nav: d.nav, Crumbs: []crumb{{words(d.word) + "s", d.back}, {Title: "Delete"}}}
	if !d.has(r.state, id) {
		return nil, p, fault.New(fault.NotFound, "not_found", "There is no such %s.", d.word)
	}
	return &form{Title: fmt.Sprintf("Delete the %s %s?", d.word, id), Intro: "It is out of force once this is on record. Its earlier versions stay in the register's history.", Action: r.c.Request().URL.EscapedPath(),
		Submit: "Delete", Danger: true, Cancel: d.back, Fields: []field{reasonField("Kept with the change")}}, p, nil
}

func deletePage(kind string) func(*request) error {
	return func(r *request) error {
		f, p, err := r.deleteForm(kind)
		if err != nil {
			return err
		}
		return r.formPage(p, f)
	}
}

func deleteRow(kind string) func(*request) error {
	return func(r *request) error {
		f, p, err := r.deleteForm(kind)
		if err != nil {
			return err
		}
		if err := r.web.d.Register.Delete(r.ctx(), r.actor, kind, r.param("id"), r.value("reason")); err != nil {
			return r.again(p, f, err)
		}
		return r.done(deletable[kind].back, words(deletable[kind].word)+" "+r.param("id")+" is deleted.")
	}
}
