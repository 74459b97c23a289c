package verify

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"

	"golang.org/x/mod/sumdb/tlog"

	"plumbline/assessments/evidence/record"
)

// ExportFormat names the form of an export's manifest.
const ExportFormat = "plumbline-export/1"

// Manifest is manifest.json of an export: a dense range of one log's leaves.
// Every other file is hashed in it.
type Manifest struct {
	Format     string   `json:"format"`
	Origin     string   `json:"origin"`
	From       uint64   `json:"from"` // first leaf
	To         uint64   `json:"to"`   // one past the last
	Size       uint64   `json:"size"` // of the checkpoint
	Keys       []string `json:"verifier_keys"`
	Rotations  []Link   `json:"rotations,omitempty"`
	RangeProof []string `json:"range_proof"` // hashes outside the range, from left to right
	Files      []File   `json:"files"`       // in order; checkpoint.txt is the first
}

// File is one file of an export.
type File struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Leaves uint64 `json:"leaves,omitempty"`
}

// filePer is how many leaves one file of records holds.
const filePer = 10_000

// WriteExport writes the leaves [from, to) of a log into an empty folder, as of
// the newest checkpoint; to 0 means all that it covers.
func WriteExport(ctx context.Context, dir string, src Source, log string, from, to uint64, keys []string, rotations []uint64) (*Manifest, error) {
	cp, err := src.Checkpoint(ctx, log)
	if err != nil {
		return nil, err
	}
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
	m := &Manifest{Format: ExportFormat, Origin: cp.Origin, From: from, To: to, Size: cp.Size, Keys: keys}
	if m.Rotations, err = links(ctx, src, log, rotations); err != nil {
		return nil, err
	}
	path, err := src.RangeProof(ctx, log, from, to, cp.Size)
	if err != nil {
		return nil, err
	}
	m.RangeProof = toHex(path)
	if err := m.write(dir, "checkpoint.txt", cp.Note, 0); err != nil {
		return nil, err
	}
	for at := from; at < to; {
		var b []byte
		first := at
		for at < to && at < first+filePer {
			leaves, err := src.Feed(ctx, log, at, int(min(filePer-(at-first), to-at)))
			if err != nil || len(leaves) == 0 {
				return nil, errors.Join(fmt.Errorf("leaf %d could not be read", at), err)
			}
			for _, leaf := range leaves {
				if leaf.Index != at {
					return nil, fmt.Errorf("leaf %d where %d is due", leaf.Index, at)
				}
				if at == to || at == first+filePer {
					break
				}
				b = append(binary.BigEndian.AppendUint16(b, uint16(len(leaf.Bytes))), leaf.Bytes...)
				at++
			}
		}
		if err := m.write(dir, fmt.Sprintf("records-%012d.bin", first), b, at-first); err != nil {
			return nil, err
		}
	}
	text, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return nil, err
	}
	return m, os.WriteFile(filepath.Join(dir, "manifest.json"), append(text, '\n'), 0o644)
}

func (m *Manifest) write(dir, name string, b []byte, leaves uint64) error {
	sum := sha256.Sum256(b)
	m.Files = append(m.Files, File{name, hex.EncodeToString(sum[:]), leaves})
	return os.WriteFile(filepath.Join(dir, name), b, 0o644)
}

// verifyExport checks an export: its files, every record, and that the records are
// exactly the range of the signed tree.
func verifyExport(r *Result, dir string, o Options) {
	text, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		r.fail(Unreadable, "the folder has no manifest.json")
		return
	}
	var m Manifest
	if err := strict(text, &m); err != nil || m.Format != ExportFormat || m.From >= m.To || m.To > m.Size || len(m.Files) < 2 || m.Files[0].Name != "checkpoint.txt" {
		r.fail(Failed, "the manifest is not in its form")
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
	if err := m.olderKeys(); err != nil {
		r.fail(Failed, "%v", err)
		return
	}
	cp, err := openCheckpoint(string(files[0]), key)
	if err != nil || cp.size != m.Size || cp.origin != m.Origin {
		r.fail(Failed, "%v", errors.Join(errors.New("the checkpoint is not the manifest's, or not signed by the log's key"), err))
		return
	}
	hashes, err := m.records(files[1:])
	if err != nil {
		r.fail(Failed, "%v", err)
		return
	}
	root, err := m.root(hashes)
	if err != nil || root != cp.root {
		r.fail(Failed, "the records are not the leaves [%d, %d) of the signed tree of %d", m.From, m.To, m.Size)
		return
	}
	r.Records = len(hashes)
	r.ok("%d records are exactly the leaves [%d, %d) of %s, in its signed tree of %d leaves", len(hashes), m.From, m.To, m.Origin, m.Size)
	consistency := map[[2]uint64][]string{}
	r.previous(o, key, append([]checkpoint{cp}, m.prefixes(hashes, o, cp)...), consistency)
	if r.Code == OK {
		if err := remember(o.Store, cp, key); err != nil {
			r.note("the log's key could not be remembered: %v", err)
		}
	}
}

