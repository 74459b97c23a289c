package reports

import (
	"context"
	"encoding/hex"
	"fmt"
)

// Evidence is the machine-readable proof in a document's JSON: the signed
// checkpoint and every record cited, with its path in the tree of that size.
type Evidence struct {
	Checkpoint string         `json:"checkpoint"` // the signed note
	Origin     string         `json:"origin"`
	Verifier   string         `json:"verifier"` // key in force; a reader pins its own
	Records    []EvidenceLeaf `json:"records"`
}

// EvidenceLeaf is one record with its inclusion proof (RFC 6962 section 2.1.1).
type EvidenceLeaf struct {
	ID    string   `json:"id"` // as the evidence index names it
	Leaf  uint64   `json:"leaf"`
	Bytes []byte   `json:"bytes"` // base64
	Proof []string `json:"proof"` // hex, from the leaf up
}

// Prover gives inclusion proofs.
type Prover interface {
	InclusionProof(ctx context.Context, log string, leaf, size uint64) ([][32]byte, error)
}

// Prove makes the evidence of a document from the records that its index lists.
func Prove(ctx context.Context, p Prover, log string, cp Checkpoint, cited []Cited) (*Evidence, error) {
	out := &Evidence{Checkpoint: string(cp.Note), Origin: cp.Origin, Records: make([]EvidenceLeaf, 0, len(cited))}
	if n := len(cp.Keys); n > 0 {
		out.Verifier = cp.Keys[n-1]
	}
	for _, c := range cited {
		path, err := p.InclusionProof(ctx, log, c.Leaf, cp.Size)
		if err != nil {
			return nil, fmt.Errorf("prove leaf %d: %w", c.Leaf, err)
		}
		leaf := EvidenceLeaf{ID: c.ID, Leaf: c.Leaf, Bytes: c.Bytes, Proof: make([]string, len(path))}
		for i, h := range path {
			leaf.Proof[i] = hex.EncodeToString(h[:])
		}
		out.Records = append(out.Records, leaf)
	}
	return out, nil
}

// Cited is a record as a document cites it.
type Cited struct {
	ID    string // E-0001
	Leaf  uint64
	Bytes []byte
}
