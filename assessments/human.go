package assessments

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
	"time"

	"plumbline/app/authz"
	"plumbline/app/fault"
	"plumbline/app/ident"
	"plumbline/assessments/evidence/record"
	"plumbline/frameworks"
	"plumbline/inventory"
)

// maxFile is the largest file of evidence in bytes.
const maxFile = 10 << 20

// Evidence is something that a person attached to a control. It counts once a
// second person accepted it. Leaves are -1 until recorded.
type Evidence struct {
	ID          string             `json:"id"`
	Org         inventory.OrgID    `json:"org"`
	Framework   string             `json:"framework"`
	Control     string             `json:"control"`
	System      inventory.SystemID `json:"system"`
	Type        string             `json:"type"`
	Title       string             `json:"title"`
	Form        string             `json:"form"` // file, link or plan
	Link        string             `json:"link,omitempty"`
	FileName    string             `json:"file_name,omitempty"`
	Hash        string             `json:"hash"` // SHA-256 of the file, or of the link's text
	From        time.Time          `json:"from"`
	Until       time.Time          `json:"until,omitzero"`
	Author      string             `json:"author"`
	At          time.Time          `json:"at"`
	Leaf        int64              `json:"leaf"`
	Decision    string             `json:"decision,omitempty"` // accepted, rejected
	DecidedBy   string             `json:"decided_by,omitempty"`
	DecidedAt   time.Time          `json:"decided_at,omitzero"`
	DecidedLeaf int64              `json:"decided_leaf"`
	Reason      string             `json:"reason,omitempty"`

	Content []byte `json:"-"`
}

// Attach puts evidence beside a control. File evidence brings its Content. Unavailable
// means that it is kept and will be recorded; sent again it is the same piece.
func (e *Engine) Attach(ctx context.Context, actor authz.Actor, ev Evidence) (Evidence, error) {
	ev.Form = "link"
	if len(ev.Content) > 0 {
		ev.Form = "file"
	}
	return e.attach(ctx, actor, ev)
}

func (e *Engine) attach(ctx context.Context, actor authz.Actor, ev Evidence) (Evidence, error) {
	f, err := e.d.Catalog.Framework(ev.Framework)
	if err != nil {
		return ev, fault.New(fault.NotFound, "not_found", "%v", err)
	}
	if _, err := f.Control(ev.Control); err != nil {
		return ev, fault.New(fault.NotFound, "not_found", "%v", err)
	}
	if ev.System != "" {
		state, err := e.d.Register.State(actor.Org)
		if err != nil {
			return ev, err
		}
		if _, err := state.System(ev.System); err != nil {
			return ev, err
		}
	}
	known := slices.ContainsFunc(e.d.Catalog.Vocabulary, func(t frameworks.EvidenceType) bool { return t.Type == ev.Type })
	var wrong fault.Fields
	if strings.TrimSpace(ev.Title) == "" {
		wrong.Add("title", "say what it is")
	}
	wrong.Line("title", ev.Title)
	wrong.Line("file", ev.FileName)
	if !known {
		wrong.Add("type", "%q is no type of evidence", ev.Type)
	}
	if !ev.Until.IsZero() && !ev.Until.After(ev.From) {
		wrong.Add("until", "it would end before it begins")
	}
	if len(ev.Content) > maxFile {
		wrong.Add("file", "the file is larger than 10 MiB; attach a link instead")
	}
	var sum [32]byte
	if ev.Form != "link" {
		ev.Link = ""
		sum = sha256.Sum256(ev.Content)
	} else {
		u, err := url.Parse(ev.Link)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			wrong.Add("link", "attach a file, or a link that begins with https://")
		}
		wrong.Text("link", ev.Link)
		sum = sha256.Sum256([]byte(ev.Link))
	}
	if err := wrong.Err(); err != nil {
		return ev, err
	}
	ev.Hash = hex.EncodeToString(sum[:])
	left, err := e.d.Store.unrecorded(ctx, actor.Org)
	if err != nil {
		return ev, err
	}
	for _, old := range left {
		if old.Author == actor.ID && ev.repeats(&old) {
			return e.recordEvidence(ctx, old)
		}
	}
	id, err := e.newID()
	if err != nil {
		return ev, err
	}
	ev.ID, ev.Org, ev.Author, ev.At, ev.Leaf, ev.DecidedLeaf = id.String(), actor.Org, actor.ID, e.d.Now().UTC(), -1, -1
	if ev.From.IsZero() {
		ev.From = ev.At
	}
	ev.Decision, ev.DecidedBy, ev.Reason = "", "", ""
	if err := e.d.Store.insertEvidence(ctx, &ev); err != nil {
		return ev, err
	}
	return e.recordEvidence(ctx, ev)
}

