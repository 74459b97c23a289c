package reports

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"plumbline/assessments/evidence/record"
	"plumbline/reports/render"
)

func TestEveryKindRenders(t *testing.T) {
	w := newWorld(t)
	for name, r := range requests() {
		t.Run(name, func(t *testing.T) {
			doc, in := w.build(r)
			pdf, err := render.PDF(doc)
			if err != nil {
				t.Fatal(err)
			}
			kind, _ := KindOf(r.Kind)
			again := kind.build(in)
			again.Evidence = doc.Evidence
			second, err := render.PDF(again)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(pdf, second) {
				t.Error("same inputs gave other bytes")
			}
			keep(t, name+".pdf", pdf)
		})
	}
}

// keep leaves a copy for those who want to look at the pages.
func keep(t *testing.T, name string, b []byte) {
	if dir := os.Getenv("PLUMBLINE_SAMPLES"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEveryCitationIsInTheIndex: every id cited anywhere is an item of the
// index, and every item is cited and has the hash of its record.
func TestEveryCitationIsInTheIndex(t *testing.T) {
	w := newWorld(t)
	for name, r := range requests() {
		t.Run(name, func(t *testing.T) {
			doc, in := w.build(r)
			cited := map[string]bool{}
			citations(reflect.ValueOf(doc.Parts), cited)
			var index *render.EvidenceIndex
			for _, p := range doc.Parts {
				for _, b := range p.Blocks {
					if x, ok := b.(*render.EvidenceIndex); ok {
						index = x
					}
				}
			}
			if index == nil || len(index.Items) == 0 {
				t.Fatal("no evidence index")
			}
			hashes := map[uint64]string{}
			for _, rec := range in.Records {
				sum := record.LeafHash(rec.Bytes)
				hashes[rec.Leaf] = hex.EncodeToString(sum[:])
			}
			for _, item := range index.Items {
				if !cited[item.ID] {
					t.Errorf("%s is in the index and not cited", item.ID)
				}
				delete(cited, item.ID)
				if item.SHA256 != hashes[item.Leaf] {
					t.Errorf("%s: hash %s is not that of leaf %d", item.ID, item.SHA256, item.Leaf)
				}
			}
			for id := range cited {
				t.Errorf("%s is cited and not in the index", id)
			}
		})
	}
}

// citations walks a document for what it cites.
func citations(v reflect.Value, out map[string]bool) {
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		if !v.IsNil() {
			citations(v.Elem(), out)
		}
	case reflect.Slice:
		for i := range v.Len() {
			citations(v.Index(i), out)
		}
	case reflect.Struct:
		if s, ok := v.Interface().(render.Span); ok {
			for _, id := range s.Cite {
				out[id] = true
			}
			return
		}
		if f, ok := v.Interface().(render.Finding); ok {
			for _, id := range f.Evidence {
				out[id] = true
			}
		}
		for i := range v.NumField() {
			citations(v.Field(i), out)
		}
	}
}

func TestEveryFindingCitesARecord(t *testing.T) {
	w := newWorld(t)
	for name, r := range requests() {
		doc, _ := w.build(r)
		n := 0
		for _, p := range doc.Parts {
			for _, b := range p.Blocks {
				f, ok := b.(*render.Finding)
				if !ok {
					continue
				}
				n++
				if len(f.Evidence) == 0 {
					t.Errorf("%s: %s %q cites nothing", name, f.ID, f.Title)
				}
			}
		}
		if n == 0 && name != "card" {
			t.Errorf("%s has no finding", name)
		}
	}
}

// TestUnknownIsNeverAPass: a picture without any evidence must not yield a pass,
// a zero risk or a percentage.
func TestUnknownIsNeverAPass(t *testing.T) {
	w := newWorld(t)
	for name, r := range requests() {
		t.Run(name, func(t *testing.T) {
			r.Org = org
			kind, err := check(r)
			if err != nil {
				t.Fatal(err)
			}
			cp, err := w.ledger.SignNow(t.Context(), org)
			if err != nil {
				t.Fatal(err)
			}
			full := w.inputs(r)
			bare := Inputs{Request: r, ID: "X-1", Number: 1, IssuedAt: now, Checkpoint: Checkpoint{cp, nil}, OrgName: "Acme", Framework: full.Framework}
			for _, c := range full.Controls {
				bare.Controls = append(bare.Controls, Control{ID: c.ID, Title: c.Title, State: "brand_new_state"})
			}
			doc := kind.build(bare)
			if _, err := render.PDF(doc); err != nil {
				t.Fatal(err)
			}
			text := plain(t, doc)
			for _, bad := range []string{`"status":"satisfied"`, "100.0%", "NaN", "+Inf"} {
				if strings.Contains(text, bad) {
					t.Errorf("an empty picture says %q", bad)
				}
			}
			if len(doc.Completeness.Missing) == 0 || doc.Completeness.Percent() == 100 {
				t.Error("an empty picture is complete")
			}
		})
	}
}

// TestSaysOnlyWhatIsOnRecord: no document claims a review that nobody is named
// for, or a form of calls that was not seen.
func TestSaysOnlyWhatIsOnRecord(t *testing.T) {
	w := newWorld(t)
	doc, _ := w.build(requests()["audit-eu"])
	if text := plain(t, doc); strings.Contains(text, "reviewed and approved by") || !strings.Contains(text, "Nobody is named who reviewed or approved it.") {
		t.Error("an audit report that nobody reviewed says that somebody did")
	}
	in := w.inputs(requests()["audit-eu"])
	in.Request, in.Reviewer = requests()["audit-eu"], "Ada"
	if b := (&builder{in: in}); !strings.Contains(b.team(), "reviewed by the person") || !strings.Contains(b.team(), "Nobody is named who approved it") {
		t.Errorf("with a reviewer alone: %s", b.team())
	}
	doc, _ = w.build(requests()["card"])
	text := plain(t, doc)
	for _, want := range []string{"chat.completions (61 calls), messages (9 calls)", "Those of the calls named under task and modality: chat.completions, messages"} {
		if !strings.Contains(text, want) {
			t.Errorf("the model card does not say %q", want)
		}
	}
	for _, bad := range []string{"Text in, text out", "form of the OpenAI API"} {
		if strings.Contains(text, bad) {
			t.Errorf("the model card says %q of calls of messages too", bad)
		}
	}
}

func plain(t *testing.T, doc *render.Doc) string {
	t.Helper()
	b, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTextHasTheSections(t *testing.T) {
	if _, err := exec.LookPath("pdftotext"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("pdftotext is not installed")
		}
		t.Skip("pdftotext is not installed")
	}
	want := map[string][]string{
		"audit-eu": {"Document control", "Contents", "Executive summary", "Objectives, scope and method", "Findings", "Control matrix", "Runtime tests", "Controls in detail", "Runtime annex", "Open points",
			"Limitations and missing data", "Evidence index", "Verification", "NOT PROVIDED", "simulated provider", "What this document does not prove", "First issue"},
		"audit-iso": {"Statement of applicability", "Justification"},
		"card":      {"Identity and description", "Declared and observed", "Observed in production", "Differs", "Limitations and missing data", "Evidence index", "Verification", "NOT PROVIDED", "simulated provider"},
		"vendor":    {"Profile", "Inherent risk", "Due diligence", "unanswered", "Observed", "Findings and decision", "Evidence index", "simulated provider"},
	}
	w := newWorld(t)
	for name, sections := range want {
		doc, _ := w.build(requests()[name])
		pdf, err := render.PDF(doc)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "d.pdf")
		if err := os.WriteFile(path, pdf, 0o600); err != nil {
			t.Fatal(err)
		}
		text, err := exec.CommandContext(context.Background(), "pdftotext", "-layout", path, "-").Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range sections {
			if !bytes.Contains(text, []byte(s)) {
				t.Errorf("%s: no %q", name, s)
			}
		}
	}
}
