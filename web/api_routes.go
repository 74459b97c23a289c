package web

// apiRoutes is every route of the API. docs/api.md describes each; a test holds
// the two together.
func apiRoutes() []route {
	return []route{
		{get, "/api/v1/session", "", "", signedIn, (*request).apiSession},
		{post, "/api/v1/session", "", "", public, (*request).apiSignIn},
		{remove, "/api/v1/session", "", "", signedIn, (*request).apiSignOut},
		{get, "/api/v1/organisations", "", "", signedIn, (*request).apiOrgs},
		{post, "/api/v1/organisations", "organisation", "write", permitted, (*request).apiAddOrg},
		{put, "/api/v1/organisations/:id", "organisation", "write", permitted, (*request).apiPutOrg},

		{get, "/api/v1/systems", "system", "read", permitted, (*request).apiSystems},
		{post, "/api/v1/systems", "system", "write", permitted, (*request).apiAddSystem},
		{get, "/api/v1/systems/:id", "system", "read", permitted, (*request).apiSystem},
		{put, "/api/v1/systems/:id", "system", "write", permitted, (*request).apiUpdateSystem},
		{get, "/api/v1/systems/:id/history", "system", "read", permitted, (*request).apiSystemHistory},
		{get, "/api/v1/systems/:id/observed", "system", "read", permitted, (*request).apiObserved},
		{post, "/api/v1/systems/:id/approval-request", "approval", "request", permitted, apiRequestApproval},
		{post, "/api/v1/systems/:id/approval", "approval", "decide", permitted, (*request).apiDecideApproval},
		{post, "/api/v1/systems/:id/suspend", "system", "suspend", permitted, apiSuspend},
		{post, "/api/v1/systems/:id/resume", "system", "suspend", permitted, apiResume},
		{post, "/api/v1/systems/:id/retire", "system", "write", permitted, apiRetire},
		{post, "/api/v1/systems/:id/review", "system", "write", permitted, apiReview},

		{get, "/api/v1/keys", "key", "read", permitted, (*request).apiKeys},
		{post, "/api/v1/keys", "key", "write", permitted, (*request).apiCreateKey},
		{put, "/api/v1/keys/:id", "key", "write", permitted, (*request).apiPutKey},
		{post, "/api/v1/keys/:id/revoke", "key", "write", permitted, (*request).apiRevokeKey},
		{get, "/api/v1/budgets", "budget", "read", permitted, (*request).apiBudgets},
		{put, "/api/v1/budgets/:id", "budget", "write", permitted, (*request).apiPutBudget},
		{remove, "/api/v1/budgets/:id", "budget", "write", permitted, apiDelete("budget", "id")},
		{get, "/api/v1/providers", "gateway", "read", permitted, (*request).apiProviders},
		{put, "/api/v1/providers/:id", "gateway", "write", permitted, (*request).apiPutProvider},
		{remove, "/api/v1/providers/:id", "gateway", "write", permitted, apiDelete("provider", "id")},
		{get, "/api/v1/routes", "gateway", "read", permitted, (*request).apiRoutes},
		{put, "/api/v1/routes/:model", "gateway", "write", permitted, (*request).apiPutRoute},
		{remove, "/api/v1/routes/:model", "gateway", "write", permitted, apiDelete("route", "model")},
		{get, "/api/v1/guard_profiles", "gateway", "read", permitted, (*request).apiProfiles},
		{put, "/api/v1/guard_profiles/:id", "gateway", "write", permitted, (*request).apiPutProfile},
		{remove, "/api/v1/guard_profiles/:id", "gateway", "write", permitted, apiDelete("guard_profile", "id")},
		{get, "/api/v1/policies", "gateway", "read", permitted, (*request).apiPolicies},
		{put, "/api/v1/policies/:id", "gateway", "write", permitted, (*request).apiPutPolicy},
		{remove, "/api/v1/policies/:id", "gateway", "write", permitted, apiDelete("policy", "id")},
		{get, "/api/v1/settings", "gateway", "read", permitted, (*request).apiSettings},
		{put, "/api/v1/settings", "gateway", "write", permitted, (*request).apiPutSettings},

		{get, "/api/v1/exchanges", "exchange", "read", permitted, (*request).apiExchanges},
		{get, "/api/v1/exchanges/:id", "exchange", "read", permitted, (*request).apiExchange},
		{get, "/api/v1/assessments/:framework/:system", "assessment", "read", permitted, (*request).apiAssessment},
		{post, "/api/v1/assessments/run", "assessment", "run", permitted, (*request).apiRunTests},
		{get, "/api/v1/documents", "document", "read", permitted, (*request).apiDocuments},
		{post, "/api/v1/documents", "document", "issue", permitted, (*request).apiIssueDocument},
		{get, "/api/v1/documents/:id", "document", "read", permitted, (*request).apiDocument},
		{get, "/api/v1/documents/:id/:part", "document", "read", permitted, (*request).apiDocumentFile},
		{get, "/api/v1/ledger/checkpoint", "ledger", "read", permitted, (*request).apiCheckpoint},
	}
}
