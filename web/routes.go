package web

import (
	"fmt"
	"net/http"
)

// access says who may use a route.
type access uint8

const (
	permitted access = iota // whoever has the permission
	signedIn                // every account: its own things
	public                  // everybody
)

// route is one row of the table.
type route struct {
	method, path   string
	object, action string // the permission, as app/authz has it
	who            access
	handler        func(*request) error
}

const (
	get    = http.MethodGet
	post   = http.MethodPost
	put    = http.MethodPut
	remove = http.MethodDelete
)

// routes is every route but static files. A page is added here, an API call in
// api_routes.go, and nowhere else.
func routes() []route { return append(pageRoutes(), apiRoutes()...) }

// checkRoutes refuses a table with a route that says nothing of who may use it.
func checkRoutes(table []route) error {
	seen := map[string]bool{}
	for _, rt := range table {
		name := rt.method + " " + rt.path
		switch {
		case seen[name]:
			return fmt.Errorf("route %s is there twice", name)
		case rt.handler == nil:
			return fmt.Errorf("route %s has no handler", name)
		case rt.method != get && rt.method != post && rt.method != put && rt.method != remove:
			return fmt.Errorf("route %s: no such method is served", name)
		case rt.who == permitted && (rt.object == "" || rt.action == ""):
			return fmt.Errorf("route %s names no permission", name)
		case rt.who != permitted && (rt.object != "" || rt.action != ""):
			return fmt.Errorf("route %s names a permission that is not asked for", name)
		}
		seen[name] = true
	}
	return nil
}

