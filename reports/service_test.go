package reports

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"

	"plumbline/app/authz"
	"plumbline/app/db"
	"plumbline/app/fault"
	"plumbline/assessments/evidence"
	"plumbline/assessments/evidence/record"
	"plumbline/frameworks"
	"plumbline/migrations"
)

var ada = authz.Actor{Org: org, ID: "acc-ada", Name: "Ada Example"}

// service is a Service over the world's ledger and a new database.
func (w *world) service(change func(*Deps)) *Service {
	w.t.Helper()
	dir := w.t.TempDir()
	g, err := db.Open(w.t.Context(), db.Config{Dir: dir})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = db.Close(g) })
	if _, err := migrations.Up(w.t.Context(), db.SQL(g), db.Dialect(g), migrations.State); err != nil {
		w.t.Fatal(err)
	}
	d := Deps{DB: g, Dir: dir, Ledger: w.ledger, Now: func() time.Time { return now }, Rand: rand.NewChaCha8([32]byte{9}),
		Gather: func(_ context.Context, r Request, _ record.Checkpoint) (Inputs, error) { return w.inputs(r), nil },
		Proof: func(_ context.Context, p Proving) ([]byte, error) {
			return fmt.Appendf(nil, "{\"leaf\":%d}\n", p.Leaf), nil
		}}
	if change != nil {
		change(&d)
	}
	s, err := New(d)
	if err != nil {
		w.t.Fatal(err)
	}
	w.inputs(audit()) // what happened before the document is asked for
	return s
}

func audit() Request {
	return Request{Org: org, Kind: KindAudit, System: "screening", Framework: frameworks.AIAct}
}

func TestIssueIsRecordedAndKept(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	d, err := s.Issue(t.Context(), ada, audit())
	if err != nil {
		t.Fatal(err)
	}
	if d.ID != "AR-2026-0001-r1" || d.State != Issued || d.Pages < 10 {
		t.Errorf("issued %+v", d)
	}
	r := w.recorded(d.Leaf)
	body, ok := r.Body.(*record.Document)
	if !ok || body.Identifier != "AR-2026-0001" || body.AsOf != d.AsOfSize || r.Actor != "acc-ada" {
		t.Fatalf("recorded %+v", r)
	}
	for part, want := range map[Part][32]byte{PartPDF: body.PDF, PartJSON: body.JSON} {
		f, _, err := s.Open(t.Context(), org, d.ID, part)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(f)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		if sha256.Sum256(b) != want {
			t.Errorf("the %s is not what the record names", part)
		}
		if part == PartJSON {
			w.provedBy(b)
		}
	}
	got, err := s.Get(t.Context(), org, d.ID)
	if err != nil || got.PDF != body.PDF || got.Leaf != d.Leaf {
		t.Errorf("kept %+v, %v", got, err)
	}
}

