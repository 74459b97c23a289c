// Package routing decides which deployment a call is sent to, and which comes next
// when that one fails. It knows the health of deployments from what happened to calls
// alone; it sends nothing itself.
package routing

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"plumbline/inventory"
)

// Limits are what breakers go by. A zero field has the default.
type Limits struct {
	Ratio    float64       // share of failed requests at which a breaker opens; 0.10
	Least    int           // requests in the last minute that it takes to judge; 20
	Pause    time.Duration // for which it opens first; 5 s
	MaxPause time.Duration // and at most; 60 s
	Probes   int           // answers in a row that close it; 3
	Wait     time.Duration // after a 429 that names no time; 1 s
	// MaxWait is for how long a 429 has a deployment passed over at most; 5 minutes. A
	// provider that asks for an hour is asked again before, with one call at a time
	// that others can take over: a limit that was raised is not waited out.
	MaxWait time.Duration
	// RetryShare is how many retries a provider gets at most, as a share of the other
	// attempts at it in the same 10 s; 0.20. Of RetryFloor retries it says nothing; 10.
	RetryShare float64
	RetryFloor int
}

func (l Limits) orDefault() Limits {
	return Limits{cmp.Or(l.Ratio, 0.10), cmp.Or(l.Least, 20), cmp.Or(l.Pause, 5*time.Second), cmp.Or(l.MaxPause, time.Minute), cmp.Or(l.Probes, 3),
		cmp.Or(l.Wait, time.Second), cmp.Or(l.MaxWait, 5*time.Minute), cmp.Or(l.RetryShare, 0.20), cmp.Or(l.RetryFloor, 10)}
}

// Health is what is known of all deployments. It outlives snapshots of the register.
type Health struct {
	limits Limits
	rand   func() uint64

	mu      sync.Mutex
	known   map[Key]*Deployment
	retries map[providerKey]*retries
	turns   map[turnKey]*atomic.Uint64
}

type turnKey struct {
	org   inventory.OrgID
	route string
}

// NewHealth makes one that knows nothing. random decides what is left to chance; nil
// is math/rand.
func NewHealth(l Limits, random func() uint64) *Health {
	if random == nil {
		random = rand.Uint64
	}
	return &Health{limits: l.orDefault(), rand: random, known: map[Key]*Deployment{}, retries: map[providerKey]*retries{}, turns: map[turnKey]*atomic.Uint64{}}
}

func (h *Health) deployment(k Key) *Deployment {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := h.known[k]
	if d == nil {
		d = &Deployment{Key: k, limits: &h.limits, retries: h.retriesOf(k)}
		h.known[k] = d
	}
	return d
}

func (h *Health) turn(k turnKey) *atomic.Uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.turns[k] == nil {
		h.turns[k] = &atomic.Uint64{}
	}
	return h.turns[k]
}

// Retain forgets what no table leads to any more.
func (h *Health) Retain(tables []Table) {
	live, asked, turns := map[*Deployment]bool{}, map[*retries]bool{}, map[*atomic.Uint64]bool{}
	for _, t := range tables {
		for _, r := range t {
			turns[r.turn] = true
			for i := range r.targets {
				live[r.targets[i].Deployment] = true
				asked[r.targets[i].retries] = true
			}
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for k, d := range h.known {
		if !live[d] {
			delete(h.known, k)
		}
	}
	for k, r := range h.retries {
		if !asked[r] {
			delete(h.retries, k)
		}
	}
	for k, n := range h.turns {
		if !turns[n] {
			delete(h.turns, k)
		}
	}
}

// Stands lists how deployments stand, in the order of their names; org "" is all.
func (h *Health) Stands(org inventory.OrgID, now time.Time) []Stand {
	h.mu.Lock()
	var list []*Deployment
	for k, d := range h.known {
		if org == "" || k.Org == org {
			list = append(list, d)
		}
	}
	h.mu.Unlock()
	slices.SortFunc(list, func(a, b *Deployment) int {
		return cmp.Or(cmp.Compare(a.Org, b.Org), cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Model, b.Model))
	})
	out := make([]Stand, 0, len(list))
	for _, d := range list {
		out = append(out, d.Stand(now))
	}
	return out
}
