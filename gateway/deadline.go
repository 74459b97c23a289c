package gateway

import (
	"context"
	"sync"
	"time"
)

// deadline is a context that ends at a time, or when it is cancelled. It sets a
// timer only once somebody waits for it or derives from it: a provider that answers
// without waiting costs none.
type deadline struct {
	end  time.Time
	life context.Context // it ends with this one, too

	mu     sync.Mutex // guards what follows
	ctx    context.Context
	stop   context.CancelFunc
	called bool // cancel was
}

// timed is the context with a timer. Everything that can tell one context from
// another is asked of it, so that those derived from it need no goroutine.
func (d *deadline) timed() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ctx == nil {
		d.ctx, d.stop = context.WithDeadline(d.life, d.end)
		if d.called {
			d.stop()
		}
	}
	return d.ctx
}

func (d *deadline) cancel() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.called = true
	if d.stop != nil {
		d.stop()
	}
}

func (d *deadline) Deadline() (time.Time, bool) { return d.end, true }
func (d *deadline) Done() <-chan struct{}       { return d.timed().Done() }
func (d *deadline) Err() error                  { return d.timed().Err() }
func (d *deadline) Value(key any) any           { return d.timed().Value(key) }
