package inventory

import (
	"encoding/json"
	"slices"

	"plumbline/app/authz"
)

// narrows reports whether a row's new body allows less than the one in force, and
// nothing more. Such a change is in force at once, also while the ledger cannot
// record it; whatever allows more waits for its record. When in doubt it waits,
// for the old state was allowed by somebody.
func narrows(kind string, old, body []byte) bool {
	switch kind {
	case kindSystem:
		return both(old, body, func(a, b *System) bool { return a.runs() && !b.runs() })
	case kindKey:
		return both(old, body, narrowerKey)
	case kindBudget:
		if old == nil {
			return true // one limit more
		}
		return both(old, body, func(a, b *Budget) bool {
			return b.Limit < a.Limit && a.Scope == b.Scope && a.Target == b.Target && a.Window == b.Window && a.Zone == b.Zone
		})
	case kindSettings:
		return both(old, body, func(a, b *Settings) bool { return a.Unregistered == "flag" && b.Unregistered != "flag" })
	case kindMember:
		return both(old, body, func(a, b *Person) bool {
			return len(b.Roles) < len(a.Roles) && !slices.ContainsFunc(b.Roles, func(r authz.Role) bool { return !slices.Contains(a.Roles, r) })
		})
	}
	return false
}

func both[T any](old, body []byte, f func(a, b *T) bool) bool {
	var a, b T
	return old != nil && json.Unmarshal(old, &a) == nil && json.Unmarshal(body, &b) == nil && f(&a, &b)
}

// narrowerKey: a revoked key allows nothing, whatever else changed with it.
func narrowerKey(a, b *storedKey) bool {
	if a.RevokedAt.IsZero() && !b.RevokedAt.IsZero() {
		return true
	}
	lower := func(a, b int) bool { return b == a || b != 0 && (a == 0 || b < a) }
	within := len(a.Models) == 0 || len(b.Models) > 0 && !slices.ContainsFunc(b.Models, func(m string) bool { return !slices.Contains(a.Models, m) })
	sooner := a.ExpiresAt.IsZero() || !b.ExpiresAt.IsZero() && !b.ExpiresAt.After(a.ExpiresAt)
	same := a.System == b.System && a.Owner == b.Owner && string(a.Hash) == string(b.Hash) && a.RevokedAt.Equal(b.RevokedAt)
	return same && within && sooner && lower(a.PerMinute, b.PerMinute) && lower(a.Concurrency, b.Concurrency)
}
