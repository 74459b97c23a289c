package server

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"testing"
	"time"

	"plumbline/app/authz"
	"plumbline/inventory"
)

// scripts are callers of an organisation with one AI system: an officer, who may write
// and decide, an approver, an administrator, an auditor, a developer, and the
// administrator of another organisation.
type scripts struct {
	s                                             *Server
	base                                          string
	officer, approver, admin, auditor, dev, other *script
}

func newScripts(t *testing.T) scripts {
	t.Helper()
	s, base, _ := office(t)
	in := func(name string, role authz.Role) *script {
		person(t, s, testOrg, name+"@example.com", role)
		return newScript(t, base).signIn(name + "@example.com")
	}
	all := scripts{s: s, base: base, officer: in("ola", authz.ComplianceOfficer), approver: in("ben", authz.Approver), admin: in("ada", authz.Admin), auditor: in("aud", authz.Auditor), dev: in("dev", authz.Developer)}
	if err := s.Register.CreateOrg(t.Context(), authz.Actor{Org: "globex", ID: "test"}, inventory.Org{ID: "globex", Name: "Globex"}); err != nil {
		t.Fatal(err)
	}
	person(t, s, "globex", "greta@example.com", authz.Admin)
	all.other = newScript(t, base).signIn("greta@example.com")
	return all
}

// ids are those of a list, in order.
func ids(t *testing.T, a reply, noun string) string {
	t.Helper()
	list, ok := a.body[noun].([]any)
	if !ok {
		t.Fatalf("no list of %s in %s", noun, a.text)
	}
	var out []string
	for _, x := range list {
		m := x.(map[string]any)
		if id, ok := m["id"].(string); ok {
			out = append(out, id)
		} else {
			out = append(out, m["name"].(string))
		}
	}
	return strings.Join(out, " ")
}

// wrong calls and expects an error about one field.
func (c *script) wrong(field, names, method, path, body string) {
	c.t.Helper()
	a := c.do(method, path, body)
	problem, _ := a.body["error"].(map[string]any)
	fields, _ := problem["fields"].(map[string]any)
	said, _ := fields[field].(string)
	if a.status != http.StatusBadRequest || problem["code"] != "invalid_field" || !strings.Contains(said, names) || said == "" {
		c.t.Errorf("%s %s %.200s: %d %s; want an error of %s that names %q", method, path, body, a.status, a.text, field, names)
	}
}

