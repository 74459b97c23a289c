package inventory

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"plumbline/app/authz"
	"plumbline/app/fault"
)

// The closed lists of a system's fields, for forms and checks.
var (
	RiskClasses = []RiskClass{Unclassified, Prohibited, HighRiskAnnexIII, HighRiskAnnexI, AnnexIIIDerogated, Transparency, GPAI, GPAISystemic, Minimal}
	ActRoles    = []ActRole{RoleProvider, RoleDeployer, RoleImporter, RoleDistributor, RoleAuthRep, RoleProductMfr, RoleGPAI, RoleThirdParty}
	Lifecycles  = []Lifecycle{Planned, Development, Pilot, InUse, Retired}
)

// check refuses what a system must not be; the error names each field that is wrong.
func (s *System) check() error {
	var wrong fault.Fields
	if strings.TrimSpace(s.Name) == "" {
		wrong.Add("name", "give the AI system a name")
	}
	if strings.TrimSpace(s.Purpose) == "" {
		wrong.Add("purpose", "say what the AI system is for")
	}
	if strings.TrimSpace(s.Owner) == "" {
		wrong.Add("owner", "name the person or team that is accountable")
	}
	for _, role := range s.Roles {
		if !slices.Contains(ActRoles, role) {
			wrong.Add("roles", "%q is no role under the Act; there are %s", role, listed(ActRoles))
		}
	}
	if !slices.Contains(RiskClasses, s.RiskClass) {
		wrong.Add("risk_class", "%q is no risk class; there are %s", s.RiskClass, listed(RiskClasses[1:]))
	} else if s.RiskClass != Unclassified && strings.TrimSpace(s.RiskReason) == "" {
		wrong.Add("risk_reason", "say why this is the risk class; for Annex III, which point")
	}
	if !slices.Contains(Lifecycles, s.Lifecycle) {
		wrong.Add("lifecycle", "%q is no stage; there are %s", s.Lifecycle, listed(Lifecycles))
	}
	if s.Commit != "" && s.Commit != "before_send" && s.Commit != "before_answer" {
		wrong.Add("commit", "%q is neither before_send nor before_answer", s.Commit)
	}
	s.checkTexts(&wrong)
	return wrong.Err()
}

// checkTexts holds what people write of a system to what pages and documents can show.
func (s *System) checkTexts(wrong *fault.Fields) {
	for _, line := range []struct{ field, text string }{
		{"name", s.Name}, {"owner", s.Owner}, {"owner_contact", s.OwnerContact}, {"department", s.Department}, {"annex_iii", s.AnnexIII},
	} {
		wrong.Line(line.field, line.text)
	}
	for _, text := range []struct{ field, text string }{
		{"purpose", s.Purpose}, {"risk_reason", s.RiskReason}, {"intended_users", s.Users}, {"affected_persons", s.Affected},
		{"out_of_scope", s.OutOfScope}, {"human_oversight", s.Oversight}, {"limitations", s.Limitations},
	} {
		wrong.Text(text.field, text.text)
	}
	wrong.Lines("data_categories", s.DataCategories)
	wrong.Lines("vendors", s.Vendors)
	wrong.Lines("regions", s.Regions)
	if len(s.Models) > fault.MaxList {
		wrong.Add("models", "has %d entries; at most %d", len(s.Models), fault.MaxList)
	}
	for _, m := range s.Models {
		wrong.Line("models", m.Model)
		wrong.Line("models", string(m.Provider))
	}
}

// listed writes a closed list for people.
func listed[T ~string](list []T) string {
	out := make([]string, 0, len(list))
	for _, v := range list {
		out = append(out, string(v))
	}
	return strings.Join(out, ", ")
}

// Register adds a system and gives it an id when it has none. It begins without
// an approval.
func (r *Register) AddSystem(ctx context.Context, actor authz.Actor, s System, reason string) (System, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.ID == "" {
		ids, err := r.store.ids(ctx, actor.Org, kindSystem)
		if err != nil {
			return s, err
		}
		s.ID = SystemID(nextID("SYS", ids))
	}
	s.Approval, s.Suspended, s.Stamp, s.Origin = Approval{State: NotRequested}, nil, Stamp{}, Origin{}
	r.stampRisk(&s, System{}, actor)
	if err := r.checkSystem(actor.Org, &s); err != nil {
		return s, err
	}
	m, err := r.applyLocked(ctx, actor, spec{org: actor.Org, kind: kindSystem, id: string(s.ID), change: "system.created", reason: reason, fresh: true,
		mutate: func([]byte) (any, error) { return s, nil }})
	s.Org, s.Version = actor.Org, uint32(m.Version)
	return s, err
}

// nextID counts on from the highest number of a prefix.
func nextID(prefix string, ids []string) string {
	highest := 0
	for _, id := range ids {
		var n int
		if _, err := fmt.Sscanf(id, prefix+"-%d", &n); err == nil {
			highest = max(highest, n)
		}
	}
	return fmt.Sprintf("%s-%03d", prefix, highest+1)
}