func (w *world) recorded(leaf uint64) *record.Record {
	w.t.Helper()
	leaves, err := w.ledger.Feed(w.t.Context(), org, leaf, 1)
	if err != nil || len(leaves) == 0 {
		w.t.Fatalf("leaf %d: %v", leaf, err)
	}
	r, err := record.Decode(leaves[0].Bytes)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// provedBy checks the inclusion of every record that a document's JSON carries.
func (w *world) provedBy(document []byte) {
	w.t.Helper()
	var doc struct {
		Evidence Evidence `json:"evidence"`
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		w.t.Fatal(err)
	}
	lines := strings.Split(doc.Evidence.Checkpoint, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		w.t.Fatal(err)
	}
	want, err := tlog.ParseHash(lines[2])
	if err != nil {
		w.t.Fatal(err)
	}
	if len(doc.Evidence.Records) == 0 {
		w.t.Error("the document proves no record")
	}
	for _, r := range doc.Evidence.Records {
		var proof tlog.RecordProof
		for _, h := range r.Proof {
			b, err := hex.DecodeString(h)
			if err != nil || len(b) != 32 {
				w.t.Fatalf("proof of %s: %q, %v", r.ID, h, err)
			}
			proof = append(proof, tlog.Hash(b))
		}
		if err := tlog.CheckRecord(proof, size, want, int64(r.Leaf), record.LeafHash(r.Bytes)); err != nil {
			w.t.Errorf("%s: %v", r.ID, err)
		}
	}
}

// unsigned is a ledger whose log has no leaf yet. A real one is so only until its
// writer has put the first mark of an hour into it, which no test can wait for.
type unsigned struct{ *evidence.Ledger }

func (u unsigned) SignNow(ctx context.Context, log string) (record.Checkpoint, error) {
	cp, err := u.Ledger.SignNow(ctx, log)
	return record.Checkpoint{Origin: cp.Origin}, err
}

func TestNothingRecordedNothingProved(t *testing.T) {
	w := newWorld(t)
	s := w.service(func(d *Deps) { d.Ledger = unsigned{w.ledger} })
	if _, err := s.Issue(t.Context(), ada, audit()); !fault.Is(err, fault.Conflict) {
		t.Errorf("error %v", err)
	}
	if docs, err := s.documents(t.Context(), "org = ?", org); err != nil || len(docs) != 0 {
		t.Errorf("%d documents are left, %v", len(docs), err)
	}
}

func TestRevisionsSupersede(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	first, err := s.Issue(t.Context(), ada, audit())
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.Issue(t.Context(), ada, audit())
	if err != nil {
		t.Fatal(err)
	}
	other, err := s.Issue(t.Context(), ada, Request{Org: org, Kind: KindAudit, System: "screening", Framework: frameworks.ISO})
	if err != nil {
		t.Fatal(err)
	}
	if second.ID != "AR-2026-0001-r2" || other.ID != "AR-2026-0002-r1" {
		t.Errorf("ids %s and %s", second.ID, other.ID)
	}
	got, err := s.Get(t.Context(), org, first.ID)
	if err != nil || got.State != Superseded {
		t.Errorf("first revision: %v, %v", got.State, err)
	}
	docs, err := s.List(t.Context(), org)
	if err != nil || len(docs) != 3 {
		t.Errorf("%d documents, %v", len(docs), err)
	}
}

func TestFailureLeavesNothing(t *testing.T) {
	w := newWorld(t)
	broken := errors.New("gone")
	s := w.service(func(d *Deps) {
		d.Bundle = func(context.Context, string, Checkpoint, []Cited) (any, error) { return nil, broken }
	})
	if _, err := s.Issue(t.Context(), ada, audit()); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	docs, err := s.documents(t.Context(), "org = ?", org)
	if err != nil || len(docs) != 0 {
		t.Errorf("%d rows left, %v", len(docs), err)
	}
}

// flaky fails to append once, before or after the record is durable.
type flaky struct {
	*evidence.Ledger
	before, after bool
}

func (f *flaky) Append(ctx context.Context, log string, r *record.Record) (uint64, error) {
	if r.Kind != record.DocumentIssued {
		return f.Ledger.Append(ctx, log, r)
	}
	if f.before {
		f.before = false
		return 0, errors.New("not persisted")
	}
	leaf, err := f.Ledger.Append(ctx, log, r)
	if f.after {
		f.after = false
		return 0, errors.New("persisted but reported failed")
	}
	return leaf, err
}

func TestResumeFinishesOnce(t *testing.T) {
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("persisted %v", after), func(t *testing.T) {
			w := newWorld(t)
			s := w.service(func(d *Deps) { d.Ledger = &flaky{w.ledger, !after, after} })
			d, err := s.Issue(t.Context(), ada, audit())
			if err == nil {
				t.Fatal("no error")
			}
			if _, err := s.Get(t.Context(), org, d.ID); !fault.Is(err, fault.NotFound) {
				t.Errorf("an unfinished document is shown: %v", err)
			}
			if err := s.Resume(t.Context()); err != nil {
				t.Fatal(err)
			}
			got, err := s.Get(t.Context(), org, d.ID)
			if err != nil || got.State != Issued {
				t.Fatalf("%+v, %v", got, err)
			}
			n := 0
			for leaf := range w.ledger.Size(org) {
				if w.recorded(leaf).Kind == record.DocumentIssued {
					n++
				}
			}
			if n != 1 {
				t.Errorf("the document is recorded %d times", n)
			}
		})
	}
}

func TestRequestsThatNameNoDocument(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	tests := []struct {
		name string
		r    Request
		want string
	}{
		{"no organisation", Request{Kind: KindAudit}, "org"},
		{"no such kind", Request{Org: org, Kind: "poem"}, "kind"},
		{"audit without system", Request{Org: org, Kind: KindAudit, Framework: frameworks.ISO}, "system"},
		{"audit without framework", Request{Org: org, Kind: KindAudit, System: "screening"}, "framework"},
		{"vendor report without vendor", Request{Org: org, Kind: KindVendorRisk}, "vendor"},
		{"period that ends first", Request{Org: org, Kind: KindModelCard, System: "screening", From: now, To: now.Add(-time.Hour)}, "from"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := s.Issue(t.Context(), ada, test.r)
			var f *fault.Error
			if !errors.As(err, &f) || f.Kind != fault.Invalid || f.Fields[test.want] == "" {
				t.Errorf("error %v does not name %s", err, test.want)
			}
		})
	}
}

