package web_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plumbline/inventory"
)

// listed is what the API lists of a kind of rows, without who changed it and when.
func listed[T any](t *testing.T, r *reader, kind string) []T {
	t.Helper()
	var out map[string][]T
	if a := r.get(t, "/api/v1/"+kind); json.Unmarshal([]byte(a.body), &out) != nil {
		t.Fatalf("%d %s", a.status, a.body)
	}
	return out[kind]
}

// saved sends a form and expects that it is taken.
func saved(t *testing.T, r *reader, path string, entered ...string) {
	t.Helper()
	if a := r.post(t, path, append(entered, "reason", "by form")...); a.status != http.StatusSeeOther {
		t.Fatalf("%s: %d %s", path, a.status, fieldErrors(a.body))
	}
}

func deleted(t *testing.T, r *reader, path string) {
	t.Helper()
	if a := r.get(t, path); a.status != http.StatusOK {
		t.Fatalf("%s: %d", path, a.status)
	}
	saved(t, r, path)
}

// fieldErrors is what a page says of its fields.
func fieldErrors(page string) (out []string) {
	for _, part := range strings.Split(page, `class="field-error" id="`)[1:] {
		name, rest, _ := strings.Cut(part, `"`)
		_, text, _ := strings.Cut(rest, "</span>")
		text, _, _ = strings.Cut(text, "</span>")
		out = append(out, strings.TrimSuffix(strings.TrimPrefix(name, "f-"), "-e")+": "+text)
	}
	return out
}

func TestGuardProfileOfTheConsole(t *testing.T) {
	admin := sampleConsole(t).admin
	find := func() inventory.GuardProfile {
		list := listed[inventory.GuardProfile](t, admin, "guard_profiles")
		at := slices.IndexFunc(list, func(p inventory.GuardProfile) bool { return p.ID == "careful" })
		if at < 0 {
			t.Fatalf("it is not listed: %v", list)
		}
		p := list[at]
		p.Stamp = inventory.Stamp{}
		return p
	}
	everything := []string{"secrets_on_failure", "closed", "secrets_where", "prompt", "secrets_where", "answer"}
	page := admin.get(t, "/gateway/guard_profiles/new").body
	for _, part := range strings.Split(page, `name="secrets_classes" value="`)[1:] {
		class, _, _ := strings.Cut(part, `"`)
		everything = append(everything, "secrets_classes", class)
	}
	first := append([]string{"version", "0", "id", "careful", "tiers", "minimal", "max_text", "0.5",
		"pii_mode", "redact", "pii_on_failure", "open", "pii_where", "prompt", "pii_classes", "email", "pii_classes", "iban",
		"secrets_mode", "block", "injection_mode", "", "injection_where", "prompt"}, everything...)
	saved(t, admin, "/gateway/guard_profiles", first...)
	no := false
	want := inventory.GuardProfile{ID: "careful", Org: "northwind-insurance", MaxText: 512 << 10, Tiers: []inventory.RiskClass{inventory.Minimal}, Guards: []inventory.GuardSetting{
		{Guard: "pii", Mode: inventory.Redact, OnFailure: "open", Classes: []string{"email", "iban"}, Answer: &no},
		{Guard: "secrets", Mode: inventory.Block, OnFailure: "closed"},
	}}
	if diff := cmp.Diff(want, find()); diff != "" {
		t.Error(diff)
	}
	if page := admin.get(t, "/gateway").body; !strings.Contains(page, "prompts only; only email, iban") {
		t.Error("the page does not say where the guard looks")
	}

	page = admin.get(t, "/gateway/guard_profiles/new?profile=careful").body
	for _, shown := range []string{`name="id" value="careful"`, `name="max_text" type="text" value="0.5"`, `<option value="redact" selected>`, `name="pii_classes" value="iban" checked`, `name="pii_where" value="prompt" checked`, `name="tiers" value="minimal" checked`, `name="version" value="1"`} {
		if !strings.Contains(page, shown) {
			t.Errorf("the form lacks %s", shown)
		}
	}
	for _, hidden := range []string{`name="pii_classes" value="card" checked`, `name="pii_where" value="answer" checked`, `<label for="f-id">`} {
		if strings.Contains(page, hidden) {
			t.Errorf("the form has %s", hidden)
		}
	}

	a := admin.post(t, "/gateway/guard_profiles", "version", "1", "id", "careful", "pii_mode", "block", "secrets_mode", "monitor", "secrets_where", "answer", "max_text", "much", "reason", "kept as entered")
	if diff := cmp.Diff([]string{"pii_where: tick one, or let the guard look for nothing above", "pii_classes: tick at least one, or let the guard look for nothing above",
		"secrets_classes: tick at least one, or let the guard look for nothing above", "max_text: write mebibytes such as 32 or 0.5"}, fieldErrors(a.body)); diff != "" || a.status != http.StatusBadRequest || !strings.Contains(a.body, "kept as entered") {
		t.Errorf("%d %s", a.status, diff)
	}
	if a := admin.post(t, "/gateway/guard_profiles", "version", "1", "id", "careful", "injection_mode", "redact", "injection_where", "prompt", "injection_classes", "override", "reason", "x"); a.status != http.StatusBadRequest || !strings.Contains(a.body, "mode &#34;redact&#34; is none of") {
		t.Errorf("a mode that the guard lacks: %d", a.status)
	}
	deleted(t, admin, "/gateway/guard_profiles/careful/delete")
	if strings.Contains(admin.get(t, "/api/v1/guard_profiles").body, "careful") {
		t.Error("it is still there")
	}
}

