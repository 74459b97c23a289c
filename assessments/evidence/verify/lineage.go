package verify

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"plumbline/assessments/evidence/record"
)

// forkOf proves the first record of a log's generation when it is one of a fork: why
// this generation began, and what of the one before it was kept.
func forkOf(ctx context.Context, src Source, log string, cp record.Checkpoint) (*Proven, error) {
	if cp.Size == 0 {
		return nil, nil
	}
	leaves, err := src.Feed(ctx, log, 0, 1)
	if err != nil || len(leaves) == 0 {
		return nil, errors.Join(errors.New("leaf 0 could not be read"), err)
	}
	r, err := record.Decode(leaves[0].Bytes)
	if errors.Is(err, record.ErrErased) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("leaf 0: %w", err)
	}
	if _, ok := r.Body.(*record.Forked); !ok {
		return nil, nil
	}
	p, err := prove(ctx, src, log, leaves[0], cp.Size)
	return &p, err
}

// generationOf takes an origin apart: the log without its generation, and that.
func generationOf(origin string) (log string, generation uint64, ok bool) {
	at := strings.LastIndexByte(origin, '/')
	if at < 0 {
		return "", 0, false
	}
	generation, err := strconv.ParseUint(origin[at+1:], 10, 62)
	if err != nil || generation == 0 || strconv.FormatUint(generation, 10) != origin[at+1:] {
		return "", 0, false
	}
	return origin[:at], generation, true
}

// earlierGeneration says whether a is an earlier generation of the log that b is one of.
func earlierGeneration(a, b string) bool {
	la, ga, ok := generationOf(a)
	lb, gb, ok2 := generationOf(b)
	return ok && ok2 && la == lb && ga < gb
}

// givenOrigin is the log of the checkpoint given, or "" when there is none.
func (o *Options) givenOrigin() string {
	origin, _, err := CheckpointHead(o.Checkpoint)
	if err != nil {
		return ""
	}
	return origin
}

// lineage says how a log's generation began, as its first record has it, and sets heads
// of earlier generations that were given or seen before against it: what such a head
// has beyond what was kept is lost, and a loss that the record does not own up to fails.
// cp is a head of the generation whose signature was checked. It reports whether the
// rest may be checked.
func (r *Result) lineage(fork *Proven, cp checkpoint, o Options) bool {
	store, err := readStore(o.Store)
	if err != nil {
		r.fail(Failed, "%v", err)
		return false
	}
	for _, later := range slices.Sorted(maps.Keys(store)) {
		if earlierGeneration(cp.origin, later) {
			r.note("the log was forked since: %s was seen before. What %s has beyond the leaves that its fork kept is no part of the log", later, cp.origin)
		}
	}
	_, generation, ok := generationOf(cp.origin)
	if !ok || generation == 1 {
		if fork != nil {
			r.fail(Failed, "the file carries the record of a fork, and its log %s is none that was forked", cp.origin)
		}
		return fork == nil
	}
	if fork == nil {
		return r.unexplained(cp.origin, store, o)
	}
	rec, f, err := readFork(fork, cp)
	if err != nil {
		r.fail(Failed, "%v", err)
		return false
	}
	reason := "Its reason is on record as a hash alone"
	if f.Why != "" {
		reason = "Reason: " + strconv.Quote(f.Why)
	}
	r.note("the log was forked: %s began on %s, because %s. %s", cp.origin, time.UnixMicro(rec.At).UTC().Format("2006-01-02 15:04 MST"), f.Lost(), reason)
	return r.given(f, cp, store, o) && r.remembered(f, store)
}

// readFork checks the record of a fork: the first of its generation, naming the one
// before it.
func readFork(fork *Proven, cp checkpoint) (*record.Record, *record.Forked, error) {
	rec, err := fork.in(cp)
	if err != nil {
		return nil, nil, fmt.Errorf("the record of the fork: %w", err)
	}
	f, ok := rec.Body.(*record.Forked)
	if !ok || fork.Leaf != 0 || fork.ID != "" {
		return nil, nil, errors.New("the record of the fork is not the first of its generation")
	}
	log, generation, _ := generationOf(cp.origin)
	if f.OldOrigin != fmt.Sprintf("%s/%d", log, generation-1) {
		return nil, nil, fmt.Errorf("the record of the fork names %s, which is not the generation before %s", f.OldOrigin, cp.origin)
	}
	if f.Why != "" && sha256.Sum256([]byte(f.Why)) != f.Reason {
		return nil, nil, errors.New("the record of the fork names another reason than it hashes")
	}
	return rec, f, nil
}

// unexplained is a generation of which the file does not say how it began. Who knows an
// earlier one must not take it for the whole log.
func (r *Result) unexplained(origin string, store map[string]known, o Options) bool {
	if given := o.givenOrigin(); earlierGeneration(given, origin) {
		r.fail(Failed, "the checkpoint given is of %s, and the file is of %s without the record that says why that began; ask the issuer for a file that has it", given, origin)
		return false
	}
	for _, earlier := range slices.Sorted(maps.Keys(store)) {
		if heads := store[earlier].Heads; earlierGeneration(earlier, origin) && len(heads) > 0 {
			r.fail(Failed, "%s was seen before, with %d leaves, and the file is of %s without the record that says why that began; ask the issuer for a file that has it", earlier, heads[len(heads)-1].Size, origin)
			return false
		}
	}
	r.note("the log was forked: this is %s, and the file does not carry the record that says why and what was kept", origin)
	return true
}

