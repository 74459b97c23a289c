package web

import (
	"strings"

	"plumbline/inventory"
)

type gatewayData struct {
	Providers []inventory.Provider
	Keys      []providerKeyRow
	Routes    []routeRow
	Health    []ProviderHealth
	Profiles  []inventory.GuardProfile
	Policies  []inventory.Policy
	Default   string // source of the default policy while it holds
	Prices    []inventory.Price
	Settings  inventory.Settings
	Waiting   []changeRow // changes for a second person
}

type routeRow struct {
	inventory.Route
	Leads []leadRow
}

// leadRow is one target of a route.
type leadRow struct {
	inventory.Target
	At        string // its model
	Simulated bool
	Named     string // its conditions in words
}

func (r *request) routeRow(v inventory.Route) routeRow {
	row := routeRow{Route: v}
	for _, t := range v.Leads() {
		lead := leadRow{Target: t, At: v.At(t), Simulated: r.simulated(string(t.Provider))}
		for _, name := range sorted(t.When) {
			if lead.Named != "" {
				lead.Named += "; "
			}
			lead.Named += name + " " + strings.Join(t.When[name], " or ")
		}
		row.Leads = append(row.Leads, lead)
	}
	return row
}

// guardLimits says where a guard of a profile does not look, and for what alone it does.
func guardLimits(s inventory.GuardSetting) string {
	var out []string
	switch prompt, answer := s.Prompt == nil || *s.Prompt, s.Answer == nil || *s.Answer; {
	case !prompt && !answer:
		out = append(out, "looks at nothing")
	case !prompt:
		out = append(out, "answers only")
	case !answer:
		out = append(out, "prompts only")
	}
	if len(s.Classes) > 0 {
		out = append(out, "only "+strings.Join(s.Classes, ", "))
	}
	return strings.Join(out, "; ")
}

func (r *request) gatewayPage() error {
	data := gatewayData{Providers: r.state.Providers, Profiles: r.state.Profiles, Policies: r.state.Policies, Prices: r.state.Prices, Settings: r.state.Settings}
	if !r.state.EnforcesPolicy() {
		data.Default = r.web.d.DefaultPolicy
	}
	data.Waiting, _ = r.changeRows()
	data.Health, data.Keys = r.health(), r.keyRows()
	for _, v := range r.state.Routes {
		data.Routes = append(data.Routes, r.routeRow(v))
	}
	return r.ok("gateway", page{Title: "Routes and guards", Nav: "gateway", Crumbs: []crumb{{Title: "Routes and guards"}}}, data)
}

func gatewayCrumbs(title string) page {
	return page{Title: title, Nav: "gateway", Crumbs: []crumb{{"Routes and guards", "/gateway"}, {Title: title}}}
}

func settingsForm(s inventory.Settings) *form {
	var second []string
	if s.SecondPerson {
		second = []string{"true"}
	}
	return &form{Title: "Settings", Action: "/gateway/settings", Submit: "Save", Cancel: "/gateway", Hidden: seen(s.Version), Fields: []field{
		{Name: "unregistered", Label: "Keys bound to no registered system", Kind: "radios", Value: s.Unregistered, Options: []option{{Value: "block", Label: "Refuse their calls", Hint: "The default"}, {Value: "flag", Label: "Let them call, and flag the use", Hint: "The finding stays open until somebody deals with it"}}},
		{Name: "confidentiality", Label: "Mark on documents", Hint: "Printed on every page; what is longer than about 45 letters is cut there", Value: s.Confidential},
		{Name: "contact", Label: "Contact on documents", Value: s.Contact, Optional: true},
		{Name: "recorded_attributes", Label: "Attributes that are recorded", Value: strings.Join(s.Attributes, ", "), Hint: "Names of what apps may say of a call in headers, such as team, feature; others are left out of records", Optional: true, Mono: true},
		{Name: "second_person", Label: "Changes", Kind: "checks", Values: second, Options: []option{{Value: "true", Label: "A second person confirms", Hint: "What allows more of providers, routes, guards, policies, prices, budgets and of these settings. What restricts is in force at once"}}},
		reasonField("Kept with the change"),
	}}
}

func (r *request) settingsPage() error {
	if r.state.Settings.Origin.FromFile() {
		return readOnly(r.state.Settings.Origin)
	}
	return r.formPage(gatewayCrumbs("Settings"), settingsForm(r.state.Settings))
}

func (r *request) putSettings() error {
	s := r.state.Settings
	s.Unregistered, s.Confidential, s.Contact = r.value("unregistered"), r.value("confidentiality"), r.value("contact")
	s.Attributes = strings.FieldsFunc(r.value("recorded_attributes"), func(c rune) bool { return c == ',' || c == ' ' })
	s.SecondPerson = r.value("second_person") != ""
	var err error
	if s.Version, err = r.version("", "", "", false); err == nil {
		err = r.web.d.Register.PutSettings(r.ctx(), r.actor, s, r.value("reason"))
	}
	if err != nil {
		return r.again(gatewayCrumbs("Settings"), settingsForm(s), err)
	}
	return r.done("/gateway", "The settings are in force.")
}