func TestPolicyOfTheConsole(t *testing.T) {
	admin := sampleConsole(t).admin
	if page := admin.get(t, "/gateway/policies/new").body; !strings.Contains(page, "package plumbline") || !strings.Contains(page, `value="shadow" checked`) {
		t.Error("a new policy does not begin with the default one, in shadow mode")
	}
	const rego = "package plumbline\r\n\r\ndeny contains \"late\" if input.hour > 20\r\n"
	a := admin.post(t, "/gateway/policies", "version", "0", "id", "hours", "mode", "shadow", "source", "package plumbline\r\ndeny contains <x", "reason", "by form")
	if e := fieldErrors(a.body); a.status != http.StatusBadRequest || len(e) != 1 || !strings.HasPrefix(e[0], "source: ") || !strings.Contains(a.body, "deny contains &lt;x") {
		t.Errorf("a policy that does not compile: %d %v", a.status, e)
	}
	saved(t, admin, "/gateway/policies", "version", "0", "id", "hours", "mode", "shadow", "source", rego)
	find := func() (p inventory.Policy) {
		for _, p := range listed[inventory.Policy](t, admin, "policies") {
			if p.ID == "hours" {
				p.Stamp = inventory.Stamp{}
				return p
			}
		}
		return p
	}
	want := inventory.Policy{ID: "hours", Org: "northwind-insurance", Mode: "shadow", Source: strings.ReplaceAll(rego, "\r", "")}
	if diff := cmp.Diff(want, find()); diff != "" {
		t.Error(diff)
	}
	if page := admin.get(t, "/gateway/policies/new?policy=hours").body; !strings.Contains(page, "deny contains &#34;late&#34; if input.hour &gt; 20") || !strings.Contains(page, `name="version" value="1"`) {
		t.Error("the form does not show it")
	}
	saved(t, admin, "/gateway/policies", "version", "1", "id", "hours", "mode", "enforce", "source", rego)
	if want.Mode = "enforce"; !cmp.Equal(want, find()) {
		t.Error(cmp.Diff(want, find()))
	}
	deleted(t, admin, "/gateway/policies/hours/delete")
}

func TestPriceOfTheConsole(t *testing.T) {
	admin := sampleConsole(t).admin
	const further = "tiers: [{above: 200000, input: 2.5, output: 15}]\r\nsearch: 0.01"
	first := []string{"version", "0", "vendor", "our own", "model", "llama/3 70b", "from", "2026-02-01", "input", "1.25", "output", "10", "max_output", "8192", "further", further}
	saved(t, admin, "/gateway/prices", first...)
	find := func() (p inventory.Price) {
		for _, p := range listed[inventory.Price](t, admin, "prices") {
			if p.Model == "llama/3 70b" {
				p.Stamp = inventory.Stamp{}
				return p
			}
		}
		return p
	}
	want := inventory.Price{Org: "northwind-insurance", Vendor: "our own", PriceRow: inventory.PriceRow{Model: "llama/3 70b", From: "2026-02-01", TokenPrices: inventory.TokenPrices{Input: "1.25", Output: "10"}, MaxOutput: 8192, Search: "0.01",
		Tiers: []inventory.PriceTier{{Above: 200000, TokenPrices: inventory.TokenPrices{Input: "2.5", Output: "15"}}}}}
	if diff := cmp.Diff(want, find()); diff != "" {
		t.Error(diff)
	}
	for _, c := range []struct{ name, value, want string }{
		{"input", "much", "input: "}, {"output", "-1", "output: "}, {"from", "tomorrow", "from: "}, {"max_output", "0", "max_output: write a whole number of tokens"}, {"max_output", "", "max_output: "},
		{"further", "inputt: 3", "further: line 1: unknown key"}, {"further", "input: 3", "further: input has a box of its own above; write it there"}, {"further", "image: cheap", "further: image: "},
	} {
		entered := slices.Clone(first)
		entered[slices.Index(entered, c.name)+1], entered[5] = c.value, "another"
		a := admin.post(t, "/gateway/prices", append(entered, "reason", "x")...)
		if e := fieldErrors(a.body); a.status != http.StatusBadRequest || len(e) != 1 || !strings.HasPrefix(e[0], c.want) {
			t.Errorf("%s %q: %d %v", c.name, c.value, a.status, e)
		}
	}
	// What the form shows, sent back as it is, changes nothing.
	page := admin.get(t, "/gateway").body
	link := regexp.MustCompile(`/gateway/prices/new\?price=(our[^"]+)`).FindStringSubmatch(page)
	if link == nil {
		t.Fatal("the page has no link to change it")
	}
	page = admin.get(t, "/gateway/prices/new?price="+link[1]).body
	_, lines, _ := strings.Cut(page, `name="further"`)
	_, lines, _ = strings.Cut(lines, ">")
	lines, _, _ = strings.Cut(lines, "</textarea>")
	again := slices.Clone(first)
	again[1], again[len(again)-1] = "1", strings.ReplaceAll(lines, "&#34;", `"`)
	saved(t, admin, "/gateway/prices", again...)
	if diff := cmp.Diff(want, find()); diff != "" {
		t.Errorf("the form has other parts: %s\n%s", lines, diff)
	}
	deleted(t, admin, "/gateway/prices/our%20own%2Fllama%2F3%2070b@2026-02-01/delete")
	if p := find(); p.Model != "" {
		t.Errorf("it is still there: %v", p)
	}
}