// TestAPIEvidence: what a person attaches over the API counts once a second one accepted
// it there, and is as the console has it.
func TestAPIEvidence(t *testing.T) {
	all := newScripts(t)
	officer, approver := all.officer, all.approver
	const path = "/api/v1/evidence"
	const about = `"framework":"iso-42001-2023","control":"A.6.2.8"`
	content := []byte("<script>alert(1)</script>\x00 reviewed")
	made := officer.must(201, "POST", path, fmt.Sprintf(`{%s,"system":"SYS-001","type":"document","title":" Log review ","file":%q,"file_name":"review of May.html","until":"2099-01-01T00:00:00Z"}`, about, base64.StdEncoding.EncodeToString(content)))
	id := made.body["id"].(string)
	if made.body["state"] != "pending" || made.body["form"] != "file" || made.body["title"] != "Log review" || made.body["leaf"].(float64) < 0 || made.body["author"] == "" || strings.Contains(made.text, "reviewed") {
		t.Errorf("attached: %s", made.text)
	}
	link := officer.must(201, "POST", path, `{`+about+`,"type":"document","title":"Policy","link":"https://intranet.example/policy"}`).body["id"].(string)

	got := all.auditor.must(200, "GET", path+"/"+id+"/file", "")
	_, disposition, err := mime.ParseMediaType(got.header.Get("Content-Disposition"))
	if err != nil || disposition["filename"] != "review of May.html" || got.text != string(content) || got.header.Get("Content-Type") != "application/octet-stream" || got.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("the file comes as %q with %v", got.text, got.header)
	}
	officer.refused(404, "not_found", "no file", "GET", path+"/"+link+"/file", "")

	officer.refused(403, "four_eyes", "second person", "POST", path+"/"+id+"/decision", `{"decision":"accept","reason":"mine"}`)
	approver.wrong("decision", `"maybe"`, "POST", path+"/"+id+"/decision", `{"decision":"maybe","reason":"x"}`)
	approver.wrong("reason", "say why", "POST", path+"/"+id+"/decision", `{"decision":"accept"}`)
	approver.wrong("because", "unknown field", "POST", path+"/"+id+"/decision", `{"decision":"accept","because":"x"}`)
	if a := approver.must(200, "POST", path+"/"+id+"/decision", `{"decision":"accept","reason":"read it"}`); a.body["state"] != "current" || a.body["decision"] != "accepted" || a.body["reason"] != "read it" || a.body["decided_leaf"].(float64) < 1 {
		t.Errorf("accepted: %s", a.text)
	}
	approver.refused(409, "decided", "", "POST", path+"/"+id+"/decision", `{"decision":"reject","reason":"again"}`)
	if a := approver.must(200, "POST", path+"/"+link+"/decision", `{"decision":"reject","reason":"too old"}`); a.body["state"] != "rejected" {
		t.Errorf("rejected: %s", a.text)
	}
	if a := officer.must(200, "GET", "/api/v1/assessments/iso-42001-2023/SYS-001", ""); !strings.Contains(a.text, `"evidence":"`+id+`"`) {
		t.Errorf("the control does not have it: %.300s", a.text)
	}

	for query, want := range map[string]string{
		"": id + " " + link, "?framework=iso-42001-2023&control=A.6.2.8": id + " " + link, "?framework=eu-ai-act": "", "?system=SYS-001": id + " " + link,
		"?form=link": link, "?form=plan": "", "?state=current": id, "?state=rejected": link, "?state=pending": "", "?control=A.6.2.7": "",
	} {
		if got := ids(t, all.auditor.must(200, "GET", path+query, ""), "evidence"); got != want {
			t.Errorf("%s lists %q, want %q", query, got, want)
		}
	}
	for query, field := range map[string]string{"?framework=iso-1": "framework", "?framework=iso-42001-2023&control=Z.1": "control", "?system=SYS-099": "system", "?state=good": "state", "?form=paper": "form"} {
		officer.wrong(field, "", "GET", path+query, "")
	}
	const full = `"type":"document","title":"x","link":"https://a.example"}`
	file := func(content, name string) string {
		return fmt.Sprintf(`{%s,"type":"document","title":"x","file":%q,"file_name":%q}`, about, content, name)
	}
	big := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("x"), 10<<20+1))
	for _, x := range []struct{ field, names, body string }{
		{"framework", "there are: ", `{"control":"A.6.2.8",` + full},
		{"control", "iso-42001-2023", `{"framework":"iso-42001-2023",` + full},
		{"system", "SYS-099", `{` + about + `,"system":"SYS-099",` + full},
		{"type", "no type of evidence", `{` + about + `,"type":"rumour","title":"x","link":"https://a.example"}`},
		{"title", "say what it is", `{` + about + `,"type":"document","link":"https://a.example"}`},
		{"link", "https://", `{` + about + `,"type":"document","title":"x","link":"javascript:alert(1)"}`},
		{"link", "https://", `{` + about + `,"type":"document","title":"x"}`},
		{"link", "not both", strings.TrimSuffix(file("eA==", "x.txt"), "}") + `,"link":"https://a.example"}`},
		{"until", "end before it begins", `{` + about + `,"from":"2026-02-02T00:00:00Z","until":"2026-02-01T00:00:00Z",` + full},
		{"until", "a time such as", `{` + about + `,"until":"2026-02-01",` + full},
		{"file", "no base64", file("not base64!", "x.txt")},
		{"file", "no base64", file("eB==", "x.txt")},
		{"file", "no base64", file("eA", "x.txt")},
		{"file", "missing or empty", file("", "x.txt")},
		{"file", "larger than 10 MiB", file(big, "x.txt")},
		{"file_name", "file's name", file("eA==", "")},
		{"file_name", "without a folder", file("eA==", "../../etc/x.txt")},
		{"file_name", "without a folder", file("eA==", `C:\x.txt`)},
		{"author", "unknown field", `{` + about + `,"author":"p-1",` + full},
		{"decision", "unknown field", `{` + about + `,"decision":"accepted",` + full},
	} {
		officer.wrong(x.field, x.names, "POST", path, x.body)
	}
	officer.refused(413, "too_large", "15 MiB", "POST", path, file(strings.Repeat("A", 16<<20), "x.txt"))
	most := officer.must(201, "POST", path, file(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("y"), 10<<20)), "most.bin"))
	if a := officer.must(200, "GET", path+"/"+most.body["id"].(string)+"/file", ""); len(a.text) != 10<<20 {
		t.Errorf("10 MiB came back as %d bytes", len(a.text))
	}

	for _, c := range []*script{all.auditor, all.dev} {
		c.refused(403, "not_permitted", "", "POST", path, `{`+about+`,`+full)
		c.refused(403, "not_permitted", "", "POST", path+"/"+id+"/decision", `{"decision":"accept","reason":"x"}`)
	}
	approver.refused(403, "not_permitted", "", "POST", path, `{`+about+`,`+full)
	all.dev.refused(403, "not_permitted", "", "GET", path, "")
	all.dev.refused(403, "not_permitted", "", "GET", path+"/"+id+"/file", "")

	if got := ids(t, all.other.must(200, "GET", path, ""), "evidence"); got != "" {
		t.Errorf("another organisation lists %s", got)
	}
	all.other.wrong("system", "SYS-001", "POST", path, `{`+about+`,"system":"SYS-001",`+full)
	all.other.wrong("system", "SYS-001", "GET", path+"?system=SYS-001", "")
	for _, at := range []string{id, "no-such-id"} {
		all.other.refused(404, "not_found", at, "GET", path+"/"+at, "")
		all.other.refused(404, "not_found", at, "GET", path+"/"+at+"/file", "")
		all.other.refused(404, "not_found", at, "POST", path+"/"+at+"/decision", `{"decision":"accept","reason":"x"}`)
	}
}

