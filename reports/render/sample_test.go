package render

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// sample is a document with every kind of block. Parts repeat to make it long.
func sample(parts int) *Doc {
	at := time.Date(2026, 11, 20, 6, 0, 0, 0, time.UTC)
	d := &Doc{Format: Format, Kind: "audit", Template: "audit/1", ID: "AR-2026-0007", Revision: 1, Status: "Issued",
		Organisation: "Example Ltd", KindTitle: "Audit report", Title: "EU AI Act audit report", Subtitle: "Candidate screening",
		Subject: "Candidate screening (hiring, v3)", Confidentiality: "Confidential", Notice: "Sample: simulated provider", Language: "en",
		IssuedAt: at, AsOf: at.Add(-time.Hour), From: at.AddDate(0, -1, 0), To: at,
		Completeness: Completeness{Provided: 20, Required: 22, Ref: "limits", Missing: []Missing{{"Audit client", "compliance"}}},
		Cover:        []Fact{{"System", []string{"Candidate screening", "hiring, v3"}}, {"Criteria", []string{"Regulation (EU) 2024/1689"}}, {"Period", []string{"20 October to 19 November 2026"}}, {"Document", []string{"AR-2026-0007, revision 1"}}}}
	d.Parts = append(d.Parts, Part{Key: "contents", Title: "Contents", Unnumbered: true, NewPage: true, Blocks: Blocks{&Contents{}}})
	for i := range parts {
		d.Parts = append(d.Parts, samplePart(i))
	}
	index := &EvidenceIndex{}
	for i := range 40 {
		index.Items = append(index.Items, EvidenceItem{ID: fmt.Sprintf("E-%04d", i+1), Kind: "test.result", Content: "Sequence gaps and chain verification", Window: "2026-10-20 to 2026-11-19", Leaf: uint64(4102988 + i), SHA256: "52d9fd633e3da2e752d9fd633e3da2e752d9fd633e3da2e752d9fd633e3da2e7"})
	}
	d.Parts = append(d.Parts,
		Part{Key: "limits", Title: "Limitations and missing data", Blocks: Blocks{&List{Items: []Text{T("The gateway sees only routed traffic."), T("Ελληνικά, кириллица, → and \U0001F600 survive.")}}}},
		Part{Key: "index", Title: "Evidence index", NewPage: true, Blocks: Blocks{&Paragraph{T("Leaf index and SHA-256 refer to the checkpoint in ", Ref("verification", ""), ".")}, index}},
		Part{Key: "verification", Title: "Verification", NewPage: true, Blocks: Blocks{&Lede{T("You need this file, its proof and the public key. You need neither our servers nor our word.")},
			&Verification{Note: "plumbline.example/acme/1\n4182907\nSBNJTRN+FjG7owHVrKtue7eqdM4RhdRWVl71HXN2d7I=\n\n— plumbline.example/acme/1 pUOZfYTxJ5g1DAm97yzbFxv0HtPkpfgIry/rDFYmMAnH70Wv1klLyLtEtSdM4uRtkeulrYtxNqaTgpvqS71aWQ==\n", Origin: "plumbline.example/acme/1", Size: 4182907, SignedAt: "2026-11-20 05:00:01 UTC", Keys: []string{"plumbline.example/acme/1+7c1f03ae+AbU9"}, File: "AR-2026-0007-r1", Records: 40}}})
	return d
}

