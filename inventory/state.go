package inventory

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"plumbline/app/fault"
	"plumbline/app/ident"
)

// State is an organisation's rows at one time, each list in the order of ids.
type State struct {
	Org       Org
	Settings  Settings
	Systems   []System
	Keys      []Key
	Budgets   []Budget
	Providers []Provider
	Routes    []Route
	Profiles  []GuardProfile
	Policies  []Policy
	Prices    []Price // of its own, on top of the table
	Members   []Person
	Requests  []ChangeRequest // for a second person, open and decided
}

// System finds a system; a fault of kind NotFound when there is none.
func (s *State) System(id SystemID) (*System, error) {
	for i := range s.Systems {
		if s.Systems[i].ID == id {
			return &s.Systems[i], nil
		}
	}
	return nil, notFound("AI system", string(id))
}

// ProfileOf is the guard profile that a system's calls obey: its own, else the
// first by id that its risk class requires, else the one called default. It is nil
// when there is none of them, and then nothing is screened.
func (s *State) ProfileOf(x *System) *GuardProfile {
	var required, fallback *GuardProfile
	for i := range s.Profiles {
		p := &s.Profiles[i]
		if p.ID == x.Profile {
			return p
		}
		if slices.Contains(p.Tiers, x.RiskClass) && (required == nil || p.ID < required.ID) {
			required = p
		}
		if p.ID == "default" {
			fallback = p
		}
	}
	return cmp.Or(required, fallback)
}

// EnforcesPolicy reports whether a policy of the organisation's own is enforced; the
// default policy holds until then.
func (s *State) EnforcesPolicy() bool {
	return slices.ContainsFunc(s.Policies, func(p Policy) bool { return p.Mode == "enforce" })
}

func notFound(what, id string) error {
	return &fault.Error{Kind: fault.NotFound, Code: "not_found", Message: fmt.Sprintf("there is no %s %q", what, id)}
}

// assemble decodes rows into states.
func assemble(rows []row) (map[OrgID]*State, error) {
	states := map[OrgID]*State{}
	for i := range rows {
		m := &rows[i]
		s := states[OrgID(m.Org)]
		if s == nil {
			s = &State{}
			states[OrgID(m.Org)] = s
		}
		if m.Deleted != 0 {
			continue
		}
		if err := s.take(m); err != nil {
			return nil, fmt.Errorf("read %s %s/%s: %w", m.Kind, m.Org, m.ID, err)
		}
	}
	for id, s := range states {
		if s.Org.ID == "" {
			delete(states, id) // created, and not recorded yet
			continue
		}
		if s.Settings.Org == "" {
			s.Settings = Settings{Org: id, Unregistered: "block"}
		}
	}
	return states, nil
}

// one is the state of a single organisation's rows.
func one(rows []row, org OrgID) (*State, error) {
	states, err := assemble(rows)
	if err != nil {
		return nil, err
	}
	s, ok := states[org]
	if !ok {
		return nil, notFound("organisation", string(org))
	}
	return s, nil
}

func (s *State) take(m *row) error {
	stamp := Stamp{Version: uint32(m.Version), ValidAt: time.UnixMicro(m.At).UTC(), Author: m.Author, Leaf: uint64(max(m.Leaf, 0))}
	stamp.ChangeID, _ = ident.Parse(m.ChangeID)
	origin := Origin{m.File, int(m.Line)}
	org := OrgID(m.Org)
	body := []byte(m.Body)
	switch m.Kind {
	case kindOrg:
		return json.Unmarshal(body, &s.Org)
	case kindSettings:
		s.Settings.Org = org
		err := json.Unmarshal(body, &s.Settings)
		s.Settings.Stamp, s.Settings.Origin, s.Settings.Org = stamp, origin, org
		return err
	case kindSystem:
		var v System
		err := json.Unmarshal(body, &v)
		v.Stamp, v.Origin, v.Org = stamp, origin, org
		s.Systems = append(s.Systems, v)
		return err
	case kindKey:
		var v storedKey
		err := json.Unmarshal(body, &v)
		v.Key.Stamp, v.Key.Origin, v.Key.Org = stamp, origin, org
		copy(v.Key.Hash[:], v.Hash)
		s.Keys = append(s.Keys, v.Key)
		return err
	case kindBudget:
		var v Budget
		err := json.Unmarshal(body, &v)
		v.Stamp, v.Origin, v.Org = stamp, origin, org
		s.Budgets = append(s.Budgets, v)
		return err
	case kindProvider:
		var v Provider
		err := json.Unmarshal(body, &v)
		v.Stamp, v.Origin, v.Org = stamp, origin, org
		s.Providers = append(s.Providers, v)
		return err
	case kindRoute:
		var v Route
		err := json.Unmarshal(body, &v)
		v.Stamp, v.Origin, v.Org = stamp, origin, org
		s.Routes = append(s.Routes, v)
		return err
	case kindProfile:
		var v GuardProfile
		err := json.Unmarshal(body, &v)
		v.Stamp, v.Origin, v.Org = stamp, origin, org
		s.Profiles = append(s.Profiles, v)
		return err
	case kindPolicy:
		var v Policy
		err := json.Unmarshal(body, &v)
		v.Stamp, v.Origin, v.Org = stamp, origin, org
		s.Policies = append(s.Policies, v)
		return err
	case kindPrice:
		var v Price
		err := json.Unmarshal(body, &v)
		v.Stamp, v.Origin, v.Org = stamp, origin, org
		s.Prices = append(s.Prices, v)
		return err
	case kindRequest:
		var v ChangeRequest
		err := json.Unmarshal(body, &v)
		v.ID, v.Stamp, v.Org = RequestID(m.ID), stamp, org
		s.Requests = append(s.Requests, v)
		return err
	case kindMember:
		var v Person
		err := json.Unmarshal(body, &v)
		v.Org = org
		s.Members = append(s.Members, v)
		return err
	}
	return fmt.Errorf("unknown kind %q", m.Kind)
}

// The kinds of rows. They are stored, and name a row in the API.
const (
	kindOrg      = "organisation"
	kindSettings = "settings"
	kindSystem   = "system"
	kindKey      = "key"
	kindBudget   = "budget"
	kindProvider = "provider"
	kindRoute    = "route"
	kindProfile  = "guard_profile"
	kindPolicy   = "policy"
	kindPrice    = "price"
	kindMember   = "account"
	kindRequest  = "change_request"
)

// Kinds lists the kinds of rows.
func Kinds() []string {
	return []string{kindOrg, kindSettings, kindSystem, kindKey, kindBudget, kindProvider, kindRoute, kindProfile, kindPolicy, kindPrice, kindMember, kindRequest}
}