// TestAPICorrectiveActions: a plan is evidence of its own form, and a second person
// decides on it.
func TestAPICorrectiveActions(t *testing.T) {
	all := newScripts(t)
	const path = "/api/v1/corrective_actions"
	const about = `"framework":"iso-42001-2023","control":"A.6.2.8","system":"SYS-001"`
	made := all.officer.must(201, "POST", path, `{`+about+`,"cause":"no invoice","action":"connect the invoices","owner":"Finance","due":"2099-01-01T00:00:00Z"}`)
	id := made.body["id"].(string)
	plan, _ := made.body["plan"].(map[string]any)
	if made.body["form"] != "plan" || made.body["state"] != "pending" || plan["owner"] != "Finance" || plan["due"] != "2099-01-01T00:00:00Z" {
		t.Errorf("planned: %s", made.text)
	}
	if got := ids(t, all.officer.must(200, "GET", "/api/v1/evidence?form=plan", ""), "evidence"); got != id {
		t.Errorf("plans: %s", got)
	}
	all.officer.refused(403, "four_eyes", "", "POST", "/api/v1/evidence/"+id+"/decision", `{"decision":"accept","reason":"mine"}`)
	if a := all.approver.must(200, "POST", "/api/v1/evidence/"+id+"/decision", `{"decision":"accept","reason":"will do"}`); a.body["state"] != "current" || a.body["plan"] == nil {
		t.Errorf("accepted: %s", a.text)
	}
	for _, x := range []struct{ field, body string }{
		{"framework", `{"control":"A.6.2.8","system":"SYS-001"}`},
		{"control", `{"framework":"iso-42001-2023","system":"SYS-001"}`},
		{"system", `{"framework":"iso-42001-2023","control":"A.6.2.8","system":"SYS-099"}`},
		{"system", `{"framework":"iso-42001-2023","control":"A.6.2.8"}`},
		{"cause", `{` + about + `,"action":"a","owner":"o","due":"2099-01-01T00:00:00Z"}`},
		{"action", `{` + about + `,"cause":"c","owner":"o","due":"2099-01-01T00:00:00Z"}`},
		{"owner", `{` + about + `,"cause":"c","action":"a","due":"2099-01-01T00:00:00Z"}`},
		{"due", `{` + about + `,"cause":"c","action":"a","owner":"o","due":"2020-01-01T00:00:00Z"}`},
		{"due", `{` + about + `,"cause":"c","action":"a","owner":"o"}`},
		{"due", `{` + about + `,"due":"soon"}`},
		{"status", `{` + about + `,"status":"done"}`},
	} {
		all.officer.wrong(x.field, "", "POST", path, x.body)
	}
	all.approver.refused(403, "not_permitted", "", "POST", path, `{`+about+`}`)
	all.other.wrong("system", "SYS-001", "POST", path, `{`+about+`,"cause":"c","action":"a","owner":"o","due":"2099-01-01T00:00:00Z"}`)
}

