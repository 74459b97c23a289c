package authz

import "testing"

func TestRoles(t *testing.T) {
	e, err := New()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		role           Role
		object, action string
		want           bool
	}{
		{Admin, "account", "write", true},
		{ComplianceOfficer, "approval", "decide", true},
		{ComplianceOfficer, "account", "write", false},
		{SystemOwner, "approval", "request", true},
		{SystemOwner, "approval", "decide", false},
		{Approver, "approval", "decide", true},
		{Approver, "system", "write", false},
		{Auditor, "document", "read", true},
		{Auditor, "document", "issue", false},
		{Auditor, "system", "write", false},
		{Developer, "key", "read", true},
		{Developer, "exchange", "read", true},
		{Developer, "ledger", "read", false},
		{Developer, "key", "write", false},
		{Respondent, "system", "read", false},
		{"", "system", "read", false},
	} {
		for range 2 { // the second answer is the cache's
			if got := e.Can(Actor{Roles: []Role{c.role}}, c.object, c.action); got != c.want {
				t.Errorf("%s may %s %s: %v", c.role, c.action, c.object, got)
			}
		}
	}
	if !e.Can(Actor{Roles: []Role{Developer, Auditor}}, "ledger", "read") {
		t.Error("the second role does not count")
	}
}

// TestOwnOnly: one role that reads everything is enough, and none at all is not.
func TestOwnOnly(t *testing.T) {
	for _, c := range []struct {
		roles []Role
		want  bool
	}{
		{nil, true},
		{[]Role{Developer}, true},
		{[]Role{Developer, Respondent}, true},
		{[]Role{"new_role", Developer}, true},
		{[]Role{Developer, Auditor}, false},
		{[]Role{Admin}, false},
		{[]Role{ComplianceOfficer}, false},
		{[]Role{SystemOwner, Developer}, false},
		{[]Role{Approver}, false},
	} {
		if got := OwnOnly(Actor{Roles: c.roles}); got != c.want {
			t.Errorf("%v sees only its own: %v", c.roles, got)
		}
	}
}