// repeats reports whether evidence is what was attached before, sent again. Without a
// beginning of its own it begins when it is attached.
func (ev *Evidence) repeats(old *Evidence) bool {
	return ev.Framework == old.Framework && ev.Control == old.Control && ev.System == old.System && ev.Type == old.Type && ev.Title == old.Title && ev.Form == old.Form && ev.Hash == old.Hash &&
		ev.FileName == old.FileName && ev.Until.Equal(old.Until) && (ev.From.IsZero() || ev.From.Equal(old.From))
}

// recordEvidence puts attached evidence on record. The record has the evidence's
// id, so doing it twice leaves one record.
func (e *Engine) recordEvidence(ctx context.Context, ev Evidence) (Evidence, error) {
	id, err := ident.Parse(ev.ID)
	if err != nil {
		return ev, err
	}
	body := &record.HumanEvidence{Framework: ev.Framework, Control: ev.Control, System: string(ev.System), Type: ev.Type, Form: ev.Form, From: ev.From.UnixMicro()}
	if _, err := hex.Decode(body.Hash[:], []byte(ev.Hash)); err != nil {
		return ev, err
	}
	if !ev.Until.IsZero() {
		body.Until = ev.Until.UnixMicro()
	}
	leaf, err := e.d.Ledger.Append(ctx, string(ev.Org), &record.Record{Envelope: record.Envelope{Kind: record.EvidenceAttached, ID: id, Actor: ev.Author}, Body: body})
	if err != nil {
		return ev, fault.Wrap(fault.Unavailable, "ledger_unavailable", err, "it is saved, and counts once the ledger can record it")
	}
	ev.Leaf = int64(leaf)
	return ev, e.d.Store.stampEvidence(ctx, ev.Org, ev.ID, ev.Leaf)
}

// recordLeft puts on record what was attached while the ledger could not write.
func (e *Engine) recordLeft(ctx context.Context, org inventory.OrgID) error {
	list, err := e.d.Store.unrecorded(ctx, org)
	for _, ev := range list {
		if _, err := e.recordEvidence(ctx, ev); err != nil {
			return err
		}
	}
	return err
}

func checkReason(text string) error {
	var wrong fault.Fields
	wrong.Text("reason", text)
	return wrong.Err()
}

