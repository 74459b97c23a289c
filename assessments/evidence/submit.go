package evidence

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"plumbline/app/ident"
	"plumbline/assessments/evidence/record"
	"plumbline/gateway/event"
)

// batch is what the next transaction writes: records of any number of logs
// under one promise.
type batch struct {
	promise  *event.Commit
	resolved bool  // guarded by Ledger.mu; the promise may break before the batch is written
	born     int64 // microseconds
	logs     []*logBatch
	hours    []hourMark
}

// hourMark notes in which leaf a log's hour began.
type hourMark struct {
	log    *logState
	hour   int64
	number uint64
}

// logBatch is one log's part, or one of several that follow each other, none larger
// than a group: records prefixed by their length.
type logBatch struct {
	log   *logState
	first uint64 // number of the first
	data  []byte
	ends  []int // where each record ends in data
	ids   []*pendingID
	begun []begun    // exchanges whose intent, or a further attempt, is among the records
	ended []ident.ID // exchanges whose end is
}

// pendingID is a record that must be written once by its id.
type pendingID struct {
	id     ident.ID
	number uint64
	batch  *batch
}

type appendKey struct {
	log string
	id  ident.ID
}

var resolved = func() *event.Commit { c := event.NewCommit(); c.Resolve(nil); return c }()

// Submit encodes an exchange's event and queues it; the promise resolves when
// it is durable, or with event.ErrUnavailable when that took too long. While the
// ledger cannot write, an Intent, an Attempt or a Refused is turned away at once with
// event.ErrUnavailable, and a Refused, which is the last word on its exchange, is
// counted; an end is always taken and kept until it is written. Refusals beyond what a window records are counted, see refusals.go.
func (l *Ledger) Submit(e *event.Event) (*event.Commit, error) { return l.submit(e, "gateway") }

// Adjust is Submit for a correction that an actor makes later: an Adjusted.
func (l *Ledger) Adjust(e *event.Event, actor string) (*event.Commit, error) {
	if e.Kind != event.Adjusted {
		return nil, fmt.Errorf("adjust: an event of kind %d is no correction", e.Kind)
	}
	return l.submit(e, actor)
}

func (l *Ledger) submit(e *event.Event, actor string) (*event.Commit, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, event.ErrUnavailable
	}
	opens := e.Kind == event.Intent || e.Kind == event.Refused || e.Kind == event.Attempt
	if opens && l.down.Load() {
		if e.Kind == event.Refused {
			l.outage.turnAway(e.Log, e.System)
		}
		return nil, event.ErrUnavailable
	}
	if e.Kind == event.Refused && l.counted(e) {
		return resolved, nil
	}
	s, err := l.logLocked(e.Log)
	if err != nil {
		return nil, err
	}
	env := record.Envelope{Kind: record.KindOf(e.Kind), Version: 1, At: e.At, Writer: l.writer, Actor: actor}
	switch e.Kind {
	case event.Intent, event.Refused, event.Cached:
		env.ID = e.Exchange
	default:
		env.AnswersTo = e.Exchange
		if err := l.lastID.Set(time.UnixMicro(e.At), l.random); err != nil { // the clock was just read for the event
			return nil, fmt.Errorf("submit: %w", err)
		}
		env.ID = l.lastID
	}
	lb := l.batchFor(s)
	s.number++
	env.Number = s.number
	start := len(lb.data)
	lb.data = append(lb.data, 0, 0)
	lb.data = record.AppendEvent(lb.data, &env, e)
	if !lb.seal(start) {
		s.number--
		return nil, record.ErrTooLarge
	}
	switch e.Kind {
	case event.Intent:
		lb.begun = append(lb.begun, begun{id: e.Exchange, leaf: s.base + s.number - 1, lasts: event.Lasts(e)})
	case event.Attempt:
		lb.begun = append(lb.begun, begun{id: e.Exchange, leaf: s.base + s.number - 1, again: true})
	case event.Outcome, event.Incomplete:
		// It stays open until this is durable: a checkpoint signed before that
		// must not say that nothing is open, or a crash leaves it so for ever.
		lb.ended = append(lb.ended, e.Exchange)
	}
	l.appended.Add(1)
	return l.pending.promise, nil
}

// seal writes the length of the record that begins at start, or takes it out
// again when it is too large.
func (lb *logBatch) seal(start int) bool {
	n := len(lb.data) - start - 2
	if n > record.MaxSize {
		lb.data = lb.data[:start]
		return false
	}
	binary.BigEndian.PutUint16(lb.data[start:], uint16(n))
	lb.ends = append(lb.ends, len(lb.data))
	return true
}

