package inventory

import (
	"bytes"
	"context"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"plumbline/app/authz"
	"plumbline/app/fault"
)

// Secret is a provider's key as somebody entered it, on its way to being sealed.
// However it is printed or encoded, it does not show.
type Secret string

const hidden = "[secret]"

// Format hides the secret from every verb of fmt.
func (Secret) Format(f fmt.State, _ rune) { io.WriteString(f, hidden) }

// MarshalText hides it from encoders.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue hides it from logs.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// text is the secret without the blanks that copying brings along.
func (s Secret) text() Secret { return Secret(strings.TrimSpace(string(s))) }

// Sealer seals what people enter; app/seal is one. Open wants the context that Seal
// had.
type Sealer interface {
	Seal(text []byte, context string) ([]byte, error)
	Open(sealed []byte, context string) ([]byte, error)
}

// secretChange is the kind of a change with which a secret was entered.
const secretChange = "provider.secret_entered"

const sealedPrefix = "sealed:"

// reentry is the error about the keys of which a secret would go to a host that it was
// not entered for.
func reentry(wrong *fault.Fields) error {
	var f *fault.Error
	if !errors.As(wrong.Err(), &f) {
		return nil
	}
	f.Code = "credential_reentry_required"
	return f
}

// KeyField is the field of the API that a provider's key stands in: n counts from 0 in
// Keys.
func (p *Provider) KeyField(n int) string {
	if p.CredentialRef != "" || p.Secret != "" {
		if n == 0 {
			return "credential"
		}
		n--
	}
	return fmt.Sprintf("credentials[%d]", n)
}

// sealContext binds a sealed secret to what it was entered for.
func sealContext(org OrgID, provider ProviderID, id, host string) string {
	return fmt.Sprintf("provider secret %q %q %q %q", org, provider, id, host)
}

// HostOf is where a provider's calls go, as scheme://host or scheme://host:port; empty
// for one that calls nobody.
func (r *Register) HostOf(p Provider) (string, error) {
	if r.d.Check == nil {
		return p.BaseURL, nil
	}
	host, err := r.d.Check.Host(p)
	if err != nil {
		if fault.Is(err, fault.Invalid) { // it says which field
			return "", err
		}
		return "", fault.Field("base_url", "%v", err)
	}
	return host, nil
}

// seal puts references in the place of the secrets that were entered, and gives what
// is to be kept for them.
func (r *Register) seal(actor authz.Actor, p *Provider) (kept []secretRow, err error) {
	var wrong fault.Fields
	host, noHost := r.HostOf(*p)
	seen := map[Secret]bool{}
	one := func(field string, ref *string, secret *Secret, entered *Entered) error {
		text := secret.text()
		if *secret = ""; text == "" {
			return nil
		}
		err := r.checkSecret(text)
		switch {
		case *ref != "" && !strings.HasPrefix(*ref, sealedPrefix):
			wrong.Add(field, "give a reference or a secret, not both")
		case r.d.Sealer == nil:
			wrong.Add(field, "nothing can be sealed here; name where the secret is")
		case noHost == nil && host == "":
			wrong.Add(field, "this kind of provider calls nobody, so it needs no secret")
		case seen[text]:
			wrong.Add(field, "this secret is entered twice; give it one weight")
		case err != nil:
			wrong.Add(field, "%v", err)
		}
		seen[text] = true
		if noHost != nil || wrong.Err() != nil {
			return nil // nothing of it is kept
		}
		raw := make([]byte, 10)
		if _, err := io.ReadFull(r.d.Rand, raw); err != nil {
			return fmt.Errorf("seal secret: %w", err)
		}
		id := strings.ToLower(base32.HexEncoding.EncodeToString(raw))
		sealed, err := r.d.Sealer.Seal([]byte(text), sealContext(actor.Org, p.ID, id, host))
		if err != nil {
			return err
		}
		*ref, *entered = sealedPrefix+id, Entered{By: actor.ID, At: r.d.Now().UTC().Truncate(time.Second)}
		kept = append(kept, secretRow{Org: string(actor.Org), ID: id, Provider: string(p.ID), Sealed: sealed})
		return nil
	}
	p.Credentials = slices.Clone(p.Credentials)
	if err := one("credential_secret", &p.CredentialRef, &p.Secret, &p.Entered); err != nil {
		return nil, err
	}
	for i := range p.Credentials {
		k := &p.Credentials[i]
		if err := one(fmt.Sprintf("credentials[%d].secret", i), &k.Ref, &k.Secret, &k.Entered); err != nil {
			return nil, err
		}
	}
	if err := wrong.Join(noHost); err != nil {
		return nil, err
	}
	return kept, nil
}

