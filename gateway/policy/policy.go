// Package policy asks OPA. Policies are compiled when they change; a decision is
// evaluated once for each combination of the declared dimensions and then comes
// from a cache. An error in a policy is a denial.
package policy

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"plumbline/gateway/event"
	"plumbline/inventory"
)

//go:embed default.rego
var defaultSource string

// Default is the policy of an organisation that enforces none of its own.
func Default() inventory.Policy {
	return inventory.Policy{ID: "default", Mode: "enforce", Source: defaultSource}
}

// InForce is an organisation's own policies, with the default one as long as none of
// them is enforced: trying a policy in shadow mode takes nothing away.
func InForce(own []*inventory.Policy) []*inventory.Policy {
	if slices.ContainsFunc(own, func(p *inventory.Policy) bool { return p.Mode == "enforce" }) {
		return own
	}
	def := Default()
	return append([]*inventory.Policy{&def}, own...)
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
	Inspected  bool   // guards have looked; before that, what they would find is unknown
	Found      string // data classes found, sorted, joined by commas
	Hour       int    // of the day, UTC
}

// document is the input as rules see it; schema.json says what it holds. found is
// absent while it is unknown, so that a rule cannot take unknown for nothing.
func (in *Input) document() map[string]any {
	doc := map[string]any{
		"organisation": in.Org, "key": in.Key, "model": in.Model, "endpoint": in.Endpoint, "stream": in.Stream, "tools": in.Tools,
		"phase": in.Phase, "hour": in.Hour,
		"system":   map[string]any{"id": in.System, "registered": in.Registered, "approved": in.Approved, "risk_class": in.RiskClass, "lifecycle": in.Lifecycle, "regions": list(in.Regions)},
		"provider": map[string]any{"id": in.Provider, "vendor": in.Vendor, "region": in.Region},
	}
	if in.Inspected {
		doc["found"] = list(in.Found)
	}
	return doc
}

// schema declares the input's fields: a rule that reads another does not compile.
//
//go:embed schema.json
var schema []byte

func inputSchema() (*ast.SchemaSet, error) {
	var s any
	if err := json.Unmarshal(schema, &s); err != nil {
		return nil, fmt.Errorf("schema of the input: %w", err)
	}
	set := ast.NewSchemaSet()
	set.Put(ast.SchemaRootRef, s)
	return set, nil
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

	// The decisions of late, each where slot says. One is found here by comparing
	// its input, most of which is the very same strings; the map would hash them all.
	recent [256]atomic.Pointer[decided]
	seed   maphash.Seed
}

type decided struct {
	in  Input
	out event.Decision
}

// slot is where a decision of late is kept, by what differs most between inputs.
func (s *Set) slot(in *Input) *atomic.Pointer[decided] {
	h := maphash.String(s.seed, in.Key) + uint64(31*len(in.Model)+7*len(in.Found)+len(in.Phase))
	return &s.recent[h%uint64(len(s.recent))]
}

type compiled struct {
	id    string
	query rego.PreparedEvalQuery
}

// Compile prepares policies. Each is a Rego module of package plumbline with a
// set `deny` of messages; what a rule names a message is recorded as its id. An
// error names the policy and the line.
func Compile(ctx context.Context, policies []*inventory.Policy) (*Set, error) {
	s := &Set{cache: map[Input]event.Decision{}, seed: maphash.MakeSeed()}
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
	if err := readsByName(module); err != nil {
		return compiled{}, err
	}
	schemas, err := inputSchema()
	if err != nil {
		return compiled{}, err
	}
	query, err := rego.New(rego.Query("data.plumbline.deny"), rego.ParsedModule(module), rego.Capabilities(capabilities()), rego.Schemas(schemas), rego.StrictBuiltinErrors(true)).PrepareForEval(ctx)
	return compiled{string(p.ID), query}, err
}

// readsByName refuses what the schema cannot check: the input as a whole, a field
// of it by a computed name, and data, of which there is none but the rules'.
func readsByName(module *ast.Module) error {
	var err error
	var visitor *ast.GenericVisitor
	refuse := func(at *ast.Location, what string) {
		if err == nil && at != nil {
			err = fmt.Errorf("line %d: %s", at.Row, what)
		}
	}
	visitor = ast.NewGenericVisitor(func(x any) bool {
		term, ok := x.(*ast.Term)
		if !ok {
			return false
		}
		switch v := term.Value.(type) {
		case ast.Var:
			if v == ast.InputRootDocument.Value || v == ast.DefaultRootDocument.Value {
				refuse(term.Location, "a rule reads declared fields of the input by name, such as input.system.risk_class")
			}
		case ast.Ref:
			var field ast.String
			if len(v) > 1 {
				field, _ = v[1].Value.(ast.String)
			}
			switch {
			case v[0].Equal(ast.InputRootDocument) && field == "":
				refuse(term.Location, "a rule reads declared fields of the input by name, such as input.system.risk_class")
			case v[0].Equal(ast.DefaultRootDocument) && field != "plumbline":
				refuse(term.Location, "there is no data besides the rules themselves")
			}
			for _, t := range v[1:] {
				visitor.Walk(t)
			}
			return true
		}
		return false
	})
	for _, rule := range module.Rules {
		visitor.Walk(rule)
	}
	return err
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

// evaluationTime is how long one evaluation may take; what takes longer failed.
const evaluationTime = time.Second

// Decide gives the verdict on in. A policy that fails denies under the rule
// "<policy>:error".
func (s *Set) Decide(ctx context.Context, in *Input) event.Decision {
	slot := s.slot(in)
	if r := slot.Load(); r != nil && r.in == *in {
		return r.out
	}
	s.mu.RLock()
	d, ok := s.cache[*in]
	s.mu.RUnlock()
	if ok {
		slot.Store(&decided{*in, d})
		return d
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), evaluationTime)
	defer cancel()
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
		return d // it may be faster next time
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
