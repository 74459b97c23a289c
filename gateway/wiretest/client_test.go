package wiretest

import (
	"strings"
	"testing"
)

// TestClientsDirectly: the official clients find in this server what they find in
// their vendor's, so that what passes through a gateway is held to the right shape.
func TestClientsDirectly(t *testing.T) {
	for _, script := range Scripts() {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			s := Start()
			s.Strict = true
			t.Cleanup(s.Close)
			settings := Settings{Base: s.URL + "/v1", Key: Key, Model: "gpt-5-mini", Embedding: "text-embedding-3-small", Moderation: "omni-moderation-latest", Direct: true}
			switch {
			case strings.HasPrefix(script, "anthropic"):
				settings.Base, settings.Model = s.URL, "claude-sonnet-4-5"
			case strings.HasPrefix(script, "genai"):
				settings.Base, settings.Model, settings.Embedding = s.URL, "gemini-2.5-flash", "gemini-embedding-001"
			}
			RunClient(t, script, settings)
		})
	}
}
