package evidence

import (
	"context"
	"time"

	"plumbline/assessments/evidence/record"
	"plumbline/gateway/event"
)

// Of the memory of written batches so much is kept for those to come. A sync.Pool
// would lose it at each collection, and filling a batch would then mostly be making
// room.
const spareBatches = 16 // each at most groupBytes and what append adds to that

// group is one row of leaves.
type group struct {
	log    *logState
	number uint64 // of its first record
	first  uint64 // leaf
	leaves int
	data   []byte
}

// A group holds at most this much, so that reading one leaf stays cheap.
const (
	groupLeaves = 1024
	groupBytes  = 512 << 10
)

// write is the writer: the only goroutine that writes to the database.
func (l *Ledger) write() {
	defer l.done.Done()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var signed time.Time
	for {
		stopping := false
		select {
		case <-l.kick:
		case <-tick.C:
			l.marks()
		case <-l.stop:
			stopping = true
		}
		b := l.take()
		crowded := b.records() > crowd
		if b != nil && !l.commit(b) {
			l.breakPromises()
			return
		}
		if err := l.store.keepLock(l.work, stopping); err != nil {
			l.c.Log.Error("the writer's lock is not held", "error", err)
		}
		if now := l.c.Now(); !l.down.Load() && (stopping || now.Sub(signed) >= l.c.Checkpoint || now.Before(signed)) {
			l.signGrown(l.work)
			signed = now
		}
		if stopping {
			return
		}
		switch {
		case l.c.Pause > 0 && crowded:
			time.Sleep(2 * l.c.Pause)
		case l.c.Pause > 0:
			time.Sleep(l.c.Pause)
		}
	}
}

// crowd is how many records in a batch make the next pause twice as long: at such
// a rate a commit less is worth more than the half of a pause that each waits.
const crowd = 12

// records counts a batch's records; b may be nil.
func (b *batch) records() (n int) {
	if b != nil {
		for _, lb := range b.logs {
			n += len(lb.ends)
		}
	}
	return n
}

// take gives the writer what waits. The exchanges that begin in it are open from now
// on, before any of it is durable and could be signed.
func (l *Ledger) take() *batch {
	l.mu.Lock()
	b := l.pending
	l.pending, l.inflight = nil, b
	l.mu.Unlock()
	if b == nil {
		return nil
	}
	l.note(b)
	return b
}

// commitTimeout bounds one attempt, so that a database that does not answer is
// left and reached anew.
const commitTimeout = 10 * time.Second

// commit writes a batch, and tries again until it is written: records have
// their numbers, so none may be left out. It gives up only when Close does.
func (l *Ledger) commit(b *batch) bool {
	for wait := 20 * time.Millisecond; ; wait = min(wait*2, time.Second) {
		ctx, cancel := context.WithTimeout(l.work, commitTimeout)
		err := l.store.commit(ctx, b)
		cancel()
		if err == nil {
			break
		}
		l.c.Log.Error("ledger cannot write", "error", err, "class", classOf(err))
		l.mu.Lock()
		l.outage.cause = classOf(err)
		l.mu.Unlock()
		select {
		case <-l.work.Done():
			return false
		case <-time.After(wait):
		}
	}
	l.grow(b)
	l.shut(b)
	l.mu.Lock()
	l.inflight = nil
	if !b.resolved {
		b.resolved = true
		b.promise.Resolve(nil)
	}
	for _, lb := range b.logs {
		if len(lb.ids) > 0 {
			l.idsDone++
		}
		for _, p := range lb.ids {
			delete(l.inflyID, appendKey{lb.log.name, p.id})
		}
	}
	if l.down.Load() {
		l.recovered()
	}
	for _, lb := range b.logs {
		lb.log, lb.ids = nil, nil
		if len(l.spare) < spareBatches {
			l.spare = append(l.spare, lb)
		}
	}
	l.mu.Unlock()
	return true
}

