package web

import (
	"net/http"
	"time"

	"plumbline/app/fault"
	"plumbline/assessments"
	"plumbline/inventory"
)

type assessmentJSON struct {
	Framework string                    `json:"framework"`
	Title     string                    `json:"title"`
	Version   string                    `json:"version"`
	System    inventory.SystemID        `json:"system"`
	At        time.Time                 `json:"at"`
	Counts    map[assessments.State]int `json:"counts"`
	Controls  []controlJSON             `json:"controls"`
}

type controlJSON struct {
	ID       string            `json:"id"`
	Title    string            `json:"title"`
	Section  string            `json:"section"`
	State    assessments.State `json:"state"`
	Code     string            `json:"code"`
	Why      string            `json:"why"`
	WaitsFor []string          `json:"waits_for"`
	Tests    []testJSON        `json:"tests"`
	Human    []humanJSON       `json:"human"`
}

type testJSON struct {
	Test       string            `json:"test"`
	State      assessments.State `json:"state"`
	Why        string            `json:"why,omitempty"`
	Leaf       *uint64           `json:"leaf,omitempty"` // of the result
	From       time.Time         `json:"from,omitzero"`
	To         time.Time         `json:"to,omitzero"`
	Population uint64            `json:"population,omitempty"`
	FirstLeaf  uint64            `json:"first_leaf,omitempty"`
	EndLeaf    uint64            `json:"end_leaf,omitempty"`
	Metrics    []metricJSON      `json:"metrics,omitempty"`
}

type metricJSON struct {
	Key   string `json:"key"`
	Value *int64 `json:"value"` // null: not known; shares in parts per million
}

type humanJSON struct {
	Type     string `json:"type"`
	What     string `json:"what"`
	Status   string `json:"status"`
	Evidence string `json:"evidence,omitempty"` // id
}

// apiAssessment computes a framework for a system as things stand now.
func (r *request) apiAssessment() error {
	framework := r.param("framework")
	if _, err := r.web.d.Catalog.Framework(framework); err != nil {
		return fault.Wrap(fault.NotFound, "not_found", err, "there is no framework %q", framework)
	}
	a, err := r.web.d.Engine.Evaluate(r.ctx(), r.actor.Org, inventory.SystemID(r.param("system")), framework)
	if err != nil {
		return err
	}
	out := assessmentJSON{Framework: a.Framework.ID, Title: a.Framework.Title, Version: a.Framework.Version, System: a.System.ID, At: a.At, Counts: a.Counts}
	for i := range a.Controls {
		out.Controls = append(out.Controls, controlOf(&a.Controls[i]))
	}
	return r.answer(http.StatusOK, out)
}

func controlOf(c *assessments.ControlState) controlJSON {
	out := controlJSON{ID: c.Control.ID, Title: c.Control.Title, Section: c.Control.Section, State: c.State, Code: c.Code, Why: c.Why, WaitsFor: orEmpty(c.WaitsFor), Tests: []testJSON{}, Human: []humanJSON{}}
	for _, t := range c.Tests {
		v := testJSON{Test: t.Ref.Test, State: t.State, Why: t.Why}
		if res := t.Result; res != nil {
			v.Leaf, v.From, v.To, v.Population = &res.Leaf, time.UnixMicro(res.From).UTC(), time.UnixMicro(res.To).UTC(), res.Population
			v.FirstLeaf, v.EndLeaf = res.FirstLeaf, res.EndLeaf
			for _, m := range res.Metrics {
				mv := metricJSON{Key: m.Key}
				if m.Known {
					mv.Value = &m.Value
				}
				v.Metrics = append(v.Metrics, mv)
			}
		}
		out.Tests = append(out.Tests, v)
	}
	for _, h := range c.Human {
		v := humanJSON{Type: h.Item.Type, What: h.Item.What, Status: h.Status}
		if h.Evidence != nil {
			v.Evidence = h.Evidence.ID
		}
		out.Human = append(out.Human, v)
	}
	return out
}

// apiRunTests runs every control test of the organisation now.
func (r *request) apiRunTests() error {
	if err := r.readJSON(&struct{}{}); err != nil {
		return err
	}
	if err := r.web.d.Jobs.Run(r.ctx(), r.actor, "control-tests"); err != nil {
		return err
	}
	return r.c.NoContent(http.StatusNoContent)
}
