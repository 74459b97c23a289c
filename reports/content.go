package reports

import (
	"context"
	"encoding/json"

	"plumbline/app/authz"
	"plumbline/app/fault"
	"plumbline/reports/render"
)

// Content is what a list or page shows of a document beside its row: what its
// JSON says of itself.
type Content struct {
	Confidentiality string
	Missing         []render.Missing // required fields that nobody filled
	Cited           int              // records in the evidence index
}

// Content reads a document's JSON. It returns NotFound when there is no such
// document and Unavailable when its file cannot be read.
func (s *Service) Content(ctx context.Context, org authz.OrgID, id string) (Content, error) {
	f, _, err := s.Open(ctx, org, id, PartJSON)
	if err != nil {
		return Content{}, err
	}
	defer f.Close()
	var doc struct {
		Confidentiality string              `json:"confidentiality"`
		Completeness    render.Completeness `json:"completeness"`
		Evidence        struct {
			Records []json.RawMessage `json:"records"`
		} `json:"evidence"`
	}
	if err := json.NewDecoder(f).Decode(&doc); err != nil {
		return Content{}, fault.Wrap(fault.Unavailable, "document_unreadable", err, "The JSON of this document is not what was written. Its hash is still in the ledger.")
	}
	return Content{doc.Confidentiality, doc.Completeness.Missing, len(doc.Evidence.Records)}, nil
}
