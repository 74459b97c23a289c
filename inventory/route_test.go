package inventory

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plumbline/app/fault"
)

func pointer(n int) *int { return &n }

// A row of the form that had one target still says what it said.
func TestOldFormOfRouteDecodes(t *testing.T) {
	var got Route
	if err := json.Unmarshal([]byte(`{"model":"fast","org":"","provider":"up","target":"gpt-4o-mini","allow_unpriced":true,"version":3,"valid_from":"0001-01-01T00:00:00Z","change_id":"00000000000000000000000000","leaf":0,"author":""}`), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Target{{Provider: "up", Model: "gpt-4o-mini"}}, got.Leads()); diff != "" || !got.Unpriced || got.Model != "fast" {
		t.Errorf("%+v\n%s", got, diff)
	}
	b, err := json.Marshal(Route{Model: "fast", Provider: "up"})
	if err != nil || strings.Contains(string(b), "targets") || strings.Contains(string(b), "timeout") {
		t.Errorf("%s, %v", b, err)
	}
}

// What a declaration says of routes comes out whole, and reads the same from JSON.
func TestRouteReadsTheSameFromYAMLAndJSON(t *testing.T) {
	d, err := ParseDeclaration([]byte(`
organisations:
  - id: acme
    name: Acme
    routes:
      - model: chat
        aliases: [fast, default]
        strategy: weighted
        max_attempts: 3
        attempt_timeout: 20s
        first_byte_timeout: 1500ms
        idle_timeout: 30s
        deadline: 1m30s
        targets:
          - {provider: a, model: m, weight: 0, when: {stream: true, data_class: [none, email]}}
          - {route: other, tier: 2}
`), "d.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := Route{Model: "chat", Aliases: []string{"fast", "default"}, Strategy: ByWeight, MaxAttempts: 3, AttemptTimeout: Duration(20 * time.Second),
		FirstByteTimeout: Duration(1500 * time.Millisecond), IdleTimeout: Duration(30 * time.Second), Deadline: Duration(90 * time.Second),
		Targets: []Target{{Provider: "a", Model: "m", Weight: pointer(0), When: map[string]OneOf{"stream": {"true"}, "data_class": {"none", "email"}}}, {Route: "other", Tier: 2}}}
	if diff := cmp.Diff(want, d.Organisations[0].Routes[0]); diff != "" {
		t.Error(diff)
	}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var back Route
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, back); diff != "" {
		t.Error(diff)
	}
	var alone Target
	if err := json.Unmarshal([]byte(`{"when":{"stream":true,"key":"desk"}}`), &alone); err != nil || alone.When["stream"][0] != "true" || alone.When["key"][0] != "desk" {
		t.Errorf("%+v, %v", alone, err)
	}
}

func TestMalformedValuesOfRoutes(t *testing.T) {
	for _, c := range []struct{ name, yaml, want string }{
		{"number for a time", "deadline: 30", `line 6: "30" is no length of time such as 30s`},
		{"fraction for a weight", "targets: [{provider: a, weight: 0.75}]", "line 6: weight: 0.75 is no whole number"},
		{"fraction that is whole", "max_attempts: 3.0", "line 6: max_attempts: 3.0 is no whole number"},
		{"list for a time", "deadline: [1s]", "is no length of time"},
		{"map in a condition", "targets: [{provider: a, when: {key: {a: b}}}]", "line 6: a condition has one value or a list of values"},
		{"unknown key", "targets: [{provider: a, wieght: 1}]", `line 6: unknown key "wieght" in targets`},
	} {
		_, err := ParseDeclaration([]byte("organisations:\n  - id: acme\n    name: Acme\n    routes:\n      - model: chat\n        "+c.yaml+"\n"), "d.yaml")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %s", c.name, err, c.want)
		}
	}
	var d Duration
	var m Malformed
	if err := json.Unmarshal([]byte(`"soon"`), &d); !errors.As(err, &m) {
		t.Errorf("%v", err)
	}
}

