package evidence

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/tlog"

	"plumbline/app/fault"
	"plumbline/assessments/evidence/record"
)

// Forked is one log that got a new generation.
type Forked struct {
	Log         string `json:"log"`
	OldOrigin   string `json:"old_origin"`
	NewOrigin   string `json:"new_origin"`
	MissingFrom uint64 `json:"missing_from"` // first leaf that is gone
	MissingTo   uint64 `json:"missing_to"`   // one past the last that was signed, as far as is known
	Rewritten   bool   `json:"rewritten,omitempty"`
	Lost        string `json:"lost"` // the same in words
}

// Predecessor is what the first record of a generation says of the one before it.
type Predecessor struct {
	Origin    string    `json:"origin"`
	Kept      uint64    `json:"kept"`  // its leaves that were there
	Known     uint64    `json:"known"` // leaves of its newest checkpoint that was known
	Rewritten bool      `json:"rewritten,omitempty"`
	Lost      string    `json:"lost"` // the same in words
	At        time.Time `json:"at"`   // of the fork
	Reason    string    `json:"reason,omitempty"`
}

func predecessor(r *record.Record, f *record.Forked) *Predecessor {
	return &Predecessor{f.OldOrigin, f.Found, f.Size, f.Rewritten(), f.Lost(), time.UnixMicro(r.At).UTC(), f.Why}
}

// maxReason is the longest reason of a fork, in bytes.
const maxReason = 1000

// ForkOptions are what is declared with a fork.
type ForkOptions struct {
	Actor  string
	Reason string // one line; on record for ever, in the open
	// Restored declares that the ledger is an older copy, though nothing that is kept
	// beside it says so: every log gets a new generation.
	Restored bool
	// Seen are checkpoints that others hold. One that the ledger does not contain
	// declares Restored, and is named as the newest that was known.
	Seen [][]byte
}

// Fork opens a new generation of every log that ends before its newest known
// checkpoint, and of every log at all when a restored copy is declared. The first
// record of the new one names the old head, the root of what is still there, the range
// that is missing and the reason; what is still there has a checkpoint under the old
// key. The old generation takes no record any more: what was open in it is closed in the
// new one, charged at its hold, batches too. The ledger must not be open elsewhere; a log
// that lacks nothing is left alone, and so is a copy that Backup made until it is declared
// to be restored, which takes its mark away. Broken off, it is called again: a log in which no
// writer has started since its fork is not forked twice.
func Fork(ctx context.Context, c Config, o ForkOptions) (out []Forked, err error) {
	switch {
	case strings.TrimSpace(o.Reason) == "":
		return nil, fault.New(fault.Invalid, "reason", "a fork needs a reason: it is on record for ever")
	case len(o.Reason) > maxReason || !utf8.ValidString(o.Reason) || strings.ContainsFunc(o.Reason, unicode.IsControl):
		return nil, fault.New(fault.Invalid, "reason", "the reason of a fork is one line of at most %d bytes", maxReason)
	}
	l, err := prepare(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.release()) }()
	if err := l.load(ctx); err != nil {
		return nil, err
	}
	due, err := l.due(ctx, o)
	if err != nil {
		return nil, err
	}
	for _, log := range slices.Sorted(maps.Keys(due)) {
		f, err := l.fork(ctx, due[log], o)
		if err != nil {
			return out, err
		}
		out = append(out, f)
	}
	return out, l.declared()
}

// head is the newest checkpoint known of a log that is forked.
type head struct {
	log, origin string
	size        uint64
	root        tlog.Hash
	raw         []byte    // nil: nothing of it was ever signed
	there       *logState // what the ledger has of that generation, or nil
}