// TestAPIApplicability: a control is left out, and taken in again, by two persons.
func TestAPIApplicability(t *testing.T) {
	all := newScripts(t)
	const path = "/api/v1/applicability"
	const about = `"framework":"iso-42001-2023","control":"A.6.2.8","system":"SYS-001"`
	state := func() string {
		t.Helper()
		for _, c := range all.officer.must(200, "GET", "/api/v1/assessments/iso-42001-2023/SYS-001", "").body["controls"].([]any) {
			if c := c.(map[string]any); c["id"] == "A.6.2.8" {
				return c["state"].(string)
			}
		}
		t.Fatal("no such control")
		return ""
	}
	before := state()
	all.officer.refused(409, "unchanged", "", "POST", path, `{`+about+`,"applies":true,"reason":"it does"}`)
	made := all.officer.must(201, "POST", path, `{`+about+`,"reason":"no logs"}`)
	first := made.body["id"].(string)
	if made.body["state"] != "open" || made.body["applies"] != false || made.body["leaf"] != -1.0 || state() != before {
		t.Errorf("proposed: %s", made.text)
	}
	all.officer.refused(409, "proposed", "", "POST", path, `{`+about+`,"reason":"again"}`)
	all.officer.refused(403, "four_eyes", "second person", "POST", path+"/"+first+"/decision", `{"decision":"accept"}`)
	all.approver.wrong("decision", "neither", "POST", path+"/"+first+"/decision", `{}`)
	all.approver.wrong("reason", "say why", "POST", path+"/"+first+"/decision", `{"decision":"reject"}`)
	if a := all.approver.must(200, "POST", path+"/"+first+"/decision", `{"decision":"accept"}`); a.body["state"] != "accepted" || a.body["leaf"].(float64) < 0 || a.body["decided_by"] == "" || state() != "not_applicable" {
		t.Errorf("accepted: %s, the control is %s", a.text, state())
	}
	all.approver.refused(409, "decided", "", "POST", path+"/"+first+"/decision", `{"decision":"reject","reason":"x"}`)
	second := all.officer.must(201, "POST", path, `{`+about+`,"applies":true,"reason":"there are logs now"}`).body["id"].(string)
	if a := all.approver.must(200, "POST", path+"/"+second+"/decision", `{"decision":"reject","reason":"they are another's"}`); a.body["state"] != "rejected" || a.body["answer"] != "they are another's" || a.body["applies"] != true || state() != "not_applicable" {
		t.Errorf("rejected: %s", a.text)
	}
	for query, want := range map[string]string{"": first + " " + second, "?state=accepted": first, "?state=rejected": second, "?state=open": "", "?framework=eu-ai-act": "", "?system=SYS-001": first + " " + second, "?control=A.6.2.7": ""} {
		if got := ids(t, all.auditor.must(200, "GET", path+query, ""), "applicability"); got != want {
			t.Errorf("%s lists %q, want %q", query, got, want)
		}
	}
	all.officer.wrong("state", "confirmed", "GET", path+"?state=confirmed", "")
	all.officer.wrong("reason", "say why", "POST", path, `{"framework":"iso-42001-2023","control":"A.6.2.7","system":"SYS-001"}`)
	all.officer.wrong("system", "", "POST", path, `{"framework":"iso-42001-2023","control":"A.6.2.8","reason":"x"}`)
	all.officer.wrong("control", "Z.9", "POST", path, `{"framework":"iso-42001-2023","control":"Z.9","system":"SYS-001","reason":"x"}`)
	all.officer.wrong("applies", "true or false", "POST", path, `{`+about+`,"applies":"no"}`)
	all.approver.refused(403, "not_permitted", "", "POST", path, `{`+about+`,"reason":"x"}`)
	all.auditor.refused(403, "not_permitted", "", "POST", path+"/"+first+"/decision", `{"decision":"accept"}`)
	all.dev.refused(403, "not_permitted", "", "GET", path, "")
	if got := ids(t, all.other.must(200, "GET", path, ""), "applicability"); got != "" {
		t.Errorf("another organisation lists %s", got)
	}
	all.other.refused(404, "not_found", first, "POST", path+"/"+first+"/decision", `{"decision":"accept"}`)
	all.other.wrong("system", "SYS-001", "POST", path, `{`+about+`,"reason":"x"}`)
}