func TestRoutesAreChecked(t *testing.T) {
	state := &State{Providers: []Provider{{ID: "a"}, {ID: "b"}}, Routes: []Route{
		{Model: "one", Provider: "a", Aliases: []string{"uno"}},
		{Model: "two", Targets: []Target{{Route: "one"}, {Provider: "b"}}},
		{Model: "self", Provider: "a"},
	}}
	var many []Target
	for i := range MaxTargets {
		many = append(many, Target{Provider: "a", Model: fmt.Sprint(i)})
	}
	for _, c := range []struct {
		name  string
		route Route
		want  string // the field, and what is said of it; empty: nothing is wrong
	}{
		{"old form", Route{Model: "x", Provider: "a", Target: "m"}, ""},
		{"change of itself", Route{Model: "one", Provider: "b", Aliases: []string{"uno", "eins"}}, ""},
		{"all there is", Route{Model: "x", Strategy: ByWeight, Targets: []Target{{Provider: "a", Weight: pointer(0)}, {Route: "two", Tier: 1}}}, ""},
		{"twice under other conditions", Route{Model: "x", Targets: []Target{{Provider: "a", When: map[string]OneOf{"key": {"k"}}}, {Provider: "a", Tier: 1}}}, ""},
		{"no name", Route{Provider: "a"}, "model: name the model"},
		{"leads nowhere", Route{Model: "x"}, "provider: say where it leads: name a provider, or give a list of targets"},
		{"unknown provider", Route{Model: "x", Provider: "c"}, `provider: there is no provider "c"`},
		{"unknown provider of a target", Route{Model: "x", Targets: []Target{{Provider: "a"}, {Provider: "c"}}}, `targets[1].provider: there is no provider "c"`},
		{"both forms", Route{Model: "x", Provider: "a", Targets: []Target{{Provider: "a"}}}, "targets: give provider and target, or a list"},
		{"weight below zero", Route{Model: "x", Strategy: ByWeight, Targets: []Target{{Provider: "a", Weight: pointer(-1)}}}, "targets[0].weight: a weight is a whole number from 0"},
		{"weight without use", Route{Model: "x", Targets: []Target{{Provider: "a", Weight: pointer(1)}}}, "targets[0].weight: a weight counts with the strategy weighted alone"},
		{"tier", Route{Model: "x", Targets: []Target{{Provider: "a", Tier: -1}}}, "targets[0].tier: a tier is"},
		{"target twice", Route{Model: "x", Targets: []Target{{Provider: "a"}, {Provider: "a", Model: "x"}}}, `targets[1].provider: the model "x" at "a" is a target already`},
		{"strategy", Route{Model: "x", Provider: "a", Strategy: "best"}, `strategy: "best" is none of priority, weighted, round_robin, latency, cost`},
		{"condition", Route{Model: "x", Targets: []Target{{Provider: "a", When: map[string]OneOf{"team": {"x"}}}}}, `targets[0].when: "team" is none of key,`},
		{"condition on nothing", Route{Model: "x", Targets: []Target{{Provider: "a", When: map[string]OneOf{"key": {}}}}}, "targets[0].when: key: give one value"},
		{"stream", Route{Model: "x", Targets: []Target{{Provider: "a", When: map[string]OneOf{"stream": {"yes"}}}}}, "targets[0].when: stream is true or false"},
		{"attribute", Route{Model: "x", Targets: []Target{{Provider: "a", When: map[string]OneOf{"attribute.": {"x"}}}}}, "an attribute has a name"},
		{"alias taken", Route{Model: "x", Provider: "a", Aliases: []string{"y", "uno"}}, `aliases[1]: the name "uno" leads to the route "one" already`},
		{"alias is a route", Route{Model: "x", Provider: "a", Aliases: []string{"two"}}, `aliases[0]: the name "two" leads`},
		{"name is an alias", Route{Model: "uno", Provider: "a"}, `model: the name "uno" is an alias of the route "one"`},
		{"alias twice", Route{Model: "x", Provider: "a", Aliases: []string{"y", "y"}}, `aliases[1]: the name "y" is there twice`},
		{"no such route", Route{Model: "x", Targets: []Target{{Route: "y"}}}, `targets[0].route: there is no route "y"`},
		{"route and provider", Route{Model: "x", Targets: []Target{{Route: "one", Provider: "a"}}}, "targets[0].route: give a provider or"},
		{"circle of one", Route{Model: "self", Targets: []Target{{Route: "self"}}}, "targets: the routes lead in a circle: self → self"},
		{"circle of two", Route{Model: "one", Targets: []Target{{Route: "two"}}}, "targets: the routes lead in a circle"},
		{"too many", Route{Model: "one", Targets: many}, `targets: a route has at most 32 targets, those of the routes that it names included; "two" would have 33`},
		{"attempts", Route{Model: "x", Provider: "a", MaxAttempts: 11}, "max_attempts: a call has from 1 to 10"},
		{"timeout", Route{Model: "x", Provider: "a", IdleTimeout: -1}, "idle_timeout: a timeout is from 1ms"},
		{"deadline", Route{Model: "x", Provider: "a", Deadline: maxDuration + 1}, "deadline: a timeout is"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := checkRoute(state, c.route)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var f *fault.Error
			if !errors.As(err, &f) || f.Kind != fault.Invalid {
				t.Fatalf("%v; want %s", err, c.want)
			}
			for field, text := range f.Fields {
				if got := field + ": " + text; !strings.Contains(got, c.want) {
					t.Errorf("%s; want %s", got, c.want)
				}
			}
		})
	}
}

// What another route leads to, and what a route leads to, cannot be deleted.
func TestWhatRoutesRestOn(t *testing.T) {
	s := &State{Routes: []Route{{Model: "one", Targets: []Target{{Provider: "a"}, {Route: "two"}}}, {Model: "two", Provider: "b"}}}
	for _, c := range []struct{ kind, id, want string }{
		{kindProvider, "a", "the route of the model one"}, {kindProvider, "b", "the route of the model two"}, {kindProvider, "c", ""},
		{kindRoute, "two", "the route of the model one"}, {kindRoute, "one", ""},
	} {
		if got := s.user(c.kind, c.id); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.kind, c.id, got, c.want)
		}
	}
}