// due are the logs to fork.
func (l *Ledger) due(ctx context.Context, o ForkOptions) (map[string]head, error) {
	due := map[string]head{}
	restored := o.Restored
	for _, raw := range o.Seen {
		h, lacks, err := l.seen(raw)
		if err != nil {
			return nil, err
		}
		if lacks {
			restored = true
			due[h.log] = newest(due, h)
		}
	}
	if len(o.Seen) > 0 && !restored {
		return nil, fault.New(fault.Invalid, "seen", "the ledger contains what is given with --seen: nothing that it shows is missing. When the ledger is a restored copy all the same, say so with --restored")
	}
	if !restored {
		if err := l.checkCopied(); err != nil {
			return nil, err
		}
	}
	for _, name := range l.Logs() {
		s := l.logs[name]
		var behind *Behind
		var rewritten *Rewritten
		err := l.checkCopy(s)
		if err != nil && !errors.As(err, &behind) && !(restored && errors.As(err, &rewritten)) {
			return nil, err
		}
		if err != nil {
			h, err := l.copied(name)
			if err != nil {
				return nil, err
			}
			due[name] = newest(due, h)
		}
		if _, ok := due[name]; ok || !restored {
			continue
		}
		// Of a restored copy of which nothing newer is known.
		if fresh, err := l.justForked(ctx, s); err != nil {
			return nil, err
		} else if fresh {
			continue
		}
		due[name] = head{log: name, origin: s.origin, there: s}
	}
	lost, err := l.lost()
	for _, b := range lost {
		h, err := l.copied(b.Log)
		if err != nil {
			return nil, err
		}
		due[b.Log] = newest(due, h)
	}
	return due, err
}

// justForked says whether no writer has started in a generation since the fork that it
// began with.
func (l *Ledger) justForked(ctx context.Context, s *logState) (bool, error) {
	if p, err := l.predecessorOf(ctx, s); p == nil || err != nil {
		return false, err
	}
	for from := uint64(0); from < s.tree.size; {
		leaves, err := l.store.leaves(ctx, s, from, 256)
		if err != nil {
			return false, err
		}
		for _, leaf := range leaves {
			from = leaf.Index + 1
			if r, err := record.Decode(leaf.Bytes); err == nil && r.Kind == record.LedgerStarted {
				return false, nil
			}
		}
	}
	return true, nil
}

// newest is the newer of a head and of the one that is known already.
func newest(known map[string]head, h head) head {
	k, ok := known[h.log]
	_, a, _ := partsOf(h.origin)
	if _, b, err := partsOf(k.origin); ok && err == nil && (b > a || b == a && k.size >= h.size) {
		return k
	}
	return h
}

// copied is the head that is kept outside the database.
func (l *Ledger) copied(log string) (head, error) {
	raw, err := os.ReadFile(l.copyPath(log))
	if err != nil {
		return head{}, fmt.Errorf("read checkpoint copy: %w", err)
	}
	h, err := l.headOf(raw)
	if err != nil {
		return h, fmt.Errorf("%s: %w", l.copyPath(log), err)
	}
	h.log = log
	return h, nil
}

func (l *Ledger) headOf(raw []byte) (h head, err error) {
	h.raw = raw
	if h.origin, h.size, h.root, err = parseCheckpoint(raw); err != nil {
		return h, err
	}
	if _, _, err := partsOf(h.origin); err != nil {
		return h, err
	}
	if h.log = strings.Split(h.origin, "/")[1]; h.log == "_instance" {
		h.log = Instance
	}
	if s := l.logs[h.log]; s != nil && s.origin == h.origin {
		h.there = s
	}
	return h, nil
}

