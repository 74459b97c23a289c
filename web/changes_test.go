package web_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"plumbline/inventory"
)

// TestSecondPerson: with a second person asked for, a change of the gateway waits on a
// page of its own, where somebody else confirms it; the API says so with 202.
func TestSecondPerson(t *testing.T) {
	c := sampleConsole(t)
	settings := []string{"unregistered", "block", "confidentiality", "Sample, invented data", "contact", "ines.moreau@northwind.example"}
	version := func() string { return versionText.FindStringSubmatch(c.admin.get(t, "/gateway/settings").body)[1] }
	saved(t, c.admin, "/gateway/settings", append(settings, "version", version(), "second_person", "true")...)
	t.Cleanup(func() {
		if err := c.alone(); err != nil {
			t.Error(err)
		}
	})

	a := c.admin.post(t, "/gateway/policies", "version", "0", "id", "evenings", "mode", "enforce", "source", "package plumbline\n\ndeny contains \"late\" if input.hour > 20", "reason", "nobody looks <then>")
	at := a.header.Get("Location")
	if a.status != http.StatusSeeOther || !strings.HasPrefix(at, "/changes/CHG-") {
		t.Fatalf("%d %s", a.status, at)
	}
	own := c.admin.get(t, at).body
	for _, part := range []string{"It waits for a second person; nothing of it is in force.", "New policy evenings", "nobody looks &lt;then&gt;", "You can take it back", "deny contains", at + "/withdraw"} {
		if !strings.Contains(own, part) {
			t.Errorf("the page lacks %q", part)
		}
	}
	if strings.Contains(own, "valid_from") || strings.Contains(own, "change_id") {
		t.Error("the page shows what the register says of versions as parts of the row")
	}
	if list := c.admin.get(t, "/api/v1/change_requests").body; !strings.Contains(list, `"body":{"id":"evenings","mode":"enforce","source":"package plumbline`) {
		t.Errorf("the API has another body: %s", list)
	}
	if strings.Contains(c.admin.get(t, "/api/v1/policies").body, "evenings") {
		t.Error("it is in force")
	}
	if a := c.admin.post(t, at, "reason", "I say so"); a.status != http.StatusForbidden || !strings.Contains(a.body, "a second person must") {
		t.Errorf("who asked confirms: %d", a.status)
	}
	auditor, developer := c.admin.join(t, "Reading Auditor", "auditor"), c.admin.join(t, "Some Developer", "developer")
	for name, r := range map[string]*reader{"auditor": auditor, "developer": developer} {
		if page := r.get(t, at).body; !strings.Contains(page, "Your roles do not include that") || strings.Contains(page, ">Confirm</button>") {
			t.Errorf("an %s may decide", name)
		}
		if a := r.post(t, at, "reason", "mine"); a.status != http.StatusForbidden {
			t.Errorf("an %s decides: %d", name, a.status)
		}
	}
	if !strings.Contains(c.approver.get(t, "/").body, at) || !strings.Contains(c.approver.get(t, "/changes").body, at) {
		t.Error("the approver is not told")
	}
	if a := c.approver.post(t, at); a.status != http.StatusBadRequest || !strings.Contains(a.body, "say why") || !strings.Contains(a.body, "New policy evenings") {
		t.Errorf("confirmed without a reason: %d", a.status)
	}
	saved(t, c.approver, at, "decision", "accept")
	if page := c.approver.get(t, at).body; !strings.Contains(page, "It is confirmed and in force.") || strings.Contains(page, ">Confirm</button>") {
		t.Error("the page does not say that it is in force")
	}
	if !strings.Contains(c.admin.get(t, "/api/v1/policies").body, "evenings") {
		t.Error("it is not in force")
	}

	a = c.admin.send(t, http.MethodDelete, "/api/v1/policies/evenings", `{"reason":"no more"}`)
	var out struct {
		Request inventory.ChangeRequest `json:"change_request"`
	}
	if err := json.Unmarshal([]byte(a.body), &out); err != nil || a.status != http.StatusAccepted || !out.Request.Delete || out.Request.State != inventory.RequestOpen {
		t.Fatalf("%d %s", a.status, a.body)
	}
	path := "/api/v1/change_requests/" + string(out.Request.ID)
	if a := c.approver.send(t, http.MethodPost, path+"/decision", `{"decision":"maybe","reason":"x"}`); a.status != http.StatusBadRequest || !strings.Contains(a.body, "neither confirm nor reject") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := c.admin.send(t, http.MethodPost, path+"/withdraw", `{}`); a.status != http.StatusOK || !strings.Contains(a.body, `"withdrawn"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if page := c.admin.get(t, "/changes/"+string(out.Request.ID)).body; !strings.Contains(page, "Withdrawn") {
		t.Error("the page does not say that it is withdrawn")
	}
	a = c.admin.send(t, http.MethodDelete, "/api/v1/policies/evenings", `{"reason":"no more"}`)
	if err := json.Unmarshal([]byte(a.body), &out); err != nil {
		t.Fatal(err)
	}
	if a := c.approver.send(t, http.MethodPost, "/api/v1/change_requests/"+string(out.Request.ID)+"/decision", `{"decision":"confirm","reason":"agreed"}`); a.status != http.StatusOK || !strings.Contains(a.body, `"confirmed"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if strings.Contains(c.admin.get(t, "/api/v1/policies").body, "evenings") {
		t.Error("it is not deleted")
	}
	// What a budget of another's key is to be, a developer does not read.
	for _, b := range listed[inventory.Budget](t, c.admin, "budgets") {
		if b.Scope != inventory.ScopeKey {
			continue
		}
		a = c.admin.send(t, http.MethodPut, "/api/v1/budgets/"+string(b.ID), `{"scope":"key","target":"`+b.Target+`","limit":"77","window":"month","reason":"more"}`)
		if err := json.Unmarshal([]byte(a.body), &out); err != nil || a.status != http.StatusAccepted {
			t.Fatalf("%d %s", a.status, a.body)
		}
		id := string(out.Request.ID)
		if a := developer.get(t, "/changes/"+id); a.status != http.StatusNotFound || strings.Contains(developer.get(t, "/api/v1/change_requests").body+developer.get(t, "/changes").body, id) {
			t.Errorf("a developer reads %s: %d", id, a.status)
		}
		if a := auditor.get(t, "/changes/"+id); a.status != http.StatusOK || !strings.Contains(a.body, "$77.00") {
			t.Errorf("an auditor: %d", a.status)
		}
		c.admin.send(t, http.MethodPost, "/api/v1/change_requests/"+id+"/withdraw", `{}`)
	}
	if list := c.admin.get(t, "/api/v1/change_requests").body; strings.Count(list, `"CHG-`) < 5 {
		t.Errorf("%s", list)
	}
}
