package server

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"plumbline/app/authz"
	"plumbline/app/db"
	"plumbline/assessments/evidence"
	"plumbline/assessments/evidence/record"
	"plumbline/inventory"
	"plumbline/reports"
)

// member is a person with a role in the test's organisation, signed in.
func member(t *testing.T, s *Server, base string, org inventory.OrgID, role authz.Role) *visitor {
	t.Helper()
	p, err := s.Register.AddAccount(t.Context(), authz.Actor{Org: org, ID: "test"}, inventory.Person{Name: "Person " + string(role), Email: string(role) + "@" + string(org) + ".example", Roles: []authz.Role{role}})
	if err != nil {
		t.Fatal(err)
	}
	link, err := s.Register.Link(t.Context(), p.ID)
	if err != nil {
		t.Fatal(err)
	}
	v := newVisitor(t, base)
	v.is(v.enter(base+"/signin/link/"+link), 200, "/account")
	return v
}

// lines is a log that a test reads while a server writes it.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

// office is a furnished server whose log is read.
func office(t *testing.T) (s *Server, base string, log *lines) {
	t.Helper()
	log = &lines{}
	s = open(t, Options{Config: testConfig(t.TempDir()), Log: slog.New(slog.NewJSONHandler(log, nil))})
	furnish(t, s, "http://127.0.0.1:9/v1")
	return s, serve(t, s), log
}

func TestDocumentFormsSayWhatIsMissing(t *testing.T) {
	s, base, _ := office(t)
	v := member(t, s, base, testOrg, authz.ComplianceOfficer)
	v.is(v.get("/documents"), 200, "/documents", "No documents yet", "No schedules yet", "Issue a document")
	v.get("/documents/new")
	tomorrow := time.Now().UTC().AddDate(0, 0, 1).Format(time.DateOnly)
	tests := []struct {
		name, path string
		form       []string
		want       string
	}{
		{"no kind", "/documents", []string{"system", "SYS-001"}, "Document: choose one of the list"},
		{"no system", "/documents", []string{"kind", "model_card"}, "AI system: A model card is about an AI system"},
		{"a system of nobody", "/documents", []string{"kind", "model_card", "system", "SYS-999"}, "AI system: choose one of the list"},
		{"no criteria", "/documents", []string{"kind", "audit", "system", "SYS-001"}, "Criteria: An audit report needs a framework"},
		{"criteria of nobody", "/documents", []string{"kind", "audit", "system", "SYS-001", "framework", "iso-1"}, "Criteria: choose one of the list"},
		{"no vendor", "/documents", []string{"kind", "vendor_risk"}, "Vendor: A vendor-risk report is about a vendor"},
		{"a vendor of nobody", "/documents", []string{"kind", "vendor_risk", "vendor", "nobody"}, "Vendor: choose one of the list"},
		{"a day that is none", "/documents", []string{"kind", "model_card", "system", "SYS-001", "from", "yesterday"}, "Period from: write a day"},
		{"a day to come", "/documents", []string{"kind", "model_card", "system", "SYS-001", "from", tomorrow}, "Period from: that day has not come yet"},
		{"ends first", "/documents", []string{"kind", "model_card", "system", "SYS-001", "from", "2026-02-02", "to", "2026-02-01"}, "Period to: the period ends before it begins"},
		{"no schedule", "/documents/schedules", []string{"kind", "model_card", "system", "SYS-001"}, "When: Write five fields"},
		{"bad schedule", "/documents/schedules", []string{"kind", "model_card", "system", "SYS-001", "cron", "mondays"}, "When: Write five fields"},
		{"a distance", "/documents/schedules", []string{"kind", "model_card", "system", "SYS-001", "cron", "@every 2h"}, "When: Write five fields"},
		{"too often", "/documents/schedules", []string{"kind", "model_card", "system", "SYS-001", "cron", "*/5 * * * *"}, "When: Documents can be written once an hour at most"},
		{"never", "/documents/schedules", []string{"kind", "model_card", "system", "SYS-001", "cron", "0 0 31 2 *"}, "When: This schedule never fires"},
		{"bad days", "/documents/schedules", []string{"kind", "model_card", "system", "SYS-001", "cron", "@daily", "days", "many"}, "covers: write a whole number"},
		{"schedule without system", "/documents/schedules", []string{"kind", "audit", "framework", "eu-ai-act", "cron", "@daily"}, "AI system: An audit report is about an AI system"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := v.is(v.submit(test.path, test.form...), 400, test.path, "There is a problem", test.want)
			for i := 0; i < len(test.form); i += 2 {
				if name, value := test.form[i], test.form[i+1]; (name == "cron" || name == "days") && !strings.Contains(got.body, `value="`+value+`"`) {
					t.Errorf("the entry %s = %q is gone", name, value)
				}
			}
		})
	}
	docs, err := s.Reports.List(t.Context(), testOrg)
	schedules, schErr := s.Reports.AllSchedules(t.Context())
	if err != nil || schErr != nil || len(docs) != 0 || len(schedules) != 0 {
		t.Errorf("%d documents and %d schedules came of it, %v, %v", len(docs), len(schedules), err, schErr)
	}
}

