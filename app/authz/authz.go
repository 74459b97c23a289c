package authz

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"sort"
	"strings"
	"sync"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
)

// Policy is the roles' permissions: role, object, action. A domain expert can
// review it; docs and the route table are checked against it.
//
//go:embed policy.csv
var policy string

// The request names role, object and action. Organisations are the domain: an
// Actor's roles are those it has in its organisation, and every store call is
// made for that organisation alone.
const casbinModel = `
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.sub == p.sub && (p.obj == "*" || r.obj == p.obj) && (p.act == "*" || r.act == p.act)
`

// Enforcer answers whether an actor may do something. It is safe for concurrent
// use.
type Enforcer struct {
	e     *casbin.Enforcer
	rules map[[3]string]bool
	mu    sync.RWMutex
	cache map[[3]string]bool
}

// New reads the embedded policy.
func New() (*Enforcer, error) {
	m, err := model.NewModelFromString(casbinModel)
	if err != nil {
		return nil, fmt.Errorf("permission model: %w", err)
	}
	e, err := casbin.NewEnforcer(m)
	if err != nil {
		return nil, fmt.Errorf("permissions: %w", err)
	}
	r := csv.NewReader(strings.NewReader(policy))
	r.Comment, r.TrimLeadingSpace, r.FieldsPerRecord = '#', true, 3
	rows, err := r.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("permissions: %w", err)
	}
	en := &Enforcer{e: e, rules: map[[3]string]bool{}, cache: map[[3]string]bool{}}
	for _, row := range rows {
		if _, err := e.AddPolicy(row[0], row[1], row[2]); err != nil {
			return nil, fmt.Errorf("permissions: %w", err)
		}
		en.rules[[3]string(row)] = true
	}
	return en, nil
}

// Can reports whether one of the actor's roles allows an action on an object.
// Any failure is a no.
func (en *Enforcer) Can(a Actor, object, action string) bool {
	for _, role := range a.Roles {
		if en.role(string(role), object, action) {
			return true
		}
	}
	return false
}

func (en *Enforcer) role(role, object, action string) bool {
	k := [3]string{role, object, action}
	en.mu.RLock()
	ok, known := en.cache[k]
	en.mu.RUnlock()
	if known {
		return ok
	}
	ok, err := en.e.Enforce(role, object, action)
	if err != nil {
		return false
	}
	en.mu.Lock()
	en.cache[k] = ok
	en.mu.Unlock()
	return ok
}

// Objects lists the objects that the policy names.
func (en *Enforcer) Objects() []string {
	seen := map[string]bool{}
	for r := range en.rules {
		if r[1] != "*" {
			seen[r[1]] = true
		}
	}
	var out []string
	for o := range seen {
		out = append(out, o)
	}
	sort.Strings(out)
	return out
}