// TestAPISchedules: schedules of documents are held to what the form holds them to.
func TestAPISchedules(t *testing.T) {
	all := newScripts(t)
	const path = "/api/v1/schedules"
	made := all.officer.must(201, "POST", path, `{"kind":"model_card","system":"SYS-001","framework":"iso-42001-2023","cron":"0 6 * * 1","days":7}`)
	id := made.body["id"].(string)
	next, err := time.Parse(time.RFC3339, made.body["next"].(string))
	if err != nil || next.Weekday() != time.Monday || next.Hour() != 6 || made.body["job"] != "document:"+id || made.body["framework"] != nil || made.body["days"] != 7.0 || made.body["set_by"] == "" {
		t.Errorf("set: %s, %v", made.text, err)
	}
	if a := all.officer.must(200, "PUT", path+"/"+id, `{"kind":"audit","system":"SYS-001","framework":"iso-42001-2023","cron":"@daily"}`); a.body["id"] != id || a.body["kind"] != "audit" || a.body["days"] != 0.0 {
		t.Errorf("replaced: %s", a.text)
	}
	if a := all.auditor.must(200, "GET", path, ""); ids(t, a, "schedules") != id || !strings.Contains(a.text, `"cron":"@daily"`) {
		t.Errorf("listed: %s", a.text)
	}
	for _, x := range []struct{ field, names, body string }{
		{"kind", "diary", `{"kind":"diary","cron":"@daily"}`},
		{"kind", "", `{"cron":"@daily"}`},
		{"system", "about an AI system", `{"kind":"model_card","cron":"@daily"}`},
		{"system", "SYS-099", `{"kind":"model_card","system":"SYS-099","cron":"@daily"}`},
		{"framework", "iso-1", `{"kind":"audit","system":"SYS-001","framework":"iso-1","cron":"@daily"}`},
		{"vendor", "nobody", `{"kind":"vendor_risk","vendor":"nobody","cron":"@daily"}`},
		{"cron", "five fields", `{"kind":"model_card","system":"SYS-001"}`},
		{"cron", "five fields", `{"kind":"model_card","system":"SYS-001","cron":"@every 2h"}`},
		{"cron", "once an hour", `{"kind":"model_card","system":"SYS-001","cron":"*/5 * * * *"}`},
		{"cron", "never fires", `{"kind":"model_card","system":"SYS-001","cron":"0 0 31 2 *"}`},
		{"days", "between", `{"kind":"model_card","system":"SYS-001","cron":"@daily","days":-1}`},
		{"days", "whole number", `{"kind":"model_card","system":"SYS-001","cron":"@daily","days":"many"}`},
		{"set_by", "unknown field", `{"kind":"model_card","system":"SYS-001","cron":"@daily","set_by":"p-1"}`},
	} {
		all.officer.wrong(x.field, x.names, "POST", path, x.body)
		all.officer.wrong(x.field, x.names, "PUT", path+"/"+id, x.body)
	}
	all.officer.wrong("id", "not set here", "POST", path, `{"id":"mine","kind":"model_card","system":"SYS-001","cron":"@daily"}`)
	all.officer.wrong("id", "in the path", "PUT", path+"/"+id, `{"id":"mine","kind":"model_card","system":"SYS-001","cron":"@daily"}`)
	const card = `{"kind":"model_card","system":"SYS-001","cron":"@daily"}`
	all.officer.refused(404, "schedule_unknown", "", "PUT", path+"/none", card)
	for _, c := range []*script{all.approver, all.auditor, all.dev} {
		c.refused(403, "not_permitted", "", "POST", path, card)
		c.refused(403, "not_permitted", "", "PUT", path+"/"+id, card)
		c.refused(403, "not_permitted", "", "DELETE", path+"/"+id, "")
	}
	all.dev.refused(403, "not_permitted", "", "GET", path, "")
	if got := ids(t, all.other.must(200, "GET", path, ""), "schedules"); got != "" {
		t.Errorf("another organisation lists %s", got)
	}
	all.other.refused(404, "schedule_unknown", "", "DELETE", path+"/"+id, "")
	all.other.refused(404, "schedule_unknown", "", "PUT", path+"/"+id, `{"kind":"vendor_risk","vendor":"x","cron":"@daily"}`)
	all.other.refused(404, "not_found", "", "GET", "/api/v1/jobs/document:"+id, "")
	all.other.refused(404, "not_found", "", "POST", "/api/v1/jobs/document:"+id+"/run", "")
	if a := all.officer.must(200, "GET", "/api/v1/jobs/document:"+id, ""); a.body["cron"] != "@daily" {
		t.Errorf("its job: %s", a.text)
	}
	all.officer.wrong("reason", "unknown field", "DELETE", path+"/"+id, `{"reason":"over"}`)
	all.officer.must(204, "DELETE", path+"/"+id, "")
	all.officer.refused(404, "schedule_unknown", "", "DELETE", path+"/"+id, "")
	if list, err := all.s.Reports.AllSchedules(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("%d are left, %v", len(list), err)
	}
}

