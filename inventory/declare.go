package inventory

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"plumbline/app/authz"
	"plumbline/app/config"
	"plumbline/app/fault"
	"plumbline/app/money"
)

// Declaration is what a file declares: everything that the gateway needs. It is
// read-only in the UI and the API.
type Declaration struct {
	Organisations []DeclaredOrg `yaml:"organisations"`

	file string
	doc  *yaml.Node
}

// DeclaredOrg is one organisation of a declaration.
type DeclaredOrg struct {
	ID            OrgID            `yaml:"id"`
	Name          string           `yaml:"name"`
	Settings      *Settings        `yaml:"settings"`
	Systems       []DeclaredSystem `yaml:"systems"`
	Keys          []DeclaredKey    `yaml:"keys"`
	Providers     []Provider       `yaml:"providers"`
	Routes        []Route          `yaml:"routes"`
	Budgets       []DeclaredBudget `yaml:"budgets"`
	GuardProfiles []GuardProfile   `yaml:"guard_profiles"`
	Policies      []DeclaredPolicy `yaml:"policies"`
}

// DeclaredSystem is a system; its approval is the imported statement of its
// author, never four eyes.
type DeclaredSystem struct {
	System `yaml:",inline"`
}

// DeclaredKey names where the secret part of a virtual key is. The key that an
// app sends is pk-<id>-<secret>.
type DeclaredKey struct {
	Key    `yaml:",inline"`
	Secret string `yaml:"secret"` // env:NAME or file:PATH
}

// DeclaredBudget gives its limit in dollars.
type DeclaredBudget struct {
	Budget `yaml:",inline"`
	Limit  string `yaml:"limit"`
}

// DeclaredPolicy has its Rego in the declaration or in a file beside it.
type DeclaredPolicy struct {
	Policy `yaml:",inline"`
	File   string `yaml:"file"`
}

// ParseDeclaration reads a declaration strictly; errors name file and line.
func ParseDeclaration(text []byte, file string) (*Declaration, error) {
	d := &Declaration{file: file}
	doc, err := config.Strict(text, file, d)
	d.doc = doc
	return d, err
}

// declared is one row that a declaration wants.
type declared struct {
	kind, id string
	body     any
	origin   Origin
}

// Declare makes a declaration the register's state, whole or not at all: every
// row is checked before the first is written, and all are written in one
// transaction. What an earlier declaration of the file had and this one lacks is
// retired, revoked or deleted. It returns how many rows changed.
func (r *Register) Declare(ctx context.Context, d *Declaration) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var rows []struct {
		org OrgID
		declared
	}
	for i := range d.Organisations {
		o := &d.Organisations[i]
		list, err := r.wanted(d, i, o)
		if err != nil {
			return 0, err
		}
		for _, w := range list {
			rows = append(rows, struct {
				org OrgID
				declared
			}{o.ID, w})
		}
	}
	actor := authz.Actor{ID: "config"}
	var made []row
	err := r.store.inTx(ctx, func(tx *rowStore) error {
		made = nil
		seen := map[string]bool{}
		for _, w := range rows {
			seen[string(w.org)+"\x00"+w.kind+"\x00"+w.id] = true
			m, changed, err := r.declareRow(ctx, tx, actor, w.org, w.declared)
			if err != nil {
				return fmt.Errorf("%s, line %d: %w", w.origin.File, w.origin.Line, err)
			}
			if changed {
				made = append(made, m)
			}
		}
		gone, err := r.undeclared(ctx, tx, actor, d.file, seen)
		made = append(made, gone...)
		return err
	})
	if err != nil {
		return 0, err
	}
	for i := range made {
		if err := r.record(ctx, &made[i]); err != nil {
			r.d.Log.Warn("declared changes wait for the ledger", "error", err)
			break
		}
	}
	return len(made), r.reload(ctx)
}

// declareRow writes a new version when the row differs from what is there.
func (r *Register) declareRow(ctx context.Context, tx *rowStore, actor authz.Actor, org OrgID, w declared) (row, bool, error) {
	old, err := tx.newest(ctx, org, w.kind, w.id, false)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return row{}, false, err
	}
	found := err == nil && old.Deleted == 0
	body, err := json.Marshal(w.body)
	if err != nil {
		return row{}, false, err
	}
	if found && old.File == w.origin.File && old.Line == int64(w.origin.Line) && same(old.Body, body) {
		return row{}, false, nil
	}
	actor.Org = org
	change := w.kind + ".declared"
	m, err := r.insert(ctx, tx, actor, spec{org: org, kind: w.kind, id: w.id, change: change, origin: w.origin, reason: "declared in the configuration file",
		mutate: func(previous []byte) (any, error) {
			if s, ok := w.body.(System); ok && previous != nil {
				old, err := oldSystem(previous, s.ID)
				if err == nil {
					s.Suspended = old.Suspended // lifted by a person, not by a file
				}
				return s, err
			}
			return w.body, nil
		}})
	return m, err == nil, err
}

func same(old string, body []byte) bool {
	var a, b any
	if json.Unmarshal([]byte(old), &a) != nil || json.Unmarshal(body, &b) != nil {
		return false
	}
	return reflect.DeepEqual(a, b)
}

