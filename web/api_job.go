package web

import (
	"net/http"
	"slices"
	"time"

	"plumbline/reports"
)

type jobJSON struct {
	Name     string        `json:"name"`
	Title    string        `json:"title"`
	About    string        `json:"about"`
	Cron     string        `json:"cron"`
	Instance bool          `json:"instance"` // of the whole server; nobody runs it by hand
	Next     time.Time     `json:"next,omitzero"`
	Last     *reports.Run  `json:"last"`           // null when it never ran
	Runs     []reports.Run `json:"runs,omitempty"` // of one job: the newest, at most runsShown
}

func jobOf(j *Job, runs []reports.Run) jobJSON {
	out := jobJSON{Name: j.Name, Title: j.Title, About: j.About, Cron: j.Cron, Instance: j.Instance, Next: j.Next}
	if i := slices.IndexFunc(runs, func(x reports.Run) bool { return x.Job == j.Name }); i >= 0 {
		out.Last = &runs[i]
	}
	return out
}

func (r *request) apiJobs() error {
	last, err := r.web.d.Reports.LastRuns(r.ctx(), r.actor.Org)
	if err != nil {
		return err
	}
	out, jobs := []jobJSON{}, r.jobs()
	for i := range jobs {
		out = append(out, jobOf(&jobs[i], last))
	}
	return r.answer(http.StatusOK, map[string]any{"jobs": out})
}

func (r *request) apiJob() error {
	job, err := r.job(false)
	if err != nil {
		return err
	}
	return r.jobNow(job)
}

// jobNow answers with a job and its newest runs.
func (r *request) jobNow(job *Job) error {
	runs, err := r.web.d.Reports.RunsOf(r.ctx(), r.actor.Org, job.Name, runsShown)
	if err != nil {
		return err
	}
	out := jobOf(job, runs)
	out.Runs = runs
	return r.answer(http.StatusOK, out)
}

// apiRunJob runs a job and answers when it ended; while a run of it is on it starts
// none.
func (r *request) apiRunJob() error {
	if err := r.readJSON(&struct{}{}); err != nil {
		return err
	}
	job, err := r.job(true)
	if err != nil {
		return err
	}
	if err := r.web.d.Jobs.Run(r.ctx(), r.actor, job.Name); err != nil {
		return err
	}
	return r.jobNow(job)
}