// Decide accepts or rejects evidence. Whoever attached it cannot.
func (e *Engine) Decide(ctx context.Context, actor authz.Actor, id string, accept bool, reason string) error {
	ev, err := e.d.Store.evidenceByID(ctx, actor.Org, id)
	if err != nil {
		return err
	}
	switch {
	case ev.Author == actor.ID:
		return fault.New(fault.Forbidden, "four_eyes", "whoever attached it cannot decide on it; a second person must")
	case ev.Decision != "":
		return fault.New(fault.Conflict, "decided", "%s decided on it already", ev.DecidedBy)
	case strings.TrimSpace(reason) == "":
		return fault.Field("reason", "say why; the decision is kept with it")
	case ev.Leaf < 0:
		return fault.New(fault.Conflict, "not_recorded", "it is not on record yet")
	}
	if err := checkReason(reason); err != nil {
		return err
	}
	evidenceID, err := ident.Parse(ev.ID)
	if err != nil {
		return err
	}
	recordID, err := e.newID()
	if err != nil {
		return err
	}
	leaf, err := e.d.Ledger.Append(ctx, string(actor.Org), &record.Record{Envelope: record.Envelope{Kind: record.EvidenceDecided, ID: recordID, Actor: actor.ID, AnswersTo: evidenceID},
		Body: &record.HumanDecision{Evidence: evidenceID, Accepted: accept, Author: ev.Author}})
	if err != nil {
		return fault.Wrap(fault.Unavailable, "ledger_unavailable", err, "the ledger cannot record the decision now; try again later")
	}
	decision := "rejected"
	if accept {
		decision = "accepted"
	}
	return e.d.Store.decideEvidence(ctx, actor.Org, ev.ID, decision, actor.ID, reason, e.d.Now().UnixMicro(), int64(leaf))
}

// Evidence lists what is attached to a control, for a system or for all.
func (e *Engine) Evidence(ctx context.Context, org inventory.OrgID, framework, control string, system inventory.SystemID) ([]Evidence, error) {
	m, err := e.d.Store.evidence(ctx, org, framework, control, system)
	return m[control], err
}

// Sought narrows a list of what people brought; what is empty is not asked for.
type Sought struct {
	Framework, Control string
	System             inventory.SystemID
	Form               string // of evidence: file, link or plan
}

// Attached lists an organisation's evidence, without files and the oldest first. For a
// system it lists what is attached for every system too.
func (e *Engine) Attached(ctx context.Context, org inventory.OrgID, want Sought) ([]Evidence, error) {
	return e.d.Store.attached(ctx, org, want)
}

// Status is how a piece of evidence stands at a moment, in the words of a control's items:
// pending, rejected, upcoming, expired or current. freshDays is the age that its control
// accepts; 0 is any. Plans do not age.
func (ev *Evidence) Status(at time.Time, freshDays int) string {
	if ev.Form == formPlan {
		freshDays = 0
	}
	return ev.status(View{At: at}, freshDays)
}

// Ends is when it stops to count: the end of its window, or before that the age that its
// control accepts, in days; 0 is any. Zero when it has no end. Plans do not age.
func (ev *Evidence) Ends(freshDays int) time.Time {
	end := ev.Until
	if aged := ev.From.AddDate(0, 0, freshDays); freshDays > 0 && ev.Form != formPlan && (end.IsZero() || aged.Before(end)) {
		end = aged
	}
	return end
}

// EvidenceByID finds one piece, with its file.
func (e *Engine) EvidenceByID(ctx context.Context, org inventory.OrgID, id string) (Evidence, error) {
	return e.d.Store.evidenceByID(ctx, org, id)
}

// Applicability is a proposal that a control does not concern a system, or that it does
// after all, with what was decided on it. It counts once a second person decided.
type Applicability struct {
	ID                       string
	Framework, Control       string
	System                   inventory.SystemID
	Applies                  bool // as proposed; once it is decided, as decided
	Rejected                 bool
	Reason, Author, Approver string
	Answer                   string // why it was decided so; not empty when rejected
	At, DecidedAt            time.Time
	Leaf                     int64
}

// Proposed is what was proposed, whatever was decided.
func (a Applicability) Proposed() (applies bool) { return a.Applies != a.Rejected }

