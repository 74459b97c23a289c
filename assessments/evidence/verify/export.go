package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"plumbline/assessments/evidence/record"
)

// ExportFormat names the form of an export's manifest.
const ExportFormat = "plumbline-export/1"

// Manifest is manifest.json of an export: a dense range of one log's leaves.
// Every other file is hashed in it.
type Manifest struct {
	Format     string    `json:"format"`
	Origin     string    `json:"origin"`
	From       uint64    `json:"from"` // first leaf
	To         uint64    `json:"to"`   // one past the last
	Size       uint64    `json:"size"` // of the checkpoint
	Keys       []string  `json:"verifier_keys"`
	Rotations  []Link    `json:"rotations,omitempty"`
	Fork       *Proven   `json:"fork,omitempty"`    // the first record of a generation that is not a log's first
	RangeProof []string  `json:"range_proof"`       // hashes outside the range, from left to right
	Earlier    []Earlier `json:"earlier,omitempty"` // how the log grew from heads shown before
	Files      []File    `json:"files"`             // in order: checkpoint.txt, then records and leaf hashes in turn
	Sum        string    `json:"sum"`               // of the file with an empty sum, against accidents
}

// File is one file of an export.
type File struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Leaves uint64 `json:"leaves,omitempty"`
}

// Range is what an export takes: the leaves [From, To) of a log, with its keys, the
// leaves that name the newer ones, and the sizes of heads that were shown before.
type Range struct {
	Log              string
	From, To         uint64 // To 0: all that the newest checkpoint covers
	Keys             []string
	Rotations, Shown []uint64
}

// filePer is how many leaves one file of records holds, and where it ends: at a
// multiple, so that a file of leaf hashes is a tile of the tree's lowest level (C2SP
// tlog-tiles) and a file of records is small.
const filePer = 256

// fileEnd is one past the last leaf of the file that begins at a leaf.
func fileEnd(at, to uint64) uint64 { return min(at-at%filePer+filePer, to) }

func recordsName(first uint64) string { return fmt.Sprintf("records-%012d.bin", first) }
func leavesName(first uint64) string  { return fmt.Sprintf("leaves-%012d.bin", first) }