func samplePart(i int) Part {
	cite := Cite("E-0001", fmt.Sprintf("E-%04d", i%40+1))
	table := &Table{Caption: "Control matrix", Columns: []Column{{Title: "Ref.", Width: 14, Key: true}, {Title: "Obligation, in our words", Width: 52}, {Title: "Role", Width: 11}, {Title: "Applies from", Width: 22}, {Title: "Result", Width: 33}, {Title: "Tests", Width: 11, Right: true}, {Title: "Evidence", Width: 25}}}
	all := []Status{Satisfied, Partial, NotSatisfied, NoEvidence, NotApplicable, NotYet, Agrees, Differs}
	for k := range 34 {
		if k%12 == 0 {
			table.Rows = append(table.Rows, TableRow{Group: fmt.Sprintf("Chapter %d  Requirements", k/12+1)})
		}
		table.Rows = append(table.Rows, TableRow{Cells: []Text{T(fmt.Sprintf("9.%d", k)), T("Iterate: identify, evaluate, use monitoring data, adopt measures"), T("P, D"), T("2\u00A0Dec\u00A02027"), T(Chip(all[k%len(all)])), T("1/2"), T(cite)}})
	}
	slots := []ColumnsSlot{{Label: "20–26 Oct", Note: []string{"54 hits", "of 10,612"}, Values: []float64{3, 1.3, 0.8}}, {Label: "27 Oct–2 Nov", Values: []float64{3, 1.1, 0.9}},
		{Label: "3–9 Nov", Gap: "collector down", Note: []string{"not inspected", "of 10,938"}}, {Label: "10–16 Nov", Values: []float64{3.1, 1.4, 1.1}}}
	return Part{Key: fmt.Sprintf("part%d", i), Title: "Runtime annex", Blocks: Blocks{
		&Lede{T("Of 67 applicable obligations, 42 are satisfied, 16 partially and 2 not; 7 have no evidence. Unknown is a value, and none of it counts as a pass.")},
		&Stats{[]Stat{{"Obligations applicable", "67", "12 in force, 55 ahead of date; 17 more not applicable"}, {"Satisfied", "63%", "42 of 67"}, {"Open findings", "6", "1 major, 3 minor"}, {"Evidence cited", "unknown", "3 items stale"}}},
		&Heading{Level: 2, Key: fmt.Sprintf("s%d", i), Title: "Conclusion"},
		&Paragraph{T("The system is operated within its approved purpose, every call is recorded, and ", Strong("logs are kept"), " in ", Code("/var/lib/plumbline/ledger.db"), ". 48,212 exchanges were captured ", cite, ". See ", Ref("limits", ""), " and ", Link("https://example.org/a"), ".")},
		&Verdict{NotSatisfied, "computed 2026-11-20 05:40 UTC from 20 Oct to 19 Nov 2026"},
		&KeyValue{[]Row{{"Role and date", T("Provider. Applies from 2 December 2027")}, {"Owner", NotProvided("compliance officer")}, {"Model", T(Code("sim-chat-large-2026-10-preview-with-a-very-long-name-that-needs-breaking-somewhere-sensible@eu-central-1/blue"))}}},
		&Figure{Claim: "Requirements are mostly met", Alt: "Stacked bars of obligations by result", Source: T("Source: control matrix ", cite), Chart: Chart{Bars: &Bars{all[:6], []BarRow{{"I  General provisions", []int{2, 0, 0, 0, 0, 0}}, {"III, Section 2  Requirements", []int{10, 9, 1, 1, 2, 3}}}}}},
		&Figure{Claim: "Hit rates are steady where the detectors ran", Alt: "Columns by week", Chart: Chart{Columns: &Columns{"Hits per 1,000 inspected", []string{"Personal data", "Injection", "Topic"}, slots}}},
		&Figure{Claim: "Spend stayed under the limit", Alt: "Cumulative spend", Chart: Chart{Cumulative: &Cumulative{Unit: "US$, cumulative", ColumnUnit: "US$ per day", Labels: []string{"20 Oct", "21 Oct", "22 Oct", "23 Oct"}, Values: []float64{140, 160, 155, 30}, Limit: 600, LimitLabel: "Limit $600", FinalLabel: "$485", FinalDetail: "81% of limit"}}},
		table,
		&Figure{Claim: "Result in the last six months", Alt: "strip", Chart: Chart{Strip: &Strip{[]string{"Jun", "Jul", "Aug", "Sep", "Oct", "Nov"}, all[:6]}}},
		&Finding{ID: fmt.Sprintf("F-%02d", i+1), Grade: "major", Title: "Guardrails were bypassed for a week", Requirement: T("15.5"), Observation: T("6 of 10"), Evidence: []string{"E-0002"}, Cause: T("unknown"), Correction: T("none"), Action: NotProvided("owner")},
		&CodeBox{[]string{"test=t.guardrail_coverage version=2", "window=2026-08-22T00:00Z/2026-11-20T00:00Z"}},
		&Callout{Title: "What this proves", Body: []Text{T("The records existed when the checkpoint was signed."), T("It does not prove that a record was true.")}},
		&List{Numbered: true, Items: []Text{T("one"), T("two")}},
	}}
}

func TestSampleToFile(t *testing.T) {
	dir := os.Getenv("PLUMBLINE_SAMPLES")
	if dir == "" {
		t.Skip("set PLUMBLINE_SAMPLES to a folder to look at the sample")
	}
	b, err := PDF(sample(2))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/sample.pdf", b, 0o600); err != nil {
		t.Fatal(err)
	}
}
