package web

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"plumbline/app/fault"
	"plumbline/reports"
)

// runsShown is how many runs the page of jobs shows, the newest first.
const runsShown = 100

type runRow struct {
	reports.Run
	Title  string
	Status string
	Took   time.Duration
	Issued bool // its detail is the id of a document
	By     string
}

type jobRow struct {
	Job
	Last *runRow
}

type jobsData struct {
	Jobs   []jobRow
	Runs   []runRow
	Only   string // the job whose runs are shown; empty: all
	Title  string // of that job
	Limit  int
	Failed string // why "run now" did not come to its end
}

func (r *request) jobsPage() error { return r.showJobs(http.StatusOK, r.query("job"), "") }

func (r *request) showJobs(status int, only, failed string) error {
	jobs := r.jobs()
	last, err := r.web.d.Reports.LastRuns(r.ctx(), r.actor.Org)
	if err != nil {
		return err
	}
	var runs []reports.Run
	if only == "" {
		runs, err = r.web.d.Reports.Runs(r.ctx(), r.actor.Org, runsShown)
	} else {
		runs, err = r.web.d.Reports.RunsOf(r.ctx(), r.actor.Org, only, runsShown)
	}
	if err != nil {
		return err
	}
	data := jobsData{Only: only, Limit: runsShown, Failed: failed}
	for _, j := range jobs {
		if j.Name == only {
			data.Title = j.Title
		}
		data.Jobs = append(data.Jobs, jobRow{j, r.lastRun(last, j.Name)})
	}
	for _, x := range runs {
		data.Runs = append(data.Runs, r.runRow(x, jobs))
	}
	p := page{Title: "Jobs", Nav: "jobs", Crumbs: []crumb{{Title: "Jobs"}}}
	if failed != "" {
		p.Title = "Error: Jobs"
	}
	return r.render(status, "jobs", p, data)
}

// jobs are those of the reader's organisation.
func (r *request) jobs() []Job {
	return slices.DeleteFunc(r.web.d.Jobs.List(), func(j Job) bool { return j.Org != "" && j.Org != string(r.actor.Org) })
}

// lastRun finds a job's among the newest runs; nil when it never ran.
func (r *request) lastRun(last []reports.Run, job string) *runRow {
	for _, x := range last {
		if x.Job == job {
			row := r.runRow(x, nil)
			return &row
		}
	}
	return nil
}

func (r *request) runRow(x reports.Run, jobs []Job) runRow {
	row := runRow{Run: x, Title: "A schedule that is deleted", Status: x.State, Took: x.EndedAt.Sub(x.StartedAt), By: r.person(x.Actor)}
	if i := slices.IndexFunc(jobs, func(j Job) bool { return j.Name == x.Job }); i >= 0 {
		row.Title = jobs[i].Title
	}
	if x.State == reports.Failed {
		row.Status = "run_failed"
	}
	if x.EndedAt.IsZero() {
		row.Took = r.web.d.Now().Sub(x.StartedAt)
	}
	row.Issued = x.State == reports.RunOK && strings.HasPrefix(x.Job, "document:")
	if strings.HasPrefix(x.Actor, "job:") {
		row.By = "schedule"
	}
	return row
}

// runJob runs a job now and comes back when it ended. What went wrong is said
// beside the history, which has it too.
func (r *request) runJob() error {
	job, err := r.job(true)
	if err != nil {
		return err
	}
	if err := r.web.d.Jobs.Run(r.ctx(), r.actor, job.Name); err != nil {
		f := r.plain(err)
		said := job.Title + " failed. " + f.Message
		var known *fault.Error
		if errors.As(err, &known) && known.Code == JobRunning {
			said = f.Message
		}
		return r.showJobs(f.Kind.Status(), "", said)
	}
	return r.done("/jobs", job.Title+" ran to its end.")
}

// job is the one of the path, of the reader's organisation or of the instance. By hand
// nobody runs one of the instance.
func (r *request) job(byHand bool) (*Job, error) {
	name, jobs := r.param("name"), r.jobs()
	i := slices.IndexFunc(jobs, func(j Job) bool { return j.Name == name && !(byHand && j.Instance) })
	if i < 0 {
		return nil, fault.New(fault.NotFound, "not_found", "There is no such job.")
	}
	return &jobs[i], nil
}
