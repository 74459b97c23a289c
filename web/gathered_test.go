package web_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plumbline/inventory"
)

// TestFormsSayAllThatIsWrong: whoever enters several wrong things is told of each beside
// its field in one answer, those that cannot be read and those that the register refuses,
// and finds what was entered.
func TestFormsSayAllThatIsWrong(t *testing.T) {
	admin := sampleConsole(t).admin
	key := string(made(t, admin, "Told all at once").ID)
	for _, c := range []struct {
		name, post string
		entered    []string
		kept       []string
		want       []string // fields, as the form has them
	}{
		{"budget", "/budgets", []string{"version", "0", "id", "Wrong Id", "target", "key:none", "limit", "much", "window", "week", "zone", "Mars/Olympus"}, []string{"Wrong Id", "much", "Mars/Olympus"}, []string{"id", "target", "limit", "window", "zone"}},
		{"provider", "/gateway/providers", []string{"version", "0", "id", "simulated", "kind", "openai", "base_url", "ftp://kept", "vendor", strings.Repeat("v", 201), "keys", "3", "key1_ref", "env:NOT_LISTED", "key2_ref", "no reference", "key2_weight", "1001", "key3_secret", "geheim\u00fc", "key3_weight", "heavy"},
			[]string{"ftp://kept", "env:NOT_LISTED", "1001", "heavy"},
			[]string{"id", "vendor", "base_url", "key2_ref", "key2_weight", "key3_secret", "key3_weight"}},
		{"route", "/gateway/routes", []string{"version", "0", "model", "assistant", "aliases", "fine, assistant", "targets", "provider: none, tier: 101\nprovider: kept, wieght: 2", "strategy", "best", "max_attempts", "many", "deadline", "soon", "idle_timeout", "25h"},
			[]string{"fine, assistant", "wieght", "many", "soon", "25h"},
			[]string{"model", "aliases", "targets", "strategy", "max_attempts", "idle_timeout", "deadline"}},
		{"document", "/documents", []string{"kind", "audit", "system", "SYS-999", "framework", "", "from", "2999-01-01", "to", "soon"}, []string{"2999-01-01", "soon"}, []string{"system", "framework", "from", "to"}},
		{"schedule", "/documents/schedules", []string{"kind", "audit", "system", "SYS-999", "framework", "", "cron", "now and then", "days", "few"}, []string{"now and then", "few"}, []string{"system", "framework", "cron", "days"}},
		{"new key", "/keys", []string{"name", "", "system", "SYS-999", "owner", "nobody", "concurrency", "few", "expires_at", "2020-01-01"}, []string{"few", "2020-01-01"}, []string{"name", "system", "owner", "concurrency", "expires_at"}},
		{"key", "/keys/" + key, []string{"version", "1", "name", "", "owner", "nobody", "concurrency", "few", "expires_at", "2020-01-01"}, []string{"few", "2020-01-01"}, []string{"name", "owner", "concurrency", "expires_at"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := admin.post(t, c.post, append(c.entered, "reason", "x")...)
			var got []string
			for _, said := range fieldErrors(a.body) {
				name, _, _ := strings.Cut(said, ": ")
				got = append(got, name)
			}
			if diff := cmp.Diff(c.want, got); diff != "" || a.status != http.StatusBadRequest {
				t.Errorf("%d %s\n%s", a.status, diff, strings.Join(fieldErrors(a.body), "\n"))
			}
			for _, text := range c.kept {
				if !strings.Contains(a.body, text) {
					t.Errorf("%q is not shown again", text)
				}
			}
			if strings.Contains(a.body, "geheim") {
				t.Error("a secret is shown again")
			}
		})
	}
}

// The API names the same fields at once.
func TestAPISaysAllThatIsWrong(t *testing.T) {
	admin := sampleConsole(t).admin
	for _, c := range []struct{ method, path, body, want string }{
		{http.MethodPut, "/api/v1/budgets/Wrong", `{"scope": "system", "target": "SYS-999", "limit": "much", "window": "week"}`, "id limit target window"},
		{http.MethodPut, "/api/v1/providers/new-one", `{"kind": "oracle", "region": "` + strings.Repeat("r", 201) + `", "credential": "env:A", "credentials": [{"ref": "plain"}, {"secret": "geheim\u00fc"}]}`, "credentials[0] credentials[1].secret kind region"},
		{http.MethodPut, "/api/v1/routes/new-one", `{"targets": [{"provider": "none"}, {"route": "none"}], "deadline": "25h"}`, "deadline targets[0].provider targets[1].route"},
		{http.MethodPost, "/api/v1/schedules", `{"kind": "audit", "system": "SYS-999", "cron": "never", "days": -1}`, "cron days framework system"},
		{http.MethodPost, "/api/v1/documents", `{"kind": "audit"}`, "framework system"},
	} {
		a := admin.send(t, c.method, c.path, c.body)
		var got struct {
			Error struct{ Fields map[string]string }
		}
		if err := json.Unmarshal([]byte(a.body), &got); err != nil {
			t.Fatal(err)
		}
		if named := strings.Join(slices.Sorted(maps.Keys(got.Error.Fields)), " "); named != c.want || a.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s; want %s", c.path, a.status, named, c.want)
		}
	}
}

// made is a key of that name that the reader makes.
func made(t *testing.T, r *reader, name string) inventory.Key {
	t.Helper()
	if a := r.post(t, "/keys", "name", name); a.status != http.StatusOK {
		t.Fatalf("make a key: %d %s", a.status, fieldErrors(a.body))
	}
	for _, k := range listed[inventory.Key](t, r, "keys") {
		if k.Name == name {
			return k
		}
	}
	t.Fatalf("%s is not listed", name)
	return inventory.Key{}
}