// breakPromises tells who still waits that nothing more is written.
func (l *Ledger) breakPromises() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range []*batch{l.inflight, l.pending} {
		if b != nil && !b.resolved {
			b.resolved = true
			b.promise.Resolve(event.ErrUnavailable)
		}
	}
}

func (b *batch) groups() []group {
	var out []group
	for _, lb := range b.logs {
		if n := len(lb.ends); n > 0 {
			out = append(out, group{lb.log, lb.first, lb.log.base + lb.first - 1, n, lb.data[:lb.ends[n-1]]})
		}
	}
	return out
}

// grow hashes what became durable and tells readers.
func (l *Ledger) grow(b *batch) {
	l.treeMu.Lock()
	defer l.treeMu.Unlock()
	for _, lb := range b.logs {
		from := 0
		for _, end := range lb.ends {
			lb.log.tree.append(record.LeafHash(lb.data[from+2 : end]))
			from = end
		}
		lb.log.size.Store(lb.log.tree.size)
		close(lb.log.grown)
		lb.log.grown = make(chan struct{})
	}
}

// outage is a time in which nothing could be written. It counts the calls that
// were turned away at once and so have no record of their own; those that waited
// have. Guarded by Ledger.mu.
type outage struct {
	from   time.Time
	turned uint64
	cause  string
	logs   map[string]map[string]int64 // log -> system -> calls turned away
}

func (o *outage) turnAway(log, system string) {
	o.turned++
	if o.logs == nil {
		o.logs = map[string]map[string]int64{}
	}
	if o.logs[log] == nil {
		o.logs[log] = map[string]int64{}
	}
	if system == "" {
		system = "unregistered"
	}
	o.logs[log][system]++
}

// watch breaks promises that nobody can keep: a call that has waited for
// Patience is told that the ledger is unavailable, and from then on calls are
// turned away at once until a batch was written.
func (l *Ledger) watch() {
	defer l.done.Done()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-tick.C:
		}
		l.mu.Lock()
		now := l.c.Now()
		for _, b := range []*batch{l.inflight, l.pending} {
			if b == nil || b.resolved || (now.UnixMicro()-b.born < l.c.Patience.Microseconds() && !l.down.Load()) {
				continue
			}
			if !l.down.Swap(true) {
				l.outage.from = time.UnixMicro(b.born).UTC()
			}
			b.resolved = true
			b.promise.Resolve(event.ErrUnavailable)
		}
		l.mu.Unlock()
	}
}

// recovered ends an outage and leaves it on record in every log. What was queued
// meanwhile goes under a promise of its own: who held the old one was turned away,
// and who comes from now on has not waited yet.
func (l *Ledger) recovered() {
	o := l.outage
	l.outage = outage{}
	l.down.Store(false)
	to := l.c.Now().UnixMicro()
	if b := l.pending; b != nil && b.resolved {
		b.promise, b.resolved, b.born = event.NewCommit(), false, to
	}
	for name, s := range l.logs {
		var turned uint64
		for _, n := range o.logs[name] {
			turned += uint64(n)
		}
		if name == Instance {
			turned = o.turned
		}
		l.putBody(s, record.LedgerOutage, "ledger", &record.Outage{From: o.from.UnixMicro(), To: to, Turned: turned, System: o.logs[name], Cause: o.cause})
	}
	l.c.Log.Warn("ledger writes again", "down_since", o.from, "turned_away", o.turned)
}

// marks appends what time demands: hour marks and ended refusal windows.
func (l *Ledger) marks() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.down.Load() {
		return
	}
	hour := l.c.Now().Unix() / 3600
	for _, s := range l.logs {
		if hour > s.hour {
			l.putBody(s, record.LedgerHour, "ledger", &record.Hour{Hour: hour, Number: s.number})
			s.hour = hour
			l.pending.hours = append(l.pending.hours, hourMark{s, hour, s.number})
		}
	}
	l.flushRefusals(false)
}
