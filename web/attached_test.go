package web_test

import (
	"encoding/json"
	"html"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var evidenceLink = regexp.MustCompile(`<a class="t" href="/evidence/([^"/]+)">`)

// attachedIDs are the pieces of evidence on a page of the list.
func attachedIDs(body string) (ids []string) {
	for _, m := range evidenceLink.FindAllStringSubmatch(body, -1) {
		ids = append(ids, m[1])
	}
	slices.Sort(ids)
	return ids
}

// TestAllOfPeoplesEvidence: the list shows what the API lists, narrowed in the same way,
// and each piece says the state that its own page says.
func TestAllOfPeoplesEvidence(t *testing.T) {
	c := sampleConsole(t)
	narrowings := []string{"", "state=current", "state=pending", "state=expired", "state=rejected", "state=upcoming", "form=plan", "form=link&state=current",
		"system=SYS-001&state=pending", "framework=nist-ai-rmf-1.0", "framework=iso-42001-2023&system=SYS-002"}
	some := 0
	for _, narrow := range narrowings {
		var want []string
		a := c.admin.get(t, "/api/v1/evidence?"+narrow)
		var list struct{ Evidence []struct{ ID string } }
		if err := json.Unmarshal([]byte(a.body), &list); err != nil || a.status != http.StatusOK {
			t.Fatalf("%s: %d %v", narrow, a.status, err)
		}
		for _, e := range list.Evidence {
			want = append(want, e.ID)
		}
		slices.Sort(want)
		page := c.admin.get(t, "/evidence?"+narrow)
		if got := attachedIDs(page.body); page.status != http.StatusOK || !slices.Equal(got, want) {
			t.Errorf("?%s: %d, the page lists %d, the API %d", narrow, page.status, len(got), len(want))
		}
		if len(want) == 0 && !strings.Contains(page.body, "Clear filters") {
			t.Errorf("?%s: nothing matches, and no way back to everything", narrow)
		}
		some += min(len(want), 1)
	}
	if some < 7 {
		t.Errorf("only %d of %d filters find anything in the sample", some, len(narrowings))
	}
	for state, word := range map[string]string{"expired": "Stale", "pending": "Waits for a second person", "rejected": "Rejected"} {
		for _, id := range attachedIDs(c.admin.get(t, "/evidence?state="+state).body) {
			if a := c.admin.get(t, "/evidence/"+id); !strings.Contains(a.body, `is-boxed" data-tone`) || !strings.Contains(plainText(a.body), word) {
				t.Errorf("%s evidence %s: its page does not say %q", state, id, word)
			}
		}
	}
	if got := attachedIDs(c.admin.get(t, "/evidence?q=quality+MANUAL").body); len(got) == 0 {
		t.Error("a search does not find the quality manual")
	}
}

// TestPlansAreRead: whoever decides on a corrective action reads it on its page, and
// does not have to open its file.
func TestPlansAreRead(t *testing.T) {
	c := sampleConsole(t)
	plans := attachedIDs(c.admin.get(t, "/evidence?form=plan").body)
	if len(plans) == 0 {
		t.Fatal("the sample plans nothing")
	}
	for _, id := range plans {
		var e struct{ Plan map[string]string }
		if err := json.Unmarshal([]byte(c.admin.get(t, "/api/v1/evidence/"+id).body), &e); err != nil {
			t.Fatal(err)
		}
		page := html.UnescapeString(c.approver.get(t, "/evidence/"+id).body)
		if !strings.Contains(page, "it never counts for the control") {
			t.Errorf("evidence %s: the page of a plan does not say that it never counts", id)
		}
		for _, part := range []string{"cause", "action", "owner"} {
			if e.Plan[part] == "" || !strings.Contains(page, e.Plan[part]) {
				t.Errorf("evidence %s: the page does not show the plan's %s: %q", id, part, e.Plan[part])
			}
		}
	}
}

// TestEndingEvidence: what ends soon is found before it has, by its window or by the age
// that its control accepts.
func TestEndingEvidence(t *testing.T) {
	c := sampleConsole(t)
	reader := c.admin
	a := reader.post(t, "/frameworks/nist-ai-rmf-1.0/evidence", "control", "GOVERN 1.1", "title", "Ends before the month is over", "type", "document", "link", "https://example.com/ends", "until", time.Now().UTC().AddDate(0, 0, 9).Format(time.DateOnly))
	if a.status != http.StatusSeeOther {
		t.Fatalf("attach: %d %.300s", a.status, plainText(a.body))
	}
	at := a.header.Get("Location")
	id := strings.TrimPrefix(at, "/evidence/")
	if slices.Contains(attachedIDs(reader.get(t, "/evidence?state=ending").body), id) {
		t.Error("what nobody accepted yet is listed as ending")
	}
	if a := c.approver.post(t, at, "decision", "accept", "reason", "read it"); a.status != http.StatusSeeOther {
		t.Fatalf("accept: %d %.300s", a.status, plainText(a.body))
	}
	if !slices.Contains(attachedIDs(reader.get(t, "/evidence?state=ending").body), id) {
		t.Error("what ends in nine days is not listed as ending")
	}
}
