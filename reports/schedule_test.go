package reports

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"

	"plumbline/app/db"
	"plumbline/app/fault"
	"plumbline/assessments/evidence/record"
)

func TestCheckCron(t *testing.T) {
	tests := []struct {
		text string
		want bool
	}{
		{"0 6 * * 1", true}, {"@daily", true}, {"@weekly", true}, {"30 4 1 * *", true}, {"@every 2h", false},
		{"* * * * *", false}, {"*/30 * * * *", false}, {"0,5 6 * * *", false}, {"@every 10s", false}, {"0 0 31 2 *", false}, {"", false}, {"tomorrow", false}, {"0 6 * *", false},
	}
	for _, test := range tests {
		if err := CheckCron(test.text, now); (err == nil) != test.want {
			t.Errorf("%q: %v", test.text, err)
		}
	}
}

func TestSchedulesAreKeptAndRecorded(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	sch, err := s.PutSchedule(t.Context(), ada, Schedule{Org: org, Kind: KindAudit, System: "screening", Framework: "eu-ai-act", Cron: "0 6 * * 1", Days: 7})
	if err != nil {
		t.Fatal(err)
	}
	sch.Cron = "0 7 * * 1"
	if _, err := s.PutSchedule(t.Context(), ada, sch); err != nil {
		t.Fatal(err)
	}
	list, err := s.Schedules(t.Context(), org)
	if err != nil || len(list) != 1 || list[0].Cron != "0 7 * * 1" || list[0].SetBy != "acc-ada" {
		t.Fatalf("%+v, %v", list, err)
	}
	if next := list[0].Next(now); next.Weekday() != time.Monday || next.Hour() != 7 {
		t.Errorf("next at %s", next)
	}
	r := list[0].Request(now)
	if r.To != now || r.From != now.AddDate(0, 0, -7) || r.Framework != "eu-ai-act" {
		t.Errorf("request %+v", r)
	}
	if err := s.DeleteSchedule(t.Context(), ada, org, sch.ID); err != nil {
		t.Fatal(err)
	}
	if list, err := s.AllSchedules(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	var kinds []string
	for leaf := range w.ledger.Size(org) {
		if c, ok := w.recorded(leaf).Body.(*record.Change); ok {
			kinds = append(kinds, c.Kind)
		}
	}
	if got := strings.Join(kinds, " "); got != "system.update schedule.set schedule.set schedule.deleted" {
		t.Errorf("recorded %q", got)
	}
}

// TestOneRunATick: however many wake up for a tick, one runs.
func TestOneRunATick(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	var ran atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			_, err := s.RunOnce(context.Background(), org, "tests", now, ada, func(context.Context) (string, error) { ran.Add(1); return "12 tests", nil })
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if ran.Load() != 1 {
		t.Errorf("ran %d times", ran.Load())
	}
	runs, err := s.Runs(t.Context(), org, 10)
	if err != nil || len(runs) != 1 || runs[0].State != RunOK || runs[0].Detail != "12 tests" || runs[0].Job != "tests" {
		t.Errorf("%+v, %v", runs, err)
	}
}

func TestFailedRunShowsACodeAlone(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	cause := fault.Wrap(fault.Unavailable, "ledger_down", errors.New("dsn=secret"), "Try again later.")
	if _, err := s.RunOnce(t.Context(), "", "verify", now, ada, func(context.Context) (string, error) { return "", cause }); !errors.Is(err, cause) {
		t.Fatal(err)
	}
	runs, err := s.Runs(t.Context(), org, 10)
	if err != nil || len(runs) != 1 || runs[0].State != Failed || runs[0].Detail != "ledger_down" {
		t.Errorf("%+v, %v", runs, err)
	}
}

// A job that panics fails; the process that answers calls does not end by it.
func TestAPanicIsAFailedRun(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	if ran, err := s.RunOnce(t.Context(), org, "tests", now, ada, func(context.Context) (string, error) { panic("no such index") }); !ran || err == nil {
		t.Fatalf("ran %v, %v", ran, err)
	}
	runs, err := s.Runs(t.Context(), org, 10)
	if err != nil || len(runs) != 1 || runs[0].State != Failed || runs[0].Detail != "internal" {
		t.Errorf("%+v, %v", runs, err)
	}
}

// The last run of a job that seldom runs is found behind many of one that often does.
func TestLastRuns(t *testing.T) {
	w := newWorld(t)
	at := now
	s := w.service(func(d *Deps) { d.Now = func() time.Time { return at } })
	run := func(job string) {
		t.Helper()
		at = at.Add(time.Hour)
		if _, err := s.RunOnce(t.Context(), org, job, at, ada, func(context.Context) (string, error) { return at.Format("15:04"), nil }); err != nil {
			t.Fatal(err)
		}
	}
	run("yearly")
	seldom := at
	for range 12 {
		run("hourly")
	}
	last, err := s.LastRuns(t.Context(), org)
	if err != nil || len(last) != 2 || last[0].Job != "hourly" || !last[0].StartedAt.Equal(at) || last[1].Job != "yearly" || !last[1].StartedAt.Equal(seldom) {
		t.Errorf("%+v, %v", last, err)
	}
	if of, err := s.RunsOf(t.Context(), org, "hourly", 5); err != nil || len(of) != 5 || of[0].Job != "hourly" {
		t.Errorf("%+v, %v", of, err)
	}
}

// TestRunsReadTheNewest: lists of runs are read from the end of an index, however many
// runs a year has left.
func TestRunsReadTheNewest(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	for i := range 3 {
		if _, err := s.RunOnce(t.Context(), org, "hourly", now.Add(time.Duration(i)*time.Hour), ada, func(context.Context) (string, error) { return "", nil }); err != nil {
			t.Fatal(err)
		}
	}
	var heard []*gorm.Statement
	hear := func(tx *gorm.DB) {
		heard = append(heard, &gorm.Statement{SQL: tx.Statement.SQL, Vars: tx.Statement.Vars})
	}
	s.d.DB.Callback().Query().After("gorm:query").Register("hear", hear)
	s.d.DB.Callback().Row().After("gorm:row").Register("hear", hear)
	for name, ask := range map[string]func() ([]Run, error){
		"Runs":     func() ([]Run, error) { return s.Runs(t.Context(), org, 10) },
		"RunsOf":   func() ([]Run, error) { return s.RunsOf(t.Context(), org, "hourly", 10) },
		"LastRuns": func() ([]Run, error) { return s.LastRuns(t.Context(), org) },
	} {
		heard = nil
		if _, err := ask(); err != nil {
			t.Fatal(err)
		}
		asked := heard
		if len(asked) == 0 {
			t.Errorf("%s asks nothing", name)
		}
		for _, q := range asked {
			rows, err := db.SQL(s.d.DB).Query("EXPLAIN QUERY PLAN "+q.SQL.String(), q.Vars...)
			if err != nil {
				t.Fatal(err)
			}
			for rows.Next() {
				var id, parent, unused int
				var step string
				if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
					t.Fatal(err)
				}
				if strings.Contains(step, "TEMP B-TREE") || strings.HasPrefix(step, "SCAN job_runs") || strings.HasPrefix(step, "SCAN r") {
					t.Errorf("%s: %s in %s", name, step, q.SQL.String())
				}
			}
			rows.Close()
		}
	}
}

func TestInterruptedRunsAreClosed(t *testing.T) {
	w := newWorld(t)
	s := w.service(nil)
	if _, err := s.beginRun(t.Context(), Run{Org: org, Job: "tests", Tick: now, StartedAt: now, State: Running}); err != nil {
		t.Fatal(err)
	}
	if err := s.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	runs, err := s.Runs(t.Context(), org, 10)
	if err != nil || len(runs) != 1 || runs[0].State != Failed || runs[0].Detail != "interrupted" {
		t.Errorf("%+v, %v", runs, err)
	}
}
