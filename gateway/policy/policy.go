// Package policy asks OPA. Policies are compiled when they change; a decision is
// evaluated once for each combination of the declared dimensions and then comes
// from a cache. An error in a policy is a denial.
package policy

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"crypto/sha256"
	"encoding/hex"

	"plumbline/gateway/event"
	"plumbline/inventory"
)

//go:embed default.rego
var defaultSource string

// Default is the policy of an organisation that has none of its own.
func Default() inventory.Policy {
	return inventory.Policy{ID: "default", Mode: "enforce", Source: defaultSource}
}

// Input is all that a rule may read: the declared dimensions. It is comparable,
// because it is the cache's key.
type Input struct {
	Org        string
	Key        string
	System     string
	Registered bool
	Approved   bool
	RiskClass  string
	Lifecycle  string
	Model      string
	Provider   string
	Vendor     string
	Region     string
	Regions    string // the system's declared regions, joined by commas
	Endpoint   string
	Stream     bool
	Tools      bool
	Phase      string // before or after inspection
	Found      string // data classes found, sorted, joined by commas; empty before
	Hour       int    // of the day, UTC
}

func (in *Input) document() map[string]any {
	return map[string]any{
		"organisation": in.Org, "key": in.Key, "model": in.Model, "endpoint": in.Endpoint, "stream": in.Stream, "tools": in.Tools,
		"phase": in.Phase, "hour": in.Hour, "found": list(in.Found),
		"system":   map[string]any{"id": in.System, "registered": in.Registered, "approved": in.Approved, "risk_class": in.RiskClass, "lifecycle": in.Lifecycle, "regions": list(in.Regions)},
		"provider": map[string]any{"id": in.Provider, "vendor": in.Vendor, "region": in.Region},
	}
}

func list(joined string) []any {
	out := []any{}
	for _, s := range strings.Split(joined, ",") {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// cacheSize bounds the decisions that are kept; a full cache is emptied.
const cacheSize = 4096

// Set is an organisation's compiled policies, immutable but for its cache.
type Set struct {
	enforce, shadow []compiled
	revision        string

	mu    sync.RWMutex
	cache map[Input]event.Decision
}

type compiled struct {
	id    string
	query rego.PreparedEvalQuery
}

// Compile prepares policies. Each is a Rego module of package plumbline with a
// set `deny` of messages; what a rule names a message is recorded as its id. An
// error names the policy and the line.
func Compile(ctx context.Context, policies []*inventory.Policy) (*Set, error) {
	s := &Set{cache: map[Input]event.Decision{}}
	sum := sha256.New()
	for _, p := range policies {
		c, err := compile(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("policy %q: %w", p.ID, err)
		}
		switch p.Mode {
		case "enforce":
			s.enforce = append(s.enforce, c)
		case "shadow":
			s.shadow = append(s.shadow, c)
		default:
			return nil, fmt.Errorf("policy %q: mode %q is neither enforce nor shadow", p.ID, p.Mode)
		}
		fmt.Fprintf(sum, "%s\x00%s\x00%s\x00", p.ID, p.Mode, p.Source)
	}
	s.revision = hex.EncodeToString(sum.Sum(nil)[:6])
	return s, nil
}

func compile(ctx context.Context, p *inventory.Policy) (compiled, error) {
	module, err := ast.ParseModule(string(p.ID)+".rego", p.Source)
	if err != nil {
		return compiled{}, err
	}
	if module == nil || module.Package.Path.String() != "data.plumbline" {
		return compiled{}, errors.New("a policy is a module that begins with `package plumbline`")
	}
	if !slices.ContainsFunc(module.Rules, func(r *ast.Rule) bool { return r.Head.Name == "deny" }) {
		return compiled{}, errors.New("a policy needs a rule `deny contains id if …`")
	}
	query, err := rego.New(rego.Query("data.plumbline.deny"), rego.ParsedModule(module), rego.Capabilities(capabilities()), rego.StrictBuiltinErrors(true)).PrepareForEval(ctx)
	return compiled{string(p.ID), query}, err
}

// capabilities leaves out what would make a decision depend on anything but its
// input: the network, the clock, chance and the process.
func capabilities() *ast.Capabilities {
	c := ast.CapabilitiesForThisVersion()
	c.Builtins = slices.DeleteFunc(c.Builtins, func(b *ast.Builtin) bool {
		return b.Nondeterministic || strings.HasPrefix(b.Name, "http.") || strings.HasPrefix(b.Name, "net.lookup") || b.Name == "opa.runtime" || b.Name == "trace" || strings.HasPrefix(b.Name, "rand.")
	})
	c.AllowNet = []string{}
	return c
}

// Revision is a hash prefix over all policies.
func (s *Set) Revision() string { return s.revision }

// Decide gives the verdict on in. A policy that fails denies under the rule
// "<policy>:error".
func (s *Set) Decide(ctx context.Context, in *Input) event.Decision {
	s.mu.RLock()
	d, ok := s.cache[*in]
	s.mu.RUnlock()
	if ok {
		return d
	}
	doc := in.document()
	d = event.Decision{Effect: event.EffectAllow, Revision: s.revision}
	if rule := verdict(ctx, s.enforce, doc); rule != "" {
		d.Effect, d.Rule = event.EffectDeny, rule
	}
	if len(s.shadow) > 0 {
		d.ShadowEffect = event.EffectAllow
		if rule := verdict(ctx, s.shadow, doc); rule != "" {
			d.ShadowEffect, d.ShadowRule = event.EffectDeny, rule
		}
	}
	if ctx.Err() != nil {
		return d // a caller that hung up must not leave its error in the cache
	}
	s.mu.Lock()
	if len(s.cache) >= cacheSize {
		clear(s.cache)
	}
	s.cache[*in] = d
	s.mu.Unlock()
	return d
}

// verdict is the first denying rule, by policy and then by name.
func verdict(ctx context.Context, policies []compiled, doc map[string]any) string {
	for _, p := range policies {
		results, err := p.query.Eval(ctx, rego.EvalInput(doc))
		if err != nil {
			return p.id + ":error"
		}
		for _, r := range results {
			for _, e := range r.Expressions {
				ids, ok := e.Value.([]any)
				if !ok {
					return p.id + ":error"
				}
				if len(ids) > 0 {
					return p.id + ":" + first(ids)
				}
			}
		}
	}
	return ""
}

func first(ids []any) string {
	var names []string
	for _, id := range ids {
		if name, ok := id.(string); ok {
			names = append(names, name)
			continue
		}
		text, _ := json.Marshal(id)
		names = append(names, string(text))
	}
	slices.Sort(names)
	return names[0]
}
