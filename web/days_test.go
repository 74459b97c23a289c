package web_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestTheDayThatWasEntered: what ends with a day holds through it, and pages name
// that day and no other. Whoever decides reads what the asker wrote.
func TestTheDayThatWasEntered(t *testing.T) {
	c := sampleConsole(t)
	made := c.admin.post(t, "/systems", "name", "Claims triage", "purpose", "Sorts claims", "owner", "Claims", "risk_class", "minimal", "risk_reason", "sorts only", "lifecycle", "in_use", "version", "0", "reason", "new")
	path := made.header.Get("Location")
	if made.status != http.StatusSeeOther {
		t.Fatalf("%d %.300s", made.status, made.body)
	}
	if a := c.admin.post(t, path+"/request", "reason", "the pilot begins on Monday"); a.status != http.StatusSeeOther {
		t.Fatalf("ask: %d", a.status)
	}
	if a := c.approver.get(t, path+"/decide"); !strings.Contains(a.body, "the pilot begins on Monday") {
		t.Error("whoever decides does not see why it was asked for")
	}
	until := time.Now().UTC().AddDate(0, 2, 0)
	if a := c.approver.post(t, path+"/decide", "decision", "accept", "until", until.Format(time.DateOnly), "reason", "fine"); a.status != http.StatusSeeOther {
		t.Fatalf("decide: %d %.300s", a.status, a.body)
	}
	said, next := until.Format("2 Jan 2006"), until.AddDate(0, 0, 1).Format("2 Jan 2006")
	for _, page := range []string{"/systems", path} {
		if a := c.admin.get(t, page); !strings.Contains(a.body, said) || strings.Contains(a.body, next) {
			t.Errorf("%s names %s: %v; %s: %v", page, said, strings.Contains(a.body, said), next, strings.Contains(a.body, next))
		}
	}
	if a := c.admin.get(t, "/api/v1"+path); !strings.Contains(a.body, `"until":"`+until.Format(time.DateOnly)+`T23:59:59Z"`) {
		t.Errorf("the API: %s", a.body)
	}
	if a := c.admin.post(t, "/keys", "name", "For today", "system", strings.TrimPrefix(path, "/systems/"), "expires_at", time.Now().UTC().Format(time.DateOnly)); a.status != http.StatusOK {
		t.Errorf("a key that expires with today: %d", a.status)
	}
	if a := c.admin.get(t, "/keys"); !strings.Contains(a.body, "calls refused: retired") {
		t.Error("the key of a retired system looks as if it worked")
	}
}
