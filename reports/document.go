package reports

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"plumbline/app/authz"
	"plumbline/app/fault"
	"plumbline/inventory"
)

// State is how far a document has come.
type State string

// The states of a document.
const (
	Reserved   State = "reserved" // its number is taken; nothing can be downloaded
	Rendered   State = "rendered" // files written, record not confirmed
	Issued     State = "issued"
	Superseded State = "superseded" // a later revision was issued
)

// Document is an issued document as lists show it.
type Document struct {
	Org                authz.OrgID        `json:"-"`
	ID                 string             `json:"id"`     // AR-2026-0001-r2
	Number             string             `json:"number"` // AR-2026-0001
	Revision           int                `json:"revision"`
	Kind               Kind               `json:"kind"`
	System             inventory.SystemID `json:"system,omitempty"`
	Framework          string             `json:"framework,omitempty"`
	Vendor             string             `json:"vendor,omitempty"`
	Title              string             `json:"title"`
	Subject            string             `json:"subject"`
	Template           string             `json:"template"`
	State              State              `json:"state"`
	From               time.Time          `json:"from"`
	To                 time.Time          `json:"to"`
	AsOfSize           uint64             `json:"as_of_size"`
	AsOf               time.Time          `json:"as_of"`
	Root               [32]byte           `json:"-"`
	PDF                [32]byte           `json:"-"` // SHA-256
	JSON               [32]byte           `json:"-"` // SHA-256
	Pages              int                `json:"pages"`
	Provided, Required int                `json:"-"`
	Summary            map[string]int     `json:"summary,omitempty"` // figures that the next revision is compared with
	Simulated          bool               `json:"simulated"`
	Record             string             `json:"record"` // id of the document.issued record
	Leaf               uint64             `json:"leaf"`
	IssuedBy           string             `json:"issued_by"`
	IssuedName         string             `json:"-"`
	IssuedAt           time.Time          `json:"issued_at"`
}

// Completeness in percent, rounded down.
func (d Document) Completeness() int {
	if d.Required == 0 {
		return 0
	}
	return d.Provided * 100 / d.Required
}

// Move is a figure that is another than in the revision before.
type Move struct {
	Figure      string
	Before, Now int
}

// Moves compares the figures of two revisions, in the order of their names.
func Moves(before, now map[string]int) []Move {
	names := maps.Clone(now)
	if names == nil {
		names = map[string]int{}
	}
	maps.Copy(names, before)
	var out []Move
	for _, k := range slices.Sorted(maps.Keys(names)) {
		if now[k] != before[k] {
			out = append(out, Move{sentence(words(k)), before[k], now[k]})
		}
	}
	return out
}

// MarshalJSON adds the hashes as hex.
func (d Document) MarshalJSON() ([]byte, error) {
	type plain Document
	return json.Marshal(struct {
		plain
		PDF          string `json:"pdf_sha256"`
		JSON         string `json:"json_sha256"`
		Completeness int    `json:"completeness"`
	}{plain(d), fmt.Sprintf("%x", d.PDF), fmt.Sprintf("%x", d.JSON), d.Completeness()})
}

// Part is a file of a document.
type Part string

// The files of a document.
const (
	PartPDF   Part = "pdf"
	PartJSON  Part = "json"
	PartProof Part = "proof"
)

var partFiles = map[Part]struct{ suffix, contentType string }{
	PartPDF:   {".pdf", "application/pdf"},
	PartJSON:  {".json", "application/json"},
	PartProof: {".proof.json", "application/json"},
}

// FileName is the name under which a part is kept and given out.
func (d Document) FileName(p Part) string { return d.ID + partFiles[p].suffix }

var safeID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

// folder is where an organisation's documents lie. An id that could lead out of
// it is refused.
func (s *Service) folder(org authz.OrgID) (string, error) {
	if !safeID.MatchString(string(org)) {
		return "", fault.New(fault.Invalid, "org_invalid", "This organisation's id cannot name a folder.")
	}
	return filepath.Join(s.d.Dir, "documents", string(org)), nil
}

var errNoDocument = fault.New(fault.NotFound, "document_unknown", "There is no such document.")