func (r *Register) stampRisk(s *System, old System, actor authz.Actor) {
	if s.RiskClass == old.RiskClass && s.RiskReason == old.RiskReason && old.RiskBy != "" {
		s.RiskBy, s.RiskAt = old.RiskBy, old.RiskAt
		return
	}
	if s.RiskClass != Unclassified {
		s.RiskBy, s.RiskAt = actor.ID, r.d.Now().UTC().Truncate(time.Second)
	}
}

// UpdateSystem changes what is declared of a system. expect is the version that
// the author saw. What an approval rests on (purpose, risk class, roles, models)
// ends it when it changes.
func (r *Register) UpdateSystem(ctx context.Context, actor authz.Actor, s System, expect uint32, reason string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.checkSystem(actor.Org, &s); err != nil {
		return err
	}
	current, err := r.System(actor.Org, s.ID)
	if err != nil {
		return err
	}
	_, err = r.applyLocked(ctx, actor, spec{org: actor.Org, kind: kindSystem, id: string(s.ID), change: "system.changed", expect: expect, reason: reason,
		restricts: endsApproval(*current, s) || current.runs() && !inUse(s.Lifecycle), // must be known before it is written
		mutate: func(body []byte) (any, error) {
			old, err := oldSystem(body, s.ID)
			if err != nil {
				return nil, err
			}
			if old.Lifecycle == Retired {
				return nil, fault.New(fault.Conflict, "retired", "a retired system stays as it was; register a new one")
			}
			if s.Lifecycle == Retired {
				return nil, fault.Field("lifecycle", "a system is retired by its own action, which takes its keys' use away")
			}
			s.Approval, s.Suspended, s.ReviewedAt, s.Stamp, s.Origin = old.Approval, old.Suspended, old.ReviewedAt, Stamp{}, Origin{}
			r.stampRisk(&s, old, actor)
			if restsOnOther(old, s) {
				s.Approval = s.Approval.dropped()
			}
			return s, nil
		}})
	return err
}

// runs reports whether a system may call models, its suspension aside.
func (s *System) runs() bool { return s.Approval.Grant() != nil && inUse(s.Lifecycle) }

func inUse(l Lifecycle) bool { return l == InUse || l == Pilot }

// checkSystem is check, and that the guard profile is there.
func (r *Register) checkSystem(org OrgID, s *System) error {
	if err := s.check(); err != nil {
		return err
	}
	state, err := r.State(org)
	if err != nil {
		return err
	}
	return checkProfileOf(state, s)
}

func checkProfileOf(state *State, s *System) error {
	if s.Profile != "" && !slices.ContainsFunc(state.Profiles, func(p GuardProfile) bool { return p.ID == s.Profile }) {
		return fault.Field("guard_profile", "there is no guard profile %q", s.Profile)
	}
	return nil
}

func endsApproval(old, s System) bool {
	return old.Approval.Grant() != nil && restsOnOther(old, s)
}

// dropped is what is left of an approval once what it rests on is another: nothing of
// what was asked for or given, but a refusal stays.
func (a Approval) dropped() Approval {
	if a.State == Rejected || a.State == Withdrawn {
		a.Standing = nil
		return a
	}
	return Approval{State: NotRequested}
}

// restsOnOther reports whether what an approval rests on is another.
func restsOnOther(old, s System) bool {
	return old.Purpose != s.Purpose || old.RiskClass != s.RiskClass || !slices.Equal(old.Roles, s.Roles) || !slices.Equal(old.Models, s.Models)
}

func oldSystem(body []byte, id SystemID) (System, error) {
	var s System
	if body == nil {
		return s, notFound("AI system", string(id))
	}
	return s, json.Unmarshal(body, &s)
}

// System is a system as it is in force.
func (r *Register) System(org OrgID, id SystemID) (*System, error) {
	s, err := r.State(org)
	if err != nil {
		return nil, err
	}
	return s.System(id)
}

// changeSystem carries out one action on a system: c says its change, its reason and
// what else it needs.
func (r *Register) changeSystem(ctx context.Context, actor authz.Actor, id SystemID, c spec, f func(*System) error) error {
	c.org, c.kind, c.id, c.beside = actor.Org, kindSystem, string(id), slices.Contains(besideFile, c.change)
	c.mutate = func(body []byte) (any, error) {
		s, err := oldSystem(body, id)
		if err != nil {
			return nil, err
		}
		return s, f(&s)
	}
	_, err := r.apply(ctx, actor, c)
	return err
}

// besideFile is what people do to a declared system too: a stop must not wait for
// whoever keeps the file.
var besideFile = []string{"system.suspended", "system.resumed", "system.reviewed"}

// RequestApproval asks for a decision that the system may be used. An approval that is
// in force stands beside the request, however often it is asked for, and the change is
// called a request for its renewal.
func (r *Register) RequestApproval(ctx context.Context, actor authz.Actor, id SystemID, reason string) error {
	var change string
	c := spec{named: func() string { return change }, reason: reason}
	return r.changeSystem(ctx, actor, id, c, func(s *System) error {
		if s.RiskClass == Unclassified {
			return fault.Field("risk_class", "classify the system before you ask for its approval")
		}
		if s.Lifecycle == Retired {
			return fault.New(fault.Conflict, "retired", "a retired system is not approved again")
		}
		change = "system.approval_requested"
		asked := Approval{State: Requested, RequestedBy: actor.ID}
		if s.Approval.ValidAt(r.d.Now()) {
			change, asked.Standing = "system.renewal_requested", s.Approval.Grant()
		}
		s.Approval = asked
		return nil
	})
}

