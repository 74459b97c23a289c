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
	// Budgets by target, so that a hold needs three look-ups and no scan.
	OrgBudgets    []*Budget
	SystemBudgets map[SystemID][]*Budget
	KeyBudgets    map[KeyID][]*Budget
}