func TestDocumentPages(t *testing.T) {
	s, base, log := office(t)
	v := member(t, s, base, testOrg, authz.ComplianceOfficer)
	v.get("/documents/new")
	card := []string{"kind", "model_card", "system", "SYS-001", "framework", "eu-ai-act", "vendor", "openai"} // what a card does not need is left out
	for range 2 {
		v.is(v.submit("/documents", card...), 200, "", "is issued")
		if _, err := s.Engine.RunTests(t.Context(), testOrg); err != nil {
			t.Fatal(err)
		}
	}
	year := time.Now().UTC().Format("2006")
	first, second := "MC-"+year+"-0001-r1", "MC-"+year+"-0001-r2"
	v.is(v.get("/documents"), 200, "", "revision 1", "revision 2", "Superseded", "Issued", "Desk")
	if p := v.is(v.get("/documents?state=superseded"), 200, ""); strings.Contains(p.body, "/documents/"+second+`">`) || !strings.Contains(p.body, "/documents/"+first+`">`) {
		t.Error("the filter by status does not filter")
	}
	v.is(v.get("/documents?kind=audit"), 200, "", "Nothing matches", "2 documents are hidden")
	v.is(v.get("/documents?page=99"), 200, "", "revision 1")
	v.is(v.get("/documents/"+first), 200, "", "Superseded.", second, "There is no earlier revision", "document.issued", "NOT PROVIDED")
	v.is(v.get("/documents/"+second), 200, "", "since revision 1", "VERIFIED", "2, this one")
	v.is(v.get("/documents/MC-"+year+"-0009-r1"), 404, "")
	v.is(v.get("/documents/"+first+"/xlsx"), 404, "")

	// Another organisation sees nothing of it.
	if err := s.Register.CreateOrg(t.Context(), authz.Actor{Org: "other", ID: "test"}, inventory.Org{ID: "other", Name: "Other"}); err != nil {
		t.Fatal(err)
	}
	stranger := member(t, s, base, "other", authz.Admin)
	for _, path := range []string{"/documents/" + first, "/documents/" + first + "/pdf", "/documents/" + first + "/json", "/documents/" + first + "/proof"} {
		stranger.is(stranger.get(path), 404, path)
	}
	stranger.is(stranger.get("/documents"), 200, "", "No documents yet")

	// Every download is logged; an auditor's is a record.
	v.is(v.get("/documents/"+second+"/pdf"), 200, "")
	if n := len(downloads(t, s)); n != 0 || log.count("document downloaded") != 1 {
		t.Errorf("an officer's download left %d records and %d lines", n, log.count("document downloaded"))
	}
	auditor := member(t, s, base, testOrg, authz.Auditor)
	auditor.is(auditor.get("/documents/"+second+"/proof"), 200, "")
	if got := downloads(t, s); len(got) != 1 || got[0].Document != second || got[0].Part != "proof" || log.count("document downloaded") != 2 {
		t.Errorf("an auditor's download left %+v and %d lines", got, log.count("document downloaded"))
	}
	last := s.Ledger.Size(string(testOrg)) - 1
	leaf := auditor.is(auditor.get("/ledger/"+strconv.FormatUint(last, 10)), 200, "", "document.downloaded", "PROOF of "+second)
	auditor.is(auditor.get(auditor.find(leaf, `href="(/documents/[^"]+)"`)), 200, "/documents/"+second)
	issue := v.get(v.find(v.get("/documents/"+first), `href="(/ledger/[0-9]+)"`))
	v.is(v.get(v.find(v.is(issue, 200, "", "document.issued"), `href="(/documents/[^"]+)"`)), 200, "/documents/"+first)
	if p := auditor.get("/documents/new"); p.status != 403 {
		t.Errorf("an auditor may issue: %d", p.status)
	}

	// A file that was changed or is gone.
	path, err := s.Reports.Path(t.Context(), testOrg, second, reports.PartPDF)
	if err != nil {
		t.Fatal(err)
	}
	pdf, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(pdf, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	v.is(v.get("/documents/"+second), 200, "", "The files on this server do not verify", "NOT VERIFIED", "FAIL")
	for _, suffix := range []string{".pdf", ".json"} {
		if err := os.Remove(filepath.Join(filepath.Dir(path), second+suffix)); err != nil {
			t.Fatal(err)
		}
	}
	v.is(v.get("/documents/"+second), 200, "", "The file cannot be read", "document.issued")
	v.is(v.get("/documents/"+second+"/pdf"), 503, "", "hash is still in the ledger")
}

// While the ledger cannot write, a form comes back with its entry, a job fails by a
// code of its own, and the document that was written meanwhile is given out once
// the ledger recorded it, without a restart.
func TestDocumentsWhileTheLedgerCannotWrite(t *testing.T) {
	var down atomic.Bool
	s := open(t, Options{Config: testConfig(t.TempDir()), Hook: func(point string) error {
		if down.Load() && point == evidence.PointGroup {
			return errors.New("no space left on device")
		}
		return nil
	}})
	furnish(t, s, "http://127.0.0.1:9/v1")
	v := member(t, s, serve(t, s), testOrg, authz.ComplianceOfficer)
	v.get("/documents/new")
	down.Store(true)
	p := v.is(v.submit("/documents", "kind", "model_card", "system", "SYS-001"), 503, "/documents", "The ledger cannot write now")
	if !strings.Contains(p.body, `<option value="SYS-001" selected>`) {
		t.Error("the entry is gone")
	}
	v.is(v.get("/documents"), 200, "", "1 written and not yet on record")
	v.is(v.submit("/jobs/control-tests/run"), 503, "", "Control tests failed", "The ledger cannot write now", "ledger_unavailable")
	down.Store(false)
	for deadline := time.Now().Add(20 * time.Second); s.Ledger.Stats().Down; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the ledger does not recover")
		}
	}
	issued := regexp.MustCompile(`href="/documents/MC-[^/"]+-r1"`)
	for deadline := time.Now().Add(20 * time.Second); !issued.MatchString(v.get("/documents").body); { // a busy machine may take more than one look
		if time.Now().After(deadline) {
			t.Fatal("the document is not issued")
		}
		s.jobs.documents()
	}
	v.is(v.get(v.find(v.get("/documents"), `href="(/documents/MC-[^/"]+-r1)"`)), 200, "", "VERIFIED")
	v.is(v.submit("/jobs/control-tests/run"), 200, "/jobs", "ran to its end")
}

