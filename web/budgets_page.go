package web

import (
	"slices"
	"strings"

	"plumbline/app/fault"
	"plumbline/app/money"
	"plumbline/inventory"
)

type budgetRow struct {
	inventory.Budget
	Charged, Held, Left money.Nano
	TargetName          string
}

func (r *request) budgetRows(keep func(inventory.Budget) bool) []budgetRow {
	var out []budgetRow
	for i := range r.state.Budgets {
		b := r.state.Budgets[i]
		if !keep(b) {
			continue
		}
		row := budgetRow{Budget: b, TargetName: r.state.Org.Name}
		row.Charged, row.Held, row.Left = r.web.d.Budgets(&b)
		switch b.Scope {
		case inventory.ScopeSystem:
			if s, err := r.state.System(inventory.SystemID(b.Target)); err == nil {
				row.TargetName = s.Name
			}
		case inventory.ScopeKey:
			row.TargetName = b.Target
			for _, k := range r.state.Keys {
				if string(k.ID) == b.Target {
					row.TargetName = k.Name
				}
			}
		}
		out = append(out, row)
	}
	return out
}

type budgetsData struct {
	Budgets []budgetRow // of this page
	Pager   pager
	All     int
	Query   string
}

func (r *request) budgetsPage() error {
	rows := r.budgetRows(r.listed)
	data := budgetsData{All: len(rows), Query: r.query("q")}
	rows = slices.DeleteFunc(rows, func(b budgetRow) bool {
		return !strings.Contains(strings.ToLower(strings.Join([]string{string(b.ID), b.Target, b.TargetName}, " ")), strings.ToLower(data.Query))
	})
	var first, last int
	first, last, data.Pager = r.pageOf(len(rows))
	data.Budgets = rows[first:last]
	return r.ok("budgets", page{Title: "Budgets", Nav: "budgets", Crumbs: []crumb{{Title: "Budgets"}}}, data)
}

func budgetCrumbs(title string) page {
	return page{Title: title, Nav: "budgets", Crumbs: []crumb{{"Budgets", "/budgets"}, {Title: title}}}
}

func (r *request) budgetForm(b inventory.Budget) *form {
	limit := ""
	if b.Limit > 0 {
		limit = strings.TrimPrefix(b.Limit.String(), "$")
	}
	targets := []option{{Label: "The whole organisation", Value: "organisation:"}}
	for _, s := range r.systemOptions("") {
		targets = append(targets, option{Value: "system:" + s.Value, Label: "AI system " + s.Label})
	}
	for _, k := range r.keysByName() {
		if k.RevokedAt.IsZero() {
			targets = append(targets, option{Value: "key:" + string(k.ID), Label: "Key " + k.Name})
		}
	}
	return &form{Title: "Budget", Intro: "Every call is reserved in full before it is sent; what does not fit is refused.", Action: "/budgets", Submit: "Save", Cancel: "/budgets", Hidden: seen(b.Version), Fields: []field{
		naming(field{Name: "id", Label: "Id", Value: string(b.ID), Hint: "Small letters, digits and dashes", Mono: true}, b.Version),
		{Name: "target", Label: "What it limits", Kind: "select", Value: string(b.Scope) + ":" + b.Target, Options: targets},
		{Name: "limit", Label: "Limit in US dollars", Value: limit, Kind: "money"},
		{Name: "window", Label: "Window", Kind: "select", Value: b.Window, Options: []option{{Value: "month", Label: "Each calendar month"}, {Value: "day", Label: "Each day"}, {Value: "total", Label: "Once and for all"}}},
		{Name: "zone", Label: "Time zone of the window", Value: b.Zone, Hint: "Such as Europe/Berlin; empty: UTC", Optional: true},
		reasonField("Kept with the change"),
	}}
}

func (r *request) newBudgetPage() error {
	return r.formPage(budgetCrumbs("New budget"), r.budgetForm(inventory.Budget{}))
}

func (r *request) editBudgetPage() error {
	i := slices.IndexFunc(r.state.Budgets, func(b inventory.Budget) bool { return string(b.ID) == r.c.Param("id") })
	if i < 0 {
		return fault.New(fault.NotFound, "not_found", "There is no such budget.")
	}
	return r.formPage(budgetCrumbs("Change budget"), r.budgetForm(r.state.Budgets[i]))
}

// budgetEntered reads the form.
func (r *request) budgetEntered() (inventory.Budget, error) {
	scope, target, _ := strings.Cut(r.value("target"), ":")
	b := inventory.Budget{ID: inventory.BudgetID(r.value("id")), Scope: inventory.BudgetScope(scope), Target: target, Window: r.value("window"), Zone: r.value("zone")}
	var (
		wrong      fault.Fields
		clash, err error
	)
	b.Version, clash = r.version("id", "budget", string(b.ID), deletable["budget"].has(r.state, string(b.ID)))
	if b.Limit, err = money.Parse(r.value("limit")); err != nil {
		wrong.Add("limit", "write dollars such as 25 or 1200.50")
	}
	return b, wrong.Join(clash)
}

func (r *request) putBudget() error {
	b, err := r.budgetEntered()
	err = gathered(err, func() error { return r.web.d.Register.CheckBudget(r.actor, b) },
		func() error { return r.web.d.Register.PutBudget(r.ctx(), r.actor, b, r.value("reason")) })
	if err != nil {
		return r.again(budgetCrumbs("Budget"), r.budgetForm(b), err)
	}
	return r.done("/budgets", "Budget "+string(b.ID)+" is in force.")
}
