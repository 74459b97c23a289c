package demo

import (
	"plumbline/app/fault"
	"plumbline/inventory"
)

// upstream is whatever answers the sample's calls: the built-in simulated
// provider, or a real one.
type upstream struct {
	said     string // how the demo names it
	provider inventory.Provider
	chat     string // model at the provider
	embed    string // empty: embeddings stay with the simulated provider
	vendor   string // as documents name it
	unpriced bool   // its models may have no price
	real     bool   // it may be busy, and nobody knows what it answers
}

// simulatedID is the provider that is always there.
const simulatedID inventory.ProviderID = "simulated"

var simulated = upstream{said: "the built-in simulated provider", vendor: "simulated", chat: "sim-large", embed: "sim-embed",
	provider: inventory.Provider{ID: simulatedID, Kind: "simulated", Vendor: "simulated"}}

// chooseUpstream takes what the flags and the environment name, in this order:
// an URL, OpenAI, Anthropic (by its OpenAI-compatible endpoint), nothing.
func chooseUpstream(o Options) (upstream, error) {
	env := o.Env
	switch {
	case o.Upstream != "":
		if o.Model == "" {
			return upstream{}, fault.Field("model", "--upstream needs --model: the name of a chat model there")
		}
		u := upstream{said: o.Upstream, vendor: "upstream", chat: o.Model, unpriced: true, real: true,
			provider: inventory.Provider{ID: "upstream", Kind: "openai", Vendor: "upstream", BaseURL: o.Upstream}}
		if env("PLUMBLINE_UPSTREAM_KEY") != "" {
			u.provider.CredentialRef = "env:PLUMBLINE_UPSTREAM_KEY"
		}
		return u, nil
	case env("OPENAI_API_KEY") != "":
		return upstream{said: "OpenAI", vendor: "openai", chat: or(o.Model, "gpt-4o-mini"), embed: "text-embedding-3-small", real: true,
			provider: inventory.Provider{ID: "openai", Kind: "openai", Vendor: "openai", BaseURL: "https://api.openai.com/v1", CredentialRef: "env:OPENAI_API_KEY"}}, nil
	case env("ANTHROPIC_API_KEY") != "":
		return upstream{said: "Anthropic", vendor: "anthropic", chat: or(o.Model, "claude-haiku-4-5"), real: true,
			provider: inventory.Provider{ID: "anthropic", Kind: "openai", Vendor: "anthropic", BaseURL: "https://api.anthropic.com/v1", CredentialRef: "env:ANTHROPIC_API_KEY"}}, nil
	}
	return simulated, nil
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
