package routing

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"plumbline/inventory"
)

// Key names a deployment: a model at a provider of an organisation.
type Key struct {
	Org      inventory.OrgID
	Provider inventory.ProviderID
	Model    string
}

// State is the state of a deployment's breaker.
type State uint32

// The states. An open breaker passes its deployment over; a half-open one lets one
// request at a time through, to see whether the deployment came back.
const (
	Closed State = iota
	HalfOpen
	Open
)

func (s State) String() string { return [...]string{"closed", "half_open", "open"}[s] }

// Result is how an attempt ended, as far as it says something about the deployment.
type Result uint8

// The results. Limited is a 429: it is counted apart, and is no error.
const (
	Nothing Result = iota // the caller hung up, or the call was refused here
	Answered
	Failed
	Limited
)

// Deployment is what is known of one deployment. It is safe for concurrent use; what
// every call reads is atomic, and the lock is held for a few additions at its end.
type Deployment struct {
	Key

	limits  *Limits
	retries *retries // of its provider

	state   atomic.Uint32
	until   atomic.Int64 // unix nanoseconds; while open: when the first probe may go
	limited atomic.Int64 // passed over until then because of a 429
	probing atomic.Bool  // a probe is under way
	running atomic.Int64
	latency atomic.Uint64 // bits of a float64: peak EWMA in nanoseconds
	stamp   atomic.Int64  // of latency

	mu     sync.Mutex
	window window
	proven int           // probes that were answered in a row
	pause  time.Duration // the next one
	said   int64         // until when the provider asked to wait
	class  string        // of the newest failure
	failed int64         // its time
	opened uint64        // how often the breaker opened
}

// ready reports whether the deployment may be asked now, by a probe if need be.
func (d *Deployment) ready(now int64) bool {
	if d.limited.Load() > now {
		return false
	}
	return State(d.state.Load()) == Closed || d.until.Load() <= now && !d.probing.Load()
}

// due reports whether a probe may be sent.
func (d *Deployment) due(now int64) bool {
	return State(d.state.Load()) != Closed && d.ready(now)
}

// admit takes a place for one attempt; forced: whatever the breaker says.
func (d *Deployment) admit(now int64, forced bool) (Try, bool) {
	t := Try{d: d, state: State(d.state.Load())}
	switch {
	case forced:
		t.proves = t.state != Closed
	case d.limited.Load() > now:
		return Try{}, false
	case t.state != Closed:
		if d.until.Load() > now || !d.probing.CompareAndSwap(false, true) {
			return Try{}, false
		}
		if !d.half(now) { // closed, or open anew, since it was looked at
			d.probing.Store(false)
			return d.admit(now, false)
		}
		t.state, t.probe, t.proves = HalfOpen, true, true
	}
	d.running.Add(1)
	return t, true
}

// half makes an open breaker half open. The caller holds the place of the probe.
func (d *Deployment) half(now int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if State(d.state.Load()) == Closed || d.until.Load() > now {
		return false
	}
	d.state.Store(uint32(HalfOpen))
	return true
}

// comesBack is when the deployment may be asked again, in unix nanoseconds.
func (d *Deployment) comesBack() int64 {
	at := d.limited.Load()
	if State(d.state.Load()) != Closed {
		at = max(at, d.until.Load())
	}
	return at
}

// Try is one attempt at a deployment. It must end once; more often does no harm.
type Try struct {
	d      *Deployment
	state  State
	probe  bool // holds the place of the probe
	proves bool // its result moves a breaker that is not closed
	again  bool // the call was sent there before
	sent   int64
}

// State is the state of the breaker in which the attempt began.
func (t *Try) State() State { return t.state }

// Sent tells that the attempt is being sent: it is a call of its provider's, and latency
// is measured from then.
func (t *Try) Sent(now time.Time) {
	t.sent = now.UnixNano()
	if t.d != nil && !t.again {
		t.d.retries.called(now)
	}
}

// First tells that the answer began: that is what latency means.
func (t *Try) First(now time.Time) {
	if t.d != nil && t.sent != 0 {
		t.d.observe(float64(now.UnixNano()-t.sent), now.UnixNano())
		t.sent = 0
	}
}

// End tells how the attempt ended. class is of a failure; wait is what a 429 asked
// for, zero when it named no time.
func (t *Try) End(now time.Time, r Result, class string, wait time.Duration) {
	d := t.d
	if d == nil {
		return
	}
	t.d = nil
	d.running.Add(-1)
	if r != Nothing {
		d.count(now, r, class, wait, t.proves, t.probe)
	}
	if t.probe {
		d.probing.Store(false)
	}
}

