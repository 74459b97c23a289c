package web

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"

	"plumbline/app/fault"
	"plumbline/assessments"
	"plumbline/frameworks"
	"plumbline/inventory"
)

// evidenceJSON is a piece of evidence as the API gives it out; its file is at an
// address of its own.
type evidenceJSON struct {
	assessments.Evidence
	State string            `json:"state"`          // pending, rejected, upcoming, expired or current
	Plan  *assessments.Plan `json:"plan,omitempty"` // of a corrective action, when one is asked for
}

// evidenceStates are the states that a list can be narrowed to.
var evidenceStates = []string{"pending", "current", "upcoming", "expired", "rejected"}

func (r *request) evidenceJSON(ev assessments.Evidence) (evidenceJSON, error) {
	out := evidenceJSON{Evidence: ev, State: ev.Status(r.web.d.Now(), r.freshDays(&ev))}
	if len(ev.Content) == 0 { // of a list
		return out, nil
	}
	var err error
	out.Plan, err = ev.Plan()
	return out, err
}

// freshDays is the age that the control accepts of evidence of this type; 0 is any.
func (r *request) freshDays(ev *assessments.Evidence) int {
	f, err := r.web.d.Catalog.Framework(ev.Framework)
	if err != nil {
		return 0
	}
	c, err := f.Control(ev.Control)
	if err != nil {
		return 0
	}
	if i := slices.IndexFunc(c.Human, func(h frameworks.HumanItem) bool { return h.Type == ev.Type }); i >= 0 {
		return c.Human[i].FreshDays
	}
	return 0
}

// sought reads what a list of evidence or of applicability is narrowed to.
func (r *request) sought() (assessments.Sought, error) {
	want := assessments.Sought{Framework: r.query("framework"), Control: r.query("control"), System: inventory.SystemID(r.query("system"))}
	if want.Framework != "" {
		if err := r.knownControl(want.Framework, want.Control, want.Control != ""); err != nil {
			return want, err
		}
	}
	if want.System != "" {
		if _, err := r.state.System(want.System); err != nil {
			return want, notListed("system", "AI system", string(want.System))
		}
	}
	return want, nil
}

// knownControl refuses a framework that there is not, and a control that is not in it.
func (r *request) knownControl(framework, control string, needed bool) error {
	f, err := r.web.d.Catalog.Framework(framework)
	if err != nil {
		var ids []string
		for _, f := range r.web.d.Catalog.Frameworks {
			ids = append(ids, f.ID)
		}
		return fault.Field("framework", "there is no framework %q; there are: %s", framework, strings.Join(ids, ", "))
	}
	if _, err := f.Control(control); err != nil && needed {
		return fault.Field("control", "framework %s has no control %q", framework, control)
	}
	return nil
}

// oneOf reads a query value that is empty or one of a few.
func (r *request) oneOf(name string, values []string) (string, error) {
	v := r.query(name)
	if v != "" && !slices.Contains(values, v) {
		return "", fault.Field(name, "%s is one of %s, not %q", name, strings.Join(values, ", "), v)
	}
	return v, nil
}

func (r *request) apiEvidence() error {
	want, err := r.sought()
	if err != nil {
		return err
	}
	if want.Form, err = r.oneOf("form", []string{"file", "link", "plan"}); err != nil {
		return err
	}
	state, err := r.oneOf("state", evidenceStates)
	if err != nil {
		return err
	}
	list, err := r.web.d.Engine.Attached(r.ctx(), r.actor.Org, want)
	if err != nil {
		return err
	}
	out := []evidenceJSON{}
	for _, ev := range list {
		given, err := r.evidenceJSON(ev)
		if err != nil {
			return err
		}
		if state == "" || given.State == state {
			out = append(out, given)
		}
	}
	return r.answer(http.StatusOK, map[string]any{"evidence": out})
}

func (r *request) apiOneEvidence() error { return r.evidenceNow(http.StatusOK, r.param("id")) }

// evidenceNow answers with a piece of evidence as it stands.
func (r *request) evidenceNow(status int, id string) error {
	ev, err := r.web.d.Engine.EvidenceByID(r.ctx(), r.actor.Org, id)
	if err != nil {
		return err
	}
	out, err := r.evidenceJSON(ev)
	if err != nil {
		return err
	}
	return r.answer(status, out)
}

