// Package authz says who acts, and what a role may do.
package authz

import "plumbline/app/ident"

// OrgID is the id of an organisation: the domain of every permission, the
// scope of every store call and the name of a ledger log.
type OrgID string

// Role is one of the roles of the product.
type Role string

// The roles. A person holds any number of them in an organisation.
const (
	Admin             Role = "admin"
	ComplianceOfficer Role = "compliance_officer"
	SystemOwner       Role = "system_owner"
	Approver          Role = "approver"
	Auditor           Role = "auditor"
	Developer         Role = "developer"
	Respondent        Role = "respondent"
)

// Actor is who does something: a person, a job, or the configuration file.
type Actor struct {
	Org   OrgID
	ID    string // account id, "job:<name>" or "config"
	Name  string // for pages; never written to the ledger
	Roles []Role
	// Request is the id of the request or run in which the actor acts.
	Request ident.ID
}

// OwnOnly reports whether the actor's roles give no more than developer: of keys,
// what was called with them and their budgets it sees its own. A role that is not
// listed here sees no more either.
func OwnOnly(a Actor) bool {
	for _, role := range a.Roles {
		switch role {
		case Admin, ComplianceOfficer, SystemOwner, Approver, Auditor:
			return false
		}
	}
	return true
}