// ProposeApplicability asks that a control be left out for a system, or be taken in again
// where that was decided; a Conflict while another proposal waits.
func (e *Engine) ProposeApplicability(ctx context.Context, actor authz.Actor, framework, control string, system inventory.SystemID, applies bool, reason string) (Applicability, error) {
	f, err := e.d.Catalog.Framework(framework)
	if err == nil {
		_, err = f.Control(control)
	}
	if err != nil {
		return Applicability{}, fault.New(fault.NotFound, "not_found", "%v", err)
	}
	if strings.TrimSpace(reason) == "" {
		return Applicability{}, fault.Field("reason", "say why")
	}
	if err := checkReason(reason); err != nil {
		return Applicability{}, err
	}
	list, err := e.Proposals(ctx, actor.Org, framework, control, system)
	if err != nil {
		return Applicability{}, err
	}
	if slices.ContainsFunc(list, func(a Applicability) bool { return a.Approver == "" }) {
		return Applicability{}, fault.New(fault.Conflict, "proposed", "a proposal for this control waits for a decision already")
	}
	if last := decided(list, View{}); applies && (last == nil || last.Applies) {
		return Applicability{}, fault.New(fault.Conflict, "unchanged", "no decision leaves the control out, so there is none to take back")
	}
	id, err := e.newID()
	if err != nil {
		return Applicability{}, err
	}
	a := Applicability{ID: id.String(), Framework: framework, Control: control, System: system, Applies: applies, Reason: reason, Author: actor.ID, At: e.d.Now().UTC(), Leaf: -1}
	return a, e.d.Store.insertApplicability(ctx, actor.Org, a)
}

// DecideApplicability is the second person's word on such a proposal. What is then in
// force goes on record, also when it is rejected. A rejection needs a reason, which is kept
// with the proposal.
func (e *Engine) DecideApplicability(ctx context.Context, actor authz.Actor, id string, accept bool, reason string) error {
	a, err := e.d.Store.applicabilityByID(ctx, actor.Org, id)
	if err != nil {
		return err
	}
	switch {
	case a.Author == actor.ID:
		return fault.New(fault.Forbidden, "four_eyes", "whoever proposed it cannot decide on it; a second person must")
	case a.Approver != "":
		return fault.New(fault.Conflict, "decided", "%s decided on it already", a.Approver)
	case !accept && strings.TrimSpace(reason) == "":
		return fault.Field("reason", "say why; the decision is kept with it")
	}
	if err := checkReason(reason); err != nil {
		return err
	}
	recordID, err := ident.Parse(a.ID)
	if err != nil {
		return err
	}
	applies := a.Applies == accept
	leaf, err := e.d.Ledger.Append(ctx, string(actor.Org), &record.Record{Envelope: record.Envelope{Kind: record.ApplicabilityDecided, ID: recordID, Actor: actor.ID},
		Body: &record.Applicability{Framework: a.Framework, Control: a.Control, System: string(a.System), Applies: applies, Reason: sha256.Sum256([]byte(a.Reason)), Author: a.Author}})
	if err != nil {
		return fault.Wrap(fault.Unavailable, "ledger_unavailable", err, "the ledger cannot record the decision now; try again later")
	}
	a.Applies, a.Rejected, a.Approver, a.Answer, a.DecidedAt, a.Leaf = applies, !accept, actor.ID, reason, e.d.Now(), int64(leaf)
	return e.d.Store.decideApplicability(ctx, actor.Org, a)
}

// Proposals lists proposals on applicability for a control, open and decided.
func (e *Engine) Proposals(ctx context.Context, org inventory.OrgID, framework, control string, system inventory.SystemID) ([]Applicability, error) {
	return e.d.Store.proposals(ctx, org, framework, control, system)
}

// Applicabilities lists an organisation's decisions on applicability, open and
// confirmed, the oldest first.
func (e *Engine) Applicabilities(ctx context.Context, org inventory.OrgID, want Sought) ([]Applicability, error) {
	return e.d.Store.applicabilities(ctx, org, want)
}

// ApplicabilityByID finds one.
func (e *Engine) ApplicabilityByID(ctx context.Context, org inventory.OrgID, id string) (Applicability, error) {
	return e.d.Store.applicabilityByID(ctx, org, id)
}

// Undecided lists what waits for a second person, the oldest first: evidence, and
// proposals on whether a control applies.
func (e *Engine) Undecided(ctx context.Context, org inventory.OrgID) ([]Evidence, []Applicability, error) {
	return e.d.Store.undecided(ctx, org)
}
