package web

import (
	"strings"

	"plumbline/inventory"
)

func (r *request) policyForm(p inventory.Policy) *form {
	intro := "A Rego module whose rules can deny a call. What the register demands and what guards find holds without it."
	if !r.state.EnforcesPolicy() {
		intro += " The default policy holds until one of your own is enforced; from then on your own alone decide."
	}
	return &form{Title: "Policy", Intro: intro, Action: "/gateway/policies", Submit: "Save", Cancel: "/gateway", Hidden: seen(p.Version), Fields: []field{
		naming(field{Name: "id", Label: "Id", Value: string(p.ID), Hint: "Small letters, digits and dashes. A refused call names it with its rule", Mono: true}, p.Version),
		{Name: "mode", Label: "What follows", Kind: "radios", Value: p.Mode, Options: []option{
			{Value: "shadow", Label: "Shadow", Hint: "What it would decide is on record with every exchange, and nothing else happens. Begin with this"},
			{Value: "enforce", Label: "Enforce", Hint: "What it denies is refused"}}},
		{Name: "source", Label: "Rego", Kind: "code", Value: p.Source, Hint: "Each member of deny in the package plumbline is the id of a rule. The documentation lists what a policy may read, with examples"},
		reasonField("Kept with the change"),
	}}
}

// newPolicyPage is a form with the default policy, or that of the policy ?policy=.
func (r *request) newPolicyPage() error {
	title, p := "New policy", inventory.Policy{Mode: "shadow", Source: r.web.d.DefaultPolicy}
	if id := r.c.QueryParam("policy"); id != "" {
		found, err := find(r.state.Policies, "policy", id, func(x *inventory.Policy) bool { return string(x.ID) == id })
		if err != nil {
			return err
		}
		if p = *found; p.Origin.FromFile() {
			return readOnly(p.Origin)
		}
		title = "Policy " + id
	}
	return r.formPage(gatewayCrumbs(title), r.policyForm(p))
}

func (r *request) putPolicy() error {
	// Browsers send lines that end in CR LF; what is kept and hashed has LF alone.
	p := inventory.Policy{ID: inventory.PolicyID(r.value("id")), Mode: r.value("mode"), Source: strings.ReplaceAll(r.value("source"), "\r\n", "\n") + "\n"}
	var err error
	if p.Version, err = r.version("id", "policy", string(p.ID), deletable["policy"].has(r.state, string(p.ID))); err == nil {
		err = r.web.d.Register.PutPolicy(r.ctx(), r.actor, p, r.value("reason"))
	}
	if err != nil {
		return r.again(gatewayCrumbs("Policy"), r.policyForm(p), err)
	}
	said := " is in force."
	if p.Mode == "shadow" {
		said = " is asked beside every call, and refuses none."
	}
	return r.done("/gateway", "Policy "+string(p.ID)+said)
}
