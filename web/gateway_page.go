package web

import (
	"strings"

	"plumbline/inventory"
)

type gatewayData struct {
	Providers []inventory.Provider
	Routes    []routeRow
	Health    []ProviderHealth
	Profiles  []inventory.GuardProfile
	Policies  []inventory.Policy
	Prices    []inventory.Price
	Settings  inventory.Settings
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

func (r *request) gatewayPage() error {
	data := gatewayData{Providers: r.state.Providers, Profiles: r.state.Profiles, Policies: r.state.Policies, Prices: r.state.Prices, Settings: r.state.Settings}
	data.Health = r.health()
	for _, v := range r.state.Routes {
		data.Routes = append(data.Routes, r.routeRow(v))
	}
	return r.ok("gateway", page{Title: "Routes and guards", Nav: "gateway", Crumbs: []crumb{{Title: "Routes and guards"}}}, data)
}

func gatewayCrumbs(title string) page {
	return page{Title: title, Nav: "gateway", Crumbs: []crumb{{"Routes and guards", "/gateway"}, {Title: title}}}
}

// ProviderKind is a kind of provider as people choose it.
type ProviderKind struct{ Name, Title string }

func (r *request) kinds() (out []option) {
	for _, k := range r.web.d.Kinds {
		out = append(out, option{Value: k.Name, Label: k.Title})
	}
	return out
}

func (r *request) providerForm(p inventory.Provider) *form {
	return &form{Title: "Provider", Intro: "Where calls go. The credential is named, not entered: the server reads it from its environment or from a file.", Action: "/gateway/providers", Submit: "Save", Cancel: "/gateway", Fields: []field{
		{Name: "id", Label: "Id", Value: string(p.ID), Hint: "Small letters, digits and dashes", Mono: true},
		{Name: "kind", Label: "Kind", Kind: "select", Value: p.Kind, Options: r.kinds()},
		{Name: "vendor", Label: "Vendor", Value: p.Vendor, Hint: "As the price table names it, such as openai or mistral", Optional: true},
		{Name: "base_url", Label: "Base URL", Value: p.BaseURL, Hint: "Left out, it is the kind's own where the kind has one", Optional: true, Mono: true},
		{Name: "credential", Label: "Credential", Value: p.CredentialRef, Hint: "env:NAME or file:PATH", Optional: true, Mono: true},
		{Name: "region", Label: "Region", Value: p.Region, Optional: true},
		{Name: "no_stream_usage", Label: "Streams", Kind: "checks", Options: []option{{Value: "true", Label: "Refuses stream_options.include_usage", Hint: "Usage of streams is then counted here and labelled so"}}},
		reasonField("Kept with the change"),
	}}
}

func (r *request) newProviderPage() error {
	return r.formPage(gatewayCrumbs("New provider"), r.providerForm(inventory.Provider{Kind: "openai"}))
}

func (r *request) putProvider() error {
	p := inventory.Provider{ID: inventory.ProviderID(r.value("id")), Kind: r.value("kind"), Vendor: r.value("vendor"), BaseURL: r.value("base_url"), CredentialRef: r.value("credential"), Region: r.value("region"), NoStreamUsage: r.value("no_stream_usage") != ""}
	for _, old := range r.state.Providers { // the form does not show them, so it leaves them
		if old.ID == p.ID && old.Kind == p.Kind && old.BaseURL == p.BaseURL {
			p.Credentials = old.Credentials
		}
	}
	if err := r.mayName(p); err != nil {
		return r.again(gatewayCrumbs("Provider"), r.providerForm(p), err)
	}
	if err := r.web.d.Register.PutProvider(r.ctx(), r.actor, p, r.value("reason")); err != nil {
		return r.again(gatewayCrumbs("Provider"), r.providerForm(p), err)
	}
	return r.done("/gateway", "Provider "+string(p.ID)+" is in force.")
}

func settingsForm(s inventory.Settings) *form {
	return &form{Title: "Settings", Action: "/gateway/settings", Submit: "Save", Cancel: "/gateway", Fields: []field{
		{Name: "unregistered", Label: "Keys bound to no registered system", Kind: "radios", Value: s.Unregistered, Options: []option{{Value: "block", Label: "Refuse their calls", Hint: "The default"}, {Value: "flag", Label: "Let them call, and flag the use", Hint: "The finding stays open until somebody deals with it"}}},
		{Name: "confidentiality", Label: "Mark on documents", Value: s.Confidential},
		{Name: "contact", Label: "Contact on documents", Value: s.Contact, Optional: true},
		{Name: "recorded_attributes", Label: "Attributes that are recorded", Value: strings.Join(s.Attributes, ", "), Hint: "Names of what apps may say of a call in headers, such as team, feature; others are left out of records", Optional: true, Mono: true},
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
	if err := r.web.d.Register.PutSettings(r.ctx(), r.actor, s, r.value("reason")); err != nil {
		return r.again(gatewayCrumbs("Settings"), settingsForm(s), err)
	}
	return r.done("/gateway", "The settings are in force.")
}