// TestManyDocuments: a long list comes in pages, a long row of revisions is cut,
// and the one that is looked at stays in it.
func TestManyDocuments(t *testing.T) {
	s, base, _ := office(t)
	v := member(t, s, base, testOrg, authz.ComplianceOfficer)
	d, err := s.Reports.Issue(t.Context(), officer, reports.Request{Org: testOrg, Kind: reports.KindModelCard, System: "SYS-001"})
	if err != nil {
		t.Fatal(err)
	}
	state, err := db.Open(t.Context(), db.Config{Dir: s.Config.DataDir})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(state)
	// Sixty more of the same number, as a year of schedules leaves them.
	for n := 2; n <= 61; n++ {
		if _, err := db.SQL(state).Exec(`INSERT INTO documents (org, id, number, revision, kind, system, framework, vendor, title, subject, template, state, from_at, to_at, as_of_size, as_of_at, as_of_root, pdf_hash, json_hash, pages, issued_by, issued_at)
			SELECT org, number || '-r' || ?, number, ?, kind, system, framework, vendor, title, subject, template, 'superseded', from_at, to_at, as_of_size, as_of_at, as_of_root, pdf_hash, json_hash, pages, issued_by, issued_at + ? FROM documents WHERE id = ?`, n, n, n*1_000_000, d.ID); err != nil {
			t.Fatal(err)
		}
	}
	first := v.is(v.get("/documents"), 200, "", "1 to 50 of 61", "revision 61", "revision 12")
	v.is(v.get(v.find(first, `href="([^"]+)" rel="next"`)), 200, "", "51 to 61 of 61", "revision 11", "revision 1")
	one := v.is(v.get("/documents/"+d.ID), 200, "", "1, this one", "All of them")
	for href, want := range map[string]bool{d.Number + "-r61": true, d.Number + "-r52": true, d.Number + "-r51": false} {
		if strings.Contains(one.body, `href="/documents/`+href+`"`) != want {
			t.Errorf("%s among the revisions: want %v", href, want)
		}
	}
}

