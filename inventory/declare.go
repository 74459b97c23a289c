package inventory

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"plumbline/app/authz"
	"plumbline/app/config"
	"plumbline/app/fault"
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
	Prices        []Price          `yaml:"prices"`
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
	Limit  string `json:"limit" yaml:"limit"`
}

// DeclaredPolicy has its Rego in the declaration or in a file beside it.
type DeclaredPolicy struct {
	Policy `yaml:",inline"`
	File   string `yaml:"file"`
}

// ParseDeclaration reads a declaration strictly; errors name file and line. A text
// without a list of organisations is an error: it is more often a file that somebody is
// still writing than a wish to revoke every key.
func ParseDeclaration(text []byte, file string) (*Declaration, error) {
	d := &Declaration{file: file}
	doc, err := config.Strict(text, file, d)
	if err == nil && d.Organisations == nil {
		err = fault.New(fault.Invalid, "config", "%s: line %d: there is no list of organisations; to take back everything that was declared write organisations: []", file, max(1, config.LineOf(doc, "organisations")))
	}
	d.doc = doc
	return d, err
}

// declared is one row that a declaration wants.
type declared struct {
	org      OrgID
	kind, id string
	body     any
	origin   Origin
}

// Declare makes a declaration the register's state, whole or not at all: every
// row is checked before the first is written, and all are written in one
// transaction. What an earlier declaration had and this one lacks is retired,
// revoked or deleted. It returns how many rows changed. Errors are of kind Invalid
// and name file and line.
func (r *Register) Declare(ctx context.Context, d *Declaration) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var rows []declared
	lines := map[OrgID]int{}
	for i := range d.Organisations {
		o := &d.Organisations[i]
		line := config.LineOf(d.doc, "organisations", i)
		if first, twice := lines[o.ID]; twice {
			return 0, fault.New(fault.Invalid, "config", "%s, line %d: organisation %q is declared in line %d already", d.file, line, o.ID, first)
		}
		lines[o.ID] = line
		list, err := r.wanted(d, i, o)
		if err != nil {
			return 0, err
		}
		rows = append(rows, list...)
	}
	actor := authz.Actor{ID: "config"}
	var made []row
	err := r.store.inTx(ctx, func(tx *rowStore) error {
		made = nil
		seen := map[string]bool{}
		for _, w := range rows {
			seen[string(w.org)+"\x00"+w.kind+"\x00"+w.id] = true
			m, changed, err := r.declareRow(ctx, tx, actor, w)
			if err != nil {
				return fault.Wrap(fault.KindOf(err), "config", err, "%s, line %d", w.origin.File, w.origin.Line)
			}
			if changed {
				made = append(made, m)
			}
		}
		gone, err := r.undeclared(ctx, tx, actor, seen)
		if err != nil {
			return err
		}
		made = append(made, gone...)
		return whole(ctx, tx)
	})
	if err != nil {
		return 0, err
	}
	if err := r.reload(ctx); err != nil { // what restricts does not wait for the ledger
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
func (r *Register) declareRow(ctx context.Context, tx *rowStore, actor authz.Actor, w declared) (row, bool, error) {
	old, err := tx.newest(ctx, w.org, w.kind, w.id, false)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return row{}, false, err
	}
	found := err == nil && old.Deleted == 0
	if s, ok := w.body.(System); ok && found {
		before, err := oldSystem([]byte(old.Body), s.ID)
		if err != nil {
			return row{}, false, err
		}
		s.Suspended, s.ReviewedAt = before.Suspended, before.ReviewedAt // a person's, not the file's
		w.body = s
	}
	body, err := json.Marshal(w.body)
	if err != nil {
		return row{}, false, err
	}
	if found && old.File == w.origin.File && same(old.Body, body) {
		if old.Line == int64(w.origin.Line) {
			return row{}, false, nil
		}
		return row{}, false, tx.relocate(ctx, old.ChangeID, w.origin.File, w.origin.Line)
	}
	actor.Org = w.org
	restricts, err := r.narrows(ctx, tx, w.org, w.kind, w.id, body)
	if err != nil {
		return row{}, false, err
	}
	m, err := r.insert(ctx, tx, actor, spec{org: w.org, kind: w.kind, id: w.id, change: w.kind + ".declared", origin: w.origin, restricts: restricts, reason: "declared in the configuration file",
		mutate: func([]byte) (any, error) { return w.body, nil }})
	return m, err == nil, err
}

func same(old string, body []byte) bool {
	var a, b any
	if json.Unmarshal([]byte(old), &a) != nil || json.Unmarshal(body, &b) != nil {
		return false
	}
	return reflect.DeepEqual(a, b)
}

// undeclared ends what the file no longer declares, and lets go of it: people may
// change it again. An organisation and its settings stay as they are.
func (r *Register) undeclared(ctx context.Context, tx *rowStore, actor authz.Actor, seen map[string]bool) ([]row, error) {
	all, err := tx.fromFile(ctx)
	if err != nil {
		return nil, err
	}
	var made []row
	for _, old := range all {
		if seen[old.Org+"\x00"+old.Kind+"\x00"+old.ID] {
			continue
		}
		actor.Org = OrgID(old.Org)
		m, err := r.insert(ctx, tx, actor, spec{org: actor.Org, kind: old.Kind, id: old.ID, change: old.Kind + ".undeclared", release: true, reason: "no longer declared",
			restricts: takesAway(old.Kind) || old.Kind == kindSystem || old.Kind == kindKey,
			delete:    slices.Contains([]string{kindProvider, kindRoute, kindProfile, kindPolicy, kindBudget, kindPrice}, old.Kind), mutate: r.ending(old.Kind)})
		if err != nil {
			return nil, err
		}
		made = append(made, m)
	}
	return made, nil
}

// whole refuses a declaration after which something would point at nothing, be it
// declared or made by people.
func whole(ctx context.Context, tx *rowStore) error {
	rows, err := tx.latest(ctx)
	if err != nil {
		return err
	}
	states, err := assemble(rows)
	if err != nil {
		return err
	}
	for _, s := range states {
		for i := range s.Systems {
			if v := &s.Systems[i]; v.Lifecycle != Retired && checkProfileOf(s, v) != nil {
				return dangling(v.Origin, "AI system", string(v.ID), checkProfileOf(s, v))
			}
		}
		for _, v := range s.Routes {
			if err := checkRoute(s, v); err != nil {
				return dangling(v.Origin, "route", v.Model, err)
			}
		}
	}
	return nil
}

func dangling(o Origin, what, id string, err error) error {
	if o.FromFile() {
		return fault.Wrap(fault.Invalid, "config", err, "%s, line %d: %s %q", o.File, o.Line, what, id)
	}
	return fault.Wrap(fault.Invalid, "config", err, "%s %q, which people made, rests on something that is not declared any more", what, id)
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
