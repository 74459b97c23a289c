package reports

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"plumbline/assessments/evidence/record"
	"plumbline/reports/render"
)

// hashes of every kind of document from made-up records.
func hashes(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	all := requests()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		doc := paper(t).document(all[name], nil)
		data, err := render.JSON(doc)
		if err != nil {
			t.Fatal(err)
		}
		pdf, err := render.Render(doc, data)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s pdf %x json %x\n", name, sha256.Sum256(pdf), sha256.Sum256(data))
	}
	return out.String()
}

const childEnv = "PLUMBLINE_TEST_PRINT_HASHES"

// TestSameBytesInAnotherProcess builds every kind here and in two further
// processes, each of which walks its maps in another order.
func TestSameBytesInAnotherProcess(t *testing.T) {
	here := hashes(t)
	if os.Getenv(childEnv) != "" {
		fmt.Printf("HASHES\n%sEND\n", here)
		return
	}
	for range 2 {
		c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSameBytesInAnotherProcess$", "-test.count=1")
		c.Env, c.Dir = append(os.Environ(), childEnv+"=1", "TZ=Pacific/Chatham", "LANG=tr_TR.UTF-8"), t.TempDir()
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		_, rest, _ := strings.Cut(string(out), "HASHES\n")
		there, _, _ := strings.Cut(rest, "END\n")
		if there != here {
			t.Errorf("here:\n%s\nin another process:\n%s", here, there)
		}
	}
}

// TestBytesFollowTheInputs: each input that is named with a document changes it.
func TestBytesFollowTheInputs(t *testing.T) {
	base, err := render.PDF(paper(t).document(requests()["card"], nil))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Inputs){
		"revision":      func(in *Inputs) { in.Number = 2 },
		"time of issue": func(in *Inputs) { in.IssuedAt = in.IssuedAt.Add(time.Minute) },
		"author":        func(in *Inputs) { in.IssuedBy = "Somebody else" },
		"state":         func(in *Inputs) { in.Models[0].Calls++ },
	} {
		pdf, err := render.PDF(paper(t).document(requests()["card"], change))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(base, pdf) {
			t.Errorf("another %s gives the same bytes", name)
		}
	}
}

// spoil writes a text into every string that a person or a provider can name.
func spoil(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			spoil(v.Elem(), text)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		for i := range v.Len() {
			spoil(v.Index(i), text)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() || v.Type() == reflect.TypeFor[Request]() || v.Type() == reflect.TypeFor[Checkpoint]() {
			return
		}
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				spoil(v.Field(i), text)
			}
		}
	case reflect.String:
		if v.CanSet() && v.Type() == reflect.TypeFor[string]() {
			v.SetString(text)
		}
	}
}

// TestHostileText puts what nobody should type into every field.
func TestHostileText(t *testing.T) {
	for name, text := range map[string]string{
		"emoji":       "Team 🦺 👩‍💻 \U0001F3F4\U000E0067 and 漢字 and עברית",
		"controls":    "a\x00b\x07c\r\n\td\u202e e\u200b\ufeff",
		"no UTF-8":    "a\xff\xfe\xc3(",
		"PDF syntax":  ") Tj ET endstream endobj << /JS (app.alert(1)) >> %%EOF \\",
		"markup":      "<script>alert(1)</script> {{.}} $(id) `id` [E-9999]",
		"long word":   strings.Repeat("x", 4000),
		"many words":  strings.Repeat("word ", 800),
		"nothing":     "",
		"just spaces": "   \u00a0 ",
	} {
		t.Run(name, func(t *testing.T) {
			for kind, r := range requests() {
				if kind == "audit-nist" || kind == "audit-iso" || kind == "audit-eu" && name != "emoji" && name != "controls" {
					continue // the same builders over more pages
				}
				doc := paper(t).document(r, func(in *Inputs) {
					framework, states := in.Framework.ID, in.Controls
					var keep []Control
					for _, c := range states {
						if len(c.Human) > 0 || len(c.Tests) > 0 {
							keep = append(keep, c)
						}
					}
					in.Controls = keep[:min(len(keep), 6)]
					spoil(reflect.ValueOf(in).Elem(), text)
					in.Framework.ID, in.ID = framework, "X-2026-0001"
				})
				data, err := render.JSON(doc)
				if err != nil {
					t.Fatal(err)
				}
				if !json.Valid(data) {
					t.Errorf("%s: the JSON is broken", kind)
				}
				pdf, err := render.Render(doc, data)
				if err != nil {
					t.Fatalf("%s: %v", kind, err)
				}
				if kind == "card" {
					sound(t, pdf)
				}
			}
		})
	}
}

// sound lets qpdf read a file, when there is a qpdf.
func sound(t *testing.T, pdf []byte) {
	t.Helper()
	qpdf, err := exec.LookPath("qpdf")
	if err != nil {
		return
	}
	path := filepath.Join(t.TempDir(), "d.pdf")
	if err := os.WriteFile(path, pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), qpdf, "--check", path).CombinedOutput(); err != nil || bytes.Contains(out, []byte("WARNING")) {
		t.Errorf("qpdf: %v\n%s", err, out)
	}
}

// TestTenThousandRecords cites as many, each from its own row; a tenth of them
// under the race detector, which looks at other things.
func TestTenThousandRecords(t *testing.T) {
	n := 10_000
	if raceDetector {
		n = 1000
	}
	w := paper(t)
	doc := w.document(requests()["card"], func(in *Inputs) {
		in.Refusals = nil
		for i := range n {
			cites := w.put(fmt.Sprint("many", i), record.RegisterChange, &record.Change{Kind: "system.changed", Object: "screening", Version: uint64(i + 1)})
			in.Refusals = append(in.Refusals, Refusal{fmt.Sprintf("code_%d", i), int64(i), cites})
		}
	})
	begun := time.Now()
	pdf, err := render.PDF(doc)
	if err != nil {
		t.Fatal(err)
	}
	pages := render.Pages(pdf)
	t.Logf("%d pages, %d kB in %s", pages, len(pdf)/1000, time.Since(begun).Round(time.Millisecond))
	items := 0
	for _, p := range doc.Parts {
		for _, b := range p.Blocks {
			if x, ok := b.(*render.EvidenceIndex); ok {
				items = len(x.Items)
			}
		}
	}
	if items < n || pages < n/30 {
		t.Errorf("%d items of the index on %d pages", items, pages)
	}
}
