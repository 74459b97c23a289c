package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"plumbline/app/authz"
	"plumbline/gateway/event"
	"plumbline/inventory"
)

// renewal is a served system with an approval that has no end, two people who may
// renew it, and its calls.
type renewal struct {
	*testing.T
	s        *Server
	ada, ben *script
	call     func(status int, code string)
}

const desked = "/api/v1/systems/SYS-001"

func newRenewal(t *testing.T) *renewal {
	s, base, key, _ := desk(t)
	person(t, s, testOrg, "ada@example.com", authz.Admin)
	person(t, s, testOrg, "ben@example.com", authz.Approver)
	return &renewal{t, s, newScript(t, base).signIn("ada@example.com"), newScript(t, base).signIn("ben@example.com"), func(status int, code string) {
		t.Helper()
		resp, text := post(t, base+"/v1/chat/completions", key, `{"model":"gpt-4o-mini","max_tokens":16,"messages":[{"role":"user","content":"Hello"}]}`)
		if resp.StatusCode != status || !strings.Contains(text, code) {
			t.Errorf("status %d, want %d %s: %s", resp.StatusCode, status, code, text)
		}
	}}
}

func (r *renewal) ask() reply {
	r.Helper()
	return r.ada.must(http.StatusOK, "POST", desked+"/approval-request", `{"reason":"it ends soon"}`)
}

func (r *renewal) decide(decision string, until time.Time) reply {
	r.Helper()
	body := fmt.Sprintf(`{"decision":%q,"reason":"looked at"}`, decision)
	if !until.IsZero() {
		body = fmt.Sprintf(`{"decision":%q,"until":%q,"reason":"looked at"}`, decision, until.Format(time.RFC3339Nano))
	}
	return r.ben.must(http.StatusOK, "POST", desked+"/approval", body)
}

// TestCallsGoOnWhileARenewalIsOpen: over the API and through the gateway, a request
// stops nothing and a rejection leaves the approval in force; a withdrawal, its end
// and another purpose stop the calls.
func TestCallsGoOnWhileARenewalIsOpen(t *testing.T) {
	r := newRenewal(t)
	r.call(200, "choices")
	if a := r.ask(); !strings.Contains(a.text, `"state":"requested"`) || !strings.Contains(a.text, `"standing":{"state":"approved"`) {
		t.Errorf("asked: %s", a.text)
	}
	r.call(200, "choices")
	r.ask() // once more
	r.call(200, "choices")
	r.ada.refused(403, "four_eyes", "second person", "POST", desked+"/approval", `{"decision":"approve","reason":"mine"}`)
	if a := r.decide("reject", time.Time{}); !strings.Contains(a.text, `"state":"rejected"`) || !strings.Contains(a.text, `"standing":{"state":"approved"`) {
		t.Errorf("rejected: %s", a.text)
	}
	r.call(200, "choices")
	r.ada.refused(400, "invalid_field", "why", "POST", desked+"/approval-withdrawal", `{}`)
	if a := r.ben.must(200, "POST", desked+"/approval-withdrawal", `{"reason":"complaints"}`); strings.Contains(a.text, "standing") {
		t.Errorf("withdrawn: %s", a.text)
	}
	r.call(403, "system_unapproved")
	r.ben.refused(409, "not_approved", "SYS-001", "POST", desked+"/approval-withdrawal", `{"reason":"complaints"}`)

	// It ends by itself while the request is open.
	r.ask()
	r.call(403, "system_unapproved")
	until := time.Now().Add(4 * time.Second)
	r.decide("approve", until)
	r.ask()
	r.call(200, "choices")
	time.Sleep(time.Until(until))
	r.call(403, "its renewal waits for a decision")
	if a := r.decide("approve", time.Time{}); strings.Contains(a.text, "standing") {
		t.Errorf("approved: %s", a.text)
	}
	r.call(200, "choices")

	// What it rested on is another: both the approval and the request are over.
	r.ask()
	r.call(200, "choices")
	system := r.ada.must(200, "GET", desked, "").body
	body, err := json.Marshal(map[string]any{"name": system["name"], "purpose": "Decides on credit.", "owner": system["owner"], "roles": system["roles"], "risk_class": system["risk_class"], "risk_reason": system["risk_reason"],
		"lifecycle": system["lifecycle"], "guard_profile": system["guard_profile"], "models": system["models"], "version": system["version"], "reason": "another use"})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if a := r.ada.must(200, "PUT", desked, string(body)); !strings.Contains(a.text, `"approval":{"state":"not_requested"}`) {
		t.Errorf("another purpose: %s", a.text)
	}
	r.call(403, "system_unapproved")
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("in force after %v", took)
	}
}

// TestEvidenceOfARenewal: over a period in which a renewal was asked for, rejected,
// asked for again and given, every exchange names a version of its system by which it
// was approved then, the control test finds approval before use, and the audit report
// says of the rejection that it was one of a renewal.
func TestEvidenceOfARenewal(t *testing.T) {
	r := newRenewal(t)
	r.ask() // the first call is made while the approval stands beside a request
	r.call(200, "choices")
	r.decide("reject", time.Time{})
	r.call(200, "choices")
	r.ask()
	r.call(200, "choices")
	r.decide("approve", time.Now().AddDate(1, 0, 0))
	r.call(200, "choices")

	versions, err := r.s.Register.History(t.Context(), testOrg, "system", "SYS-001")
	if err != nil {
		t.Fatal(err)
	}
	approvals := map[uint32]inventory.Approval{}
	var changes []string
	for _, v := range versions {
		var s inventory.System
		if err := json.Unmarshal(v.Body, &s); err != nil {
			t.Fatal(err)
		}
		approvals[v.Version], changes = s.Approval, append(changes, v.Change)
	}
	if got, want := strings.Join(changes[:4], " "), "system.approved system.renewal_requested system.renewal_rejected system.renewal_requested"; got != want {
		t.Errorf("changes %s, want %s", got, want)
	}
	seen := map[uint32]bool{}
	for _, e := range bodies[*event.Event](t, r.s, string(testOrg)) {
		if e.Kind != event.Intent {
			continue
		}
		seen[e.SystemVersion] = true
		if a := approvals[e.SystemVersion]; !a.ValidAt(time.UnixMicro(e.At)) {
			t.Errorf("an exchange of version %d, which was not approved then: %+v", e.SystemVersion, a)
		}
	}
	if len(seen) != 4 {
		t.Errorf("exchanges of versions %v, want of four", seen)
	}

	if err := r.s.Projection.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.ada.must(204, "POST", "/api/v1/assessments/run", "")
	if err := r.s.Projection.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	results, err := r.s.Projection.Results(t.Context(), string(testOrg), "SYS-001", "t.approval_before_use", r.s.Ledger.Size(string(testOrg)), 1)
	if err != nil || len(results) != 1 || results[0].Result != "satisfied" || results[0].Population != 1 {
		t.Errorf("approval before use: %+v, %v", results, err)
	}
	id := r.ada.must(201, "POST", "/api/v1/documents", fmt.Sprintf(`{"kind":"audit","system":"SYS-001","framework":%q}`, r.s.Catalog.Frameworks[0].ID)).body["id"].(string)
	report := r.ada.must(200, "GET", "/api/v1/documents/"+id+"/json", "").text
	for _, says := range []string{"System renewal requested", "System renewal rejected", "System approved"} {
		if !strings.Contains(report, says) {
			t.Errorf("the audit report does not say %q", says)
		}
	}
	if strings.Contains(report, "System rejected") {
		t.Error("the audit report says that a system was rejected that went on calling")
	}
}
