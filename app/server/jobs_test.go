package server

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"plumbline/app/authz"
	"plumbline/app/fault"
	"plumbline/assessments/evidence/record"
	"plumbline/inventory"
	"plumbline/reports"
	"plumbline/web"
)

// ran lists the runs of the test's organisation in the order of their start, as
// "job tick state".
func ran(t *testing.T, s *Server) (out []string) {
	t.Helper()
	runs, err := s.Reports.Runs(t.Context(), testOrg, 200)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range slices.Backward(runs) {
		job, _, _ := strings.Cut(x.Job, ":")
		out = append(out, fmt.Sprintf("%s %s %s", job, x.Tick.Format("02 15:04"), x.State))
	}
	return out
}

// jobRecords are the job.run records of a log.
func jobRecords(t *testing.T, s *Server, log string) (out []record.Job) {
	t.Helper()
	for from := uint64(0); from < s.Ledger.Size(log); {
		leaves, err := s.Ledger.Feed(t.Context(), log, from, 4096)
		if err != nil {
			t.Fatal(err)
		}
		for _, leaf := range leaves {
			from = leaf.Index + 1
			r, err := record.Decode(leaf.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			if body, ok := r.Body.(*record.Job); ok {
				out = append(out, *body)
			}
		}
	}
	return out
}

func monthlyCard(s *Server, cron string) (reports.Schedule, error) {
	ada := officer
	ada.Name = "Ada Officer"
	return s.Reports.PutSchedule(context.Background(), ada, reports.Schedule{Org: testOrg, Kind: reports.KindModelCard, System: "SYS-001", Cron: cron})
}

// TestJobsByTheClock lets five hours pass: tests each hour, verification once a
// day, a document at the moment that somebody set.
func TestJobsByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the clock begins at midnight
		s := open(t, Options{Config: testConfig(t.TempDir())})
		furnish(t, s, "http://127.0.0.1:9/v1")
		if _, err := monthlyCard(s, "15 4 * * *"); err != nil {
			t.Fatal(err)
		}
		s.jobs.start()
		time.Sleep(5*time.Hour + time.Second)
		s.jobs.stop()
		want := []string{"control-tests 01 01:00 ok", "control-tests 01 02:00 ok", "control-tests 01 03:00 ok", "verify-ledger 01 03:30 ok", "verify-instance 01 03:45 ok",
			"control-tests 01 04:00 ok", "document 01 04:15 ok", "control-tests 01 05:00 ok"}
		if diff := cmp.Diff(want, ran(t, s)); diff != "" {
			t.Error(diff)
		}
		docs, err := s.Reports.List(t.Context(), testOrg)
		if err != nil || len(docs) != 1 || docs[0].Kind != reports.KindModelCard || docs[0].To.Hour() != 4 || docs[0].To.Sub(docs[0].From) < 29*24*time.Hour {
			t.Fatalf("documents %+v, %v", docs, err)
		}
		if docs[0].IssuedName != "Schedule 15 4 * * *, set by Ada Officer" {
			t.Errorf("issued by %q", docs[0].IssuedName)
		}
		if own, instance := len(jobRecords(t, s, string(testOrg))), len(jobRecords(t, s, "")); own != len(want)-1 || instance != 1 {
			t.Errorf("%d runs are on the organisation's record and %d on the instance's, want %d and 1", own, instance, len(want)-1)
		}
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// A tick that a second process, or a second alarm, comes to is not run again.
func TestOneRunForEachTick(t *testing.T) {
	s := open(t, Options{Config: testConfig(t.TempDir())})
	furnish(t, s, "http://127.0.0.1:9/v1")
	tick := time.Date(2026, 11, 26, 3, 30, 0, 0, time.UTC)
	i := slices.IndexFunc(table, func(x job) bool { return x.name == "verify-ledger" })
	for range 3 {
		s.jobs.fire(table[i], tick)
	}
	s.jobs.fire(table[i], tick.AddDate(0, 0, 1))
	if diff := cmp.Diff([]string{"verify-ledger 26 03:30 ok", "verify-ledger 27 03:30 ok"}, ran(t, s)); diff != "" {
		t.Error(diff)
	}
	if err := s.RunJob(t.Context(), officer, "verify-ledger"); err != nil {
		t.Fatal(err)
	}
	if got := len(ran(t, s)); got != 3 {
		t.Errorf("%d runs after one more by hand, want 3", got)
	}
}

// A document whose moment passed while no server ran, or while this one was held
// up, is written once and for that moment; one that was set later waits.
func TestDocumentsOfPassedMoments(t *testing.T) {
	var clock atomic.Int64
	set := func(day, hour, minute int) {
		clock.Store(time.Date(2026, 11, day, hour, minute, 0, 0, time.UTC).UnixMicro())
	}
	set(26, 3, 59)
	s := open(t, Options{Config: testConfig(t.TempDir()), Now: func() time.Time { return time.UnixMicro(clock.Load()).UTC() }})
	furnish(t, s, "http://127.0.0.1:9/v1")
	sch, err := monthlyCard(s, "0 4 * * *")
	if err != nil {
		t.Fatal(err)
	}
	look := func(day, hour, minute int, want ...string) {
		t.Helper()
		set(day, hour, minute)
		s.jobs.documents()
		if diff := cmp.Diff(want, ran(t, s)); diff != "" {
			t.Errorf("on %d at %02d:%02d: %s", day, hour, minute, diff)
		}
	}
	start := func() { s.jobs.seen = s.jobs.now().Add(-catchUp) }
	start()
	look(26, 3, 59) // its moment of yesterday was before it was set
	look(26, 4, 39, "document 26 04:00 ok")
	look(26, 4, 40, "document 26 04:00 ok")
	start()
	look(26, 4, 41, "document 26 04:00 ok")
	look(29, 4, 41, "document 26 04:00 ok", "document 27 04:00 ok")
	if err := s.Reports.DeleteSchedule(t.Context(), officer, testOrg, sch.ID); err != nil {
		t.Fatal(err)
	}
	look(30, 4, 41, "document 26 04:00 ok", "document 27 04:00 ok")
}

// spoil changes one byte of the ledger under a server.
func spoil(t *testing.T, s *Server) {
	t.Helper()
	raw, err := sql.Open("sqlite", filepath.Join(s.Config.DataDir, "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	var first int64
	var data []byte
	if err := raw.QueryRow(`SELECT first_leaf, data FROM ledger_groups WHERE log = ? ORDER BY first_leaf LIMIT 1`, testOrg).Scan(&first, &data); err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 1
	if _, err := raw.Exec(`UPDATE ledger_groups SET data = ? WHERE log = ? AND first_leaf = ?`, data, testOrg, first); err != nil {
		t.Fatal(err)
	}
}

// TestARunThatFails changes one byte of the ledger under the server: the next
// verification fails, and history and ledger say so by its code.
func TestARunThatFails(t *testing.T) {
	var log bytes.Buffer
	s := open(t, Options{Config: testConfig(t.TempDir()), Log: slog.New(slog.NewJSONHandler(&log, nil))})
	furnish(t, s, "http://127.0.0.1:9/v1")
	if err := s.RunJob(t.Context(), officer, "verify-ledger"); err != nil {
		t.Fatal(err)
	}
	spoil(t, s)
	if err := s.RunJob(t.Context(), officer, "verify-ledger"); err == nil {
		t.Fatal("a ledger with a changed byte verifies")
	}
	runs, err := s.Reports.Runs(t.Context(), testOrg, 1)
	if err != nil || runs[0].State != reports.Failed || runs[0].Detail != "ledger_broken" || runs[0].EndedAt.IsZero() {
		t.Errorf("history %+v, %v", runs, err)
	}
	if !strings.Contains(log.String(), "job failed") {
		t.Errorf("the log says nothing:\n%s", log.String())
	}
	failures := 0
	leaves, err := s.Ledger.Feed(t.Context(), string(testOrg), s.Ledger.Size(string(testOrg))-1, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, leaf := range leaves {
		r, err := record.Decode(leaf.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if body, ok := r.Body.(*record.Job); ok && !body.OK && body.Error == "ledger_broken" && body.Name == "verify-ledger" {
			failures++
		}
	}
	if failures != 1 {
		t.Error("the failed run is not on record")
	}
}

// While a run is on, another of the same job is refused; of other jobs and other
// organisations it is not, they wait their turn.
func TestARunThatIsOnIsNotBegunAgain(t *testing.T) {
	s := open(t, Options{Config: testConfig(t.TempDir())})
	furnish(t, s, "http://127.0.0.1:9/v1")
	other := authz.Actor{Org: "other", ID: "p-other"}
	if err := s.Register.CreateOrg(t.Context(), other, inventory.Org{ID: "other", Name: "Other"}); err != nil {
		t.Fatal(err)
	}
	s.jobs.one.Lock() // as if a job ran
	ended := make(chan error, 3)
	run := func(a authz.Actor, job string) { ended <- s.RunJob(t.Context(), a, job) }
	go run(officer, "verify-ledger")
	busy := func() (n int) {
		s.jobs.mu.Lock()
		defer s.jobs.mu.Unlock()
		for _, x := range s.jobs.busy {
			n += x
		}
		return n
	}
	for busy() == 0 {
		time.Sleep(time.Millisecond)
	}
	err := s.RunJob(t.Context(), officer, "verify-ledger")
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != web.JobRunning || f.Kind != fault.Conflict {
		t.Errorf("the second run: %v", err)
	}
	go run(officer, "control-tests")
	go run(other, "verify-ledger")
	s.jobs.one.Unlock()
	for range 3 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if err := s.RunJob(t.Context(), officer, "verify-ledger"); err != nil {
		t.Errorf("after it ended: %v", err)
	}
	if n := busy(); n != 0 {
		t.Errorf("%d runs are still counted as begun", n)
	}
	for _, name := range []string{"no-such-job", "verify-instance"} {
		if err := s.RunJob(t.Context(), officer, name); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s by hand: %v", name, err)
		}
	}
}
