package credential

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// How long a key is set aside. A refusal doubles it each time, until the key is
// accepted again.
const (
	refusedFor    = 30 * time.Second // after 401 and 403
	unpaidFor     = 5 * time.Minute  // after 402
	limitedFor    = 5 * time.Second  // after 429 that says no time
	longestAside  = time.Hour
	longestLimit  = time.Minute // of 429 that says no time
	refreshPause  = 5 * time.Second
	patience      = 3 * time.Second // of a call for a secret that is not there yet
	pollWhileSlow = 5 * time.Millisecond
)

// Keyring holds a provider's keys and says which of them an attempt uses: by weight
// among those that are there and not set aside. It is safe for concurrent use. A nil
// Keyring is that of a provider that needs no key.
type Keyring struct {
	provider string
	source   *Source
	keys     []*held

	mu      sync.Mutex // guards turn, until, fails and last of each held
	trouble atomic.Bool
}

// held is one key of a ring.
type held struct {
	id        string
	reference string
	weight    int
	entry     *entry

	turn  int       // of the smooth weighted round robin
	until time.Time // set aside
	fails int       // in a row
	last  int       // status of the last refusal

	accepted, refused, limited atomic.Uint64
}

// Unavailable says that no key of a provider is there. It quotes no secret; its
// references are the operator's and not for callers.
type Unavailable struct {
	Provider string
	Reasons  []string // one for each key
}

func (e *Unavailable) Error() string {
	return fmt.Sprintf("no credential of the provider %s is there: %s", e.Provider, strings.Join(e.Reasons, "; "))
}

// Pick gives the key of the next attempt. With every key set aside it is the one
// whose time ends first. A secret that is not there yet is waited for, at most three
// seconds; then, and when ctx ends, the error is an *Unavailable.
func (r *Keyring) Pick(ctx context.Context, now time.Time) (Key, error) {
	if r == nil || len(r.keys) == 0 {
		return Key{}, nil
	}
	if k, ok := r.pick(now); ok {
		return k, nil
	}
	return r.wait(ctx, now)
}

func (r *Keyring) pick(now time.Time) (Key, bool) {
	if len(r.keys) == 1 {
		h := r.keys[0]
		v := h.entry.value.Load()
		return Key{h.id, v, h}, v.usable(now)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var best, bad *held
	var chosen, worst *value
	total := 0
	for _, h := range r.keys {
		v := h.entry.value.Load()
		if !v.usable(now) {
			continue
		}
		if h.until.After(now) {
			if bad == nil || h.until.Before(bad.until) {
				bad, worst = h, v
			}
			continue
		}
		h.turn += h.weight
		total += h.weight
		if best == nil || h.turn > best.turn {
			best, chosen = h, v
		}
	}
	if best == nil {
		best, chosen = bad, worst
	} else {
		best.turn -= total
	}
	if best == nil {
		return Key{}, false
	}
	return Key{best.id, chosen, best}, true
}

// wait begins what can be begun and looks again until a key is there, nothing is on
// its way any more, or patience ends.
func (r *Keyring) wait(ctx context.Context, now time.Time) (Key, error) {
	began := time.Now()
	for {
		coming := false
		for _, h := range r.keys {
			coming = r.source.begin(h.entry, now) || coming
		}
		if k, ok := r.pick(now); ok {
			return k, nil
		}
		if !coming {
			return Key{}, r.unavailable()
		}
		select {
		case <-ctx.Done():
			return Key{}, r.unavailable()
		case <-time.After(pollWhileSlow):
		}
		if time.Since(began) >= patience {
			return Key{}, r.unavailable()
		}
		now = r.source.now()
	}
}

func (r *Keyring) unavailable() error {
	e := &Unavailable{Provider: r.provider}
	for _, h := range r.keys {
		e.Reasons = append(e.Reasons, "key "+h.id+": "+h.entry.reason())
	}
	return e
}

// Another reports whether a key that is not set aside is there: after a refusal, one
// to try at once.
func (r *Keyring) Another(now time.Time) bool {
	if r == nil || len(r.keys) < 2 {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.keys {
		if h.entry.value.Load().usable(now) && !h.until.After(now) {
			return true
		}
	}
	return false
}

// Rotates reports whether a status is about the key, so that another key may fare
// better with the same request.
func Rotates(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusPaymentRequired || status == http.StatusForbidden || status == http.StatusTooManyRequests
}

// Report says how the provider answered to a key. retryAfter is what an answer of
// 429 asked for; zero when it said nothing.
func (r *Keyring) Report(k Key, now time.Time, status int, retryAfter time.Duration) {
	h := k.of
	if r == nil || h == nil {
		return
	}
	if !Rotates(status) {
		h.accepted.Add(1)
		if status < 300 && r.trouble.Load() {
			r.mu.Lock()
			h.fails, h.until = 0, time.Time{}
			r.mu.Unlock()
		}
		return
	}
	r.trouble.Store(true)
	r.mu.Lock()
	first, limit := refusedFor, longestAside
	switch status {
	case http.StatusPaymentRequired:
		first = unpaidFor
	case http.StatusTooManyRequests:
		first, limit = limitedFor, longestLimit
	}
	aside := min(first<<min(h.fails, 16), limit)
	if status == http.StatusTooManyRequests && retryAfter > 0 {
		aside = min(retryAfter, longestAside)
	}
	h.fails++
	h.last = status
	h.until = now.Add(aside)
	r.mu.Unlock()
	if status == http.StatusTooManyRequests {
		h.limited.Add(1)
		return
	}
	h.refused.Add(1)
	if status == http.StatusUnauthorized {
		r.source.renew(h.entry, k.value, now) // it may have been replaced where it is kept
	}
}
