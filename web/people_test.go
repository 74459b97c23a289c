package web_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// TestRolesOfPeople: an administrator changes roles on a page of their own; adding
// somebody who is there changes nothing, and a link for somebody else is on record.
func TestRolesOfPeople(t *testing.T) {
	base, token := emptyServer(t, "")
	admin := begin(t, base, token)
	second := admin.join(t, "Bo Lind", "approver")
	people := idText.FindAllStringSubmatch(admin.get(t, "/people").body, -1)
	if len(people) != 2 {
		t.Fatalf("%d people are listed", len(people))
	}
	own, id := people[0][1], people[1][1]
	if own != admin.id(t) {
		t.Fatal("the first of the list is not the administrator")
	}

	a := admin.post(t, "/people", "name", "Dup", "email", "BO.LIND@readers.example", "roles", "auditor")
	if a.status != http.StatusConflict || !strings.Contains(plainText(a.body), "is a member already") {
		t.Errorf("added again: %d %.400s", a.status, plainText(a.body))
	}
	if a := second.get(t, "/systems"); a.status != http.StatusOK {
		t.Errorf("the approver reads systems: %d", a.status)
	}
	form := admin.get(t, "/people/"+id+"/roles")
	if form.status != http.StatusOK || !strings.Contains(form.body, `value="approver" checked`) {
		t.Errorf("the form of roles: %d", form.status)
	}
	if a := admin.post(t, "/people/"+id+"/roles"); a.status != http.StatusBadRequest || !strings.Contains(a.body, "at least one role") {
		t.Errorf("no role: %d", a.status)
	}
	if a := admin.post(t, "/people/"+id+"/roles", "roles", "developer"); a.status != http.StatusSeeOther {
		t.Errorf("another role: %d %.300s", a.status, plainText(a.body))
	}
	if a := second.get(t, "/documents"); a.status != http.StatusForbidden {
		t.Errorf("who is a developer now reads documents: %d", a.status)
	}
	if a := admin.post(t, "/people/"+own+"/roles", "roles", "auditor"); a.status != http.StatusConflict || !strings.Contains(a.body, "only administrator") {
		t.Errorf("the last administrator: %d", a.status)
	}
	if a := admin.post(t, "/people/"+id+"/link"); a.status != http.StatusOK {
		t.Errorf("a link: %d", a.status)
	}
	if a := admin.get(t, "/ledger"); !strings.Contains(plainText(a.body), "Account link made "+id) {
		t.Errorf("the ledger's page does not say who was given a link:\n%.1500s", plainText(a.body))
	}
}

// TestAllErrorsAtOnce: a form that comes back says all that is wrong with it, each
// beside its field.
func TestAllErrorsAtOnce(t *testing.T) {
	base, token := emptyServer(t, "")
	fresh := newReader(base)
	if a := fresh.post(t, "/signin/link/"+token); a.status != http.StatusSeeOther {
		t.Fatalf("the link: %d", a.status)
	}
	wrong := func(a answer, fields ...string) {
		t.Helper()
		if a.status != http.StatusBadRequest {
			t.Errorf("status %d", a.status)
		}
		for _, f := range fields {
			if !strings.Contains(a.body, `id="f-`+f+`-e"`) || !strings.Contains(a.body, `href="#f-`+f+`"`) {
				t.Errorf("nothing says what is wrong with %s", f)
			}
		}
		if n := strings.Count(a.body, `href="#f-`); n != len(fields) {
			t.Errorf("%d fields are wrong, want %d", n, len(fields))
		}
	}
	wrong(fresh.post(t, "/first-run", "id", "../x", "email", "nobody", "password", "short"), "organisation_name", "id", "name", "email", "password")
	admin := sampleConsole(t).admin
	wrong(admin.post(t, "/systems", "risk_class", "minimal", "lifecycle", "in_use"), "name", "purpose", "owner", "risk_reason")
	wrong(admin.post(t, "/keys", "requests_per_minute", "-1", "concurrency", "1.5", "expires_at", "2020-13-01"), "name", "requests_per_minute", "concurrency", "expires_at")
	wrong(admin.post(t, "/people"), "name", "email", "roles")
}

