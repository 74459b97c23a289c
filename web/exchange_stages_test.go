package web

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"plumbline/assessments/projection"
	"plumbline/gateway/event"
)

// TestEveryCodeHasItsStage reads the codes of refusals from the gateway's source:
// each is given in a stage that the page knows, or after the call was sent.
func TestEveryCodeHasItsStage(t *testing.T) {
	files, err := filepath.Glob("../gateway/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal("no source of the gateway", err)
	}
	given := regexp.MustCompile(`refuse\([^"\n]*"([a-z_]+)"`)
	found := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range given.FindAllStringSubmatch(string(b), -1) {
			found++
			stage := stageOf(m[1])
			if stage == "" && !strings.HasPrefix(m[1], "upstream_") && m[1] != "internal" {
				t.Errorf("%s refuses with %q, and no stage is known for it", name, m[1])
			}
			if stage != "" && !slices.Contains(stageNames, stage) {
				t.Errorf("%q is given in %q, which is no stage", m[1], stage)
			}
		}
	}
	if found < 30 {
		t.Errorf("found only %d codes: the pattern is broken", found)
	}
}

func TestStages(t *testing.T) {
	clear := []event.Verdict{{Guard: "pii", State: event.Clear}}
	for _, c := range []struct {
		name string
		pane exchangePane
		want string // icon of each stage
	}{
		{"answered", exchangePane{Exchange: &projection.Exchange{State: projection.Complete, OpenedLeaf: 1, ClosedLeaf: 2}, Began: &event.Event{Prompt: clear}, End: &event.Event{Kind: event.Outcome, FirstByte: 1}, Attempts: []attemptRow{{Icon: "allowed", Result: "answered"}}},
			"satisfied satisfied satisfied satisfied clear satisfied satisfied satisfied satisfied"},
		{"a guard did not run, none was set up", exchangePane{Exchange: &projection.Exchange{State: projection.Complete, OpenedLeaf: 1}, Began: &event.Event{}, End: &event.Event{Kind: event.Outcome}, Attempts: []attemptRow{{Icon: "allowed"}}},
			"satisfied satisfied satisfied satisfied notrun satisfied satisfied satisfied satisfied"},
		{"refused by budget", exchangePane{Exchange: &projection.Exchange{State: projection.Refused, OpenedLeaf: -1, Code: "budget_exceeded"}, Began: &event.Event{Prompt: clear}, End: &event.Event{Kind: event.Refused}},
			"satisfied satisfied satisfied satisfied clear not na na satisfied"},
		{"refused before anything was known", exchangePane{Exchange: &projection.Exchange{State: projection.Refused, OpenedLeaf: -1, Code: "system_suspended"}, Began: &event.Event{}, End: &event.Event{Kind: event.Refused}},
			"satisfied satisfied not na na na na na satisfied"},
		{"a code that nobody knows", exchangePane{Exchange: &projection.Exchange{State: projection.Refused, OpenedLeaf: -1, Code: "of_next_year"}, Began: &event.Event{}, End: &event.Event{Kind: event.Refused}},
			"unassessed unassessed unassessed unassessed unassessed unassessed unassessed unassessed satisfied"},
		{"open", exchangePane{Exchange: &projection.Exchange{State: projection.Open, OpenedLeaf: 1, ClosedLeaf: -1}, Began: &event.Event{Prompt: []event.Verdict{{State: event.Hit}}}, Attempts: []attemptRow{{Icon: "clock"}}},
			"satisfied satisfied satisfied satisfied flag satisfied satisfied clock clock"},
		{"its end was lost", exchangePane{Exchange: &projection.Exchange{State: projection.Incomplete, OpenedLeaf: 1}, Began: &event.Event{Prompt: []event.Verdict{{State: event.Errored}}}, End: &event.Event{Kind: event.Incomplete}, Attempts: []attemptRow{{Icon: "broken"}}},
			"satisfied satisfied satisfied satisfied notrun satisfied satisfied broken satisfied"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var icons []string
			for _, row := range c.pane.stages() {
				icons = append(icons, row.Icon)
				if row.Said == "" && row.Icon != "unassessed" && row.Name != "decode" {
					t.Errorf("%s says nothing", row.Name)
				}
			}
			if got := strings.Join(icons, " "); got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
}

func TestVerdictWords(t *testing.T) {
	for _, c := range []struct {
		verdict    event.Verdict
		look, said string
	}{
		{event.Verdict{State: event.Clear}, "clear", ""},
		{event.Verdict{State: event.Clear, Reason: "media_unread"}, "clear", "images, sounds or files came with it, which no guard reads"},
		{event.Verdict{State: event.Hit, Action: event.ActionMonitored, Classes: []string{"email", "iban"}, Hits: 3}, "monitored", "e-mail, iban, 3 spans"},
		{event.Verdict{State: event.Hit, Action: event.ActionRedacted, Classes: []string{"card"}, Hits: 1}, "redacted", "card, 1 span"},
		{event.Verdict{State: event.Hit, Action: event.ActionBlocked, Classes: []string{"aws_key"}, At: 1200}, "guard_blocked", "aws key; 1,200 bytes were already out"},
		{event.Verdict{State: event.NotRun, Reason: "no_answer", FailOpen: true}, "nothing", "there was no answer to look at"},
		{event.Verdict{State: event.NotRun, Reason: "too_large", FailOpen: true}, "not_run", "the text was larger than it reads; its profile let the call go on"},
		{event.Verdict{State: event.Errored, Reason: "timeout"}, "errored", "it took too long"},
		{event.Verdict{State: event.NotRun, Reason: "of_next_year"}, "not_run", "Of next year"},
	} {
		look, said := verdictWords(&c.verdict)
		if look != c.look || said != c.said {
			t.Errorf("%+v: %q, %q; want %q, %q", c.verdict, look, said, c.look, c.said)
		}
		if _, ok := looks[look]; !ok {
			t.Errorf("%q is drawn like nothing", look)
		}
	}
}

func TestDecisionWords(t *testing.T) {
	for _, c := range []struct {
		decision event.Decision
		want     string
	}{
		{event.Decision{}, "policy was not asked"},
		{event.Decision{Effect: event.EffectAllow}, "allow"},
		{event.Decision{Effect: event.EffectDeny, Rule: "default:prohibited_practice"}, "deny, rule default:prohibited_practice"},
		{event.Decision{Effect: event.EffectAllow, ShadowEffect: event.EffectAllow}, "allow; a shadow policy would say the same"},
		{event.Decision{Effect: event.EffectAllow, ShadowEffect: event.EffectDeny, ShadowRule: "cards:leave"}, "allow; a shadow policy would say deny, rule cards:leave"},
	} {
		if got := decisionWords(&c.decision); got != c.want {
			t.Errorf("%+v: %q; want %q", c.decision, got, c.want)
		}
	}
}
