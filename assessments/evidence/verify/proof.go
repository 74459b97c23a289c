// Package verify checks documents and exports offline: with the log's public key,
// the files and nothing else. It depends on the record format alone; docs/formats.md
// describes every file for other implementations.
package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"plumbline/assessments/evidence/record"
)

// ProofFormat names the proof file's form.
const ProofFormat = "plumbline-proof/1"

// Proof is the file beside a document: the record of its issue, where that stands
// in the log, and how the log grew from the checkpoint the document was built at.
type Proof struct {
	Format      string   `json:"format"`
	Document    string   `json:"document"` // number and revision
	Origin      string   `json:"origin"`
	Keys        []string `json:"verifier_keys"` // the one in force last
	Rotations   []Link   `json:"rotations,omitempty"`
	Fork        *Proven  `json:"fork,omitempty"` // the first record of a generation that is not a log's first
	Record      Proven   `json:"record"`         // document.issued
	Checkpoint  string   `json:"checkpoint"`
	Consistency []string `json:"consistency"` // from the document's checkpoint to this one
	// How the log grew to Checkpoint from heads that were shown before, of documents
	// issued earlier: who kept one of them sees that the log was not rewritten since.
	Earlier []Earlier `json:"earlier,omitempty"`
	Sum     string    `json:"sum"` // of the file with an empty sum, against accidents
}

// Earlier is the way from an earlier head of a log to a file's checkpoint.
type Earlier struct {
	Size  uint64   `json:"size"`
	Proof []string `json:"proof"` // consistency, RFC 6962 section 2.1.2
}

// Proven is a record with its place in a tree. Hashes are hex, from the leaf up.
type Proven struct {
	ID    string   `json:"id,omitempty"` // as a document's evidence index names it
	Leaf  uint64   `json:"leaf"`
	Bytes []byte   `json:"bytes"`
	Proof []string `json:"proof"`
}

// Link is one rotation of a log's key: the record that names the new key, in a
// checkpoint that the old key still signed.
type Link struct {
	Record     Proven `json:"record"`
	Checkpoint string `json:"checkpoint"`
}

// Evidence is the part of a document's JSON that its citations rest on.
type Evidence struct {
	Checkpoint string   `json:"checkpoint"`
	Origin     string   `json:"origin"`
	Verifier   string   `json:"verifier"`
	Records    []Proven `json:"records"`
}

// Source is the ledger, as far as proofs are made from it.
type Source interface {
	Feed(ctx context.Context, log string, from uint64, max int) ([]record.Leaf, error)
	Checkpoint(ctx context.Context, log string) (record.Checkpoint, error)
	CheckpointAfter(ctx context.Context, log string, leaf uint64) (record.Checkpoint, error)
	InclusionProof(ctx context.Context, log string, leaf, size uint64) ([][32]byte, error)
	ConsistencyProof(ctx context.Context, log string, old, size uint64) ([][32]byte, error)
	RangeProof(ctx context.Context, log string, from, to, size uint64) ([][32]byte, error)
}

// maxEarlier bounds how many earlier heads a file is set against.
const maxEarlier = 64

// MakeProof proves a document: leaf is its document.issued record, asOf the size
// that it was built at, cp a checkpoint that contains the record, shown the sizes of
// heads that were given away before.
func MakeProof(ctx context.Context, src Source, log, document string, leaf record.Leaf, asOf uint64, cp record.Checkpoint, keys []string, rotations, shown []uint64) ([]byte, error) {
	p := Proof{Format: ProofFormat, Document: document, Origin: cp.Origin, Keys: keys, Checkpoint: string(cp.Note)}
	var err error
	if p.Record, err = prove(ctx, src, log, leaf, cp.Size); err != nil {
		return nil, err
	}
	path, err := src.ConsistencyProof(ctx, log, asOf, cp.Size)
	if err != nil {
		return nil, fmt.Errorf("consistency: %w", err)
	}
	p.Consistency = toHex(path)
	if p.Rotations, err = links(ctx, src, log, rotations); err != nil {
		return nil, err
	}
	if p.Fork, err = forkOf(ctx, src, log, cp); err != nil {
		return nil, err
	}
	if p.Earlier, err = earlier(ctx, src, log, shown, cp.Size); err != nil {
		return nil, err
	}
	return sealed(&p, &p.Sum)
}

