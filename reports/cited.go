package reports

import (
	"context"
	"encoding/json"
	"fmt"
)

// Cited lists the leaves that a document cites, each with its item in the evidence
// index.
func (s *Service) Cited(ctx context.Context, d Document) (map[uint64]string, error) {
	f, _, err := s.Open(ctx, d.Org, d.ID, PartJSON)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var doc struct {
		Evidence struct {
			Records []struct {
				ID   string `json:"id"`
				Leaf uint64 `json:"leaf"`
			} `json:"records"`
		} `json:"evidence"`
	}
	if err := json.NewDecoder(f).Decode(&doc); err != nil {
		return nil, fmt.Errorf("read document %s: %w", d.ID, err)
	}
	out := map[uint64]string{}
	for _, r := range doc.Evidence.Records {
		out[r.Leaf] = r.ID
	}
	return out, nil
}
