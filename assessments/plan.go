package assessments

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"plumbline/app/authz"
	"plumbline/app/fault"
	"plumbline/inventory"
)

// Plan is what is to follow from a finding about a control.
type Plan struct {
	Cause      string    `json:"cause"`
	Correction string    `json:"correction"` // what was done at once; may be empty
	Action     string    `json:"action"`     // so that it does not happen again
	Owner      string    `json:"owner"`
	Due        time.Time `json:"due"`
}

// PlanState is a plan as a view sees it.
type PlanState struct {
	Plan
	Status   string // pending, current, rejected, expired: its day has passed
	Evidence *Evidence
}

// formPlan marks evidence whose content is a Plan. It speaks to what will be done
// and never counts for the control.
const formPlan = "plan"

// PlanAction puts a plan beside a control. It is on record as evidence is, with
// the hash of its text, and a second person accepts it. It never moves the state.
func (e *Engine) PlanAction(ctx context.Context, actor authz.Actor, framework, control string, system inventory.SystemID, p Plan) (Evidence, error) {
	p.Cause, p.Correction, p.Action, p.Owner = strings.TrimSpace(p.Cause), strings.TrimSpace(p.Correction), strings.TrimSpace(p.Action), strings.TrimSpace(p.Owner)
	var wrong fault.Fields
	if p.Cause == "" {
		wrong.Add("cause", "say why it came to this")
	}
	if p.Action == "" {
		wrong.Add("action", "say what will be done")
	}
	if p.Owner == "" {
		wrong.Add("owner", "name who will do it")
	}
	if p.Due.IsZero() || p.Due.Before(e.d.Now()) {
		wrong.Add("due", "give a day that lies ahead")
	}
	wrong.Text("cause", p.Cause)
	wrong.Text("correction", p.Correction)
	wrong.Text("action", p.Action)
	wrong.Line("owner", p.Owner)
	if err := wrong.Err(); err != nil {
		return Evidence{}, err
	}
	content, err := json.Marshal(p)
	if err != nil {
		return Evidence{}, fmt.Errorf("encode plan: %w", err)
	}
	return e.attach(ctx, actor, Evidence{Framework: framework, Control: control, System: system, Type: "document", Title: p.Title(), Form: formPlan,
		FileName: "corrective-action.json", Until: p.Due.UTC(), Content: content})
}

// Title is what a plan is called as evidence.
func (p *Plan) Title() string { return "Corrective action: " + short(p.Action, 80) }

// Plan reads the corrective action that evidence of the form plan is, of its content;
// nil for evidence of another form.
func (ev *Evidence) Plan() (*Plan, error) {
	if ev.Form != formPlan {
		return nil, nil
	}
	var out Plan
	if err := json.Unmarshal(ev.Content, &out); err != nil {
		return nil, fmt.Errorf("read plan %s: %w", ev.ID, err)
	}
	return &out, nil
}

// short cuts a text at a word.
func short(s string, most int) string {
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	cut := string(runes[:most])
	if i := strings.LastIndexByte(cut, ' '); i > 0 {
		cut = cut[:i]
	}
	return cut + " …"
}

// plan finds the newest plan of a control that was not turned down, and else the
// newest; nil when nobody made one.
func (e *Engine) plan(ctx context.Context, list []Evidence, v View) (*PlanState, error) {
	var best *Evidence
	status := ""
	for i := range list {
		ev := &list[i]
		if ev.Form != formPlan || !recordedBefore(ev.Leaf, v) {
			continue
		}
		s := ev.status(v, 0)
		if best == nil || status == "rejected" || s != "rejected" {
			best, status = ev, s
		}
	}
	if best == nil {
		return nil, nil
	}
	full, err := e.d.Store.evidenceByID(ctx, best.Org, best.ID)
	if err != nil {
		return nil, err
	}
	plan, err := full.Plan()
	if err != nil {
		return nil, err
	}
	return &PlanState{Plan: *plan, Status: status, Evidence: best}, nil
}