type evidenceBody struct {
	Framework string             `json:"framework" yaml:"framework"`
	Control   string             `json:"control" yaml:"control"`
	System    inventory.SystemID `json:"system" yaml:"system"` // empty: every AI system
	Type      string             `json:"type" yaml:"type"`
	Title     string             `json:"title" yaml:"title"`
	Link      string             `json:"link" yaml:"link"`
	File      string             `json:"file" yaml:"file"` // base64
	FileName  string             `json:"file_name" yaml:"file_name"`
	From      time.Time          `json:"from" yaml:"from"`
	Until     time.Time          `json:"until" yaml:"until"`
}

// apiAttach puts a file or a link beside a control. The file is base64 within the JSON:
// forms are what a page of another site can send, and the API takes none.
func (r *request) apiAttach() error {
	var in evidenceBody
	if err := r.readJSON(&in); err != nil {
		return err
	}
	if err := r.knownControl(in.Framework, in.Control, true); err != nil {
		return err
	}
	ev := assessments.Evidence{Framework: in.Framework, Control: in.Control, System: in.System, Type: in.Type, Title: strings.TrimSpace(in.Title), Link: strings.TrimSpace(in.Link), From: in.From.UTC(), Until: in.Until.UTC()}
	var err error
	if ev.FileName, ev.Content, err = in.file(); err != nil {
		return err
	}
	if err := r.checkEvidence(&ev); err != nil {
		return err
	}
	if ev, err = r.web.d.Engine.Attach(r.ctx(), r.actor, ev); err != nil {
		return err
	}
	return r.evidenceNow(http.StatusCreated, ev.ID)
}

// file decodes the file; an empty name when there is none.
func (in *evidenceBody) file() (string, []byte, error) {
	name := strings.TrimSpace(in.FileName)
	switch {
	case in.File == "" && name != "":
		return "", nil, fault.Field("file", "the file is missing or empty; send its content as base64")
	case in.File == "":
		return "", nil, nil
	case name == "" || name != baseName(name) || name == "." || name == "..":
		return "", nil, fault.Field("file_name", "give the file's name, without a folder")
	}
	content, err := base64.StdEncoding.Strict().DecodeString(in.File)
	switch {
	case err != nil:
		return "", nil, fault.Field("file", "file is no base64: use the standard alphabet, with padding")
	case len(content) == 0:
		return "", nil, fault.Field("file", "the file is missing or empty; send its content as base64")
	case len(content) > largestFile:
		return "", nil, tooLarge("file")
	}
	return name, content, nil
}

type evidenceDecisionBody struct {
	Decision string `json:"decision" yaml:"decision"` // accept or reject
	Reason   string `json:"reason" yaml:"reason"`
}

func (r *request) apiDecideEvidence() error {
	var in evidenceDecisionBody
	if err := r.readJSON(&in); err != nil {
		return err
	}
	accept, err := accepts(in.Decision)
	if err != nil {
		return err
	}
	if err := r.web.d.Engine.Decide(r.ctx(), r.actor, r.param("id"), accept, in.Reason); err != nil {
		return err
	}
	return r.evidenceNow(http.StatusOK, r.param("id"))
}

func accepts(decision string) (bool, error) {
	if decision != "accept" && decision != "reject" {
		return false, fault.Field("decision", "%q is neither accept nor reject", decision)
	}
	return decision == "accept", nil
}

type planBody struct {
	Framework  string             `json:"framework" yaml:"framework"`
	Control    string             `json:"control" yaml:"control"`
	System     inventory.SystemID `json:"system" yaml:"system"`
	Cause      string             `json:"cause" yaml:"cause"`
	Correction string             `json:"correction" yaml:"correction"`
	Action     string             `json:"action" yaml:"action"`
	Owner      string             `json:"owner" yaml:"owner"`
	Due        time.Time          `json:"due" yaml:"due"`
}

// controlAndSystem refuses a body that is not about a control of an AI system.
func (r *request) controlAndSystem(framework, control string, system inventory.SystemID) error {
	if err := r.knownControl(framework, control, true); err != nil {
		return err
	}
	if _, err := r.state.System(system); err != nil {
		return fault.Field("system", "there is no AI system %q", system)
	}
	return nil
}

// apiPlanAction plans a corrective action. It is evidence of the form plan, and decided
// on as such.
func (r *request) apiPlanAction() error {
	var in planBody
	if err := r.readJSON(&in); err != nil {
		return err
	}
	if err := r.controlAndSystem(in.Framework, in.Control, in.System); err != nil {
		return err
	}
	ev, err := r.web.d.Engine.PlanAction(r.ctx(), r.actor, in.Framework, in.Control, in.System, assessments.Plan{Cause: in.Cause, Correction: in.Correction, Action: in.Action, Owner: in.Owner, Due: in.Due})
	if err != nil {
		return err
	}
	return r.evidenceNow(http.StatusCreated, ev.ID)
}