// The same pages over PostgreSQL.
func TestDocumentsAndJobsOnPostgres(t *testing.T) {
	c := testConfig(t.TempDir())
	c.Postgres = database(t)
	s := open(t, Options{Config: c})
	furnish(t, s, "http://127.0.0.1:9/v1")
	base := serve(t, s)
	v := member(t, s, base, testOrg, authz.ComplianceOfficer)
	v.get("/documents/schedules/new")
	v.is(v.submit("/documents/schedules", "kind", "model_card", "system", "SYS-001", "cron", "@yearly"), 200, "/documents", "The schedule is set", "1 Jan")
	schedules, err := s.Reports.Schedules(t.Context(), testOrg)
	if err != nil || len(schedules) != 1 {
		t.Fatalf("%d schedules, %v", len(schedules), err)
	}
	for _, job := range []string{"control-tests", "verify-ledger", schedules[0].Job(), schedules[0].Job()} {
		v.is(v.submit("/jobs/"+job+"/run"), 200, "/jobs", "ran to its end")
	}
	v.is(v.get("/jobs?job="+schedules[0].Job()), 200, "", "-r1", "-r2")
	list := v.is(v.get("/documents"), 200, "", "revision 2", "Superseded", "@yearly", "Done")
	v.is(v.get(v.find(list, `href="(/documents/MC-[^/"]+-r2)"`)), 200, "", "since revision 1", "VERIFIED")
	s.jobs.documents()
}