func (r *Register) checkSecret(text Secret) error {
	if r.d.Check == nil {
		return nil
	}
	return r.d.Check.Secret(string(text))
}

// keep holds the sealed secrets that a new version names and that were not entered
// with it to those of the version before, unless the host changed. Who entered them,
// and when, stays.
func (r *Register) keep(old []byte, p *Provider, fresh []secretRow) error {
	var before Provider
	was := ""
	if old != nil {
		if err := json.Unmarshal(old, &before); err != nil {
			return fmt.Errorf("read provider: %w", err)
		}
		before.ID = p.ID
		was, _ = r.HostOf(before) // one that cannot be read is another
	}
	host, err := r.HostOf(*p)
	if err != nil {
		return err
	}
	entered := map[string]Entered{}
	for _, k := range before.Keys() {
		entered[k.Ref] = k.Entered
	}
	var wrong fault.Fields
	one := func(field, ref string, by *Entered) {
		id, sealed := strings.CutPrefix(ref, sealedPrefix)
		if !sealed {
			*by = Entered{}
			return
		}
		if slices.ContainsFunc(fresh, func(m secretRow) bool { return m.ID == id }) {
			return
		}
		known, ok := entered[ref]
		switch {
		case !ok:
			wrong.Add(field, "no secret of that id was entered for this provider; enter the secret itself")
		case was != host:
			wrong.Add(field, "calls would go to another host, %s; enter the secret again, so that a key does not go where it was not meant to", host)
		}
		*by = known
	}
	one("credential", p.CredentialRef, &p.Entered)
	for i := range p.Credentials {
		one(fmt.Sprintf("credentials[%d]", i), p.Credentials[i].Ref, &p.Credentials[i].Entered)
	}
	return reentry(&wrong)
}

// checkHosts refuses to send what a reference leads to to another host than those that
// it was ever named for, in whatever organisation and whether or not that provider is
// still there, unless the operator lists reference and host together.
func (r *Register) checkHosts(ctx context.Context, tx *rowStore, p *Provider) error {
	host, err := r.HostOf(*p)
	if err != nil || host == "" {
		return err
	}
	var asked []int
	for i, k := range p.Keys() {
		if !strings.HasPrefix(k.Ref, sealedPrefix) && (r.d.Bound == nil || !r.d.Bound(k.Ref, host)) {
			asked = append(asked, i)
		}
	}
	if len(asked) == 0 {
		return nil
	}
	rows, err := tx.everyProvider(ctx)
	if err != nil {
		return err
	}
	hosts := map[string]map[string]bool{}
	for _, m := range rows {
		var old Provider
		if err := json.Unmarshal([]byte(m.Body), &old); err != nil {
			return fmt.Errorf("read provider %s: %w", m.ID, err)
		}
		at, err := r.HostOf(old)
		if err != nil || at == "" {
			continue // nothing was ever sent there
		}
		for _, k := range old.Keys() {
			if hosts[k.Ref] == nil {
				hosts[k.Ref] = map[string]bool{}
			}
			hosts[k.Ref][at] = true
		}
	}
	var wrong fault.Fields
	for _, i := range asked {
		ref := p.Keys()[i].Ref
		if known := hosts[ref]; len(known) > 0 && !known[host] {
			wrong.Add(p.KeyField(i), "%s was named for another host and does not go to %s by itself: enter the secret, name another reference, or have the operator list \"%s -> %s\" under credentials in the server's configuration",
				ref, host, ref, host)
		}
	}
	return reentry(&wrong)
}

// Secrets opens what people entered. It stands apart from the Register, which only
// seals.
type Secrets struct {
	DB     *Database
	Sealer Sealer
	Host   func(Provider) (string, error) // as Checker's
}