// count keeps a result and moves the breaker:
//
//  1. closed, and of at least Least requests in the window the share Ratio failed:
//     open for Pause.
//  2. open, and the pause is over: one probe at a time. Probes of them answered in a
//     row close it; one that fails opens it again, for twice as long up to MaxPause.
//  3. open, and asked all the same because nothing is in health: an answer counts as
//     a probe's does. A failure begins the pause anew and makes it no longer, however
//     many calls fail in it; so the next call asks another first.
//
// A 429 opens nothing: the deployment works, and is passed over until it may be asked.
func (d *Deployment) count(now time.Time, r Result, class string, wait time.Duration, proves, probe bool) {
	at := now.UnixNano()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.window.add(now.Unix(), r)
	switch r {
	case Limited:
		if wait <= 0 {
			wait = d.limits.Wait
		}
		d.class, d.failed, d.said = class, at, at+int64(wait)
		d.limited.Store(at + int64(min(wait, d.limits.MaxWait)))
	case Answered:
		if d.limited.Load() != 0 {
			d.limited.Store(0)
			d.said = 0
		}
		if !proves || State(d.state.Load()) == Closed {
			return
		}
		if d.proven++; d.proven >= d.limits.Probes {
			d.window.forget()
			d.proven, d.pause = 0, 0
			d.state.Store(uint32(Closed))
		}
	case Failed:
		d.class, d.failed = class, at
		switch {
		case State(d.state.Load()) == Closed:
			if d.over() {
				d.open(at)
			}
		case probe:
			d.open(at)
		case proves:
			d.proven = 0
			d.until.Store(at + int64(d.pause))
		}
	}
}

func (d *Deployment) over() bool {
	sum := d.window.sum
	total := sum.ok + sum.failed
	return total >= uint32(d.limits.Least) && float64(sum.failed) >= d.limits.Ratio*float64(total)
}

func (d *Deployment) open(at int64) {
	d.pause = min(max(2*d.pause, d.limits.Pause), d.limits.MaxPause)
	d.proven = 0
	d.opened++
	d.until.Store(at + int64(d.pause))
	d.state.Store(uint32(Open))
}

// forgetting is the time after which a latency counts e times less.
const forgetting = 10 * time.Second

// observe keeps a latency: a peak at once, and what is lower little by little.
func (d *Deployment) observe(latency float64, at int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := math.Float64frombits(d.latency.Load())
	if latency < old {
		w := math.Exp(-float64(at-d.stamp.Load()) / float64(forgetting))
		latency = old*w + latency*(1-w)
	}
	d.latency.Store(math.Float64bits(latency))
	d.stamp.Store(at)
}

// load is what one more request would wait, as far as is known: the latency, which
// fades so that a deployment that was slow is tried again, times what is under way.
func (d *Deployment) load(now int64) float64 {
	const unknown = float64(time.Second) // of one that is being tried for the first time
	latency, running := math.Float64frombits(d.latency.Load()), float64(d.running.Load())
	if latency == 0 {
		return unknown * running
	}
	return latency * math.Exp(-float64(now-d.stamp.Load())/float64(forgetting)) * (running + 1)
}

// Stand is how a deployment stands, for people.
type Stand struct {
	Key
	State       State
	OpenUntil   time.Time // zero unless open
	Opened      uint64    // how often it opened since the start
	Answered    uint32    // in the last minute
	Failed      uint32
	Limited     uint32
	RetryAfter  time.Time     // until when the provider asked to wait; zero: it did not
	PassedOver  time.Time     // until when a 429 has it passed over; zero: it is not
	Latency     time.Duration // to the beginning of an answer, peak EWMA; 0: unknown
	Running     int64
	LastFailure string // class
	FailedAt    time.Time
}

// Stand looks at a deployment.
func (d *Deployment) Stand(now time.Time) Stand {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.window.at(now.Unix())
	s := Stand{Key: d.Key, State: State(d.state.Load()), Opened: d.opened, Answered: d.window.sum.ok, Failed: d.window.sum.failed, Limited: d.window.sum.limited,
		Latency: time.Duration(math.Float64frombits(d.latency.Load())), Running: d.running.Load(), LastFailure: d.class}
	if s.State == Open {
		s.OpenUntil = time.Unix(0, d.until.Load()).UTC()
		if !s.OpenUntil.After(now) {
			s.State = HalfOpen // the next request is a probe
			s.OpenUntil = time.Time{}
		}
	}
	if at := time.Unix(0, d.said).UTC(); d.said != 0 && at.After(now) {
		s.RetryAfter = at
	}
	if at := time.Unix(0, d.limited.Load()).UTC(); at.After(now) {
		s.PassedOver = at
	}
	if d.failed != 0 {
		s.FailedAt = time.Unix(0, d.failed).UTC()
	}
	return s
}