// given sets the checkpoint given, when it is of an earlier generation, against the
// record of the fork. The log has to go on from it without a loss.
func (r *Result) given(f *record.Forked, cp checkpoint, store map[string]known, o Options) bool {
	origin := o.givenOrigin()
	if !earlierGeneration(origin, cp.origin) {
		return true
	}
	if origin != f.OldOrigin {
		r.fail(Failed, "the checkpoint given is of %s, and the file says how %s came from %s alone; ask for an export of the generations between, with --generation", origin, cp.origin, f.OldOrigin)
		return false
	}
	e, err := unsigned(o.Checkpoint)
	if k := store[origin]; err == nil && k.Key != "" {
		e, err = openCheckpoint(o.Checkpoint, k.Key, nil)
	} else if err == nil {
		r.note("the signature of the checkpoint given is not checked: no key of %s is known here", origin)
	}
	if err != nil {
		r.fail(Failed, "the earlier checkpoint: %v", err)
		return false
	}
	lost, err := beyond(f, e)
	switch {
	case err != nil:
		r.fail(Failed, "%v", err)
	case f.Rewritten() && e.size >= f.Size:
		r.fail(Failed, "the log does not go on from the checkpoint given, of %d leaves, and the record of the fork says so: %s", e.size, f.Lost())
	case lost > 0:
		r.fail(Failed, "the log does not go on from the checkpoint given: of its %d leaves the last %d are lost, which the record of the fork says", e.size, lost)
	case e.size == 0 || e.size == f.Found && f.Kept == e.root:
		r.ok("all of the %d leaves that the checkpoint given signs were kept", e.size)
		return true
	default:
		r.fail(Failed, "nothing in the file shows that the %d leaves that were kept go on from the %d of the checkpoint given; ask the issuer for an export made with --generation and --checkpoint", f.Found, e.size)
	}
	return false
}

// remembered does the same with the heads that were seen before. A loss that the record
// of the fork names is said; one that it does not name fails.
func (r *Result) remembered(f *record.Forked, store map[string]known) bool {
	var newest, lost uint64
	for _, h := range store[f.OldOrigin].Heads {
		root, err := tlog.ParseHash(h.Root)
		if err != nil {
			r.fail(Failed, "the file of known logs cannot be read")
			return false
		}
		n, err := beyond(f, checkpoint{origin: f.OldOrigin, size: h.Size, root: root})
		if err != nil {
			r.fail(Failed, "%v", err)
			return false
		}
		newest, lost = h.Size, n
	}
	switch {
	case newest == 0:
	case f.Rewritten() && newest >= f.Size:
		r.note("the log does not go on from the %d leaves of %s that were seen before, and the record of the fork says so", newest, f.OldOrigin)
	case lost > 0:
		r.note("of the %d leaves of %s that were seen before the last %d are lost, which the record of the fork says", newest, f.OldOrigin, lost)
	case newest == f.Found:
		r.ok("all of the %d leaves of %s that were seen before were kept", newest, f.OldOrigin)
	default:
		r.note("not set against the newest head of %s seen before, of %d leaves: verify an export of that generation", f.OldOrigin, newest)
	}
	return true
}

// beyond says how many leaves of a head of the old generation are lost by what the
// record of the fork says. An error is a contradiction, or a loss that it keeps quiet
// about.
func beyond(f *record.Forked, e checkpoint) (lost uint64, err error) {
	none := [32]byte{}
	switch {
	case e.size == 0:
		return 0, nil
	case e.size == f.Found && f.Kept != none && f.Kept != e.root:
		return 0, fmt.Errorf("%s has two different trees of %d leaves, one of them seen, the other kept by the fork: the log was rewritten. The record of the fork says that %s", f.OldOrigin, e.size, f.Lost())
	case e.size == f.Size && f.Root != e.root:
		return 0, fmt.Errorf("%s has two different trees of %d leaves, one of them seen, the other named by the fork: the log was rewritten", f.OldOrigin, e.size)
	case e.size > max(f.Found, f.Size):
		return 0, fmt.Errorf("a head of %d leaves of %s was signed, and the fork knows of %d: leaves [%d, %d) are lost, and the record of the fork does not say so", e.size, f.OldOrigin, max(f.Found, f.Size), f.Found, e.size)
	case e.size > f.Found:
		return e.size - f.Found, nil
	}
	return 0, nil
}

// unsigned reads a checkpoint whose signature nobody here can check.
func unsigned(text string) (cp checkpoint, err error) {
	body, _, ok := strings.Cut(text, "\n\n")
	lines := strings.Split(body, "\n")
	if !ok || len(lines) != 3 {
		return cp, errors.New("this is not a checkpoint")
	}
	if cp.size, err = strconv.ParseUint(lines[1], 10, 62); err != nil {
		return cp, errors.New("the checkpoint's size is malformed")
	}
	if cp.root, err = tlog.ParseHash(lines[2]); err != nil {
		return cp, errors.New("the checkpoint's root is malformed")
	}
	cp.origin, cp.text = lines[0], text
	return cp, nil
}
