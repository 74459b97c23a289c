package web

import (
	"net/http"

	"plumbline/app/config"
	"plumbline/app/fault"
	"plumbline/inventory"
)

type (
	providerBody struct {
		inventory.Provider `yaml:",inline"`
		Secret             inventory.Secret  `json:"credential_secret" yaml:"credential_secret"` // write-only
		Keys               []providerKeyBody `json:"credentials" yaml:"credentials"`
		change             `yaml:",inline"`
	}
	providerKeyBody struct {
		inventory.ProviderKey `yaml:",inline"`
		Secret                inventory.Secret `json:"secret" yaml:"secret"` // write-only
	}
	routeBody struct {
		inventory.Route `yaml:",inline"`
		change          `yaml:",inline"`
	}
	profileBody struct {
		inventory.GuardProfile `yaml:",inline"`
		change                 `yaml:",inline"`
	}
	policyBody struct {
		inventory.DeclaredPolicy `yaml:",inline"`
		change                   `yaml:",inline"`
	}
	settingsBody struct {
		inventory.Settings `yaml:",inline"`
		change             `yaml:",inline"`
	}
)

func (r *request) apiProviders() error {
	return r.answer(http.StatusOK, map[string]any{"providers": orEmpty(r.state.Providers)})
}

// apiKeyHealth tells how each key of the organisation's providers is.
func (r *request) apiKeyHealth() error {
	return r.answer(http.StatusOK, map[string]any{"keys": orEmpty(r.keyHealth())})
}

func (r *request) keyHealth() []inventory.KeyHealth {
	if r.web.d.KeyHealth == nil {
		return nil
	}
	return r.web.d.KeyHealth(r.actor.Org)
}

// mayName refuses a credential that the operator lets nobody name: whoever sets the
// address gets the credential. What is no reference is not quoted, for it may be the
// secret itself.
func (r *request) mayName(p inventory.Provider) error {
	var wrong fault.Fields
	host, noHost := r.web.d.Register.HostOf(p)
	for i, k := range p.Keys() {
		named, err := config.ParseReference(k.Ref)
		field := p.KeyField(i)
		switch {
		case k.Ref == "" && k.Secret != "":
			// Entered, not named.
		case err != nil:
			wrong.Add(field, "%v", err)
		case named.Kind == "sealed":
			// The register holds it to the provider and the host that it was entered for.
		case noHost != nil:
			// What is wrong with it, the register says, and takes nothing.
		case r.web.d.Namable == nil || !r.web.d.Namable(k.Ref, host):
			wrong.Add(field, "%s may not be named here; the server's configuration lists under credentials what may", k.Ref)
		}
	}
	return wrong.Err()
}

func (r *request) apiPutProvider() error {
	var in providerBody
	if err := r.readJSON(&in); err != nil {
		return err
	}
	if err := inPath(r, "id", &in.ID); err != nil {
		return err
	}
	p := in.Provider
	p.Version, p.Secret, p.Credentials = in.change.Version, in.Secret, nil
	for _, k := range in.Keys {
		k.ProviderKey.Secret = k.Secret
		p.Credentials = append(p.Credentials, k.ProviderKey)
	}
	err := gathered(r.mayName(p), func() error { return r.web.d.Register.CheckProvider(r.actor, p) },
		func() error { return r.web.d.Register.PutProvider(r.ctx(), r.actor, p, in.Reason) })
	if err != nil {
		return err
	}
	return row(r, func(s *inventory.State) []inventory.Provider { return s.Providers }, "provider", string(p.ID), func(x *inventory.Provider) bool { return x.ID == p.ID })
}

// row answers with a row as it is in force after a change.
func row[T any](r *request, list func(*inventory.State) []T, what, id string, is func(*T) bool) error {
	if err := r.read(); err != nil {
		return err
	}
	v, err := find(list(r.state), what, id, is)
	if err != nil {
		return err
	}
	return r.answer(http.StatusOK, v)
}

func (r *request) apiRoutes() error {
	return r.answer(http.StatusOK, map[string]any{"routes": orEmpty(r.state.Routes)})
}

func (r *request) apiPutRoute() error {
	var in routeBody
	if err := r.readJSON(&in); err != nil {
		return err
	}
	if err := inPath(r, "model", &in.Model); err != nil {
		return err
	}
	v := in.Route
	v.Version = in.change.Version
	if err := r.web.d.Register.PutRoute(r.ctx(), r.actor, v, in.Reason); err != nil {
		return err
	}
	return row(r, func(s *inventory.State) []inventory.Route { return s.Routes }, "route", v.Model, func(x *inventory.Route) bool { return x.Model == v.Model })
}

func (r *request) apiProfiles() error {
	return r.answer(http.StatusOK, map[string]any{"guard_profiles": orEmpty(r.state.Profiles)})
}

func (r *request) apiPutProfile() error {
	var in profileBody
	if err := r.readJSON(&in); err != nil {
		return err
	}
	if err := inPath(r, "id", &in.ID); err != nil {
		return err
	}
	p := in.GuardProfile
	p.Version = in.change.Version
	if err := r.web.d.Register.PutProfile(r.ctx(), r.actor, p, in.Reason); err != nil {
		return err
	}
	return row(r, func(s *inventory.State) []inventory.GuardProfile { return s.Profiles }, "guard profile", string(p.ID), func(x *inventory.GuardProfile) bool { return x.ID == p.ID })
}

func (r *request) apiPolicies() error {
	return r.answer(http.StatusOK, map[string]any{"policies": orEmpty(r.state.Policies)})
}

func (r *request) apiPutPolicy() error {
	var in policyBody
	if err := r.readJSON(&in, "file"); err != nil {
		return err
	}
	if err := inPath(r, "id", &in.ID); err != nil {
		return err
	}
	p := in.Policy
	p.Version = in.change.Version
	if err := r.web.d.Register.PutPolicy(r.ctx(), r.actor, p, in.Reason); err != nil {
		return err
	}
	return row(r, func(s *inventory.State) []inventory.Policy { return s.Policies }, "policy", string(p.ID), func(x *inventory.Policy) bool { return x.ID == p.ID })
}

func (r *request) apiSettings() error { return r.answer(http.StatusOK, r.state.Settings) }

func (r *request) apiPutSettings() error {
	var in settingsBody
	if err := r.readJSON(&in); err != nil {
		return err
	}
	v := in.Settings
	v.Version = in.change.Version
	if err := r.web.d.Register.PutSettings(r.ctx(), r.actor, v, in.Reason); err != nil {
		return err
	}
	if err := r.read(); err != nil {
		return err
	}
	return r.answer(http.StatusOK, r.state.Settings)
}
