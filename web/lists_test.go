package web_test

import (
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestManySystems: an organisation with 120 AI systems, each with a key and a budget,
// gets pages of bounded length that lead to all of them.
func TestManySystems(t *testing.T) {
	base, token := emptyServer(t, "")
	admin := begin(t, base, token)
	send := func(method, path, body string) {
		t.Helper()
		if a := admin.send(t, method, path, body); a.status/100 != 2 {
			t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
		}
	}
	const many = 120
	for i := 1; i <= many; i++ {
		class := `"risk_class":"minimal","risk_reason":"r"`
		if i%4 == 0 {
			class = `"risk_class":"high_risk_annex_iii","risk_reason":"point 4"`
		}
		send(http.MethodPost, "/api/v1/systems", fmt.Sprintf(`{"name":"System %03d","purpose":"p","owner":"Team %d","lifecycle":"in_use","roles":["deployer"],%s}`, i, i%7, class))
		send(http.MethodPost, "/api/v1/keys", fmt.Sprintf(`{"name":"Key %03d","system":"SYS-%03d"}`, i, i))
		send(http.MethodPut, fmt.Sprintf("/api/v1/budgets/b-%03d", i), fmt.Sprintf(`{"scope":"system","target":"SYS-%03d","limit":"10","window":"month"}`, i))
		if i%2 == 0 {
			send(http.MethodPost, fmt.Sprintf("/api/v1/systems/SYS-%03d/approval-request", i), `{"reason":"please"}`)
		}
	}
	for _, list := range []struct {
		path, row string
	}{{"/systems", `<a class="t" href="/systems/SYS-\d+">`}, {"/keys", `<span class="sub mono nowrap">pk-(\w+)-`}, {"/budgets", `<span class="t">b-\d+<`}} {
		rows, seen := regexp.MustCompile(list.row), map[string]bool{}
		at := list.path
		for pages := 0; at != "" && pages < 10; pages++ {
			body := admin.get(t, at).body
			found := rows.FindAllString(body, -1)
			if len(found) == 0 || len(found) > 50 {
				t.Errorf("%s shows %d rows", at, len(found))
			}
			for _, row := range found {
				seen[row] = true
			}
			next := regexp.MustCompile(`href="([^"]+)" rel="next"`).FindStringSubmatch(body)
			if at = ""; next != nil {
				at = html.UnescapeString(next[1])
			}
		}
		if len(seen) != many {
			t.Errorf("the pages of %s show %d different rows, want %d", list.path, len(seen), many)
		}
	}
	for path, want := range map[string]string{
		"/systems?class=high_risk_annex_iii&q=system": "30 of 120", "/systems?page=99": "101 to 120 of 120", "/systems?q=team+3&state=requested&page=0": "8 of 120",
		"/keys?q=SYS-01": "10, 120 in all", "/keys?system=SYS-007&q=nothing": "120 keys are hidden by the filters", "/budgets?q=b-11": "b-119",
	} {
		if a := admin.get(t, path); !strings.Contains(plainText(a.body), want) {
			t.Errorf("%s does not say %q", path, want)
		}
	}

	overview := admin.get(t, "/").body
	text := plainText(overview)
	for _, want := range []string{"Needs a decision 120", "57 more: Approve or reject", "57 more: Ask for an approval", "108 more AI systems"} {
		if !strings.Contains(text, want) {
			t.Errorf("the overview does not say %q", want)
		}
	}
	if n := strings.Count(overview, `class="todo"`); n > 12 {
		t.Errorf("the overview lists %d tasks", n)
	}
	more := regexp.MustCompile(`href="([^"]+)">57 more: Approve`).FindStringSubmatch(overview)
	if more == nil {
		t.Fatal("nothing leads to the other requests")
	}
	whole := admin.get(t, html.UnescapeString(more[1])).body
	if n := strings.Count(whole, `/decide">`); n != 60 {
		t.Errorf("the whole kind lists %d requests, want 60", n)
	}
	if n := strings.Count(admin.get(t, "/exchanges").body, `type="checkbox" name="system" value="SYS-`); n != 12 {
		t.Errorf("the list of exchanges offers %d AI systems, want 12", n)
	}
	if n := strings.Count(admin.get(t, "/exchanges?system=SYS-099&system=SYS-100").body, `type="checkbox" name="system" value="SYS-`); n != 14 {
		t.Errorf("with two chosen it offers %d AI systems, want 14", n)
	}
}

// TestEvidenceAges: the overview names what people's evidence has expired, and what
// soon will.
func TestEvidenceAges(t *testing.T) {
	base, token := emptyServer(t, "")
	admin := begin(t, base, token)
	second := admin.join(t, "Bo Lind", "approver")
	if a := admin.send(t, http.MethodPost, "/api/v1/systems", `{"name":"Desk","purpose":"p","owner":"o","lifecycle":"in_use","roles":["deployer"],"risk_class":"minimal","risk_reason":"r"}`); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.body)
	}
	day := func(n int) string { return time.Now().UTC().AddDate(0, 0, n).Format(time.DateOnly) }
	attach := func(control, title, from, until string) {
		t.Helper()
		a := admin.post(t, "/frameworks/nist-ai-rmf-1.0/evidence", "control", control, "system", "SYS-001", "type", "document", "title", title, "link", "https://intranet.example/x", "from", from, "until", until)
		at := a.header.Get("Location")
		if !strings.HasPrefix(at, "/evidence/") {
			t.Fatalf("attach %s: %d %.300s", title, a.status, plainText(a.body))
		}
		if a := second.post(t, at, "decision", "accept", "reason", "read it"); a.status != http.StatusSeeOther {
			t.Fatalf("accept %s: %d %.300s", title, a.status, plainText(a.body))
		}
	}
	rays := func() string {
		_, rays, _ := strings.Cut(plainText(admin.get(t, "/").body), "X-rays")
		rays, _, _ = strings.Cut(rays, "Where we stand")
		return rays
	}
	attach("GOVERN 1.2", "Policy", day(-10), day(200))
	if got := rays(); strings.Contains(got, "evidence") {
		t.Errorf("evidence in force is named: %s", got)
	}
	attach("GOVERN 1.3", "Risk scale", day(-10), day(20))
	attach("GOVERN 1.6", "Resources", day(-90), day(-1))
	got := rays()
	for _, want := range []string{"People's evidence has expired SYS-001 Desk · GOVERN 1.6 1", "People's evidence ends within 30 days SYS-001 Desk · GOVERN 1.3 1"} {
		if !strings.Contains(strings.ReplaceAll(got, "&#39;", "'"), want) {
			t.Errorf("the X-rays do not say %q: %s", want, got)
		}
	}
}