// olderKeys holds that every key of the manifest is one that a rotation names.
func (m *Manifest) olderKeys() error {
	if len(m.Rotations) != len(m.Keys)-1 {
		return errors.New("a link of the chain of rotations is missing")
	}
	for i, link := range m.Rotations {
		rec, err := record.Decode(link.Record.Bytes)
		if err != nil {
			return err
		}
		body, ok := rec.Body.(*record.Rotated)
		if !ok || body.Old != m.Keys[i] || body.Verifier != m.Keys[i+1] {
			return fmt.Errorf("rotation %d names other keys", i+1)
		}
		cp, err := openCheckpoint(link.Checkpoint, m.Keys[i])
		if err != nil {
			return err
		}
		if _, err := link.Record.in(cp); err != nil {
			return err
		}
	}
	return nil
}

// prefixes are the trees that an export from leaf 0 contains, of the sizes of heads
// seen before: with all leaves at hand, no proof is needed.
func (m *Manifest) prefixes(hashes []tlog.Hash, o Options, cp checkpoint) []checkpoint {
	if m.From != 0 {
		return nil
	}
	var out []checkpoint
	sizes := map[uint64]bool{}
	if k, ok := readStore(o.Store)[m.Origin]; ok {
		sizes[k.Size] = true
	}
	if o.Checkpoint != "" {
		for _, k := range m.Keys {
			if e, err := openCheckpoint(o.Checkpoint, k); err == nil {
				sizes[e.size] = true
			}
		}
	}
	for size := range sizes {
		if size > 0 && size <= m.To && size != cp.size {
			out = append(out, checkpoint{origin: m.Origin, size: size, root: treeRoot(hashes[:size])})
		}
	}
	return out
}

// read reads the files of the manifest, no more and no fewer than the folder has.
func (m *Manifest) read(dir string) ([][]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var there []string
	for _, e := range entries {
		if e.Name() != "manifest.json" {
			there = append(there, e.Name())
		}
	}
	want := make([]string, len(m.Files))
	for i, f := range m.Files {
		want[i] = f.Name
	}
	sort.Strings(want)
	for i := range max(len(want), len(there)) {
		if i >= len(there) || i < len(want) && want[i] < there[i] {
			return nil, fmt.Errorf("%s is missing", want[i])
		}
		if i >= len(want) || want[i] != there[i] {
			return nil, fmt.Errorf("%s is not of the manifest", there[i])
		}
	}
	out := make([][]byte, len(m.Files))
	for i, f := range m.Files {
		if filepath.Base(f.Name) != f.Name {
			return nil, errors.New("a file's name leaves the folder")
		}
		if out[i], err = os.ReadFile(filepath.Join(dir, f.Name)); err != nil {
			return nil, fmt.Errorf("%s could not be read", f.Name)
		}
		if sum := sha256.Sum256(out[i]); hex.EncodeToString(sum[:]) != f.SHA256 {
			return nil, fmt.Errorf("%s is not the file of the manifest: its hash differs", f.Name)
		}
	}
	return out, nil
}

// records splits the files and checks each record's form.
func (m *Manifest) records(files [][]byte) ([]tlog.Hash, error) {
	var hashes []tlog.Hash
	at := m.From
	for i, b := range files {
		f := m.Files[i+1]
		if f.Name != fmt.Sprintf("records-%012d.bin", at) {
			return nil, fmt.Errorf("%s: the file of leaf %d is due", f.Name, at)
		}
		first := at
		for len(b) > 0 {
			if len(b) < 2 || len(b) < 2+int(binary.BigEndian.Uint16(b)) {
				return nil, fmt.Errorf("%s: the record at leaf %d is cut", f.Name, at)
			}
			n := 2 + int(binary.BigEndian.Uint16(b))
			if _, err := record.Decode(b[2:n]); err != nil {
				return nil, fmt.Errorf("%s: leaf %d: %w", f.Name, at, err)
			}
			hashes = append(hashes, record.LeafHash(b[2:n]))
			b = b[n:]
			at++
		}
		if at-first != f.Leaves {
			return nil, fmt.Errorf("%s has %d records, not %d", f.Name, at-first, f.Leaves)
		}
	}
	if at != m.To {
		return nil, fmt.Errorf("the records end at leaf %d, not at %d", at, m.To)
	}
	return hashes, nil
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
