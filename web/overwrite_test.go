package web_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

var versionText = regexp.MustCompile(`name="version" value="(\d+)"`)

// TestNewDoesNotOverwrite: a form for something new never replaces what is there
// under the same name, and keeps what was entered.
func TestNewDoesNotOverwrite(t *testing.T) {
	admin := sampleConsole(t).admin
	for _, c := range []struct {
		name, blank, post string
		entered           []string
	}{
		{"budget", "/budgets/new", "/budgets", []string{"id", "organisation", "target", "organisation:", "limit", "7777", "window", "day", "reason", "mistyped"}},
		{"provider", "/gateway/providers/new", "/gateway/providers", []string{"id", "simulated", "kind", "openai", "base_url", "https://other.example/v1", "keys", "1", "reason", "mistyped"}},
		{"route", "/gateway/routes/new", "/gateway/routes", []string{"model", "assistant", "provider", "unreachable", "target", "gpt-4o-mini", "reason", "mistyped"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := admin.get(t, "/api/v1/"+c.name+"s").body
			version := versionText.FindStringSubmatch(admin.get(t, c.blank).body)
			if version == nil || version[1] != "0" {
				t.Fatalf("the blank form has version %v; want 0", version)
			}
			a := admin.post(t, c.post, append(c.entered, "version", "0")...)
			if a.status != http.StatusUnprocessableEntity && a.status != http.StatusBadRequest || !strings.Contains(a.body, "already; change that one") || !strings.Contains(a.body, "mistyped") {
				t.Errorf("%d, said so %v, kept %v", a.status, strings.Contains(a.body, "already; change that one"), strings.Contains(a.body, "mistyped"))
			}
			if after := admin.get(t, "/api/v1/"+c.name+"s").body; after != before {
				t.Errorf("it is changed:\n%s\n%s", before, after)
			}
		})
	}
}

// TestTwoEditors: of two people who change the same thing from the same page, the
// second is told who was first.
func TestTwoEditors(t *testing.T) {
	c := sampleConsole(t)
	second := c.admin.join(t, "Second Editor", "admin")
	for _, x := range []struct {
		name, page, post string
		entered          func(change string) []string
	}{
		{"budget", "/budgets/system-002", "/budgets", func(change string) []string {
			return []string{"id", "system-002", "target", "system:SYS-002", "limit", "6" + change, "window", "month"}
		}},
		{"route", "/gateway/routes/new?model=translator", "/gateway/routes", func(change string) []string {
			return []string{"model", "translator", "provider", "simulated", "target", "sim-large", "deadline", change + "s"}
		}},
		{"settings", "/gateway/settings", "/gateway/settings", func(change string) []string {
			return []string{"unregistered", "block", "confidentiality", "Sample, invented data", "contact", "ines.moreau@northwind.example", "recorded_attributes", "team" + change}
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			seen := versionText.FindStringSubmatch(c.admin.get(t, x.page).body)
			if seen == nil {
				t.Fatal("the form does not say what version it was filled from")
			}
			send := func(r *reader, change string) answer {
				return r.post(t, x.post, append(x.entered(change), "version", seen[1], "reason", "change "+change)...)
			}
			if a := send(second, "1"); a.status != http.StatusSeeOther {
				t.Fatalf("the first change: %d %.300s", a.status, a.body)
			}
			a := send(c.admin, "2")
			if a.status != http.StatusConflict || !strings.Contains(a.body, "was changed by Second Editor meanwhile") || !strings.Contains(a.body, "change 2") {
				t.Errorf("the second change: %d; names the first editor %v, keeps what was entered %v", a.status, strings.Contains(a.body, "was changed by Second Editor meanwhile"), strings.Contains(a.body, "change 2"))
			}
		})
	}
}
