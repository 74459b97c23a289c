package web

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plumbline/app/fault"
	"plumbline/inventory"
)

// What the form shows of targets is what it reads.
func TestTargetsOfTheFormReadBack(t *testing.T) {
	zero, three := 0, 3
	want := []inventory.Target{
		{Provider: "openai", Model: "gpt-4o", Weight: &three},
		{Provider: "local", Model: "meta/llama 3:8b", Tier: 1, Weight: &zero},
		{Route: "backup: \"x\"", Tier: 2, When: map[string]inventory.OneOf{"data_class": {"none", "email"}, "stream": {"true"}, "attribute.team": {"red, blue"}}},
	}
	text := targetLines(want)
	if lines := strings.Split(text, "\n"); len(lines) != 3 || lines[0] != "provider: openai, model: gpt-4o, weight: 3" {
		t.Errorf("%s", text)
	}
	got, err := readTargets("\n" + text + "\r\n  \n")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestErrorsOfTheFormNameTheLine(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", "provider: a\nprovider: b, wieght: 2", `line 2: unknown key "wieght"`},
		{"no YAML", "provider: a\n\nprovider: [", "line 3: "},
		{"wrong kind", "provider: a, tier: first", "line 1: cannot unmarshal"},
		{"two lines", "tear: 1\nprovider: a\nwieght: 2", `line 3: unknown key "wieght"`},
	} {
		_, err := readTargets(c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %s", c.name, err, c.want)
		}
	}
	err := atForm(fault.Field("targets[1].weight", "is too much"), "targets")
	if f, ok := err.(*fault.Error); !ok || f.Fields["targets"] != "number 2: weight is too much" {
		t.Errorf("%v", err)
	}
	several := &fault.Error{Fields: map[string]string{"model": "m", "targets": "t", "targets[10].tier": "b", "targets[9].tier": "a"}}
	if diff := cmp.Diff(map[string]string{"model": "m", "targets": "t; number 10: tier a; number 11: tier b"}, atForm(several, "targets").(*fault.Error).Fields); diff != "" {
		t.Error(diff)
	}
	if err := atForm(fault.Field("model", "x"), "targets"); err.(*fault.Error).Fields["model"] != "x" {
		t.Errorf("%v", err)
	}
}
