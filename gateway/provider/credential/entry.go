package credential

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// loader finds one secret. next is when to look again; zero: never, for what cannot
// change. Its errors quote nothing that it read or was answered.
type loader func(ctx context.Context) (v *value, next time.Time, err error)

// entry is one secret that rings share: what was found last, and when to look again.
type entry struct {
	load  loader
	local bool                  // load asks nobody, so that it need not be waited for
	value atomic.Pointer[value] // the last good one

	mu      sync.Mutex
	loading bool
	due     time.Time // not looked for before; zero: at once
	never   bool      // nothing to look for again
	found   time.Time // when value was
	fails   int
	err     error // of the last look; nil after a good one
	since   time.Time
}

// Failures are tried again after a second, then twice as long each time.
const (
	firstPause = time.Second
	lastPause  = time.Minute
	loadTime   = 10 * time.Second
)

// begin looks for an entry's secret in the background when it is due. It reports
// whether a look is under way.
func (s *Source) begin(e *entry, now time.Time) bool {
	e.mu.Lock()
	if e.loading || e.never || now.Before(e.due) {
		defer e.mu.Unlock()
		return e.loading
	}
	e.loading = true
	e.mu.Unlock()
	if e.local {
		s.look(e)
		return false
	}
	go s.look(e)
	return true
}

// look runs the loader once. A look that fails leaves the last good value.
func (s *Source) look(e *entry) {
	if !e.local {
		s.slots <- struct{}{}
		defer func() { <-s.slots }()
	}
	ctx, cancel := context.WithTimeout(s.life, loadTime)
	defer cancel()
	v, next, err := e.load(ctx)
	now := s.now()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.loading = false
	if err != nil {
		if e.err == nil {
			e.since = now
		}
		pause := min(firstPause<<min(e.fails, 10), lastPause)
		e.fails++
		e.err, e.due = err, now.Add(pause+rand.N(pause/4))
		return
	}
	e.value.Store(v)
	e.found, e.fails, e.err = now, 0, nil
	e.never, e.due = next.IsZero(), next
}

// renew looks again for a secret that the provider did not accept, unless it was
// replaced meanwhile or was looked for just now.
func (s *Source) renew(e *entry, refused *value, now time.Time) {
	e.mu.Lock()
	if e.value.Load() != refused || now.Sub(e.found) < refreshPause || e.never || e.err != nil {
		e.mu.Unlock()
		return
	}
	e.due = now
	e.mu.Unlock()
	s.begin(e, now)
}

func (e *entry) reason() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.err != nil:
		return e.err.Error()
	case e.loading:
		return "it is being looked for"
	}
	return "it has expired"
}
