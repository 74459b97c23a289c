package inventory

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"plumbline/app/authz"
	"plumbline/app/fault"
)

// RequestID names a change request: CHG-001.
type RequestID string

// RequestState is what became of a change request.
type RequestState string

// The states. All but the first are final.
const (
	RequestOpen      RequestState = "open"
	RequestConfirmed RequestState = "confirmed"
	RequestRejected  RequestState = "rejected"
	RequestWithdrawn RequestState = "withdrawn"
)

// ChangeRequest is a change of what the gateway obeys, as one person wants it, for a
// second one to confirm. Nothing of it is in force before. It exists where the settings
// ask for a second person, and only for what allows more: what restricts is in force at
// once.
type ChangeRequest struct {
	ID     RequestID       `json:"id"`
	Org    OrgID           `json:"org"`
	Kind   string          `json:"kind"`             // of the row: route, guard_profile …
	Row    string          `json:"row"`              // its id
	Delete bool            `json:"delete,omitempty"` // it is to go
	Body   json.RawMessage `json:"body,omitempty"`   // as it is to be, in the API's form
	Seen   uint32          `json:"seen,omitempty"`   // version that it is made from; 0: there was none
	By     string          `json:"by"`               // account id
	At     time.Time       `json:"at"`
	Reason string          `json:"reason"`

	State     RequestState `json:"state"`
	DecidedBy string       `json:"decided_by,omitempty"`
	DecidedAt time.Time    `json:"decided_at,omitzero"`
	Answer    string       `json:"answer,omitempty"` // why it was decided so
	Stamp     `json:"stamp"`
}

// Waits is the error of a change that became a change request. Nothing is wrong, but
// nothing is in force either.
type Waits struct{ Request RequestID }

func (w *Waits) Error() string {
	return fmt.Sprintf("the change waits for a second person, as %s", w.Request)
}

// secondPerson lists the kinds of rows whose changes can ask for a second person.
var secondPerson = []string{kindBudget, kindProvider, kindRoute, kindProfile, kindPolicy, kindPrice, kindSettings}

// deciders are the roles that confirm what others ask for; app/authz has them as
// gateway, decide.
var deciders = []authz.Role{authz.Admin, authz.ComplianceOfficer, authz.Approver}

// asksSecond reports whether a change that does not restrict needs a second person.
func (s *State) asksSecond(kind string) bool {
	return s.Settings.SecondPerson && slices.Contains(secondPerson, kind)
}

// ChangeRequest finds a change request; a fault of kind NotFound when there is none.
func (s *State) ChangeRequest(id RequestID) (*ChangeRequest, error) {
	for i := range s.Requests {
		if s.Requests[i].ID == id {
			return &s.Requests[i], nil
		}
	}
	return nil, notFound("change request", string(id))
}

// ask makes a change request of a change whose body was checked; body is nil for a
// deletion. Its error is a *Waits when it is on record. The register is locked.
func (r *Register) ask(ctx context.Context, actor authz.Actor, kind, id string, body any, expect uint32, reason string) error {
	if strings.TrimSpace(reason) == "" {
		return fault.Field("reason", "say why; a second person decides on it")
	}
	q := ChangeRequest{Kind: kind, Row: id, Delete: body == nil, By: actor.ID, At: r.d.Now().UTC().Truncate(time.Second), Reason: reason, State: RequestOpen}
	old, err := r.store.newest(ctx, actor.Org, kind, id, true)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	there := err == nil && old.Deleted == 0
	change := spec{kind: kind, id: id, expect: expect, delete: q.Delete}
	if err := change.conflict(&old, there); err != nil {
		return err
	}
	if there {
		q.Seen = uint32(old.Version)
	}
	if body != nil {
		if q.Body, err = json.Marshal(body); err != nil {
			return fmt.Errorf("encode %s: %w", kind, err)
		}
		if there && bytes.Equal(q.Body, []byte(old.Body)) {
			return fault.New(fault.Conflict, "no_change", "that is how %s %q is already", kind, id)
		}
	}
	s, err := r.State(actor.Org)
	if err != nil {
		return err
	}
	for _, other := range s.Requests {
		if other.State == RequestOpen && other.Kind == kind && other.Row == id {
			return fault.New(fault.Conflict, "change_open", "%s waits already for a second person, with another change of %s %q; let it be decided or withdrawn first", other.ID, kind, id)
		}
	}
	ids, err := r.store.ids(ctx, actor.Org, kindRequest)
	if err != nil {
		return err
	}
	q.ID = RequestID(nextID("CHG", ids))
	_, err = r.applyLocked(ctx, actor, spec{org: actor.Org, kind: kindRequest, id: string(q.ID), change: "change.requested", reason: reason, fresh: true, mutate: func([]byte) (any, error) { return q, nil }})
	if err != nil {
		return err
	}
	return &Waits{q.ID}
}