// TestAPIJobs: jobs are listed with their runs and run by hand, never twice at once.
func TestAPIJobs(t *testing.T) {
	all := newScripts(t)
	const path = "/api/v1/jobs"
	a := all.auditor.must(200, "GET", path, "")
	if got := ids(t, a, "jobs"); got != "control-tests verify-ledger verify-instance" {
		t.Errorf("jobs: %s", got)
	}
	if first := a.body["jobs"].([]any)[0].(map[string]any); first["last"] != nil || first["instance"] != false || first["runs"] != nil || first["next"] == nil {
		t.Errorf("one that never ran: %v", first)
	}
	ran := all.officer.must(200, "POST", path+"/control-tests/run", "")
	last, _ := ran.body["last"].(map[string]any)
	if last["state"] != "ok" || last["job"] != "control-tests" || len(ran.body["runs"].([]any)) != 1 || !strings.Contains(last["detail"].(string), "recorded") || last["actor"] == "" {
		t.Errorf("run: %s", ran.text)
	}
	if a := all.auditor.must(200, "GET", path+"/control-tests", ""); len(a.body["runs"].([]any)) != 1 {
		t.Errorf("runs: %s", a.text)
	}
	leave, _ := all.s.jobs.enter(testOrg, "control-tests", true) // as if one ran
	all.officer.refused(409, "job_running", "running already", "POST", path+"/control-tests/run", "")
	leave()
	all.officer.must(200, "POST", path+"/control-tests/run", "{}")
	all.officer.wrong("force", "unknown field", "POST", path+"/control-tests/run", `{"force":true}`)
	all.officer.refused(404, "not_found", "", "POST", path+"/verify-instance/run", "")
	all.officer.must(200, "GET", path+"/verify-instance", "")
	all.officer.refused(404, "not_found", "", "GET", path+"/none", "")
	for _, c := range []*script{all.approver, all.auditor, all.dev} {
		c.refused(403, "not_permitted", "", "POST", path+"/control-tests/run", "")
	}
	all.dev.refused(403, "not_permitted", "", "GET", path, "")
	all.dev.refused(403, "not_permitted", "", "GET", path+"/control-tests", "")
	if a := all.other.must(200, "GET", path+"/control-tests", ""); a.body["last"] != nil || a.body["runs"] != nil {
		t.Errorf("another organisation sees %s", a.text)
	}
}

