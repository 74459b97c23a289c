package wiretest

import (
	"strings"
	"testing"
)

// TestClientsDirectly: the official clients find in this server what they find in
// their vendor's, so that what passes through a gateway is held to the right shape.
func TestClientsDirectly(t *testing.T) {
	for _, c := range Clients {
		t.Run(c.Script, func(t *testing.T) {
			t.Parallel()
			s := Start()
			s.Strict = true
			t.Cleanup(s.Close)
			base := s.URL
			if c.API == "openai" {
				base += "/v1"
			}
			settings := c.Settings(base, Key)
			settings.Direct = true
			t.Logf("%d checks", len(RunClient(t, c.Script, settings)))
		})
	}
}

// TestEveryScriptIsTried: a script that is in no list would be forgotten.
func TestEveryScriptIsTried(t *testing.T) {
	entries, err := scripts.ReadDir("clients")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, c := range Clients {
		listed[c.Script] = true
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "check") && !listed[e.Name()] {
			t.Errorf("%s is tried by nobody", e.Name())
		}
	}
}
