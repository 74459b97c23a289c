// Package credential finds the secrets that providers are named with and says which
// of a provider's keys an attempt uses. A secret is read where its reference says,
// in the background and ahead of its end; the path of a call takes what is there.
package credential

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"plumbline/app/config"
	"plumbline/app/fault"
	"plumbline/inventory"
)

// Config makes a Source. Every zero value works.
type Config struct {
	Resolve func(reference string) (string, error)                                                          // env: and file:
	Sealed  func(ctx context.Context, org inventory.OrgID, p inventory.Provider, id string) (string, error) // what people entered for a provider as it is in p
	Vault   *config.Vault                                                                                   // nil: vault: cannot be named
	Client  *http.Client                                                                                    // to Vault and Azure; one of its own when nil
	Now     func() time.Time
	Log     *slog.Logger
}

// Source resolves references and keeps what they lead to. It is safe for concurrent
// use.
type Source struct {
	c     Config
	vault *vault
	slots chan struct{} // looks at once
	life  context.Context
	end   context.CancelFunc

	mu      sync.Mutex
	entries map[string]*entry  // by reference; of sealed ones with all that they are bound to
	rings   map[place]*Keyring // those in force
}

type place struct {
	org      inventory.OrgID
	provider inventory.ProviderID
}

// New makes a source. Its errors are about how Vault is to be reached.
func New(c Config) (*Source, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Resolve == nil {
		c.Resolve = func(string) (string, error) { return "", errors.New("nothing can be read here") }
	}
	s := &Source{c: c, slots: make(chan struct{}, 8), entries: map[string]*entry{}, rings: map[place]*Keyring{}}
	s.life, s.end = context.WithCancel(context.Background())
	if c.Vault != nil {
		v, err := newVault(c)
		if err != nil {
			return nil, err
		}
		s.vault = v
	}
	return s, nil
}

func (s *Source) now() time.Time { return s.c.Now() }

// Close ends every look that is under way.
func (s *Source) Close(context.Context) error {
	s.end()
	return nil
}

// Check says what is wrong with a reference here, without looking where it leads.
func (s *Source) Check(reference string) error {
	r, err := config.ParseReference(reference)
	if err != nil {
		return err
	}
	if r.Kind == "vault" && s.vault == nil {
		return errors.New("the server's configuration says under vault how to reach it; without that nothing can be named there")
	}
	return nil
}

// Use makes the rings of a snapshot those in force, begins to look for what is new
// and forgets what nobody names any more. A ring whose references and weights stayed
// the same stays, with what it knows of its keys.
func (s *Source) Use(snap *inventory.Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rings := map[place]*Keyring{}
	named := map[string]*entry{}
	for org, o := range snap.Orgs {
		for id, p := range o.Providers {
			at := place{org, id}
			ring := s.ring(at, p, named)
			if old := s.rings[at]; old.same(ring) {
				ring = old
			}
			rings[at] = ring
		}
	}
	s.entries, s.rings = named, rings
	for _, e := range named {
		s.begin(e, s.now())
	}
}

// Keyring is a provider's ring in force; nil when the provider needs no key.
func (s *Source) Keyring(org inventory.OrgID, provider inventory.ProviderID) *Keyring {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rings[place{org, provider}]
}

// ring makes a provider's ring; nil without references. The entries that it rests on
// are added to named. s.mu is held.
func (s *Source) ring(at place, p *inventory.Provider, named map[string]*entry) *Keyring {
	ring := &Keyring{provider: string(at.provider), source: s}
	for i, k := range p.Keys() {
		name := k.Ref
		if r, err := config.ParseReference(k.Ref); err == nil && r.Kind == "sealed" {
			name = strings.Join([]string{string(at.org), string(at.provider), p.Kind, p.BaseURL, k.Ref}, " ")
		}
		e := named[name]
		if e == nil {
			e = s.entries[name]
		}
		if e == nil {
			e = &entry{load: s.loader(at, *p, k.Ref), local: strings.HasPrefix(k.Ref, "env:")}
		}
		named[name] = e
		ring.keys = append(ring.keys, &held{id: strconv.Itoa(i + 1), reference: k.Ref, weight: max(k.Weight, 1), entry: e})
	}
	if len(ring.keys) == 0 {
		return nil
	}
	return ring
}

// same reports whether two rings hold the same keys with the same weights.
func (r *Keyring) same(o *Keyring) bool {
	if r == nil || o == nil || len(r.keys) != len(o.keys) {
		return false
	}
	for i, h := range r.keys {
		if h.reference != o.keys[i].reference || h.weight != o.keys[i].weight || h.entry != o.keys[i].entry {
			return false
		}
	}
	return true
}

// Run looks again for what is due, until ctx ends.
func (s *Source) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.refresh(s.now())
		}
	}
}

func (s *Source) refresh(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.entries {
		s.begin(e, now)
	}
}

// loader is how a reference is followed.
func (s *Source) loader(at place, p inventory.Provider, reference string) loader {
	r, err := config.ParseReference(reference)
	if err == nil {
		err = s.Check(reference)
	}
	if err != nil {
		return func(context.Context) (*value, time.Time, error) { return nil, time.Time{}, err }
	}
	switch r.Kind {
	case "vault":
		return func(ctx context.Context) (*value, time.Time, error) { return s.vault.read(ctx, r) }
	case "aws":
		return s.awsChain(r.Name)
	case "google":
		return s.googleDefault
	case "azure":
		return s.azureDefault
	case "sealed":
		return func(ctx context.Context) (*value, time.Time, error) {
			if s.c.Sealed == nil {
				return nil, time.Time{}, errors.New("nothing is sealed here")
			}
			text, err := s.c.Sealed(ctx, at.org, p, r.Name)
			if err != nil {
				return nil, time.Time{}, fmt.Errorf("the secret that was entered could not be opened: %s", sealedFailure(err))
			}
			v, err := newToken(text, time.Time{})
			return v, time.Time{}, err
		}
	}
	return func(context.Context) (*value, time.Time, error) { return s.local(r, reference) }
}

// fileLife is how often a file is read again.
const fileLife = 5 * time.Second

// local reads what is on this machine. A variable of a process does not change; a
// file may.
func (s *Source) local(r config.Reference, reference string) (*value, time.Time, error) {
	text, err := s.c.Resolve(reference)
	if err != nil {
		return nil, time.Time{}, err
	}
	v, err := newToken(text, time.Time{})
	if r.Kind == "env" {
		return v, time.Time{}, err
	}
	return v, s.now().Add(fileLife), err
}

// sealedFailure is what of an error is for people.
func sealedFailure(err error) string {
	var known *fault.Error
	if errors.As(err, &known) {
		return known.Message
	}
	return failure(err)
}
