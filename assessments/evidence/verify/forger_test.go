package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"plumbline/app/ident"
	"plumbline/assessments/evidence/record"
	"plumbline/gateway/event"
)

// forger is a log in memory whose owner does as he likes: he appends, rewrites and
// signs with any key he has.
type forger struct {
	origin  string
	leaves  [][]byte
	signers []note.Signer
	seen    map[uint64]record.Checkpoint // by size, as CheckpointAfter gives them
}

// key makes a key pair that depends on nothing but its seed.
func key(t testing.TB, origin, seed string) (note.Signer, string) {
	t.Helper()
	sum := sha256.Sum256([]byte(seed))
	private, public, err := note.GenerateKey(bytes.NewReader(bytes.Repeat(sum[:], 4)), origin)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	return s, public
}

func newForger(origin string, signers ...note.Signer) *forger {
	return &forger{origin: origin, signers: signers, seen: map[uint64]record.Checkpoint{}}
}

func (f *forger) clone() *forger {
	c := *f
	c.leaves = append([][]byte{}, f.leaves...)
	c.seen = map[uint64]record.Checkpoint{}
	for k, v := range f.seen {
		c.seen[k] = v
	}
	return &c
}

// add appends a record and returns its leaf.
func (f *forger) add(t testing.TB, kind record.Kind, body any) uint64 {
	t.Helper()
	n := uint64(len(f.leaves))
	env := record.Envelope{Kind: kind, Version: record.VersionOf(kind), ID: idOf(f.origin, n), At: 1_790_000_000_000_000 + int64(n)*1000, Writer: "w-1", Number: n + 1, Actor: "gateway"}
	var b []byte
	if e, ok := body.(*event.Event); ok {
		e.Exchange = idOf("exchange", n/2)
		b = record.AppendEvent(nil, &env, e)
	} else {
		var err error
		if b, err = record.Append(nil, &record.Record{Envelope: env, Body: body}); err != nil {
			t.Fatal(err)
		}
	}
	f.leaves = append(f.leaves, b)
	return n
}

func idOf(what string, n uint64) ident.ID {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", what, n))
	return ident.ID(sum[:16])
}

// exchanges appends n records of exchanges.
func (f *forger) exchanges(t testing.TB, n int) {
	for i := range n {
		if i%2 == 0 {
			f.add(t, record.ExchangeIntent, &event.Event{System: "SYS-001", Key: "k1", ModelAsked: "gpt-4o-mini", Holds: []event.Hold{{Budget: "b", Amount: 700}}})
		} else {
			f.add(t, record.ExchangeOutcome, &event.Event{System: "SYS-001", Key: "k1", Status: 200, Charge: 500, Held: 700})
		}
	}
}

func (f *forger) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, index := range indexes {
		level, n := tlog.SplitStoredHashIndex(index)
		out = append(out, f.subtree(uint64(n)<<level, uint64(n+1)<<level))
	}
	return out, nil
}

func (f *forger) subtree(lo, hi uint64) tlog.Hash {
	if hi-lo == 1 {
		return record.LeafHash(f.leaves[lo])
	}
	mid := lo + split(hi-lo)
	return tlog.NodeHash(f.subtree(lo, mid), f.subtree(mid, hi))
}

// sign makes a checkpoint of the first size leaves.
func (f *forger) sign(t testing.TB, size uint64) record.Checkpoint {
	t.Helper()
	cp := record.Checkpoint{Origin: f.origin, Size: size, Root: f.subtree(0, size)}
	var err error
	if cp.Note, err = note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", f.origin, size, tlog.Hash(cp.Root))}, f.signers...); err != nil {
		t.Fatal(err)
	}
	f.seen[size] = cp
	return cp
}

func (f *forger) Checkpoint(context.Context, string) (record.Checkpoint, error) {
	return f.seen[uint64(len(f.leaves))], nil
}

func (f *forger) CheckpointAfter(_ context.Context, _ string, leaf uint64) (record.Checkpoint, error) {
	var best record.Checkpoint
	for size, cp := range f.seen {
		if size > leaf && (best.Size == 0 || size < best.Size) {
			best = cp
		}
	}
	return best, nil
}

func (f *forger) Feed(_ context.Context, _ string, from uint64, limit int) ([]record.Leaf, error) {
	var out []record.Leaf
	for i := from; i < uint64(len(f.leaves)) && len(out) < limit; i++ {
		out = append(out, record.Leaf{Index: i, Bytes: f.leaves[i]})
	}
	return out, nil
}

func (f *forger) InclusionProof(_ context.Context, _ string, leaf, size uint64) ([][32]byte, error) {
	p, err := tlog.ProveRecord(int64(size), int64(leaf), f)
	return raw(p), err
}

func (f *forger) ConsistencyProof(_ context.Context, _ string, old, size uint64) ([][32]byte, error) {
	if old == 0 || old == size {
		return nil, nil
	}
	p, err := tlog.ProveTree(int64(size), int64(old), f)
	return raw(p), err
}

func (f *forger) RangeProof(_ context.Context, _ string, from, to, size uint64) ([][32]byte, error) {
	var out [][32]byte
	var walk func(lo, hi uint64)
	walk = func(lo, hi uint64) {
		if (hi <= from || lo >= to) && (hi-lo)&(hi-lo-1) == 0 {
			out = append(out, f.subtree(lo, hi))
		} else if hi-lo > 1 {
			mid := lo + split(hi-lo)
			walk(lo, mid)
			walk(mid, hi)
		}
	}
	walk(0, size)
	return out, nil
}

func raw(in []tlog.Hash) [][32]byte {
	out := make([][32]byte, len(in))
	for i, h := range in {
		out[i] = h
	}
	return out
}

// rotated appends the record that names a new key and signs it with old and new.
func (f *forger) rotated(t testing.TB, oldKey, newKey string, with note.Signer) uint64 {
	t.Helper()
	leaf := f.add(t, record.LedgerRotated, &record.Rotated{Verifier: newKey, Old: oldKey, Until: 1_800_000_000_000_000})
	f.signers = append(f.signers, with)
	f.sign(t, uint64(len(f.leaves)))
	return leaf
}