// earlier proves how a log grew from each of the largest sizes in shown to size.
func earlier(ctx context.Context, src Source, log string, shown []uint64, size uint64) ([]Earlier, error) {
	shown = slices.Clone(shown)
	slices.Sort(shown)
	shown = slices.Compact(shown)
	shown = slices.DeleteFunc(shown, func(n uint64) bool { return n == 0 || n >= size })
	var out []Earlier
	for _, n := range shown[max(0, len(shown)-maxEarlier):] {
		path, err := src.ConsistencyProof(ctx, log, n, size)
		if err != nil {
			return nil, fmt.Errorf("consistency since %d leaves: %w", n, err)
		}
		out = append(out, Earlier{n, toHex(path)})
	}
	return out, nil
}

func links(ctx context.Context, src Source, log string, rotations []uint64) ([]Link, error) {
	var out []Link
	for _, index := range rotations {
		cp, err := src.CheckpointAfter(ctx, log, index)
		if err != nil {
			return nil, err
		}
		leaves, err := src.Feed(ctx, log, index, 1)
		if err != nil || len(leaves) == 0 {
			return nil, errors.Join(fmt.Errorf("rotation at leaf %d", index), err)
		}
		r, err := prove(ctx, src, log, leaves[0], cp.Size)
		if err != nil {
			return nil, err
		}
		out = append(out, Link{r, string(cp.Note)})
	}
	return out, nil
}

func prove(ctx context.Context, src Source, log string, leaf record.Leaf, size uint64) (Proven, error) {
	path, err := src.InclusionProof(ctx, log, leaf.Index, size)
	if err != nil {
		return Proven{}, fmt.Errorf("prove leaf %d: %w", leaf.Index, err)
	}
	return Proven{Leaf: leaf.Index, Bytes: leaf.Bytes, Proof: toHex(path)}, nil
}

func toHex(path [][32]byte) []string {
	out := make([]string, len(path))
	for i, h := range path {
		out[i] = hex.EncodeToString(h[:])
	}
	return out
}

func fromHex(path []string) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(path))
	for i, text := range path {
		b, err := hex.DecodeString(text)
		if err != nil || len(b) != tlog.HashSize || hex.EncodeToString(b) != text {
			return nil, fmt.Errorf("hash %d of a proof is malformed", i)
		}
		copy(out[i][:], b)
	}
	return out, nil
}

// in checks that a record is a leaf of a checkpoint's tree, and decodes it.
func (p *Proven) in(cp checkpoint) (*record.Record, error) {
	path, err := fromHex(p.Proof)
	if err != nil {
		return nil, err
	}
	if p.Leaf >= cp.size {
		return nil, fmt.Errorf("leaf %d is beyond the checkpoint of %d leaves", p.Leaf, cp.size)
	}
	if err := tlog.CheckRecord(path, int64(cp.size), cp.root, int64(p.Leaf), record.LeafHash(p.Bytes)); err != nil {
		return nil, fmt.Errorf("leaf %d is not in the signed tree of %d leaves", p.Leaf, cp.size)
	}
	r, err := record.Decode(p.Bytes)
	if err != nil {
		return nil, fmt.Errorf("leaf %d: %w", p.Leaf, err)
	}
	return r, nil
}

// checkpoint is a signed head whose signature was checked.
type checkpoint struct {
	origin string
	size   uint64
	root   tlog.Hash
	text   string
}

// IsKey reports whether a text is a verifier key, name and hash and key.
func IsKey(text string) bool {
	_, err := note.NewVerifier(text)
	return err == nil
}

