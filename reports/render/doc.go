// Package render turns a document as data, a Doc, into bytes: PDF and JSON.
// The same Doc gives the same bytes; nothing here reads a clock, a random source
// or the machine. The layout runs in passes until page numbers repeat, then is
// drawn once through fpdf; a post-pass adds what fpdf cannot write: the embedded
// JSON, structure tags, metadata and link annotations.
package render

import (
	"encoding/json"
	"fmt"
	"time"
)

// Format is the version of the JSON form of a Doc.
const Format = 1

// Doc is a document before it has pages. Times are UTC.
type Doc struct {
	Format          int          `json:"format"`
	Kind            string       `json:"kind"`     // audit, model_card, vendor_risk
	Template        string       `json:"template"` // name and version of what built it
	ID              string       `json:"id"`
	Revision        int          `json:"revision"`
	Status          string       `json:"status"` // draft, issued, superseded
	Organisation    string       `json:"organisation"`
	KindTitle       string       `json:"kind_title"` // Audit report
	Title           string       `json:"title"`
	Subtitle        string       `json:"subtitle"` // system or vendor
	Subject         string       `json:"subject"`  // Subtitle with id and version, for running heads
	Confidentiality string       `json:"confidentiality"`
	Notice          string       `json:"notice"` // in every footer: sample, simulated provider
	Language        string       `json:"language"`
	IssuedAt        time.Time    `json:"issued_at"`
	AsOf            time.Time    `json:"as_of"`
	From            time.Time    `json:"from"`
	To              time.Time    `json:"to"`
	Compact         bool         `json:"compact"` // title block in place of a cover and contents
	Completeness    Completeness `json:"completeness"`
	Cover           []Fact       `json:"cover"` // four columns at most
	Lead            Blocks       `json:"lead"`  // between the title block and the first part
	Parts           []Part       `json:"parts"`
	// Evidence is the machine-readable proof of what is cited. It is in the JSON
	// alone; the evidence index prints a part of it.
	Evidence any `json:"evidence,omitempty"`
}

// Completeness counts the required fields of a kind of document.
type Completeness struct {
	Provided int       `json:"provided"`
	Required int       `json:"required"`
	Missing  []Missing `json:"missing,omitempty"`
	Ref      string    `json:"-"` // key of the part that lists what is missing
}

// Percent is the share provided, rounded down; 100 only when nothing is missing.
func (c Completeness) Percent() int {
	if c.Required == 0 {
		return 0
	}
	return c.Provided * 100 / c.Required
}

// Missing is a required field that nobody has filled.
type Missing struct {
	Field string `json:"field"`
	Owner string `json:"owner"`
}

// Fact is a label with one or more short lines.
type Fact struct {
	Label string   `json:"label"`
	Lines []string `json:"lines"`
}

// Part is a numbered chapter.
type Part struct {
	Key     string `json:"key"` // for cross-references; unique in the document
	Title   string `json:"title"`
	NewPage bool   `json:"-"`
	// Unnumbered parts come before the contents: document control.
	Unnumbered bool   `json:"unnumbered,omitempty"`
	Blocks     Blocks `json:"blocks"`
}

// Block is one of the block types of this package.
type Block interface{ blockType() string }

// Blocks encode with the name of their type.
type Blocks []Block

// MarshalJSON writes each block as an object with its "type" first.
func (bs Blocks) MarshalJSON() ([]byte, error) {
	out := []byte{'['}
	for i, b := range bs {
		if i > 0 {
			out = append(out, ',')
		}
		body, err := json.Marshal(b)
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", b.blockType(), err)
		}
		out = append(out, `{"type":"`...)
		out = append(out, b.blockType()...)
		out = append(out, '"')
		if len(body) > 2 {
			out = append(out, ',')
		}
		out = append(out, body[1:]...)
	}
	return append(out, ']'), nil
}

// JSON is the document as data, the file that is embedded in its PDF.
func JSON(doc *Doc) ([]byte, error) {
	b, err := json.MarshalIndent(doc, "", " ")
	if err != nil {
		return nil, fmt.Errorf("encode document: %w", err)
	}
	return append(b, '\n'), nil
}
