package server

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"plumbline/gateway"
	"plumbline/inventory"
)

// Of writing pins.
const (
	pinQueue = 4096                   // how many may wait to be written
	pinBatch = 256                    // how many are written at once, at most
	pinPause = 100 * time.Millisecond // how long others are waited for
	pinSweep = 24 * time.Hour         // how often an organisation's old ones are deleted
	pinWrite = 5 * time.Second        // how long one write may take
)

// pins writes where responses were made behind the calls that made them. What waits when
// the process is killed is lost: such a response is unknown after the restart, and its
// caller is told so.
type pins struct {
	*pinStore
	now   func() time.Time
	log   *slog.Logger
	queue chan gateway.Pin
	end   chan struct{}
	once  sync.Once
	done  chan struct{}
	swept map[inventory.OrgID]time.Time // of the writer alone
}

func newPins(store *pinStore, now func() time.Time, log *slog.Logger) *pins {
	p := &pins{pinStore: store, now: now, log: log, queue: make(chan gateway.Pin, pinQueue), end: make(chan struct{}), done: make(chan struct{}), swept: map[inventory.OrgID]time.Time{}}
	go p.run()
	return p
}

// Keep notes a pin to be written soon.
func (p *pins) Keep(pin gateway.Pin) {
	select {
	case p.queue <- pin:
	default:
		p.log.Warn("where a response was made is not kept: the state database is too slow", "org", string(pin.Org))
	}
}

// Close writes what waits.
func (p *pins) Close(ctx context.Context) error {
	p.once.Do(func() { close(p.end) })
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *pins) run() {
	defer close(p.done)
	for {
		select {
		case first := <-p.queue:
			pause := time.NewTimer(pinPause)
			select {
			case <-pause.C:
			case <-p.end:
			}
			pause.Stop()
			p.write(first)
		case <-p.end:
			select {
			case first := <-p.queue:
				p.write(first)
			default:
				return
			}
		}
	}
}

// write writes a pin and those that wait behind it.
func (p *pins) write(first gateway.Pin) {
	of := map[inventory.OrgID][]gateway.Pin{first.Org: {first}}
	for n := 1; n < pinBatch; n++ {
		select {
		case pin := <-p.queue:
			of[pin.Org] = append(of[pin.Org], pin)
			continue
		default:
		}
		break
	}
	for org, batch := range of {
		ctx, cancel := context.WithTimeout(context.Background(), pinWrite)
		err := p.Put(ctx, org, batch)
		if now := p.now(); err == nil && now.Sub(p.swept[org]) > pinSweep {
			p.swept[org] = now
			err = p.Expire(ctx, org, now.Add(-gateway.PinLife))
		}
		cancel()
		if err != nil {
			p.log.Error("where responses were made is not kept", "org", string(org), "count", len(batch), "error", err)
		}
	}
}
