package inventory

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"

	"plumbline/app/config"
	"plumbline/app/fault"
	"plumbline/app/money"
)

// wanted checks one organisation and gives its rows. References are checked
// against the declaration and, for what it does not declare, the register.
func (r *Register) wanted(d *Declaration, i int, o *DeclaredOrg) (out []declared, err error) {
	var path []any // of what is looked at
	at := func(steps ...any) Origin {
		path = append([]any{"organisations", i}, steps...)
		return Origin{d.file, config.LineOf(d.doc, path...)}
	}
	fail := func(err error) ([]declared, error) {
		var f *fault.Error
		if errors.As(err, &f) && len(f.Fields) == 1 {
			for name := range f.Fields {
				path = append(path, steps(name)...) // the line of the key itself, when it is there
			}
		}
		return nil, fault.Wrap(fault.Invalid, "config", err, "%s, line %d", d.file, config.LineOf(d.doc, path...))
	}
	here := at()
	if err := checkID("id", string(o.ID)); err != nil {
		return fail(err)
	}
	if o.Name == "" {
		return fail(fault.Field("name", "give the organisation a name"))
	}
	out = append(out, declared{o.ID, kindOrg, string(o.ID), Org{ID: o.ID, Name: o.Name}, here})
	view := r.declaredState(o)
	if o.Settings != nil {
		here = at("settings")
		if err := checkSettings(o.Settings); err != nil {
			return fail(err)
		}
		out = append(out, declared{o.ID, kindSettings, "settings", *o.Settings, here})
	}
	for k, p := range o.Providers {
		here = at("providers", k)
		if err := r.declaredProvider(p); err != nil {
			return fail(err)
		}
		out = append(out, declared{o.ID, kindProvider, string(p.ID), p, here})
	}
	for k, p := range o.GuardProfiles {
		here = at("guard_profiles", k)
		if err := r.checkProfile(p); err != nil {
			return fail(err)
		}
		out = append(out, declared{o.ID, kindProfile, string(p.ID), p, here})
	}
	for k := range o.Policies {
		here = at("policies", k)
		p, err := r.declaredPolicy(&o.Policies[k], d.file)
		if err != nil {
			return fail(err)
		}
		out = append(out, declared{o.ID, kindPolicy, string(p.ID), p, here})
	}
	for k := range o.Prices {
		here = at("prices", k)
		p := o.Prices[k]
		if err := r.checkPrice(&p); err != nil {
			return fail(err)
		}
		out = append(out, declared{o.ID, kindPrice, p.ID(), p, here})
	}
	for k := range o.Systems {
		here = at("systems", k)
		s, err := declaredSystem(view, o.Systems[k].System)
		if err != nil {
			return fail(err)
		}
		out = append(out, declared{o.ID, kindSystem, string(s.ID), s, here})
	}
	for k := range o.Keys {
		here = at("keys", k)
		key, err := r.declaredKey(view, &o.Keys[k])
		if err != nil {
			return fail(err)
		}
		out = append(out, declared{o.ID, kindKey, string(key.ID), key, here})
	}
	for k, v := range o.Routes {
		here = at("routes", k)
		if err := checkRoute(view, v); err != nil {
			return fail(err)
		}
		out = append(out, declared{o.ID, kindRoute, v.Model, v, here})
	}
	for k := range o.Budgets {
		here = at("budgets", k)
		b, err := declaredBudget(view, &o.Budgets[k])
		if err != nil {
			return fail(err)
		}
		out = append(out, declared{o.ID, kindBudget, string(b.ID), b, here})
	}
	seen := map[string]Origin{}
	for _, w := range out {
		if first, twice := seen[w.kind+w.id]; twice {
			return nil, fault.New(fault.Invalid, "config", "%s, line %d: %s %q is declared in line %d already", w.origin.File, w.origin.Line, w.kind, w.id, first.Line)
		}
		seen[w.kind+w.id] = w.origin
	}
	return out, nil
}

