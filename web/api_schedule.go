package web

import (
	"net/http"
	"time"

	"plumbline/inventory"
	"plumbline/reports"
)

type scheduleJSON struct {
	reports.Schedule
	Job  string    `json:"job"` // whose runs are this schedule's
	Next time.Time `json:"next,omitzero"`
}

func (r *request) scheduleJSON(sch reports.Schedule) scheduleJSON {
	return scheduleJSON{sch, sch.Job(), sch.Next(r.web.d.Now())}
}

func (r *request) apiSchedules() error {
	list, err := r.web.d.Reports.Schedules(r.ctx(), r.actor.Org)
	if err != nil {
		return err
	}
	out := []scheduleJSON{}
	for _, sch := range list {
		out = append(out, r.scheduleJSON(sch))
	}
	return r.answer(http.StatusOK, map[string]any{"schedules": out})
}

type scheduleBody struct {
	ID        string             `json:"id" yaml:"id"`
	Kind      reports.Kind       `json:"kind" yaml:"kind"`
	System    inventory.SystemID `json:"system" yaml:"system"`
	Framework string             `json:"framework" yaml:"framework"`
	Vendor    string             `json:"vendor" yaml:"vendor"`
	Cron      string             `json:"cron" yaml:"cron"`
	Days      int                `json:"days" yaml:"days"`
}

func (r *request) apiAddSchedule() error {
	var in scheduleBody
	if err := r.readJSON(&in, "id"); err != nil {
		return err
	}
	return r.answerSchedule(http.StatusCreated, &in)
}

// apiPutSchedule replaces a schedule that there is.
func (r *request) apiPutSchedule() error {
	var in scheduleBody
	if err := r.readJSON(&in); err != nil {
		return err
	}
	if err := inPath(r, "id", &in.ID); err != nil {
		return err
	}
	if _, err := r.schedule(); err != nil {
		return err
	}
	return r.answerSchedule(http.StatusOK, &in)
}

// answerSchedule sets a schedule and answers with it.
func (r *request) answerSchedule(status int, in *scheduleBody) error {
	about, unknown := r.checkSubject(reports.Request{Org: r.actor.Org, Kind: in.Kind, System: in.System, Framework: in.Framework, Vendor: in.Vendor})
	sch := scheduleOf(about, in.Cron, in.Days)
	sch.ID = in.ID
	sch, err := r.setSchedule(sch, unknown)
	if err != nil {
		return err
	}
	return r.answer(status, r.scheduleJSON(sch))
}

func (r *request) apiDeleteSchedule() error {
	if err := r.readJSON(&struct{}{}); err != nil {
		return err
	}
	if err := r.web.d.Reports.DeleteSchedule(r.ctx(), r.actor, r.actor.Org, r.param("id")); err != nil {
		return err
	}
	return r.c.NoContent(http.StatusNoContent)
}
