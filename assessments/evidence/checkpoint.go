package evidence

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"plumbline/assessments/evidence/record"
)

// signGrown signs every log that grew since its newest checkpoint.
func (l *Ledger) signGrown(ctx context.Context) {
	for _, name := range l.Logs() {
		s, err := l.log(name)
		if err != nil || s.size.Load() == s.head.Load().Size {
			continue
		}
		if _, err := l.sign(ctx, s, false); err != nil {
			l.c.Log.Error("checkpoint not signed", "log", s.origin, "error", err)
		}
	}
}

// sign makes a checkpoint of all durable leaves. It is stored with the tiles
// beneath it before anybody sees it, then copied out of the database, so that a
// restored older file is noticed. What is signed already is signed again only
// when a key was added.
func (l *Ledger) sign(ctx context.Context, s *logState, again bool) (record.Checkpoint, error) {
	if l.reader {
		return record.Checkpoint{}, errors.New("this ledger is open for reading: nothing is signed")
	}
	l.signMu.Lock()
	defer l.signMu.Unlock()
	if head := s.head.Load(); !again && head.Size == s.size.Load() {
		return *head, nil
	}
	cp, err := l.signStored(ctx, s, func(size uint64) openAt { return l.opened(s, size) })
	if err != nil {
		return cp, err
	}
	return cp, l.copyOut(s, cp)
}