// WriteExport writes a range of a log into an empty folder, as of the newest
// checkpoint.
func WriteExport(ctx context.Context, dir string, src Source, x Range) (*Manifest, error) {
	cp, err := src.Checkpoint(ctx, x.Log)
	if err != nil {
		return nil, err
	}
	from, to := x.From, x.To
	if to == 0 || to > cp.Size {
		to = cp.Size
	}
	if from >= to {
		return nil, fmt.Errorf("the range is empty: the signed log has %d leaves", cp.Size)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if there, err := os.ReadDir(dir); err != nil || len(there) > 0 {
		return nil, errors.Join(fmt.Errorf("the folder %s is not empty", dir), err)
	}
	m := &Manifest{Format: ExportFormat, Origin: cp.Origin, From: from, To: to, Size: cp.Size, Keys: x.Keys}
	if m.Rotations, err = links(ctx, src, x.Log, x.Rotations); err != nil {
		return nil, err
	}
	if m.Fork, err = forkOf(ctx, src, x.Log, cp); err != nil {
		return nil, err
	}
	path, err := src.RangeProof(ctx, x.Log, from, to, cp.Size)
	if err != nil {
		return nil, err
	}
	m.RangeProof = toHex(path)
	if m.Earlier, err = earlier(ctx, src, x.Log, x.Shown, cp.Size); err != nil {
		return nil, err
	}
	if err := m.write(dir, "checkpoint.txt", cp.Note, 0); err != nil {
		return nil, err
	}
	for at := from; at < to; at = fileEnd(at, to) {
		if err := m.writeLeaves(ctx, dir, src, x.Log, at, fileEnd(at, to)); err != nil {
			return nil, err
		}
	}
	text, err := sealed(m, &m.Sum)
	if err != nil {
		return nil, err
	}
	return m, os.WriteFile(filepath.Join(dir, "manifest.json"), text, 0o644)
}

// writeLeaves writes one file of records and one of their leaf hashes.
func (m *Manifest) writeLeaves(ctx context.Context, dir string, src Source, log string, from, to uint64) error {
	var entries, sums []byte
	for at := from; at < to; {
		leaves, err := src.Feed(ctx, log, at, int(to-at))
		if err != nil || len(leaves) == 0 {
			return errors.Join(fmt.Errorf("leaf %d could not be read", at), err)
		}
		for _, leaf := range leaves {
			if at == to {
				break
			}
			if leaf.Index != at {
				return fmt.Errorf("leaf %d where %d is due", leaf.Index, at)
			}
			hash := leaf.Hash()
			entries, sums = record.AppendEntry(entries, leaf), append(sums, hash[:]...)
			at++
		}
	}
	if err := m.write(dir, recordsName(from), entries, to-from); err != nil {
		return err
	}
	return m.write(dir, leavesName(from), sums, to-from)
}

func (m *Manifest) write(dir, name string, b []byte, leaves uint64) error {
	sum := sha256.Sum256(b)
	m.Files = append(m.Files, File{name, hex.EncodeToString(sum[:]), leaves})
	return os.WriteFile(filepath.Join(dir, name), b, 0o644)
}

// readManifest reads a manifest and checks what it says by itself.
func readManifest(text []byte) (*Manifest, error) {
	var m Manifest
	malformed := errors.New("the manifest is not in its form")
	if err := strict(text, &m, &m.Sum); err != nil || m.Format != ExportFormat || m.From >= m.To || m.To > m.Size || m.Size > 1<<62 ||
		len(m.Files)%2 != 1 || m.Files[0].Name != "checkpoint.txt" || m.Files[0].Leaves != 0 {
		return nil, malformed
	}
	at := m.From
	for i := 1; i < len(m.Files); i += 2 {
		records, leaves := m.Files[i], m.Files[i+1]
		if records.Name != recordsName(at) || leaves.Name != leavesName(at) || at >= m.To || records.Leaves != fileEnd(at, m.To)-at || leaves.Leaves != records.Leaves {
			return nil, malformed
		}
		at += records.Leaves
	}
	if at != m.To {
		return nil, malformed
	}
	return &m, nil
}

// verifyExport checks an export: its files, every record, and that the records are
// exactly the range of the signed tree.
func verifyExport(r *Result, dir fs.FS, o Options) {
	text, err := fs.ReadFile(dir, "manifest.json")
	if err != nil {
		r.fail(Unreadable, "the folder has no manifest.json")
		return
	}
	m, err := readManifest(text)
	if err != nil {
		r.fail(Failed, "%v", err)
		return
	}
	r.Origin = m.Origin
	files, err := m.read(dir)
	if err != nil {
		r.fail(Failed, "%v", err)
		return
	}
	r.ok("%d files are those of the manifest", len(m.Files))
	key, err := r.pin(m.Origin, m.Keys, m.Rotations, o)
	if err != nil {
		r.fail(Failed, "%v", err)
		return
	}
	cp, err := openCheckpoint(string(files[0]), key, m.Keys)
	if err != nil || cp.size != m.Size || cp.origin != m.Origin {
		r.fail(Failed, "%v", errors.Join(errors.New("the checkpoint is not the manifest's, or not signed by the log's key"), err))
		return
	}
	var hashes []tlog.Hash
	erased := 0
	for i := 1; i < len(files); i += 2 {
		h, gone, err := m.records(i, files[i], files[i+1])
		if err != nil {
			r.fail(Failed, "%v", err)
			return
		}
		hashes = append(hashes, h...)
		erased += gone
	}
	root, err := m.root(hashes)
	if err != nil || root != cp.root {
		r.fail(Failed, "the records are not the leaves [%d, %d) of the signed tree of %d", m.From, m.To, m.Size)
		return
	}
	r.Records = len(hashes)
	r.ok("%d records are exactly the leaves [%d, %d) of %s, in its signed tree of %d leaves", len(hashes), m.From, m.To, m.Origin, m.Size)
	if erased > 0 {
		r.note("%d of them were erased: their place is proved, their content is gone", erased)
	}
	if !r.lineage(m.Fork, cp, o) {
		return
	}
	r.previous(o, m.Keys, append([]checkpoint{cp}, m.prefixes(hashes, o)...), m.Earlier)
	r.remember(o.Store, key, m.Keys, cp)
}

// prefixes are the trees that an export from leaf 0 contains, of the sizes of heads
// seen before: with all leaves at hand, no proof is needed.
func (m *Manifest) prefixes(hashes []tlog.Hash, o Options) []checkpoint {
	if m.From != 0 {
		return nil
	}
	sizes := map[uint64]bool{}
	if store, err := readStore(o.Store); err == nil {
		for _, h := range store[m.Origin].Heads {
			sizes[h.Size] = true
		}
	}
	if e, err := anyKey(o.Checkpoint, m.Keys); err == nil { // of this generation
		sizes[e.size] = true
	}
	var out []checkpoint
	for size := range sizes {
		if size > 0 && size <= m.To {
			out = append(out, checkpoint{origin: m.Origin, size: size, root: treeRoot(hashes[:size])})
		}
	}
	return out
}

// read reads the files of the manifest, no more and no fewer than the folder has.
// Of records that are not those of the manifest it names the first bad one.
func (m *Manifest) read(dir fs.FS) ([][]byte, error) {
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for _, e := range entries {
		there[e.Name()] = true
	}
	for _, f := range m.Files {
		if !there[f.Name] {
			return nil, fmt.Errorf("%s is missing", f.Name)
		}
	}
	if len(there) != len(m.Files)+1 {
		for _, f := range m.Files {
			delete(there, f.Name)
		}
		delete(there, "manifest.json")
		return nil, fmt.Errorf("the folder holds what is not of the manifest: %s", strings.Join(slices.Sorted(maps.Keys(there)), ", "))
	}
	out := make([][]byte, len(m.Files))
	for i := range m.Files {
		if out[i], err = m.readFile(dir, i); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// readFile reads a file of the manifest and holds it to its hash.
func (m *Manifest) readFile(dir fs.FS, i int) ([]byte, error) {
	f := m.Files[i]
	b, err := fs.ReadFile(dir, f.Name)
	if err != nil {
		return nil, fmt.Errorf("%s could not be read", f.Name)
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) == f.SHA256 {
		return b, nil
	}
	if i%2 == 1 {
		if leaves, err := fs.ReadFile(dir, m.Files[i+1].Name); err == nil {
			if _, _, err := m.records(i, b, leaves); err != nil {
				return nil, err
			}
		}
	}
	return nil, fmt.Errorf("%s is not the file of the manifest: its hash differs", f.Name)
}

// records splits a file of records, checks each one's form, and that its hash is the
// one in the file of leaf hashes beside it. The error names the first bad record.
func (m *Manifest) records(i int, b, sums []byte) (hashes []tlog.Hash, erased int, err error) {
	f := m.Files[i]
	at, _ := strconv.ParseUint(f.Name[len("records-"):len(f.Name)-len(".bin")], 10, 64) // readManifest has looked at it
	there := make([]record.Leaf, 0, filePer)
	hashes = make([]tlog.Hash, 0, filePer)
	if uint64(len(sums)) != f.Leaves*tlog.HashSize {
		return nil, 0, fmt.Errorf("%s has not %d hashes", m.Files[i+1].Name, f.Leaves)
	}
	for ; len(b) > 0; at++ {
		leaf, rest, err := record.CutEntry(b, at)
		if err != nil {
			return nil, 0, fmt.Errorf("%s: leaf %d is the first bad record: %w", f.Name, at, err)
		}
		hash := leaf.Hash()
		if len(sums) < len(hash) || !bytes.Equal(hash[:], sums[:len(hash)]) {
			return nil, 0, fmt.Errorf("%s: leaf %d is the first bad record: it is not the one whose hash the export names", f.Name, at)
		}
		there = append(there, leaf)
		hashes = append(hashes, hash)
		b, sums = rest, sums[len(hash):]
	}
	if uint64(len(hashes)) != f.Leaves {
		return nil, 0, fmt.Errorf("%s ends before leaf %d: the first record that is missing", f.Name, at)
	}
	for _, leaf := range there {
		if leaf.Bytes == nil {
			erased++
		} else if _, err := record.Decode(leaf.Bytes); err != nil {
			return nil, 0, fmt.Errorf("%s: leaf %d is the first bad record: %w", f.Name, leaf.Index, err)
		}
	}
	return hashes, erased, nil
}

// root computes the root from the range's leaves and the hashes outside it.
func (m *Manifest) root(leaves []tlog.Hash) (tlog.Hash, error) {
	outside, err := fromHex(m.RangeProof)
	if err != nil {
		return tlog.Hash{}, err
	}
	var walk func(lo, hi uint64) (tlog.Hash, error)
	walk = func(lo, hi uint64) (tlog.Hash, error) {
		width := hi - lo
		if (hi <= m.From || lo >= m.To) && width&(width-1) == 0 {
			if len(outside) == 0 {
				return tlog.Hash{}, errors.New("the range proof is too short")
			}
			h := outside[0]
			outside = outside[1:]
			return h, nil
		}
		if width == 1 {
			return leaves[lo-m.From], nil
		}
		mid := lo + split(width)
		left, err := walk(lo, mid)
		if err != nil {
			return left, err
		}
		right, err := walk(mid, hi)
		return tlog.NodeHash(left, right), err
	}
	root, err := walk(0, m.Size)
	if err == nil && len(outside) > 0 {
		err = errors.New("the range proof is too long")
	}
	return root, err
}

// split is the largest power of two below n (RFC 6962 section 2.1).
func split(n uint64) uint64 {
	k := uint64(1)
	for k*2 < n {
		k *= 2
	}
	return k
}

func treeRoot(leaves []tlog.Hash) tlog.Hash {
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := split(uint64(len(leaves)))
	return tlog.NodeHash(treeRoot(leaves[:k]), treeRoot(leaves[k:]))
}
