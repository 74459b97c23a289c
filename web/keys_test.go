package web_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plumbline/inventory"
)

// TestKeysAreInNaturalOrder: lists of keys count as people do.
func TestKeysAreInNaturalOrder(t *testing.T) {
	admin := sampleConsole(t).admin
	for _, name := range []string{"Batch 10", "batch 9", "Batch 1"} {
		made(t, admin, name)
	}
	for _, page := range []string{"/keys?q=batch", "/budgets/new"} {
		body := strings.ToLower(admin.get(t, page).body)
		one, nine, ten := strings.Index(body, "batch 1<"), strings.Index(body, "batch 9<"), strings.Index(body, "batch 10<")
		if one < 0 || one > nine || nine > ten {
			t.Errorf("%s: batch 1 at %d, batch 9 at %d, batch 10 at %d", page, one, nine, ten)
		}
	}
}

// TestKeyIsChanged: a key's name, owner, models, limits and end are changed in the
// console; its system and text stay, and a revoked one is not changed any more.
func TestKeyIsChanged(t *testing.T) {
	admin := sampleConsole(t).admin
	if a := admin.post(t, "/keys", "name", "Trial of changes", "system", "SYS-002", "expires_at", "2027-01-31", "models", "assistant"); a.status != http.StatusOK {
		t.Fatalf("%d", a.status)
	}
	find := func() (k inventory.Key) {
		for _, k = range listed[inventory.Key](t, admin, "keys") {
			if strings.Contains(k.Name, "of changes") {
				k.Stamp = inventory.Stamp{}
				return k
			}
		}
		t.Fatal("it is not listed")
		return k
	}
	made := find()
	at := "/keys/" + string(made.ID)
	page := admin.get(t, at).body
	for _, part := range []string{`value="Trial of changes"`, `value="assistant"`, `value="2027-01-31"`, "SYS-002"} {
		if !strings.Contains(page, part) {
			t.Errorf("the form lacks %s", part)
		}
	}
	entered := []string{"version", versionText.FindStringSubmatch(page)[1], "name", "Proof of changes", "models", "assistant, gtp-4o", "requests_per_minute", "60", "concurrency", "4", "expires_at", "2027-01-31", "system", "SYS-001"}
	saved(t, admin, at, entered...)
	want := made
	want.Name, want.Models, want.PerMinute, want.Concurrency = "Proof of changes", []string{"assistant", "gtp-4o"}, 60, 4
	if diff := cmp.Diff(want, find()); diff != "" || !find().ExpiresAt.Equal(time.Date(2027, 1, 31, 23, 59, 59, 0, time.UTC)) {
		t.Error(diff)
	}
	if page := admin.get(t, "/keys").body; !strings.Contains(page, "no route has gtp-4o") {
		t.Error("nobody is told that one of its models leads nowhere")
	}
	if a := admin.post(t, at, append(entered, "reason", "from an old page")...); a.status != http.StatusConflict {
		t.Errorf("changed from an old page: %d", a.status)
	}
	if a := admin.post(t, at, "version", "2", "name", "Proof of changes", "concurrency", "many", "reason", "x"); a.status != http.StatusBadRequest || len(fieldErrors(a.body)) != 1 {
		t.Errorf("%d %v", a.status, fieldErrors(a.body))
	}
	saved(t, admin, at+"/revoke")
	if a := admin.get(t, at); a.status != http.StatusConflict {
		t.Errorf("the form of a revoked key: %d", a.status)
	}
}