// downloads are the document.downloaded records of the organisation's log.
func downloads(t *testing.T, s *Server) (out []record.Download) {
	t.Helper()
	for leaf := range s.Ledger.Size(string(testOrg)) {
		leaves, err := s.Ledger.Feed(t.Context(), string(testOrg), leaf, 1)
		if err != nil {
			t.Fatal(err)
		}
		r, err := record.Decode(leaves[0].Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if body, ok := r.Body.(*record.Download); ok && r.Actor != "" && !body.Request.IsZero() {
			out = append(out, *body)
		}
	}
	return out
}

// A document whose record did not get through is shown as waiting, and is given
// out once the minute's look recorded it.
func TestADocumentThatWaitsForItsRecord(t *testing.T) {
	s, base, _ := office(t)
	v := member(t, s, base, testOrg, authz.ComplianceOfficer)
	d, err := s.Reports.Issue(t.Context(), officer, reports.Request{Org: testOrg, Kind: reports.KindModelCard, System: "SYS-001"})
	if err != nil {
		t.Fatal(err)
	}
	state, err := db.Open(t.Context(), db.Config{Dir: s.Config.DataDir})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(state)
	// As it stands between the files and the record's confirmation.
	if _, err := db.SQL(state).Exec(`UPDATE documents SET state = 'rendered', leaf = -1 WHERE id = ?`, d.ID); err != nil {
		t.Fatal(err)
	}
	v.is(v.get("/documents"), 200, "", "1 written and not yet on record", d.ID)
	v.is(v.get("/documents/"+d.ID), 404, "")
	s.jobs.documents()
	v.is(v.get("/documents/"+d.ID), 200, "", "VERIFIED")
	if got, err := s.Reports.Get(t.Context(), testOrg, d.ID); err != nil || got.Leaf != d.Leaf {
		t.Errorf("recorded a second time: leaf %d, was %d, %v", got.Leaf, d.Leaf, err)
	}
}

func TestSchedulesAndJobsPages(t *testing.T) {
	s, base, _ := office(t)
	v, approver := member(t, s, base, testOrg, authz.ComplianceOfficer), member(t, s, base, testOrg, authz.Approver)
	v.is(v.get("/jobs"), 200, "/jobs", "Control tests", "each hour", "Checkpoint verification", "each day at 03:30", "never", "Nothing ran yet")

	for _, form := range [][]string{{"kind", "audit", "system", "SYS-001", "framework", "eu-ai-act"}, {"kind", "model_card", "system", "SYS-001"}, {"kind", "vendor_risk", "vendor", "openai"}} {
		v.get("/documents/schedules/new")
		v.is(v.submit("/documents/schedules", append(form, "cron", "0 6 1 1 *", "days", "7")...), 200, "/documents", "The schedule is set", "1 Jan")
	}
	list := v.is(v.get("/documents"), 200, "", "Audit report, SYS-001, EU AI Act", "Model card, SYS-001", "Vendor-risk report, openai", "0 6 1 1 *", "covers 7 days", "1 Jan", "Person compliance_officer")
	v.is(v.get("/jobs"), 200, "", "Vendor-risk report", "1 Jan")

	// Run now: a document, with its entry in the history.
	schedules, err := s.Reports.Schedules(t.Context(), testOrg)
	if err != nil || len(schedules) != 3 {
		t.Fatalf("%d schedules, %v", len(schedules), err)
	}
	for _, sch := range schedules {
		v.is(v.submit("/jobs/"+sch.Job()+"/run"), 200, "/jobs", "ran to its end")
	}
	docs, err := s.Reports.List(t.Context(), testOrg)
	if err != nil || len(docs) != 3 || docs[0].To.Sub(docs[0].From) > 7*24*time.Hour {
		t.Fatalf("%+v, %v", docs, err)
	}
	v.is(v.get("/jobs?job="+schedules[0].Job()), 200, "", docs[2].ID, "Done", "Person compliance_officer")
	v.is(v.submit("/jobs/no-such-job/run"), 404, "")

	// A role that may only look.
	approver.is(approver.get("/jobs"), 200, "", "your roles do not run jobs")
	approver.is(approver.submit("/jobs/verify-ledger/run"), 403, "")
	approver.is(approver.submit("/documents/schedules/"+schedules[0].ID+"/delete"), 403, "")

	// One that is on, one that fails.
	leave, _ := s.jobs.enter(testOrg, "verify-ledger", false)
	v.is(v.submit("/jobs/verify-ledger/run"), 409, "", "It is running already", "Checkpoint verification")
	leave()
	v.is(v.submit("/jobs/verify-ledger/run"), 200, "/jobs", "leaves verified")
	spoil(t, s)
	v.is(v.submit("/jobs/verify-ledger/run"), 500, "", "Checkpoint verification failed", "ledger_broken", "Failed")

	// Deleted after a question, with its history left.
	gone := v.find(list, `href="(/documents/schedules/[^/"]+/delete)"`)
	v.is(v.get(gone), 200, gone, "Delete this schedule?", "0 6 1 1 * (UTC)")
	v.is(v.submit(gone), 200, "/documents", "The schedule is deleted")
	v.is(v.get("/jobs"), 200, "", "A schedule that is deleted")
	if list, err := s.Reports.Schedules(t.Context(), testOrg); err != nil || len(list) != 2 {
		t.Errorf("%d schedules are left, %v", len(list), err)
	}
}