// TestOrganisationsAreApart tries every read of the service from another one.
func TestOrganisationsAreApart(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	const other = "other"
	d, err := s.Issue(t.Context(), ada, audit())
	if err != nil {
		t.Fatal(err)
	}
	sch, err := s.PutSchedule(t.Context(), ada, Schedule{Org: org, Kind: KindModelCard, System: "screening", Cron: "@daily"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.RunOnce(t.Context(), org, "tests", now, ada, func(context.Context) (string, error) { return "", nil }); err != nil {
		t.Fatal(err)
	}
	if docs, err := s.List(t.Context(), other); err != nil || len(docs) != 0 {
		t.Errorf("List: %v, %v", docs, err)
	}
	if _, err := s.Get(t.Context(), other, d.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("Get: %v", err)
	}
	if _, _, err := s.Open(t.Context(), other, d.ID, PartPDF); !fault.Is(err, fault.NotFound) {
		t.Errorf("Open: %v", err)
	}
	if list, err := s.Schedules(t.Context(), other); err != nil || len(list) != 0 {
		t.Errorf("Schedules: %v, %v", list, err)
	}
	if err := s.DeleteSchedule(t.Context(), authz.Actor{Org: other, ID: "acc-eve"}, other, sch.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("DeleteSchedule: %v", err)
	}
	if err := s.DeleteSchedule(t.Context(), authz.Actor{Org: other, ID: "acc-eve"}, org, sch.ID); !fault.Is(err, fault.Forbidden) {
		t.Errorf("DeleteSchedule of another organisation: %v", err)
	}
	if runs, err := s.Runs(t.Context(), other, 10); err != nil || len(runs) != 0 {
		t.Errorf("Runs: %v, %v", runs, err)
	}
	if runs, err := s.RunsOf(t.Context(), other, "tests", 10); err != nil || len(runs) != 0 {
		t.Errorf("RunsOf: %v, %v", runs, err)
	}
	if runs, err := s.LastRuns(t.Context(), other); err != nil || len(runs) != 0 {
		t.Errorf("LastRuns: %v, %v", runs, err)
	}
	if _, err := s.Content(t.Context(), other, d.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("Content: %v", err)
	}
	if err := s.d.DB.Table("documents").Where("id = ?", d.ID).Update("state", Rendered).Error; err != nil {
		t.Fatal(err)
	}
	if docs, err := s.Pending(t.Context(), other); err != nil || len(docs) != 0 {
		t.Errorf("Pending: %v, %v", docs, err)
	}
	if docs, err := s.Pending(t.Context(), org); err != nil || len(docs) != 1 {
		t.Errorf("Pending of its own: %v, %v", docs, err)
	}
}

// TestContentIsWhatTheJSONSays reads a document back.
func TestContentIsWhatTheJSONSays(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	d, err := s.Issue(t.Context(), ada, audit())
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Content(t.Context(), org, d.ID)
	if err != nil || c.Confidentiality == "" || c.Cited == 0 || len(c.Missing) != d.Required-d.Provided {
		t.Errorf("%+v of %d/%d, %v", c, d.Provided, d.Required, err)
	}
	path, err := s.Path(t.Context(), org, d.ID, PartJSON)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Content(t.Context(), org, d.ID); !fault.Is(err, fault.Unavailable) {
		t.Errorf("half a file: %v", err)
	}
}

func TestMoves(t *testing.T) {
	got := Moves(map[string]int{"exchanges": 3, "refused calls": 1, "controls no_evidence": 4}, map[string]int{"exchanges": 5, "refused calls": 1, "models observed": 2})
	want := []Move{{"Controls no evidence", 4, 0}, {"Exchanges", 3, 5}, {"Models observed", 0, 2}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := Moves(nil, nil); len(got) != 0 {
		t.Errorf("nothing moved: %v", got)
	}
}

func TestPathsStayInTheFolder(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	for _, bad := range []authz.OrgID{"../x", "a/b", "", ".", "..", "a\x00b"} {
		if _, err := s.folder(bad); err == nil {
			t.Errorf("%q is taken as a folder", bad)
		}
	}
	if dir, err := s.folder(org); err != nil || filepath.Base(dir) != org {
		t.Errorf("%s, %v", dir, err)
	}
	if _, err := os.Stat(filepath.Join(s.d.Dir, "x")); err == nil {
		t.Error("something was written")
	}
}
