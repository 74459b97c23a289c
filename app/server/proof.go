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
	// Heads that were given away before are those of earlier documents.
	issued, err := s.Reports.List(ctx, p.Document.Org)
	if err != nil {
		return nil, err
	}
	var shown []uint64
	for _, d := range issued {
		shown = append(shown, d.AsOfSize)
	}
	return verify.MakeProof(ctx, s.Ledger, p.Log, p.Document.ID, record.Leaf{Index: p.Leaf, Bytes: p.Bytes}, p.Document.AsOfSize, p.Checkpoint.Checkpoint, p.Checkpoint.Keys, rotations, shown)
}
