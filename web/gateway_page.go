package web

import (
	"strings"

	"plumbline/inventory"
)

type gatewayData struct {
	Providers []inventory.Provider
	Routes    []routeRow
	Profiles  []inventory.GuardProfile
	Policies  []inventory.Policy
	Prices    []inventory.Price
	Settings  inventory.Settings
}

type routeRow struct {
	inventory.Route
	Simulated bool
}

func (r *request) gatewayPage() error {
	data := gatewayData{Providers: r.state.Providers, Profiles: r.state.Profiles, Policies: r.state.Policies, Prices: r.state.Prices, Settings: r.state.Settings}
	for _, v := range r.state.Routes {
		data.Routes = append(data.Routes, routeRow{v, r.simulated(string(v.Provider))})
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
	if err := r.mayName(p); err != nil {
		return r.again(gatewayCrumbs("Provider"), r.providerForm(p), err)
	}
	if err := r.web.d.Register.PutProvider(r.ctx(), r.actor, p, r.value("reason")); err != nil {
		return r.again(gatewayCrumbs("Provider"), r.providerForm(p), err)
	}
	return r.done("/gateway", "Provider "+string(p.ID)+" is in force.")
}

func (r *request) routeForm(v inventory.Route) *form {
	var providers []option
	for _, p := range r.state.Providers {
		providers = append(providers, option{Value: string(p.ID), Label: string(p.ID)})
	}
	return &form{Title: "Route", Intro: "A name that apps ask for, and what answers.", Action: "/gateway/routes", Submit: "Save", Cancel: "/gateway", Fields: []field{
		{Name: "model", Label: "Model asked for", Value: v.Model, Mono: true},
		{Name: "provider", Label: "Provider", Kind: "select", Value: string(v.Provider), Options: providers},
		{Name: "target", Label: "Model at the provider", Value: v.Target, Hint: "Empty: the same name", Optional: true, Mono: true},
		{Name: "allow_unpriced", Label: "Price", Kind: "checks", Options: []option{{Value: "true", Label: "Allow a model without a price", Hint: "Its calls cost nothing on record, and budgets do not bound them"}}},
		reasonField("Kept with the change"),
	}}
}

func (r *request) newRoutePage() error {
	return r.formPage(gatewayCrumbs("New route"), r.routeForm(inventory.Route{}))
}

func (r *request) putRoute() error {
	v := inventory.Route{Model: r.value("model"), Provider: inventory.ProviderID(r.value("provider")), Target: r.value("target"), Unpriced: r.value("allow_unpriced") != ""}
	if err := r.web.d.Register.PutRoute(r.ctx(), r.actor, v, r.value("reason")); err != nil {
		return r.again(gatewayCrumbs("Route"), r.routeForm(v), err)
	}
	return r.done("/gateway", "Route "+v.Model+" is in force.")
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