// openCheckpoint checks a signed note: key must have signed it. Where all keys of the
// log are named, every further signature under its name must be of one of them.
// Signatures under other names are witnesses', which this version does not check.
func openCheckpoint(text, key string, others []string) (checkpoint, error) {
	v, err := note.NewVerifier(key)
	if err != nil {
		return checkpoint{}, errors.New("the verifier key is malformed")
	}
	verifiers := []note.Verifier{v}
	for _, k := range others {
		other, err := note.NewVerifier(k)
		if err != nil {
			return checkpoint{}, errors.New("a verifier key is malformed")
		}
		if k != key {
			verifiers = append(verifiers, other)
		}
	}
	n, err := note.Open([]byte(text), note.VerifierList(verifiers...))
	if err != nil || !slices.ContainsFunc(n.Sigs, func(s note.Signature) bool { return s.Name == v.Name() && s.Hash == v.KeyHash() }) ||
		len(others) > 0 && slices.ContainsFunc(n.UnverifiedSigs, func(s note.Signature) bool { return s.Name == v.Name() }) {
		return checkpoint{}, errors.New("the checkpoint is not signed by the log's key")
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[3] != "" || lines[0] != v.Name() {
		return checkpoint{}, errors.New("the checkpoint is malformed, or is another log's")
	}
	size, err := strconv.ParseUint(lines[1], 10, 62)
	if err != nil || strconv.FormatUint(size, 10) != lines[1] {
		return checkpoint{}, errors.New("the checkpoint's size is malformed")
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil || root.String() != lines[2] {
		return checkpoint{}, errors.New("the checkpoint's root is malformed")
	}
	return checkpoint{lines[0], size, root, text}, nil
}

// CheckpointHead is the log and the size that a checkpoint's text names; no signature is
// checked. It says which proof somebody needs who kept that checkpoint.
func CheckpointHead(text string) (origin string, size uint64, err error) {
	lines := strings.SplitN(text, "\n", 4)
	if len(lines) < 4 {
		return "", 0, errors.New("this is not a checkpoint")
	}
	if size, err = strconv.ParseUint(lines[1], 10, 62); err != nil {
		return "", 0, errors.New("this is not a checkpoint")
	}
	return lines[0], size, nil
}

// follow walks the chain of keys to the one in force, link by link: each link's
// checkpoint is signed by the key before, and contains the record that names the
// next one. The pinned key must be in it; what comes before that is checked too, but
// trusted by nobody. It returns the key in force.
func follow(pinned string, keys []string, rotations []Link) (string, error) {
	if !slices.Contains(keys, pinned) {
		return "", errors.New("the file's keys do not contain the pinned key: it is of another log, or its key was not rotated in the open. A key trusted on first use is kept in the file that --store names, known-logs.json when none is")
	}
	if len(rotations) != len(keys)-1 {
		return "", errors.New("a link of the chain of rotations is missing")
	}
	for i, link := range rotations {
		cp, err := openCheckpoint(link.Checkpoint, keys[i], keys)
		if err != nil {
			return "", fmt.Errorf("rotation %d: %w", i+1, err)
		}
		r, err := link.Record.in(cp)
		if err != nil {
			return "", fmt.Errorf("rotation %d: %w", i+1, err)
		}
		body, ok := r.Body.(*record.Rotated)
		if !ok || link.Record.ID != "" || body.Old != keys[i] || body.Verifier != keys[i+1] {
			return "", fmt.Errorf("rotation %d names other keys", i+1)
		}
	}
	return keys[len(keys)-1], nil
}

// sealed encodes v, whose last field is sum, with the hash of itself in it.
func sealed(v any, sum *string) ([]byte, error) {
	*sum = ""
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(append(b, '\n'))
	*sum = hex.EncodeToString(hash[:])
	b, err = json.MarshalIndent(v, "", " ")
	return append(b, '\n'), err
}

// strict decodes JSON that must be exactly what sealed gives, so that nothing in
// the file goes unread.
func strict(b []byte, into any, sum *string) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return errors.New("the file is not in its form")
	}
	again, err := sealed(into, sum)
	if err != nil || !bytes.Equal(again, b) {
		return errors.New("the file is not in its form")
	}
	return nil
}
