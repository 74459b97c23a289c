package server

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"

	"plumbline/app/fault"
	"plumbline/app/money"
	"plumbline/assessments/evidence"
	"plumbline/assessments/evidence/record"
	"plumbline/gateway/budget"
	"plumbline/gateway/guardrail"
	"plumbline/gateway/policy"
	"plumbline/gateway/price"
	"plumbline/gateway/provider"
	"plumbline/gateway/provider/credential"
	"plumbline/inventory"
	"plumbline/web"
)

// journal writes the register's changes to the ledger. A new organisation's log
// begins with its creation.
type journal struct{ ledger *evidence.Ledger }

func (j journal) Append(ctx context.Context, c inventory.Change) (uint64, error) {
	if err := j.ledger.CreateLog(ctx, string(c.Org)); err != nil {
		return 0, err
	}
	return j.ledger.Append(ctx, string(c.Org), &record.Record{
		Envelope: record.Envelope{Kind: record.RegisterChange, ID: c.ID, Actor: c.Actor, At: c.At.UnixMicro()},
		Body: &record.Change{Kind: c.Kind, Object: c.Object, Version: uint64(c.Version), Approver: c.Approver, Imported: c.Imported, Reasoned: c.Reasoned,
			Before: c.Before, After: c.After, Request: c.Request},
	})
}

// checker lets the register refuse what the gateway could not obey.
type checker struct {
	ctx  context.Context
	keys *credential.Source
}

func (c checker) Profile(p inventory.GuardProfile) error {
	_, err := guardrail.Compile(p)
	return err
}

func (c checker) Policy(p inventory.Policy) error {
	_, err := policy.Compile(context.WithoutCancel(c.ctx), []*inventory.Policy{&p})
	return err
}

func (c checker) Provider(p inventory.Provider) error {
	kind, err := provider.KindOf(p.Kind)
	if err != nil {
		return err
	}
	if _, err = kind.New(&p, nil); err != nil {
		return fault.Field("base_url", "%v", err)
	}
	return nil
}

func (c checker) Price(p *inventory.Price) error { return price.Check(&p.PriceRow) }

// providerKinds are those that people choose from.
func providerKinds() (out []web.ProviderKind) {
	for _, name := range provider.Kinds() {
		k, err := provider.KindOf(name)
		if err != nil {
			continue // listed the moment before
		}
		out = append(out, web.ProviderKind{Name: k.Name, Title: k.Title})
	}
	return out
}

// guardKinds are those of which people make profiles.
func guardKinds() (out []web.GuardKind) {
	for _, g := range guardrail.Guards() {
		out = append(out, web.GuardKind(g))
	}
	return out
}

func (c checker) Host(p inventory.Provider) (string, error) {
	if _, err := provider.KindOf(p.Kind); err != nil {
		return "", fault.Field("kind", "%v", err)
	}
	return provider.Host(&p)
}

func (c checker) Secret(text string) error { return credential.Check(text) }

func (c checker) Credential(reference string) error { return c.keys.Check(reference) }

// keyHash is the keyed hash under which virtual keys are stored: SHA-256 over the
// instance's pepper and the secret. A secret has 256 random bits, so that the
// pepper only has to keep a stolen database from being tried against.
func keyHash(pepper [32]byte) func(string) [32]byte {
	return func(secret string) [32]byte {
		var stack [128]byte
		b := append(append(stack[:0], pepper[:]...), secret...)
		return sha256.Sum256(b)
	}
}

// LoadPrices reads a price table from a file; the embedded one when none is named.
func LoadPrices(path string) (*price.Table, error) {
	if path == "" {
		return price.Load()
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read price table: %w", err)
	}
	return price.Parse(text, path)
}

// pricesHash is the hash of the table with an organisation's own prices on top, as
// its records carry it.
func (s *Server) pricesHash(own []inventory.Price) string {
	t, err := s.Prices.With(own)
	if err != nil {
		s.log.Error("own prices cannot be read", "error", err)
		return ""
	}
	return t.Hash()
}

// restoreBudgets sets the counters to what the ledger says was charged.
func (s *Server) restoreBudgets(ctx context.Context) error {
	list, err := s.Projection.AllBalances(ctx)
	if err != nil {
		return err
	}
	var out []budget.Balance
	for _, b := range list {
		out = append(out, budget.Balance{Org: inventory.OrgID(b.Org), Budget: inventory.BudgetID(b.Budget), Window: b.Window, Charged: b.Charged, Overspent: b.Overspent})
	}
	s.Budgets.Restore(out)
	return nil
}

// balance is a budget's window as it stands: charged, held, left.
func (s *Server) balance(b *inventory.Budget) (charged, held, left money.Nano) {
	now := s.Budgets.Now(b)
	return now.Charged, now.Held, max(b.Limit-now.Charged-now.Held, 0)
}