// Open opens a secret that somebody entered for a provider as it is in p. It returns a
// fault of kind NotFound when it is not kept, and Invalid when it was sealed for
// another organisation, provider or host, or under another key.
func (s *Secrets) Open(ctx context.Context, org OrgID, p Provider, id string) (string, error) {
	if org == "" {
		return "", errors.New("inventory: a secret needs an organisation")
	}
	host, err := s.Host(p)
	if err != nil {
		return "", err
	}
	m, err := (&rowStore{s.DB}).secret(ctx, org, id)
	if err != nil {
		return "", err
	}
	text, err := s.Sealer.Open(m.Sealed, sealContext(org, p.ID, id, host))
	if err != nil {
		return "", fault.Wrap(fault.Invalid, "credential_reentry_required", err, "it was entered for another host or provider, or sealed under another instance key: enter it again")
	}
	return string(text), nil
}

// forget deletes the secrets among kept that no version in force or on its way names.
// kept was listed before rows were read: a secret is written together with the
// version that names it, and never named again once it is not.
func (r *Register) forget(ctx context.Context, kept []secretRow, rows []row) error {
	if len(kept) == 0 {
		return nil
	}
	open, err := r.store.open(ctx)
	if err != nil {
		return err
	}
	named := map[[2]string]bool{}
	for _, m := range slices.Concat(rows, open) {
		var p Provider
		if m.Kind != kindProvider || m.Deleted != 0 {
			continue
		}
		if err := json.Unmarshal([]byte(m.Body), &p); err != nil {
			return fmt.Errorf("read provider %s: %w", m.ID, err)
		}
		for _, k := range p.Keys() {
			if id, sealed := strings.CutPrefix(k.Ref, sealedPrefix); sealed {
				named[[2]string{m.Org, id}] = true
			}
		}
	}
	for _, m := range kept {
		if !named[[2]string{m.Org, m.ID}] {
			if err := r.store.forgetSecret(ctx, m.Org, m.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkKept refuses what confirming a change of a provider would refuse of its secrets.
func (r *Register) checkKept(ctx context.Context, s *State, p Provider) error {
	var old []byte
	for i := range s.Providers {
		if s.Providers[i].ID == p.ID {
			text, err := json.Marshal(s.Providers[i])
			if err != nil {
				return fmt.Errorf("encode provider: %w", err)
			}
			old = text
		}
	}
	p.Credentials = slices.Clone(p.Credentials)
	if err := r.keep(old, &p, nil); err != nil {
		return err
	}
	return r.checkHosts(ctx, r.store, &p)
}

// keeping is how a provider is written: with who entered its sealed secrets, and with
// those that are new.
func (r *Register) keeping(p *Provider, sealed []secretRow) (mutate func([]byte) (any, error), within func(context.Context, *rowStore) error) {
	mutate = func(old []byte) (any, error) {
		err := r.keep(old, p, sealed)
		return *p, err
	}
	within = func(ctx context.Context, tx *rowStore) error {
		if err := r.checkHosts(ctx, tx, p); err != nil {
			return err
		}
		for _, m := range sealed {
			if err := tx.keepSecret(ctx, m); err != nil {
				return err
			}
		}
		return nil
	}
	return mutate, within
}

// secretsAlone reports whether two forms of a provider differ in entered secrets and
// nothing else: such a change sends no call anywhere else.
func secretsAlone(old, now Provider) bool {
	named := func(p Provider) (out []ProviderKey) {
		for _, k := range p.Keys() {
			if !strings.HasPrefix(k.Ref, sealedPrefix) {
				out = append(out, ProviderKey{Ref: k.Ref, Weight: k.Weight})
			}
		}
		return out
	}
	same := slices.EqualFunc(named(old), named(now), func(a, b ProviderKey) bool { return a.Ref == b.Ref && a.Weight == b.Weight })
	bare := func(p Provider) Provider {
		p.CredentialRef, p.Credentials, p.Entered, p.Secret = "", nil, Entered{}, ""
		p.Stamp, p.Origin, p.Org = Stamp{}, Origin{}, ""
		return p
	}
	a, errA := json.Marshal(bare(old))
	b, errB := json.Marshal(bare(now))
	return same && errA == nil && errB == nil && bytes.Equal(a, b)
}
