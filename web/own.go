package web

import (
	"context"
	"slices"
	"time"

	"plumbline/app/authz"
	"plumbline/app/fault"
	"plumbline/assessments/projection"
	"plumbline/inventory"
)

// own reports whether the actor sees only what belongs to its own keys.
func (r *request) own() bool { return authz.OwnOnly(r.actor) }

// read sets the organisation's register as the actor may see it: whoever sees only
// its own gets no other key, and no budget of another key nor a request to change one. Handlers read r.state
// and cannot show what is not in it.
func (r *request) read() error {
	state, err := r.web.d.Register.State(r.actor.Org)
	if err != nil {
		return err
	}
	if r.state = state; !r.own() {
		return nil
	}
	narrow := *state // the register's own is shared
	narrow.Keys, narrow.Budgets = nil, nil
	for _, k := range state.Keys {
		if k.OwnedBy(r.account.ID, r.account.Email) {
			narrow.Keys = append(narrow.Keys, k)
		}
	}
	for _, b := range state.Budgets {
		if b.Scope != inventory.ScopeKey || slices.ContainsFunc(narrow.Keys, func(k inventory.Key) bool { return string(k.ID) == b.Target }) {
			narrow.Budgets = append(narrow.Budgets, b)
		}
	}
	narrow.Requests = slices.DeleteFunc(slices.Clone(state.Requests), func(q inventory.ChangeRequest) bool {
		return q.Kind == "budget" && !slices.ContainsFunc(narrow.Budgets, func(b inventory.Budget) bool { return string(b.ID) == q.Row })
	})
	r.state = &narrow
	return nil
}

// listed reports whether a list of budgets has one: of whoever sees only its own,
// those of the own keys.
func (r *request) listed(b inventory.Budget) bool {
	return !r.own() || b.Scope == inventory.ScopeKey
}

// index is the index of exchanges as the actor may see it. All that pages and the
// API show of single exchanges and of keys is read through it and nowhere else.
type index struct {
	store *projection.Store
	org   string
	own   bool
	keys  []string // the actor's, when own
}

func (r *request) index() index {
	x := index{store: r.web.d.Projection, org: string(r.actor.Org), own: r.own(), keys: []string{}}
	if x.own {
		for _, k := range r.state.Keys {
			x.keys = append(x.keys, string(k.ID))
		}
	}
	return x
}

// only narrows a filter to what the actor may see.
func (x index) only(f projection.Filter) projection.Filter {
	if x.own {
		f.Keys = x.keys
	}
	return f
}

// one finds an exchange by its request id. One of another's key is not found, as
// if there were none.
func (x index) one(ctx context.Context, id string) (projection.Exchange, error) {
	found, err := x.store.Exchange(ctx, x.org, id)
	if err == nil && x.own && !slices.Contains(x.keys, found.Key) {
		return projection.Exchange{}, fault.New(fault.NotFound, "not_found", "there is no exchange %q", id)
	}
	return found, err
}

func (x index) list(ctx context.Context, f projection.Filter) ([]projection.Exchange, string, error) {
	return x.store.Exchanges(ctx, x.org, x.only(f))
}

func (x index) count(ctx context.Context, f projection.Filter, limit int) (int, bool, error) {
	return x.store.Count(ctx, x.org, x.only(f), limit)
}

func (x index) counted(ctx context.Context, f projection.Filter) ([]projection.Counted, error) {
	return x.store.Counted(ctx, x.org, x.only(f))
}

func (x index) countedSum(ctx context.Context, f projection.Filter) (int64, error) {
	return x.store.CountedSum(ctx, x.org, x.only(f))
}

func (x index) use(ctx context.Context, f projection.Filter) (map[string]projection.KeyUse, error) {
	return x.store.UseOfKeys(ctx, x.org, x.only(f))
}

// sums are the counters of the hours by AI system. They know nothing of keys, so
// whoever sees only its own gets none: nil, and no number is shown.
func (x index) sums(ctx context.Context, from, to int64) (map[string]projection.Counters, error) {
	if x.own {
		return nil, nil
	}
	return x.store.SumBySystem(ctx, x.org, from, to)
}

// findings are those of keys that no registered system owns.
func (x index) findings(ctx context.Context) ([]projection.Finding, error) {
	all, err := x.store.Findings(ctx, x.org)
	if x.own {
		all = slices.DeleteFunc(all, func(f projection.Finding) bool { return !slices.Contains(x.keys, f.Subject) })
	}
	return all, err
}

// useBySystem adds up what each system called from a time on, to the hour. Whoever
// reads AI systems sees it: it says nothing of a single exchange or key.
func (r *request) useBySystem(from time.Time) (map[string]projection.Counters, error) {
	return r.web.d.Projection.SumBySystem(r.ctx(), string(r.actor.Org), from.Unix()/3600, 0)
}