// declaredState is what references may point at.
func (r *Register) declaredState(o *DeclaredOrg) *State {
	view := &State{}
	if s, err := r.State(o.ID); err == nil {
		view.Systems = undeclaredOf(s.Systems, func(v *System) Origin { return v.Origin })
		view.Keys = undeclaredOf(s.Keys, func(v *Key) Origin { return v.Origin })
		view.Providers = undeclaredOf(s.Providers, func(v *Provider) Origin { return v.Origin })
		view.Profiles = undeclaredOf(s.Profiles, func(v *GuardProfile) Origin { return v.Origin })
		view.Routes = undeclaredOf(s.Routes, func(v *Route) Origin { return v.Origin })
	}
	for _, s := range o.Systems {
		view.Systems = append(view.Systems, s.System)
	}
	for _, k := range o.Keys {
		view.Keys = append(view.Keys, k.Key)
	}
	view.Providers = append(view.Providers, o.Providers...)
	view.Routes = slices.DeleteFunc(view.Routes, func(v Route) bool {
		return slices.ContainsFunc(o.Routes, func(d Route) bool { return d.Model == v.Model })
	})
	view.Routes = append(view.Routes, o.Routes...)
	view.Profiles = append(view.Profiles, o.GuardProfiles...)
	return view
}

// steps are the keys and indexes of a field's name, such as targets[1].weight.
func steps(name string) (out []any) {
	for part := range strings.SplitSeq(name, ".") {
		key, index, _ := strings.Cut(part, "[")
		out = append(out, key)
		if n, err := strconv.Atoi(strings.TrimSuffix(index, "]")); err == nil {
			out = append(out, n)
		}
	}
	return out
}

// undeclaredOf is what people made: the file's own rows may be gone from it.
func undeclaredOf[T any](list []T, origin func(*T) Origin) (out []T) {
	for i := range list {
		if !origin(&list[i]).FromFile() {
			out = append(out, list[i])
		}
	}
	return out
}

func declaredSystem(view *State, s System) (System, error) {
	if s.ID == "" {
		return s, fault.Field("id", "a declared AI system needs an id, such as SYS-001")
	}
	if s.Lifecycle == "" {
		s.Lifecycle = InUse
	}
	if s.Approval.State == "" {
		s.Approval.State = NotRequested
	}
	if !slices.Contains([]ApprovalState{NotRequested, Requested, Approved, Rejected}, s.Approval.State) {
		return s, fault.Field("approval", "%q is no state of an approval", s.Approval.State)
	}
	s.Approval.Imported = s.Approval.State == Approved
	if err := s.check(); err != nil {
		return s, err
	}
	if s.Approval.State == Approved && s.RiskClass == Prohibited {
		return s, fault.Field("approval", "a prohibited practice cannot be approved")
	}
	return s, checkProfileOf(view, &s)
}

func (r *Register) declaredProvider(p Provider) error {
	var wrong fault.Fields
	return wrong.Join(r.checkProvider(p), r.declaredCredentials(&p))
}

func (r *Register) declaredKey(view *State, d *DeclaredKey) (storedKey, error) {
	k := d.Key
	if !keyForm.MatchString(string(k.ID)) {
		return storedKey{}, fault.Field("id", "a key's id has up to 40 small letters and digits")
	}
	if k.System != "" {
		if _, err := view.System(k.System); err != nil {
			return storedKey{}, fault.Field("system", "there is no AI system %q", k.System)
		}
	}
	secret, err := r.d.Resolve(d.Secret)
	if err != nil {
		return storedKey{}, fault.Field("secret", "%v", err)
	}
	secret = strings.TrimPrefix(secret, "pk-"+string(k.ID)+"-")
	if len(secret) < 20 {
		return storedKey{}, fault.Field("secret", "the secret of a key has at least 20 characters")
	}
	if k.Name == "" {
		k.Name = string(k.ID)
	}
	hash := r.d.HashKey(secret)
	return storedKey{k, hash[:]}, nil
}

func declaredBudget(view *State, d *DeclaredBudget) (Budget, error) {
	b := d.Budget
	var wrong fault.Fields
	var err error
	if b.Limit, err = money.Parse(d.Limit); err != nil {
		wrong.Add("limit", "%v", err)
	}
	return b, wrong.Join(checkBudgetIn(view, b))
}

func (r *Register) declaredPolicy(d *DeclaredPolicy, file string) (Policy, error) {
	p := d.Policy
	if d.File != "" {
		if p.Source != "" {
			return p, fault.Field("file", "give the source or a file, not both")
		}
		path := d.File
		if !strings.HasPrefix(path, "/") {
			path = file[:strings.LastIndexByte(file, '/')+1] + path
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return p, fault.Field("file", "the policy could not be read: %s", d.File)
		}
		p.Source = string(bytes.TrimSpace(text)) + "\n"
	}
	return p, r.checkPolicy(p)
}