// seen reads a checkpoint that somebody else holds, and says whether the ledger lacks
// what it signs. Where the ledger has the generation's keys, one of them must have
// signed it.
func (l *Ledger) seen(raw []byte) (h head, lacks bool, err error) {
	invalid := func(format string, args ...any) (head, bool, error) {
		return h, false, fault.New(fault.Invalid, "seen", "--seen: "+format, args...)
	}
	if h, err = l.headOf(raw); err != nil {
		return invalid("%v", err)
	}
	instance, generation, _ := partsOf(h.origin)
	if len(l.logs) > 0 && instance != l.c.Instance {
		return invalid("the checkpoint is of %s, and this ledger is of the instance %s", h.origin, l.c.Instance)
	}
	s := l.logs[h.log]
	switch {
	case s == nil || generation > s.generation:
		return h, true, nil // nothing of it is here, no key either
	case generation < s.generation:
		return invalid("the checkpoint is of %s, and the log has forked since: it is %s now. `plumbline ledger key` lists what each fork names", h.origin, s.origin)
	}
	if err := s.signed(raw); err != nil {
		return invalid("no key that this ledger has of %s signed the checkpoint. After a rotation a checkpoint carries both signatures for 30 days: give one of that time", h.origin)
	}
	if h.size > s.tree.size {
		return h, true, nil
	}
	if h.size == 0 {
		return h, false, nil
	}
	ours, err := tlog.TreeHash(int64(h.size), s.tree)
	return h, ours != h.root, err
}

func (l *Ledger) fork(ctx context.Context, h head, o ForkOptions) (Forked, error) {
	body := &record.Forked{OldOrigin: h.origin, Size: h.size, Root: h.root, Reason: sha256.Sum256([]byte(o.Reason)), Why: o.Reason}
	var open []openIntent
	if s := h.there; s != nil {
		var err error
		if open, _, err = l.openIntents(ctx, s); err != nil {
			return Forked{}, err
		}
		kept, err := l.signKept(ctx, s)
		if err != nil {
			return Forked{}, err
		}
		if body.Found, body.Kept = kept.Size, kept.Root; h.raw == nil {
			body.Size, body.Root, h.raw = kept.Size, kept.Root, kept.Note
		}
	}
	instance, generation, err := partsOf(h.origin)
	if err != nil {
		return Forked{}, err
	}
	l.c.Instance = instance
	s, sealed, err := l.newLog(h.log, generation+1)
	if err != nil {
		return Forked{}, err
	}
	// The copy of the old head is kept beside the new one. It goes first: a crash
	// after it leaves a fork still to be made.
	if h.raw != nil {
		if err := writeFile(fmt.Sprintf("%s.generation-%d", l.copyPath(h.log), generation), h.raw); err != nil {
			return Forked{}, fmt.Errorf("keep old checkpoint: %w", err)
		}
	}
	l.mu.Lock()
	l.logs = map[string]*logState{h.log: s}
	l.putBody(s, record.LedgerForked, o.Actor, body)
	made := l.pending != nil
	l.mu.Unlock()
	if !made {
		return Forked{}, errors.New("the record of the fork could not be made")
	}
	for _, x := range open {
		if _, err := l.Submit(closing(x.intent, h.log, l.c.Now())); err != nil {
			return Forked{}, fmt.Errorf("close exchange %s: %w", x.intent.Exchange, err)
		}
	}
	l.mu.Lock()
	batch := l.pending
	l.pending = nil
	l.mu.Unlock()
	// The generation, the record that explains it and the ends of what was open become
	// durable together.
	first := batch.groups()[0]
	if made, err := l.store.createLog(ctx, s, sealed, &first); err != nil || !made {
		return Forked{}, errors.Join(fmt.Errorf("create log %s", s.origin), err)
	}
	l.grow(batch)
	if _, err := l.sign(ctx, s, false); err != nil {
		return Forked{}, err
	}
	return Forked{h.log, h.origin, s.origin, body.Found, max(body.Found, body.Size), body.Rewritten(), body.Lost()}, nil
}

// signKept signs what is there of an old generation and was not signed yet: leaves of
// its last second, which were durable and so are of the log that was signed further
// elsewhere. The copy outside stays as it is: it may be the newer head. What was open
// at the newest checkpoint is still named, should the newer database be brought back.
func (l *Ledger) signKept(ctx context.Context, s *logState) (record.Checkpoint, error) {
	if head := s.head.Load(); head.Size == s.tree.size {
		return *head, nil
	}
	return l.signStored(ctx, s, func(uint64) openAt { return s.openedAt })
}