func pageRoutes() []route {
	return []route{
		{get, "/signin", "", "", public, (*request).signInPage},
		{post, "/signin", "", "", public, (*request).signIn},
		{get, "/signin/link/:token", "", "", public, (*request).linkPage},
		{post, "/signin/link/:token", "", "", public, (*request).redeemLink},
		{get, "/first-run", "", "", public, (*request).firstRunPage},
		{post, "/first-run", "", "", public, (*request).firstRun},
		{post, "/signout", "", "", signedIn, (*request).signOut},
		{post, "/organisation", "", "", signedIn, (*request).switchOrg},
		{get, "/account", "", "", signedIn, (*request).accountPage},
		{post, "/account/password", "", "", signedIn, (*request).setPassword},
		{post, "/account/display", "", "", signedIn, (*request).setDisplay},

		{get, "/", "overview", "read", permitted, (*request).overviewPage},

		{get, "/systems", "system", "read", permitted, (*request).systemsPage},
		{get, "/systems/new", "system", "write", permitted, (*request).newSystemPage},
		{post, "/systems", "system", "write", permitted, (*request).addSystem},
		{get, "/systems/:id", "system", "read", permitted, (*request).systemPage},
		{get, "/systems/:id/edit", "system", "write", permitted, (*request).editSystemPage},
		{post, "/systems/:id", "system", "write", permitted, (*request).updateSystem},
		{get, "/systems/:id/history", "system", "read", permitted, (*request).systemHistoryPage},
		{get, "/systems/:id/request", "approval", "request", permitted, systemActionPage("request")},
		{post, "/systems/:id/request", "approval", "request", permitted, systemAction("request")},
		{get, "/systems/:id/decide", "approval", "decide", permitted, systemActionPage("decide")},
		{post, "/systems/:id/decide", "approval", "decide", permitted, systemAction("decide")},
		{get, "/systems/:id/withdraw", "approval", "decide", permitted, systemActionPage("withdraw")},
		{post, "/systems/:id/withdraw", "approval", "decide", permitted, systemAction("withdraw")},
		{get, "/systems/:id/suspend", "system", "suspend", permitted, systemActionPage("suspend")},
		{post, "/systems/:id/suspend", "system", "suspend", permitted, systemAction("suspend")},
		{get, "/systems/:id/resume", "system", "suspend", permitted, systemActionPage("resume")},
		{post, "/systems/:id/resume", "system", "suspend", permitted, systemAction("resume")},
		{get, "/systems/:id/retire", "system", "write", permitted, systemActionPage("retire")},
		{post, "/systems/:id/retire", "system", "write", permitted, systemAction("retire")},
		{get, "/systems/:id/review", "system", "write", permitted, systemActionPage("review")},
		{post, "/systems/:id/review", "system", "write", permitted, systemAction("review")},

		{get, "/frameworks", "assessment", "read", permitted, (*request).frameworksPage},
		{get, "/frameworks/open", "assessment", "read", permitted, (*request).openFramework},
		{get, "/frameworks/:framework", "assessment", "read", permitted, (*request).frameworkPage},
		{get, "/frameworks/:framework/evidence", "evidence", "write", permitted, (*request).attachPage},
		{post, "/frameworks/:framework/evidence", "evidence", "write", permitted, (*request).attach},
		{get, "/frameworks/:framework/action", "evidence", "write", permitted, (*request).actionPage},
		{post, "/frameworks/:framework/action", "evidence", "write", permitted, (*request).planAction},
		{get, "/frameworks/:framework/applicability", "evidence", "write", permitted, (*request).applicabilityPage},
		{post, "/frameworks/:framework/applicability", "evidence", "write", permitted, (*request).proposeNotApplicable},
		{get, "/applicability/:id/reject", "evidence", "decide", permitted, (*request).rejectApplicabilityPage},
		{post, "/applicability/:id/decide", "evidence", "decide", permitted, (*request).decideApplicability},
		{get, "/evidence", "assessment", "read", permitted, (*request).attachedPage},
		{get, "/evidence/:id", "assessment", "read", permitted, (*request).evidencePage},
		{post, "/evidence/:id", "evidence", "decide", permitted, (*request).decideEvidence},
		{get, "/evidence/:id/file", "assessment", "read", permitted, (*request).evidenceFile},
		{post, "/tests/run", "assessment", "run", permitted, (*request).runTests},

		{get, "/exchanges", "exchange", "read", permitted, (*request).exchangesPage},
		{get, "/exchanges/:id", "exchange", "read", permitted, (*request).exchangePage},

		{get, "/keys", "key", "read", permitted, (*request).keysPage},
		{get, "/keys/new", "key", "write", permitted, (*request).newKeyPage},
		{post, "/keys", "key", "write", permitted, (*request).createKey},
		{get, "/keys/:id", "key", "write", permitted, (*request).editKeyPage},
		{post, "/keys/:id", "key", "write", permitted, (*request).updateKey},
		{get, "/keys/:id/revoke", "key", "write", permitted, (*request).revokeKeyPage},
		{post, "/keys/:id/revoke", "key", "write", permitted, (*request).revokeKey},
		{get, "/budgets", "budget", "read", permitted, (*request).budgetsPage},
		{get, "/budgets/new", "budget", "write", permitted, (*request).newBudgetPage},
		{post, "/budgets", "budget", "write", permitted, (*request).putBudget},
		{get, "/budgets/:id", "budget", "write", permitted, (*request).editBudgetPage},
		{get, "/budgets/:id/delete", "budget", "write", permitted, deletePage("budget")},
		{post, "/budgets/:id/delete", "budget", "write", permitted, deleteRow("budget")},
		{get, "/gateway", "gateway", "read", permitted, (*request).gatewayPage},
		{get, "/gateway/providers/new", "gateway", "write", permitted, (*request).newProviderPage},
		{post, "/gateway/providers", "gateway", "write", permitted, (*request).putProvider},
		{get, "/gateway/providers/:id/delete", "gateway", "write", permitted, deletePage("provider")},
		{post, "/gateway/providers/:id/delete", "gateway", "write", permitted, deleteRow("provider")},
		{get, "/gateway/routes/new", "gateway", "write", permitted, (*request).newRoutePage},
		{post, "/gateway/routes", "gateway", "write", permitted, (*request).putRoute},
		{get, "/gateway/routes/:id/delete", "gateway", "write", permitted, deletePage("route")},
		{post, "/gateway/routes/:id/delete", "gateway", "write", permitted, deleteRow("route")},
		{get, "/gateway/guard_profiles/new", "gateway", "write", permitted, (*request).newProfilePage},
		{post, "/gateway/guard_profiles", "gateway", "write", permitted, (*request).putProfile},
		{get, "/gateway/guard_profiles/:id/delete", "gateway", "write", permitted, deletePage("guard_profile")},
		{post, "/gateway/guard_profiles/:id/delete", "gateway", "write", permitted, deleteRow("guard_profile")},
		{get, "/gateway/policies/new", "gateway", "write", permitted, (*request).newPolicyPage},
		{post, "/gateway/policies", "gateway", "write", permitted, (*request).putPolicy},
		{get, "/gateway/policies/:id/delete", "gateway", "write", permitted, deletePage("policy")},
		{post, "/gateway/policies/:id/delete", "gateway", "write", permitted, deleteRow("policy")},
		{get, "/gateway/prices/new", "gateway", "write", permitted, (*request).newPricePage},
		{post, "/gateway/prices", "gateway", "write", permitted, (*request).putPrice},
		{get, "/gateway/prices/:id/delete", "gateway", "write", permitted, deletePage("price")},
		{post, "/gateway/prices/:id/delete", "gateway", "write", permitted, deleteRow("price")},
		{get, "/gateway/settings", "gateway", "write", permitted, (*request).settingsPage},
		{post, "/gateway/settings", "gateway", "write", permitted, (*request).putSettings},

		{get, "/changes", "gateway", "read", permitted, (*request).changesPage},
		{get, "/changes/:id", "gateway", "read", permitted, (*request).changePage},
		{post, "/changes/:id", "gateway", "decide", permitted, (*request).decideChange},
		{post, "/changes/:id/withdraw", "gateway", "write", permitted, (*request).withdrawChange},

		{get, "/documents", "document", "read", permitted, (*request).documentsPage},
		{get, "/documents/new", "document", "issue", permitted, (*request).newDocumentPage},
		{post, "/documents", "document", "issue", permitted, (*request).issueDocument},
		{get, "/documents/schedules/new", "document", "issue", permitted, (*request).newSchedulePage},
		{post, "/documents/schedules", "document", "issue", permitted, (*request).putSchedule},
		{get, "/documents/schedules/:id/delete", "document", "issue", permitted, (*request).deleteSchedulePage},
		{post, "/documents/schedules/:id/delete", "document", "issue", permitted, (*request).deleteSchedule},
		{get, "/documents/:id", "document", "read", permitted, (*request).documentPage},
		{get, "/documents/:id/:part", "document", "read", permitted, (*request).documentFile},

		{get, "/jobs", "job", "read", permitted, (*request).jobsPage},
		{post, "/jobs/:name/run", "job", "run", permitted, (*request).runJob},

		{get, "/ledger", "ledger", "read", permitted, (*request).ledgerPage},
		{get, "/ledger/checkpoint", "ledger", "read", permitted, (*request).checkpointFile},
		{get, "/ledger/key", "ledger", "read", permitted, (*request).verifierKeyFile},
		{get, "/ledger/open", "ledger", "read", permitted, (*request).openLeaf},
		{get, "/ledger/:leaf", "ledger", "read", permitted, (*request).leafPage},
		{get, "/ledger/:leaf/record", "ledger", "read", permitted, (*request).leafFile},

		{get, "/people", "account", "read", permitted, (*request).peoplePage},
		{get, "/people/new", "account", "write", permitted, (*request).newPersonPage},
		{post, "/people", "account", "write", permitted, (*request).addPerson},
		{post, "/people/:id/link", "account", "write", permitted, (*request).personLink},
		{get, "/people/:id/roles", "account", "write", permitted, (*request).rolesPage},
		{post, "/people/:id/roles", "account", "write", permitted, (*request).changeRoles},
		{get, "/people/:id/remove", "account", "write", permitted, (*request).removePersonPage},
		{post, "/people/:id/remove", "account", "write", permitted, (*request).removePerson},
	}
}