// signStored signs all durable leaves and stores the checkpoint with the tiles beneath
// it. The caller holds signMu, or is alone; open says what is open in a tree of a size.
func (l *Ledger) signStored(ctx context.Context, s *logState, open func(size uint64) openAt) (record.Checkpoint, error) {
	now := l.c.Now()
	var signers []note.Signer
	l.treeMu.Lock()
	root, err := s.tree.root()
	cp := record.Checkpoint{Origin: s.origin, Size: s.tree.size, Root: root, At: now.UnixMicro()}
	full := len(s.tree.full)
	tiles := append(append([]tile{}, s.tree.full...), s.tree.openTiles()...)
	for _, k := range s.signers {
		if k.recorded && (k.ends.IsZero() || now.Before(k.ends)) {
			signers = append(signers, k.signer)
		}
	}
	l.treeMu.Unlock()
	if err != nil {
		return cp, fmt.Errorf("root: %w", err)
	}
	if cp.Note, err = note.Sign(&note.Note{Text: checkpointText(s.origin, cp.Size, root)}, signers...); err != nil {
		return cp, fmt.Errorf("sign: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	if err := l.store.saveCheckpoint(ctx, s, cp, tiles, open(cp.Size)); err != nil {
		return cp, err
	}
	l.treeMu.Lock()
	s.tree.full = s.tree.full[full:]
	l.treeMu.Unlock()
	s.head.Store(&cp)
	return cp, nil
}

// checkpointText is the C2SP form: origin, size, root.
func checkpointText(origin string, size uint64, root tlog.Hash) string {
	return fmt.Sprintf("%s\n%d\n%s\n", origin, size, root)
}

func (l *Ledger) copyPath(log string) string {
	if log == Instance {
		log = "_instance"
	}
	return filepath.Join(l.c.Dir, "checkpoints", log+".txt")
}

func (l *Ledger) copyOut(s *logState, cp record.Checkpoint) error {
	path := l.copyPath(s.name)
	if err := l.c.Hook(PointCopy); err != nil {
		return err
	}
	if err := writeFile(path, cp.Note); err != nil {
		return fmt.Errorf("copy checkpoint: %w", err)
	}
	return l.c.Hook(PointCopyDone)
}

// writeFile replaces a file whole or not at all.
func writeFile(path string, b []byte) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(b); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// Checkpoint is the newest signed head of a log.
func (l *Ledger) Checkpoint(_ context.Context, log string) (record.Checkpoint, error) {
	s, err := l.log(log)
	if err != nil {
		return record.Checkpoint{}, err
	}
	return *s.head.Load(), nil
}

// SignNow signs all leaves that are durable now, for a document that must cite
// them. When nothing grew, the newest checkpoint is given again.
func (l *Ledger) SignNow(ctx context.Context, log string) (record.Checkpoint, error) {
	s, err := l.log(log)
	if err != nil {
		return record.Checkpoint{}, err
	}
	return l.sign(ctx, s, false)
}

// CheckpointAt is the newest stored checkpoint of at most size leaves.
func (l *Ledger) CheckpointAt(ctx context.Context, log string, size uint64) (record.Checkpoint, error) {
	s, err := l.log(log)
	if err != nil {
		return record.Checkpoint{}, err
	}
	return l.store.checkpointAt(ctx, s, size)
}

// InclusionProof is the path of a leaf in the tree of a size (RFC 6962 2.1.1).
func (l *Ledger) InclusionProof(_ context.Context, log string, leaf, size uint64) ([][32]byte, error) {
	s, err := l.log(log)
	if err != nil {
		return nil, err
	}
	l.treeMu.Lock()
	defer l.treeMu.Unlock()
	if size > s.tree.size || leaf >= size {
		return nil, fmt.Errorf("leaf %d is not in a tree of %d; the log has %d", leaf, size, s.tree.size)
	}
	p, err := tlog.ProveRecord(int64(size), int64(leaf), s.tree)
	return hashes(p), err
}

// ConsistencyProof shows that the tree of old leaves is a prefix of that of size
// (RFC 6962 2.1.2). From or to nothing it is empty.
func (l *Ledger) ConsistencyProof(_ context.Context, log string, old, size uint64) ([][32]byte, error) {
	s, err := l.log(log)
	if err != nil {
		return nil, err
	}
	l.treeMu.Lock()
	defer l.treeMu.Unlock()
	if old > size || size > s.tree.size {
		return nil, fmt.Errorf("no proof from %d to %d leaves; the log has %d", old, size, s.tree.size)
	}
	if old == 0 || old == size {
		return nil, nil
	}
	p, err := tlog.ProveTree(int64(size), int64(old), s.tree)
	return hashes(p), err
}

func hashes(in []tlog.Hash) [][32]byte {
	out := make([][32]byte, len(in))
	for i, h := range in {
		out[i] = h
	}
	return out
}

// Verify reads a whole log again from its stored groups, hashes every record
// and compares with the newest checkpoint and its signature. It returns how many
// leaves it read; an error names the first thing that does not hold.
func (l *Ledger) Verify(ctx context.Context, log string) (uint64, error) {
	newest := l.SignNow
	if l.reader {
		newest = l.Checkpoint
	}
	cp, err := newest(ctx, log)
	if err != nil {
		return 0, err
	}
	s, err := l.log(log)
	if err != nil {
		return 0, err
	}
	if err := s.checkSignature(cp); err != nil {
		return 0, err
	}
	fresh := newTree(func(int, uint64) ([]tlog.Hash, error) { return nil, errors.New("tile is not stored") })
	for fresh.size < cp.Size {
		leaves, err := l.Feed(ctx, log, fresh.size, 4096)
		if err != nil {
			return fresh.size, err
		}
		if len(leaves) == 0 {
			return fresh.size, fmt.Errorf("%s ends at leaf %d; its checkpoint has %d", s.origin, fresh.size, cp.Size)
		}
		for _, leaf := range leaves {
			if fresh.size == cp.Size {
				break
			}
			if leaf.Index != fresh.size {
				return fresh.size, fmt.Errorf("%s: leaf %d is missing", s.origin, fresh.size)
			}
			fresh.append(leaf.Hash())
		}
	}
	root, err := fresh.root()
	if err != nil {
		return fresh.size, err
	}
	if [32]byte(root) != cp.Root {
		return fresh.size, fmt.Errorf("%s: the records do not hash to the signed root of %d leaves", s.origin, cp.Size)
	}
	return fresh.size, nil
}

func (s *logState) checkSignature(cp record.Checkpoint) error {
	var verifiers []note.Verifier
	for _, k := range s.signers {
		verifiers = append(verifiers, k.verifier)
	}
	n, err := note.Open(cp.Note, note.VerifierList(verifiers...))
	if err != nil {
		return fmt.Errorf("%s: signature of the checkpoint: %w", s.origin, err)
	}
	if n.Text != checkpointText(cp.Origin, cp.Size, cp.Root) {
		return fmt.Errorf("%s: the checkpoint says something else than its signed text", s.origin)
	}
	return nil
}

// rotationOverlap is how long an old key signs beside its successor.
const rotationOverlap = 30 * 24 * time.Hour

// CheckpointAfter is the oldest stored checkpoint whose tree contains a leaf.
func (l *Ledger) CheckpointAfter(ctx context.Context, log string, leaf uint64) (record.Checkpoint, error) {
	s, err := l.log(log)
	if err != nil {
		return record.Checkpoint{}, err
	}
	return l.store.checkpointAfter(ctx, s, leaf)
}

// RangeProof gives the hashes from which, with the leaves [from, to), the root of
// the tree of size leaves follows: of the largest subtrees outside the range that
// the tree has, from left to right. docs/formats.md has the recursion.
func (l *Ledger) RangeProof(_ context.Context, log string, from, to, size uint64) ([][32]byte, error) {
	s, err := l.log(log)
	if err != nil {
		return nil, err
	}
	l.treeMu.Lock()
	defer l.treeMu.Unlock()
	if from > to || to > size || size > s.tree.size {
		return nil, fmt.Errorf("no range [%d, %d) in a tree of %d", from, to, size)
	}
	var out [][32]byte
	var walk func(lo, hi uint64) error
	walk = func(lo, hi uint64) error {
		outside := hi <= from || lo >= to
		width := hi - lo
		switch {
		case outside && width&(width-1) == 0:
			level := 0
			for w := width; w > 1; w /= 2 {
				level++
			}
			h, err := s.tree.ReadHashes([]int64{tlog.StoredHashIndex(level, int64(lo>>level))})
			if err == nil {
				out = append(out, h[0])
			}
			return err
		case width == 1:
			return nil
		}
		mid := lo + split(width)
		if err := walk(lo, mid); err != nil {
			return err
		}
		return walk(mid, hi)
	}
	if size == 0 {
		return nil, nil
	}
	return out, walk(0, size)
}

// split is the largest power of two below n (RFC 6962 section 2.1).
func split(n uint64) uint64 {
	k := uint64(1)
	for k*2 < n {
		k *= 2
	}
	return k
}