// TestAPIPeople: people are added with a link that is shown once and works once, their
// roles change, and they go.
func TestAPIPeople(t *testing.T) {
	all := newScripts(t)
	admin := all.admin
	const path = "/api/v1/people"
	made := admin.must(201, "POST", path, `{"name":"Nia New","email":" Nia@Example.com ","roles":["auditor"]}`)
	id, link := made.body["id"].(string), made.body["link"].(string)
	if made.body["email"] != "nia@example.com" || made.body["name"] != "Nia New" {
		t.Errorf("added: %s", made.text)
	}
	token := link[strings.LastIndex(link, "/")+1:]
	list := all.officer.must(200, "GET", path, "")
	if strings.Contains(list.text, token) || strings.Contains(list.text, "link") || strings.Contains(strings.ToLower(list.text), "password") || strings.Contains(list.text, "argon2") || !strings.Contains(list.text, id) {
		t.Errorf("people: %s", list.text)
	}
	nia := newScript(t, all.base)
	redeem := func(link string, works bool) {
		t.Helper()
		nia.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		resp, err := nia.client.Post(all.base+link[strings.Index(link, "/signin/"):], "application/x-www-form-urlencoded", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if (resp.StatusCode == http.StatusSeeOther) != works {
			t.Errorf("the link answers %d; it works is %v", resp.StatusCode, works)
		}
	}
	redeem(link, true)
	if a := nia.must(200, "GET", "/api/v1/session", ""); !strings.Contains(a.text, `"roles":["auditor"]`) {
		t.Errorf("signed in: %s", a.text)
	}
	redeem(link, false)
	again := admin.must(201, "POST", path+"/"+id+"/link", "").body["link"].(string)
	if again == link {
		t.Error("the same link twice")
	}
	redeem(again, true)

	if a := admin.must(200, "PUT", path+"/"+id, `{"roles":["developer","approver"],"reason":"new work"}`); !strings.Contains(a.text, `"roles":["developer","approver"]`) || a.body["name"] != "Nia New" {
		t.Errorf("changed: %s", a.text)
	}
	for _, x := range []struct{ field, names, method, at, body string }{
		{"name", "name", "POST", path, `{"email":"x@example.com","roles":["auditor"]}`},
		{"email", "no e-mail address", "POST", path, `{"name":"X","email":"x","roles":["auditor"]}`},
		{"roles", "at least one", "POST", path, `{"name":"X","email":"x@example.com"}`},
		{"roles", "emperor", "POST", path, `{"name":"X","email":"x@example.com","roles":["emperor"]}`},
		{"roles", "a list", "POST", path, `{"name":"X","email":"x@example.com","roles":"admin"}`},
		{"password", "unknown field", "POST", path, `{"name":"X","email":"x@example.com","roles":["auditor"],"password":"a long enough phrase"}`},
		{"roles", "at least one", "PUT", path + "/" + id, `{}`},
		{"roles", "emperor", "PUT", path + "/" + id, `{"roles":["emperor"]}`},
		{"email", "unknown field", "PUT", path + "/" + id, `{"roles":["auditor"],"email":"y@example.com"}`},
		{"id", "unknown field", "POST", path + "/" + id + "/link", `{"id":"x"}`},
		{"force", "unknown field", "DELETE", path + "/" + id, `{"force":true}`},
	} {
		admin.wrong(x.field, x.names, x.method, x.at, x.body)
	}
	admin.refused(409, "exists", "member already", "POST", path, `{"name":"Nia","email":"NIA@example.com","roles":["admin"]}`)
	admin.refused(404, "not_found", "", "PUT", path+"/p-none", `{"roles":["auditor"]}`)
	admin.refused(404, "not_found", "", "POST", path+"/p-none/link", "")

	me := admin.must(200, "GET", "/api/v1/session", "").body["account"].(map[string]any)["id"].(string)
	admin.refused(409, "yourself", "cannot remove yourself", "DELETE", path+"/"+me, `{"reason":"leaving"}`)
	admin.refused(409, "last_admin", "only administrator", "PUT", path+"/"+me, `{"roles":["auditor"]}`)

	for _, c := range []*script{all.officer, all.approver, all.auditor, all.dev, nia} {
		c.refused(403, "not_permitted", "", "POST", path, `{"name":"X","email":"x@example.com","roles":["admin"]}`)
		c.refused(403, "not_permitted", "", "PUT", path+"/"+id, `{"roles":["admin"]}`)
		c.refused(403, "not_permitted", "", "DELETE", path+"/"+id, "")
		c.refused(403, "not_permitted", "", "POST", path+"/"+me+"/link", "")
	}
	all.auditor.refused(403, "not_permitted", "", "GET", path, "")

	if a := all.other.must(200, "GET", path, ""); strings.Contains(a.text, id) || strings.Contains(a.text, "example.com") && !strings.Contains(a.text, "greta") {
		t.Errorf("another organisation sees %s", a.text)
	}
	all.other.refused(404, "not_found", "", "PUT", path+"/"+id, `{"roles":["admin"]}`)
	all.other.refused(404, "not_found", "", "DELETE", path+"/"+id, "")
	all.other.refused(404, "not_found", "", "POST", path+"/"+id+"/link", "")
	// Who adds somebody of another organisation gets no way into that one.
	joined := all.other.must(201, "POST", path, `{"name":"Nia","email":"nia@example.com","roles":["admin"]}`)
	if joined.body["link"] != nil || joined.body["id"] != id {
		t.Errorf("joined: %s", joined.text)
	}
	all.other.refused(403, "not_permitted", "do not administer", "POST", path+"/"+id+"/link", "")
	admin.refused(403, "not_permitted", "do not administer", "POST", path+"/"+id+"/link", "")

	admin.must(204, "DELETE", path+"/"+id, `{"reason":"left"}`)
	admin.refused(404, "not_found", "", "DELETE", path+"/"+id, "")
	nia.refused(401, "sign_in", "", "GET", "/api/v1/session", "")
}