// DecideApproval approves or rejects. Whoever asked for it cannot decide it. What is
// approved takes the place of the approval that stood beside the request. A rejection
// leaves that one to its end, and is then called one of its renewal: WithdrawApproval
// ends it.
func (r *Register) DecideApproval(ctx context.Context, actor authz.Actor, id SystemID, approve bool, until time.Time, reason string) error {
	if strings.TrimSpace(reason) == "" {
		return fault.Field("reason", "say why; the decision is kept with it")
	}
	var change string
	c := spec{named: func() string { return change }, reason: reason, restricts: !approve, approver: actor.ID}
	return r.changeSystem(ctx, actor, id, c, func(s *System) error {
		switch {
		case s.Approval.State != Requested:
			return fault.New(fault.Conflict, "not_requested", "nobody has asked for an approval of %s", id)
		case s.Approval.RequestedBy == actor.ID:
			return fault.New(fault.Forbidden, "four_eyes", "whoever asked for the approval cannot decide it; a second person must")
		case approve && !until.IsZero() && !until.After(r.d.Now()):
			return fault.Field("until", "the approval would already have ended")
		case approve && s.RiskClass == Prohibited:
			return fault.New(fault.Conflict, "prohibited", "a prohibited practice cannot be approved")
		}
		decided := Approval{State: Rejected, RequestedBy: s.Approval.RequestedBy, DecidedBy: actor.ID, DecidedAt: r.d.Now().UTC().Truncate(time.Second), Until: until.UTC(), Reason: reason}
		change = "system.rejected"
		switch {
		case approve:
			change, decided.State = "system.approved", Approved
			if s.Lifecycle == Planned || s.Lifecycle == Development {
				s.Lifecycle = InUse
			}
		case s.Approval.ValidAt(r.d.Now()):
			change, decided.Standing = "system.renewal_rejected", s.Approval.Standing
		}
		s.Approval = decided
		return nil
	})
}

// WithdrawApproval takes the approval that is in force away at once, also while the
// ledger is down. A request that is open stays open. One person does it: it permits
// nothing.
func (r *Register) WithdrawApproval(ctx context.Context, actor authz.Actor, id SystemID, reason string) error {
	if strings.TrimSpace(reason) == "" {
		return fault.Field("reason", "say why; the people whose calls stop will ask")
	}
	return r.changeSystem(ctx, actor, id, spec{change: "system.approval_withdrawn", reason: reason, restricts: true}, func(s *System) error {
		switch {
		case s.Lifecycle == Retired || !s.Approval.ValidAt(r.d.Now()):
			return fault.New(fault.Conflict, "not_approved", "no approval of %s is in force", id)
		case s.Approval.State == Requested:
			s.Approval.Standing = nil
		default:
			s.Approval = Approval{State: Withdrawn, DecidedBy: actor.ID, DecidedAt: r.d.Now().UTC().Truncate(time.Second), Reason: reason}
		}
		return nil
	})
}

// Suspend stops a system at once, also while the ledger is down.
func (r *Register) Suspend(ctx context.Context, actor authz.Actor, id SystemID, reason string) error {
	if strings.TrimSpace(reason) == "" {
		return fault.Field("reason", "say why; the people whose calls stop will ask")
	}
	return r.changeSystem(ctx, actor, id, spec{change: "system.suspended", reason: reason, restricts: true}, func(s *System) error {
		s.Suspended = &Suspension{By: actor.ID, At: r.d.Now().UTC().Truncate(time.Second), Reason: reason}
		return nil
	})
}

// Resume lifts a suspension.
func (r *Register) Resume(ctx context.Context, actor authz.Actor, id SystemID, reason string) error {
	return r.changeSystem(ctx, actor, id, spec{change: "system.resumed", reason: reason}, func(s *System) error {
		if s.Suspended == nil {
			return fault.New(fault.Conflict, "not_suspended", "%s is not suspended", id)
		}
		s.Suspended = nil
		return nil
	})
}

// Retire ends a system for good.
func (r *Register) Retire(ctx context.Context, actor authz.Actor, id SystemID, reason string) error {
	return r.changeSystem(ctx, actor, id, spec{change: "system.retired", reason: reason, restricts: true}, func(s *System) error {
		s.Lifecycle, s.RetiredAt = Retired, r.d.Now().UTC().Truncate(time.Second)
		return nil
	})
}

// Review notes that a person looked a system over and found its entry right.
func (r *Register) Review(ctx context.Context, actor authz.Actor, id SystemID, reason string) error {
	return r.changeSystem(ctx, actor, id, spec{change: "system.reviewed", reason: reason}, func(s *System) error {
		s.ReviewedAt = r.d.Now().UTC().Truncate(time.Second)
		return nil
	})
}
