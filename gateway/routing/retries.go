package routing

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"plumbline/inventory"
)

// recent is for how many seconds calls and retries count in a provider's share.
const recent = 10

// retries holds a provider's retries to a share of its calls, over all its models: when
// it is down, each call that fails would else be sent once more, and it gets twice the
// traffic when it can bear least. It is safe for concurrent use. A call costs one
// addition; the lock is for retries alone.
type retries struct {
	org      inventory.OrgID
	provider inventory.ProviderID
	limits   *Limits

	calls [recent]atomic.Uint64 // a second's in the low half, which second in the high one

	mu     sync.Mutex
	made   [recent]second
	counts RetryCounts
}

type second struct {
	at int64
	n  int
}

// RetryCounts are what became of a provider's retries since the start.
type RetryCounts struct {
	Made        uint64
	OverShare   uint64 // not made: the share was used up
	BreakerOpen uint64 // not made: the deployment's breaker was not closed
}

// called counts a call that is sent and is no retry.
func (r *retries) called(now time.Time) {
	at := now.Unix()
	c := &r.calls[at%recent]
	for {
		v := c.Load()
		if v>>32 == uint64(uint32(at)) {
			c.Add(1)
			return
		}
		if c.CompareAndSwap(v, uint64(uint32(at))<<32|1) {
			return
		}
	}
}

// take takes a place among the retries, if there is one.
func (r *retries) take(now time.Time, breaker State) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if breaker != Closed {
		r.counts.BreakerOpen++
		return false
	}
	at := now.Unix()
	calls, made := 0, 0
	for i := range int64(recent) {
		of := at - i
		if v := r.calls[of%recent].Load(); v>>32 == uint64(uint32(of)) {
			calls += int(uint32(v))
		}
		if s := r.made[of%recent]; s.at == of {
			made += s.n
		}
	}
	if made >= max(r.limits.RetryFloor, int(r.limits.RetryShare*float64(calls))) {
		r.counts.OverShare++
		return false
	}
	s := &r.made[at%recent]
	if s.at != at {
		*s = second{at: at}
	}
	s.n++
	r.counts.Made++
	return true
}

type providerKey struct {
	org      inventory.OrgID
	provider inventory.ProviderID
}

// retriesOf finds those of a deployment's provider. The caller holds the lock.
func (h *Health) retriesOf(k Key) *retries {
	at := providerKey{k.Org, k.Provider}
	r := h.retries[at]
	if r == nil {
		r = &retries{org: k.Org, provider: k.Provider, limits: &h.limits}
		h.retries[at] = r
	}
	return r
}

// Retries are what became of a provider's retries.
type Retries struct {
	Org      inventory.OrgID
	Provider inventory.ProviderID
	RetryCounts
}

// Retries lists all providers' retries, in the order of their names.
func (h *Health) Retries() []Retries {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]Retries, 0, len(h.retries))
	for _, r := range h.retries {
		r.mu.Lock()
		out = append(out, Retries{r.org, r.provider, r.counts})
		r.mu.Unlock()
	}
	slices.SortFunc(out, func(a, b Retries) int {
		return cmp.Or(cmp.Compare(a.Org, b.Org), cmp.Compare(a.Provider, b.Provider))
	})
	return out
}
