package server

import (
	"context"

	"plumbline/assessments/evidence/record"
	"plumbline/assessments/evidence/verify"
	"plumbline/reports"
)

// proof makes a document's proof file.
func (s *Server) proof(ctx context.Context, p reports.Proving) ([]byte, error) {
	rotations, err := s.Ledger.Rotations(ctx, p.Log)
	if err != nil {
		return nil, err
	}
	return verify.MakeProof(ctx, s.Ledger, p.Log, p.Document.ID, record.Leaf{Index: p.Leaf, Bytes: p.Bytes}, p.Document.AsOfSize, p.Checkpoint.Checkpoint, p.Checkpoint.Keys, rotations)
}
