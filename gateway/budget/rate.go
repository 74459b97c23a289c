package budget

import (
	"fmt"
	"sync"
	"time"

	"plumbline/inventory"
)

// rates limits each key's requests a minute and at a time.
type rates struct {
	mu   sync.Mutex
	keys map[inventory.KeyID]*rate
}

// rate is a token bucket of a minute's requests, and a count of those running. The
// mutex of its rates guards it.
type rate struct {
	tokens  float64
	at      time.Time
	running int
}

// Place is a request's among those of its key that run; the zero Place is one of a key
// without limits.
type Place struct{ of *rate }

// Limited says that a key asked too often or too much at a time.
type Limited struct {
	Code       string // rate_limited, concurrency_limited
	Limit      int
	RetryAfter time.Duration
}

func (l *Limited) Error() string {
	if l.Code == "concurrency_limited" {
		return fmt.Sprintf("the key has %d requests running, its limit; wait until one has ended", l.Limit)
	}
	return fmt.Sprintf("the key may send %d requests a minute; send the request again after the time that retry-after says", l.Limit)
}

// Admit takes a place for one request of a key, or returns *Limited. Release
// gives it back. at is now, which the caller has just read from its clock.
func (c *Counters) Admit(k *inventory.Key, at time.Time) (Place, error) {
	if k.PerMinute <= 0 && k.Concurrency <= 0 {
		return Place{}, nil
	}
	r := &c.rates
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.keys[k.ID]
	if !ok {
		s = &rate{tokens: float64(k.PerMinute), at: at}
		r.keys[k.ID] = s
	}
	if k.Concurrency > 0 && s.running >= k.Concurrency {
		return Place{}, &Limited{"concurrency_limited", k.Concurrency, time.Second}
	}
	if k.PerMinute > 0 {
		perSecond := float64(k.PerMinute) / 60
		// Requests that overtake each other come with times that do; a clock that was
		// set back is another matter.
		if passed := at.Sub(s.at); passed > 0 || passed < -time.Minute {
			s.tokens = min(s.tokens+max(passed.Seconds(), 0)*perSecond, float64(k.PerMinute))
			s.at = at
		}
		if s.tokens < 1 {
			return Place{}, &Limited{"rate_limited", k.PerMinute, time.Duration((1 - s.tokens) / perSecond * float64(time.Second))}
		}
		s.tokens--
	}
	s.running++
	return Place{s}, nil
}

// Release ends a request that was admitted. Doing it twice gives back nothing more.
func (c *Counters) Release(p *Place) {
	if p.of == nil {
		return
	}
	c.rates.mu.Lock()
	defer c.rates.mu.Unlock()
	p.of.running--
	p.of = nil
}
