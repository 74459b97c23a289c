package server

import (
	"context"

	"plumbline/assessments/evidence/record"
	"plumbline/assessments/evidence/verify"
	"plumbline/reports"
)

// proof makes a document's proof file.
func (s *Server) proof(ctx context.Context, p reports.Proving) ([]byte, error) {
	return verify.MakeProof(ctx, s.Ledger, p.Log, p.Document.ID, record.Leaf{Index: p.Leaf, Bytes: p.Bytes}, p.Document.AsOfSize, p.Checkpoint.Checkpoint, p.Checkpoint.Keys, s.rotations(ctx, p.Log, len(p.Checkpoint.Keys)))
}

// rotations finds the leaves that name a log's newer keys. A log that was never
// rotated is not searched.
func (s *Server) rotations(ctx context.Context, log string, keys int) []uint64 {
	var out []uint64
	for from, size := uint64(0), s.Ledger.Size(log); keys > 1 && from < size && len(out) < keys-1; {
		leaves, err := s.Ledger.Feed(ctx, log, from, 4096)
		if err != nil || len(leaves) == 0 {
			return out
		}
		for _, leaf := range leaves {
			from = leaf.Index + 1
			if r, err := record.Decode(leaf.Bytes); err == nil && r.Kind == record.LedgerRotated {
				out = append(out, leaf.Index)
			}
		}
	}
	return out
}
