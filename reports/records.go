package reports

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"plumbline/assessments/evidence/record"
	"plumbline/reports/render"
)

// Leaves are all that the inputs name, in order and once each.
func (in *Inputs) Leaves() []uint64 {
	var all []uint64
	add := func(c Cites) { all = append(all, c...) }
	add(in.SystemAt)
	add(in.UsageAt)
	add(in.Collector.Cites)
	for _, c := range in.Controls {
		add(c.Cites)
		for _, t := range c.Tests {
			add(t.Cites)
		}
		for _, h := range c.Human {
			add(h.Cites)
		}
		for _, x := range c.Exceptions {
			add(x.Cites)
		}
		if c.Plan != nil {
			add(c.Plan.Cites)
		}
	}
	for _, m := range in.Models {
		add(m.Cites)
	}
	for _, g := range in.Guards {
		add(g.Cites)
	}
	for _, x := range in.Budgets {
		add(x.Cites)
	}
	for _, x := range in.Refusals {
		add(x.Cites)
	}
	for _, x := range in.Outages {
		add(x.Cites)
	}
	for _, x := range in.Changes {
		add(x.Cites)
	}
	if v := in.Vendor; v != nil {
		add(v.Cites)
		for _, s := range v.Systems {
			add(s.Cites)
		}
		for _, x := range v.Errors {
			add(x.Cites)
		}
		for _, x := range v.PII {
			add(x.Cites)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// records reads what the inputs cite. A leaf past the checkpoint cannot be
// proved in it and is left out; the builder then prints no citation for it.
func (s *Service) records(ctx context.Context, in *Inputs) ([]Record, error) {
	var out []Record
	for _, n := range in.Leaves() {
		if n >= in.Checkpoint.Size {
			continue
		}
		leaf, err := s.leaf(ctx, string(in.Org), n)
		if err != nil {
			return nil, err
		}
		r, err := describe(leaf)
		if err != nil {
			return nil, fmt.Errorf("cited leaf %d: %w", n, err)
		}
		out = append(out, r)
	}
	return out, nil
}

func (s *Service) leaf(ctx context.Context, log string, n uint64) (record.Leaf, error) {
	leaves, err := s.d.Ledger.Feed(ctx, log, n, 1)
	if err != nil {
		return record.Leaf{}, fmt.Errorf("read leaf %d: %w", n, err)
	}
	if len(leaves) == 0 || leaves[0].Index != n {
		return record.Leaf{}, fmt.Errorf("read leaf %d: the log does not have it", n)
	}
	return leaves[0], nil
}

// describe decodes a leaf for the evidence index.
func describe(leaf record.Leaf) (Record, error) {
	r, err := record.Decode(leaf.Bytes)
	if err != nil {
		return Record{}, err
	}
	sum := record.LeafHash(leaf.Bytes)
	out := Record{Leaf: leaf.Index, Kind: r.Kind.String(), ID: r.ID.String(), At: time.UnixMicro(r.At).UTC(), SHA256: hex.EncodeToString(sum[:]), Bytes: leaf.Bytes}
	out.Window = out.At.Format("2006-01-02 15:04")
	switch b := r.Body.(type) {
	case *record.TestResult:
		out.Content = fmt.Sprintf("%s version %d: %s", b.Test, b.Version, words(b.Result))
		out.Window = span(time.UnixMicro(b.From), time.UnixMicro(b.To))
	case *record.ControlResult:
		out.Content = fmt.Sprintf("%s: %s", controlName(b.Framework, b.Control), words(b.State))
	case *record.Change:
		out.Content = fmt.Sprintf("%s: %s, version %d", sentence(words(b.Kind)), b.Object, b.Version)
	case *record.HumanEvidence:
		kind := words(b.Type)
		if b.Form == "plan" {
			kind = "corrective action"
		}
		out.Content = fmt.Sprintf("%s for %s", sentence(kind), controlName(b.Framework, b.Control))
		switch {
		case b.Until != 0:
			out.Window = span(time.UnixMicro(b.From), time.UnixMicro(b.Until))
		case b.From != 0:
			out.Window = "from " + time.UnixMicro(b.From).UTC().Format(time.DateOnly)
		}
	case *record.HumanDecision:
		out.Content = "Decision on evidence: not accepted"
		if b.Accepted {
			out.Content = "Decision on evidence: accepted"
		}
	case *record.Applicability:
		out.Content = "Applicability of " + controlName(b.Framework, b.Control)
	case *record.Outage:
		out.Content = fmt.Sprintf("Ledger could not write; %d calls turned away", b.Turned)
		out.Window = span(time.UnixMicro(b.From), time.UnixMicro(b.To))
	case *record.Refusals:
		out.Content = fmt.Sprintf("%d refusals counted, %s", b.Count, b.Code)
		out.Window = span(time.UnixMicro(b.First), time.UnixMicro(b.Last))
	case *record.Hour:
		out.Content = "Mark of the hour " + time.Unix(b.Hour*3600, 0).UTC().Format("2006-01-02 15:04")
	case *record.Document:
		out.Content = fmt.Sprintf("%s, revision %d", b.Identifier, b.Revision)
	case *record.Job:
		out.Content = "Run of " + b.Name
	default:
		out.Content = sentence(words(out.Kind))
		if id, ok := r.Exchange(); ok {
			out.Content = "Exchange " + id.String()
		}
	}
	return out, nil
}

// words makes a code readable: not_satisfied becomes not satisfied.
func words(code string) string { return strings.NewReplacer("_", " ", ".", " ").Replace(code) }

var frameworkNames = map[string]string{"eu-ai-act": "EU AI Act", "nist-ai-rmf-1.0": "NIST AI RMF", "iso-42001-2023": "ISO/IEC 42001"}

func controlName(framework, control string) string {
	if name, ok := frameworkNames[framework]; ok {
		framework = name
	}
	return framework + " " + control
}

// span prints a window. Days are enough when it is longer than one.
func span(from, to time.Time) string {
	from, to = from.UTC(), to.UTC()
	layout := "2006-01-02"
	if to.Sub(from) < 48*time.Hour {
		layout = "2006-01-02 15:04"
	}
	a, b := from.Format(layout), to.Format(layout)
	if a == b {
		return a
	}
	return a + " to " + b
}

// citedOf pairs the document's evidence index with the bytes of its records.
func citedOf(doc *render.Doc, records []Record) []Cited {
	bytesOf := map[uint64][]byte{}
	for _, r := range records {
		bytesOf[r.Leaf] = r.Bytes
	}
	var out []Cited
	for _, p := range doc.Parts {
		for _, b := range p.Blocks {
			if index, ok := b.(*render.EvidenceIndex); ok {
				for _, item := range index.Items {
					out = append(out, Cited{ID: item.ID, Leaf: item.Leaf, Bytes: bytesOf[item.Leaf]})
				}
			}
		}
	}
	return out
}

// summary is kept with a document, so that the next revision can say what moved.
func summary(in Inputs) map[string]int {
	out := map[string]int{}
	for _, c := range in.Controls {
		out["controls "+string(c.State)]++
	}
	u := total(in.Usage)
	out["exchanges"] = int(u.Exchanges)
	out["refused calls"] = int(u.Refused)
	out["models observed"] = 0
	for _, m := range in.Models {
		if m.Calls > 0 {
			out["models observed"]++
		}
	}
	return out
}