// TestApplicabilityOnThePage: a second person accepts or rejects a proposal to leave a
// control out, and what was left out can be taken in again.
func TestApplicabilityOnThePage(t *testing.T) {
	c := sampleConsole(t)
	const control = "?control=MEASURE+2.12&system=SYS-002"
	page := "/frameworks/nist-ai-rmf-1.0" + control
	propose := func(more ...string) {
		t.Helper()
		a := c.admin.post(t, "/frameworks/nist-ai-rmf-1.0/applicability", append([]string{"control", "MEASURE 2.12", "system", "SYS-002", "reason", "for the test"}, more...)...)
		if a.status != http.StatusSeeOther {
			t.Fatalf("propose: %d %.300s", a.status, plainText(a.body))
		}
	}
	decide := func(decision, reason string) {
		t.Helper()
		m := regexp.MustCompile(`action="(/applicability/[^"]+)"`).FindStringSubmatch(c.approver.get(t, page).body)
		if m == nil {
			t.Fatal("the approver finds no form")
		}
		if a := c.admin.post(t, m[1], "decision", decision); a.status != http.StatusForbidden || !strings.Contains(a.body, "second person") {
			t.Errorf("the author decides: %d", a.status)
		}
		if decision == "reject" {
			form := c.approver.get(t, strings.TrimSuffix(m[1], "decide")+"reject").body
			for _, shown := range []string{"MEASURE 2.12", "for the test", `name="decision" value="reject"`} {
				if !strings.Contains(form, shown) {
					t.Errorf("the form of a rejection lacks %s", shown)
				}
			}
			if a := c.approver.post(t, m[1], "decision", decision, "reason", " ", "next", page); a.status != http.StatusBadRequest || len(fieldErrors(a.body)) != 1 || !strings.HasPrefix(fieldErrors(a.body)[0], "reason: say why") {
				t.Errorf("rejected without a reason: %d %v", a.status, fieldErrors(a.body))
			}
		}
		if a := c.approver.post(t, m[1], "decision", decision, "reason", reason, "next", page); a.status != http.StatusSeeOther {
			t.Fatalf("decide: %d %.300s", a.status, plainText(a.body))
		}
	}
	says := func(want string) {
		t.Helper()
		if text := plainText(c.admin.get(t, page).body); !strings.Contains(text, want) {
			t.Errorf("the control's page does not say %q", want)
		}
	}
	propose()
	if a := c.admin.get(t, page); strings.Contains(a.body, "/applicability?") {
		t.Error("while one waits, another proposal is offered")
	}
	decide("reject", "there are such tests")
	says("rejected by Tomas Okafor")
	says("there are such tests")
	if !strings.Contains(plainText(c.admin.get(t, "/evidence").body), "there are such tests") {
		t.Error("the list of proposals does not say why one was rejected")
	}
	propose()
	decide("accept", "")
	says("decided not to apply: for the test")
	propose("applies", "yes")
	decide("accept", "")
	says("Propose: not applicable")
}

// TestFrameworksWithoutASystem: before anything is registered, whoever reads may read
// what a framework will ask.
func TestFrameworksWithoutASystem(t *testing.T) {
	base, token := emptyServer(t, "")
	auditor := begin(t, base, token).join(t, "Al Reader", "auditor")
	for id, want := range map[string]int{"nist-ai-rmf-1.0": 72, "iso-42001-2023": 70, "eu-ai-act": 110} {
		if a := auditor.get(t, "/frameworks"); !strings.Contains(a.body, `href="/frameworks/`+id+`"`) {
			t.Errorf("nothing leads to %s", id)
		}
		a := auditor.get(t, "/frameworks/"+id)
		if n := strings.Count(a.body, `data-label="What is asked"`); n != want || strings.Contains(a.body, "/systems/new") {
			t.Errorf("%s lists %d controls, want %d", id, n, want)
		}
	}
}
