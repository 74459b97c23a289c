package inventory

// Snapshot is everything that the gateway obeys, immutable once built. A new
// one replaces it through an atomic pointer; nobody writes to its maps.
type Snapshot struct {
	Revision uint64 // grows with every swap
	Orgs     map[OrgID]*OrgView
	// Keys holds every key of every organisation, revoked ones too, so that a
	// revoked key is refused as such and not as unknown.
	Keys map[KeyID]*Key
}

// OrgView is one organisation's part of a Snapshot.
type OrgView struct {
	Org       Org
	Settings  Settings
	Systems   map[SystemID]*System
	Providers map[ProviderID]*Provider
	Routes    map[string]*Route // by the model name asked for
	Profiles  map[ProfileID]*GuardProfile
	Policies  []*Policy // by id
	Prices    []Price   // its own, by id
	// Budgets by target, so that a hold needs three look-ups and no scan.
	OrgBudgets    []*Budget
	SystemBudgets map[SystemID][]*Budget
	KeyBudgets    map[KeyID][]*Budget
}

// build makes the gateway's view of all organisations.
func (r *Register) build(states map[OrgID]*State, m mark) *Snapshot {
	snap := &Snapshot{Revision: uint64(m.Seq), Orgs: map[OrgID]*OrgView{}, Keys: map[KeyID]*Key{}}
	var old *Snapshot
	if old = r.snap.Load(); old == nil {
		old = &Snapshot{Orgs: map[OrgID]*OrgView{}}
	}
	for id, s := range states {
		before := old.Orgs[id]
		if before == nil {
			before = &OrgView{}
		}
		v := &OrgView{Org: s.Org, Settings: s.Settings, Prices: s.Prices, Systems: map[SystemID]*System{}, Providers: map[ProviderID]*Provider{}, Routes: map[string]*Route{},
			Profiles: map[ProfileID]*GuardProfile{}, SystemBudgets: map[SystemID][]*Budget{}, KeyBudgets: map[KeyID][]*Budget{}}
		for i := range s.Systems {
			v.Systems[s.Systems[i].ID] = &s.Systems[i]
		}
		for i := range s.Providers {
			p := &s.Providers[i]
			if b := before.Providers[p.ID]; b != nil && b.Version == p.Version {
				p = b // the same, so what was compiled from it stays
			}
			v.Providers[p.ID] = p
		}
		for i := range s.Routes {
			v.Routes[s.Routes[i].Model] = &s.Routes[i]
		}
		for i := range s.Profiles {
			p := &s.Profiles[i]
			if b := before.Profiles[p.ID]; b != nil && b.Version == p.Version {
				p = b
			}
			v.Profiles[p.ID] = p
		}
		for i := range s.Policies {
			v.Policies = append(v.Policies, &s.Policies[i])
		}
		for i := range s.Budgets {
			b := &s.Budgets[i]
			switch b.Scope {
			case ScopeOrg:
				v.OrgBudgets = append(v.OrgBudgets, b)
			case ScopeSystem:
				v.SystemBudgets[SystemID(b.Target)] = append(v.SystemBudgets[SystemID(b.Target)], b)
			case ScopeKey:
				v.KeyBudgets[KeyID(b.Target)] = append(v.KeyBudgets[KeyID(b.Target)], b)
			}
		}
		for i := range s.Keys {
			snap.Keys[s.Keys[i].ID] = &s.Keys[i]
		}
		snap.Orgs[id] = v
	}
	return snap
}