// Append writes any other record and returns its leaf once it is durable. It is
// idempotent by r.ID: a record that is there already is not written again. The
// caller sets Kind, ID, Actor, AnswersTo and Body; the rest is filled in.
func (l *Ledger) Append(ctx context.Context, log string, r *record.Record) (uint64, error) {
	if r.ID.IsZero() {
		return 0, errors.New("append: a record needs an id")
	}
	s, err := l.log(log)
	if err != nil {
		return 0, err
	}
	var p *pendingID
	var promise *event.Commit
	for promise == nil {
		l.mu.Lock()
		seen := l.idsDone
		l.mu.Unlock()
		if leaf, found, err := l.store.leafOf(ctx, log, r.ID); err != nil {
			return 0, fmt.Errorf("append: %w: %w", event.ErrUnavailable, err)
		} else if found {
			return leaf, nil
		}
		if p, promise, err = l.enqueue(s, r, seen); err != nil {
			return 0, err
		}
	}
	select {
	case <-promise.Done():
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if err := promise.Err(); err != nil {
		return 0, err
	}
	return s.base + p.number - 1, nil
}

// enqueue queues a record unless it is queued already. It gives no promise when
// records with ids became durable since seen: this one may be among them.
func (l *Ledger) enqueue(s *logState, r *record.Record, seen uint64) (*pendingID, *event.Commit, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := appendKey{s.name, r.ID}
	if p, ok := l.inflyID[k]; ok {
		if p.batch.resolved {
			return nil, nil, event.ErrUnavailable // queued, and the queue is stuck
		}
		return p, p.batch.promise, nil
	}
	if l.closed || l.down.Load() {
		return nil, nil, event.ErrUnavailable
	}
	if l.idsDone != seen {
		return nil, nil, nil
	}
	p := &pendingID{id: r.ID}
	if err := l.put(s, r, p); err != nil {
		return nil, nil, err
	}
	l.inflyID[k] = p
	return p, l.pending.promise, nil
}

// putBody queues one of the ledger's own records.
func (l *Ledger) putBody(s *logState, kind record.Kind, actor string, body any) {
	id, err := l.newID()
	if err == nil {
		err = l.put(s, &record.Record{Envelope: record.Envelope{Kind: kind, ID: id, Actor: actor}, Body: body}, nil)
	}
	if err != nil {
		l.c.Log.Error("ledger record not written", "kind", kind.String(), "error", err)
	}
}

// put queues a record under l.mu.
func (l *Ledger) put(s *logState, r *record.Record, p *pendingID) error {
	env := r.Envelope
	env.Version, env.Writer, env.Number = record.VersionOf(r.Kind), l.writer, s.number+1
	if env.At == 0 {
		env.At = l.c.Now().UnixMicro()
	}
	lb := l.batchFor(s)
	start := len(lb.data)
	data, err := record.Append(append(lb.data, 0, 0), &record.Record{Envelope: env, Body: r.Body})
	if err != nil {
		l.dropEmpty()
		return err
	}
	lb.data = data
	if !lb.seal(start) {
		return record.ErrTooLarge
	}
	s.number++
	if p != nil {
		p.number, p.batch = s.number, l.pending
		lb.ids = append(lb.ids, p)
	}
	l.appended.Add(1)
	return nil
}

// dropEmpty takes a log's part out of the batch when nothing was written to it.
func (l *Ledger) dropEmpty() {
	if n := len(l.pending.logs); n > 0 && len(l.pending.logs[n-1].ends) == 0 {
		l.pending.logs = l.pending.logs[:n-1]
	}
}

// full: there may be no room in the group for another record.
func (lb *logBatch) full() bool {
	return len(lb.ends) >= groupLeaves || len(lb.data) > groupBytes-record.MaxSize-2
}

// batchFor gives the part of s in the batch that waits, with room for a record.
func (l *Ledger) batchFor(s *logState) *logBatch {
	if l.pending == nil {
		l.pending = &batch{promise: event.NewCommit(), born: l.c.Now().UnixMicro()}
		l.wake() // once a batch: it is taken under the lock that is held here
	}
	for _, lb := range slices.Backward(l.pending.logs) {
		if lb.log == s && !lb.full() {
			return lb
		}
	}
	lb := &logBatch{}
	if n := len(l.spare); n > 0 {
		lb, l.spare = l.spare[n-1], l.spare[:n-1]
	} else if len(l.pending.logs) > 0 && l.pending.logs[len(l.pending.logs)-1].log == s {
		lb.data = make([]byte, 0, groupBytes) // the part before this was filled, so this one will be
	}
	lb.log, lb.first, lb.data, lb.ends, lb.begun, lb.ended, lb.ids = s, s.number+1, lb.data[:0], lb.ends[:0], lb.begun[:0], lb.ended[:0], nil
	l.pending.logs = append(l.pending.logs, lb)
	return lb
}

// newID makes a record's id, under l.mu.
func (l *Ledger) newID() (ident.ID, error) {
	err := l.lastID.Set(l.c.Now(), l.random)
	return l.lastID, err
}

func (l *Ledger) wake() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}