// DecideRequest confirms or rejects a change request, with a reason. Whoever asked for
// it cannot confirm it. A confirmed change is checked again and comes into force with
// both names on record; it is a Conflict when its row is another meanwhile.
func (r *Register) DecideRequest(ctx context.Context, actor authz.Actor, id RequestID, confirm bool, reason string) error {
	if strings.TrimSpace(reason) == "" {
		return fault.Field("reason", "say why; the decision is kept with it")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s, q, err := r.request(actor.Org, id)
	if err != nil {
		return err
	}
	if q.By == actor.ID {
		return fault.New(fault.Forbidden, "four_eyes", "whoever asked for the change cannot decide on it; a second person must. You can withdraw it")
	}
	if !confirm {
		return r.close(ctx, actor, q, RequestRejected, reason)
	}
	change, err := r.asAsked(s, q)
	if err != nil {
		return err
	}
	change.approver = actor.ID
	asker := authz.Actor{Org: actor.Org, ID: q.By, Request: actor.Request}
	return r.applySteps(ctx, step{asker, change}, step{actor, r.closing(actor, q, RequestConfirmed, reason)})
}

// WithdrawRequest takes a change request back. Only who asked for it can.
func (r *Register) WithdrawRequest(ctx context.Context, actor authz.Actor, id RequestID, reason string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, q, err := r.request(actor.Org, id)
	if err != nil {
		return err
	}
	if q.By != actor.ID {
		return fault.New(fault.Forbidden, "not_yours", "somebody else asked for it; reject it instead")
	}
	return r.close(ctx, actor, q, RequestWithdrawn, reason)
}

// request finds a change request beside the state that it stands in.
func (r *Register) request(org OrgID, id RequestID) (*State, *ChangeRequest, error) {
	s, err := r.State(org)
	if err != nil {
		return nil, nil, err
	}
	q, err := s.ChangeRequest(id)
	return s, q, err
}

func (r *Register) close(ctx context.Context, actor authz.Actor, q *ChangeRequest, to RequestState, reason string) error {
	_, err := r.applyLocked(ctx, actor, r.closing(actor, q, to, reason))
	return err
}

// closing is the end of a change request, as it is in the database by then.
func (r *Register) closing(actor authz.Actor, q *ChangeRequest, to RequestState, reason string) spec {
	return spec{org: actor.Org, kind: kindRequest, id: string(q.ID), change: "change." + string(to), reason: reason, mutate: func(body []byte) (any, error) {
		var now ChangeRequest
		if err := json.Unmarshal(body, &now); err != nil {
			return nil, fmt.Errorf("read change request: %w", err)
		}
		if now.State != RequestOpen {
			return nil, fault.New(fault.Conflict, "decided", "%s is %s already", q.ID, now.State)
		}
		now.State, now.DecidedBy, now.DecidedAt, now.Answer = to, actor.ID, r.d.Now().UTC().Truncate(time.Second), reason
		return now, nil
	}}
}

// asAsked is the change that a request asks for, checked against what is in force now.
func (r *Register) asAsked(s *State, q *ChangeRequest) (spec, error) {
	out := spec{org: s.Org.ID, kind: q.Kind, id: q.Row, change: q.Kind + ".changed", reason: q.Reason, expect: q.Seen, fresh: q.Seen == 0}
	if q.Delete {
		if by := s.user(q.Kind, q.Row); by != "" {
			return out, usedBy(q.Kind, q.Row, by)
		}
		out.delete, out.change = true, q.Kind+".deleted"
		out.mutate = func(body []byte) (any, error) { return json.RawMessage(body), nil }
		return out, nil
	}
	var err error
	body := any(q.Body)
	switch q.Kind {
	case kindBudget:
		err = checkAs(q.Body, func(v *Budget) error { return checkBudgetIn(s, *v) })
	case kindRoute:
		err = checkAs(q.Body, func(v *Route) error { return checkRoute(s, *v) })
	case kindProfile:
		err = checkAs(q.Body, func(v *GuardProfile) error { return r.checkProfile(*v) })
	case kindPolicy:
		err = checkAs(q.Body, func(v *Policy) error { return r.checkPolicy(*v) })
	case kindPrice:
		err = checkAs(q.Body, r.checkPrice)
	case kindSettings:
		err = checkAs(q.Body, func(v *Settings) error { return s.checkSettings(v) })
	case kindProvider:
		err = checkAs(q.Body, func(p *Provider) error {
			out.mutate, out.within = r.keeping(p, nil)
			return r.checkProvider(*p)
		})
	default:
		return out, fmt.Errorf("inventory: a change request of a %s", q.Kind)
	}
	if out.mutate == nil {
		out.mutate = func([]byte) (any, error) { return body, nil }
	}
	return out, err
}

func checkAs[T any](body []byte, check func(*T) error) error {
	var v T
	if err := json.Unmarshal(body, &v); err != nil {
		return fmt.Errorf("read change request: %w", err)
	}
	return check(&v)
}