// undeclared ends what the file no longer declares.
func (r *Register) undeclared(ctx context.Context, tx *rowStore, actor authz.Actor, file string, seen map[string]bool) ([]row, error) {
	all, err := tx.rows(ctx, newestVersion+`file = ? GROUP BY org, kind, id) n
		ON n.org = r.org AND n.kind = r.kind AND n.id = r.id AND n.version = r.version WHERE r.deleted = 0 ORDER BY r.seq`, file)
	if err != nil {
		return nil, err
	}
	var made []row
	for _, old := range all {
		if seen[old.Org+"\x00"+old.Kind+"\x00"+old.ID] || old.Kind == kindOrg || old.Kind == kindSettings {
			continue
		}
		actor.Org = OrgID(old.Org)
		s := spec{org: actor.Org, kind: old.Kind, id: old.ID, change: old.Kind + ".undeclared", restricts: true, origin: Origin{file, int(old.Line)}, reason: "no longer declared",
			delete: old.Kind != kindSystem && old.Kind != kindKey, mutate: r.ending(old.Kind)}
		m, err := r.insert(ctx, tx, actor, s)
		if err != nil {
			return nil, err
		}
		made = append(made, m)
	}
	return made, nil
}

// ending is how a row of a kind ends: systems and keys stay known.
func (r *Register) ending(kind string) func([]byte) (any, error) {
	now := r.d.Now().UTC().Truncate(time.Second)
	return func(body []byte) (any, error) {
		switch kind {
		case kindSystem:
			s, err := oldSystem(body, "")
			if s.Lifecycle != Retired {
				s.Lifecycle, s.RetiredAt = Retired, now
			}
			return s, err
		case kindKey:
			var k storedKey
			err := json.Unmarshal(body, &k)
			if k.RevokedAt.IsZero() {
				k.RevokedAt = now
			}
			return k, err
		}
		return json.RawMessage(body), nil
	}
}

// wanted checks one organisation and gives its rows. References are checked
// against the declaration and, for what it does not declare, the register.
func (r *Register) wanted(d *Declaration, i int, o *DeclaredOrg) (out []declared, err error) {
	at := func(path ...any) Origin {
		return Origin{d.file, config.LineOf(d.doc, append([]any{"organisations", i}, path...)...)}
	}
	var here Origin
	fail := func(err error) ([]declared, error) {
		return nil, fault.Wrap(fault.Invalid, "config", err, "%s, line %d", here.File, here.Line)
	}
	here = at()
	if err := checkID("id", string(o.ID)); err != nil {
		return fail(err)
	}
	if o.Name == "" {
		return fail(fault.Field("name", "give the organisation a name"))
	}
	out = append(out, declared{kindOrg, string(o.ID), Org{ID: o.ID, Name: o.Name}, here})
	view := r.declaredState(o)
	if o.Settings != nil {
		here = at("settings")
		if err := checkSettings(o.Settings); err != nil {
			return fail(err)
		}
		out = append(out, declared{kindSettings, "settings", *o.Settings, here})
	}
	for k, p := range o.Providers {
		if here = at("providers", k); r.checkProvider(p) != nil {
			return fail(r.checkProvider(p))
		}
		out = append(out, declared{kindProvider, string(p.ID), p, here})
	}
	for k, p := range o.GuardProfiles {
		if here = at("guard_profiles", k); r.checkProfile(p) != nil {
			return fail(r.checkProfile(p))
		}
		out = append(out, declared{kindProfile, string(p.ID), p, here})
	}
	for k := range o.Policies {
		here = at("policies", k)
		p, err := r.declaredPolicy(&o.Policies[k], d.file)
		if err != nil {
			return fail(err)
		}
		out = append(out, declared{kindPolicy, string(p.ID), p, here})
	}
	for k := range o.Systems {
		here = at("systems", k)
		s, err := r.declaredSystem(o.Systems[k].System)
		if err != nil {
			return fail(err)
		}
		out = append(out, declared{kindSystem, string(s.ID), s, here})
	}
	for k := range o.Keys {
		here = at("keys", k)
		key, err := r.declaredKey(view, &o.Keys[k])
		if err != nil {
			return fail(err)
		}
		out = append(out, declared{kindKey, string(key.ID), key, here})
	}
	for k, v := range o.Routes {
		if here = at("routes", k); checkRoute(view, v) != nil {
			return fail(checkRoute(view, v))
		}
		out = append(out, declared{kindRoute, v.Model, v, here})
	}
	for k := range o.Budgets {
		here = at("budgets", k)
		b, err := declaredBudget(view, &o.Budgets[k])
		if err != nil {
			return fail(err)
		}
		out = append(out, declared{kindBudget, string(b.ID), b, here})
	}
	seen := map[string]Origin{}
	for _, w := range out {
		if first, twice := seen[w.kind+w.id]; twice {
			here = w.origin
			return fail(fmt.Errorf("%s %q is declared in line %d already", w.kind, w.id, first.Line))
		}
		seen[w.kind+w.id] = w.origin
	}
	return out, nil
}

// declaredState is what references may point at.
func (r *Register) declaredState(o *DeclaredOrg) *State {
	view := &State{}
	if s, err := r.State(o.ID); err == nil {
		*view = *s
		view.Systems, view.Keys, view.Providers = slices.Clone(s.Systems), slices.Clone(s.Keys), slices.Clone(s.Providers)
	}
	for _, s := range o.Systems {
		view.Systems = append(view.Systems, s.System)
	}
	for _, k := range o.Keys {
		view.Keys = append(view.Keys, k.Key)
	}
	view.Providers = append(view.Providers, o.Providers...)
	return view
}

func (r *Register) declaredSystem(s System) (System, error) {
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
	if s.Approval.State == Approved {
		s.Approval.Imported = true
	}
	return s, s.check()
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
	var err error
	if b.Limit, err = money.Parse(d.Limit); err != nil {
		return b, fault.Field("limit", "%v", err)
	}
	return b, checkBudgetIn(view, b)
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
