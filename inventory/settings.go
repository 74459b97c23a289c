package inventory

import (
	"context"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"plumbline/app/authz"
	"plumbline/app/fault"
)

var idForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

var attributeForm = regexp.MustCompile(`^[a-z0-9._-]{1,64}$`)

func checkID(field, id string) error {
	if !idForm.MatchString(id) {
		return fault.Field(field, "%q: an id has up to 63 small letters, digits, dots, dashes or underscores", id)
	}
	return nil
}

// CheckOrg refuses an id or a name that no organisation can have; the error names each
// field that is wrong.
func CheckOrg(o Org) error {
	var wrong fault.Fields
	if strings.TrimSpace(o.Name) == "" {
		wrong.Add("name", "give the organisation a name")
	}
	wrong.Line("name", o.Name)
	return wrong.Join(checkID("id", string(o.ID)))
}

// CreateOrg opens an organisation; its log is made by the journal.
func (r *Register) CreateOrg(ctx context.Context, actor authz.Actor, o Org) error {
	if err := CheckOrg(o); err != nil {
		return err
	}
	_, err := r.apply(ctx, actor, spec{org: o.ID, kind: kindOrg, id: string(o.ID), change: "organisation.created", fresh: true, mutate: func([]byte) (any, error) { return o, nil }})
	return err
}

// UpdateOrg changes an organisation's name. Its id stays: it names the log.
func (r *Register) UpdateOrg(ctx context.Context, actor authz.Actor, name, reason string) error {
	if err := CheckOrg(Org{ID: actor.Org, Name: name}); err != nil {
		return err
	}
	_, err := r.apply(ctx, actor, spec{org: actor.Org, kind: kindOrg, id: string(actor.Org), change: "organisation.changed", reason: reason,
		mutate: func(body []byte) (any, error) {
			var o Org
			if body == nil {
				return nil, notFound("organisation", string(actor.Org))
			}
			err := json.Unmarshal(body, &o)
			o.Name = strings.TrimSpace(name)
			return o, err
		}})
	return err
}

// storedKey keeps what the API never shows.
type storedKey struct {
	Key
	Hash []byte `json:"hash"`
}

// CreateKey makes a virtual key. Its text is returned once and kept nowhere.
func (r *Register) CreateKey(ctx context.Context, actor authz.Actor, k Key, reason string) (Key, string, error) {
	if k.ID == "" {
		id := make([]byte, 5)
		if _, err := io.ReadFull(r.d.Rand, id); err != nil {
			return k, "", fmt.Errorf("make key: %w", err)
		}
		k.ID = KeyID(strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(id)))
	}
	secret := make([]byte, 32)
	if _, err := io.ReadFull(r.d.Rand, secret); err != nil {
		return k, "", fmt.Errorf("make key: %w", err)
	}
	text := base64.RawURLEncoding.EncodeToString(secret)
	k.Stamp, k.Origin, k.RevokedAt = Stamp{}, Origin{}, time.Time{}
	k.Hash = r.d.HashKey(text)
	if err := r.CheckKey(actor, k); err != nil {
		return k, "", err
	}
	_, err := r.apply(ctx, actor, spec{org: actor.Org, kind: kindKey, id: string(k.ID), change: "key.created", reason: reason, fresh: true,
		mutate: func([]byte) (any, error) { return storedKey{k, k.Hash[:]}, nil }})
	k.Org = actor.Org
	return k, "pk-" + string(k.ID) + "-" + text, err
}

// CheckKey says what is wrong with a key that is about to be made, as CreateKey would,
// and makes nothing.
func (r *Register) CheckKey(actor authz.Actor, k Key) error {
	if k.ID == "" {
		k.ID = "new"
	}
	var wrong fault.Fields
	if s, err := r.System(actor.Org, k.System); err == nil && s.Lifecycle == Retired {
		wrong.Add("system", "%s is retired, and its calls are refused; choose an AI system in use, or register a new one", s.ID)
	}
	return wrong.Join(r.checkKey(actor.Org, &k), r.checkOwner(actor.Org, k.Owner))
}

var keyForm = regexp.MustCompile(`^[a-z0-9]{1,40}$`)

func (r *Register) checkKey(org OrgID, k *Key) error {
	var wrong fault.Fields
	if !keyForm.MatchString(string(k.ID)) {
		wrong.Add("id", "a key's id has up to 40 small letters and digits")
	}
	if strings.TrimSpace(k.Name) == "" {
		wrong.Add("name", "give the key a name, so that people know whose it is")
	}
	wrong.Line("name", k.Name)
	wrong.Line("owner", k.Owner)
	wrong.Lines("models", k.Models)
	if k.System != "" {
		if _, err := r.System(org, k.System); err != nil {
			wrong.Add("system", "there is no AI system %q", k.System)
		}
	}
	if k.PerMinute < 0 {
		wrong.Add("requests_per_minute", "a limit cannot be below zero")
	}
	if k.Concurrency < 0 {
		wrong.Add("concurrency", "a limit cannot be below zero")
	}
	if !k.ExpiresAt.IsZero() && !k.ExpiresAt.After(r.d.Now()) {
		wrong.Add("expires_at", "the key would already have expired")
	}
	return wrong.Err()
}

// checkOwner holds an owner that a person names to being a member. A declaration
// may name who is none yet.
func (r *Register) checkOwner(org OrgID, owner string) error {
	if owner == "" {
		return nil
	}
	s, err := r.State(org)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(s.Members, func(m Person) bool { return (&Key{Owner: owner}).OwnedBy(m.ID, m.Email) }) {
		return fault.Field("owner", "%q is the id or e-mail address of no member", owner)
	}
	return nil
}

// UpdateKey changes a key's name, owner, models, limits and end; its AI system and its
// secret stay. k.Version is the version that the author saw, 0 whichever.
func (r *Register) UpdateKey(ctx context.Context, actor authz.Actor, k Key, reason string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	old, err := r.store.newest(ctx, actor.Org, kindKey, string(k.ID), false)
	if err != nil {
		return err
	}
	var stored storedKey
	if err := json.Unmarshal([]byte(old.Body), &stored); err != nil {
		return fmt.Errorf("read key: %w", err)
	}
	if !stored.RevokedAt.IsZero() {
		return fault.New(fault.Conflict, "revoked", "the key %s is revoked and stays so; make another", k.ID)
	}
	var owner error
	if k.Owner != stored.Owner { // an owner who left does not stand in the way of other changes
		owner = r.checkOwner(actor.Org, k.Owner)
	}
	stored.Name, stored.Owner, stored.Models, stored.PerMinute, stored.Concurrency, stored.ExpiresAt = k.Name, k.Owner, k.Models, k.PerMinute, k.Concurrency, k.ExpiresAt
	var wrong fault.Fields
	if err := wrong.Join(r.checkKey(actor.Org, &stored.Key), owner); err != nil {
		return err
	}
	body, err := json.Marshal(stored)
	if err != nil {
		return fmt.Errorf("encode key: %w", err)
	}
	restricts, err := r.narrows(ctx, r.store, actor.Org, kindKey, string(k.ID), body)
	if err != nil {
		return err
	}
	_, err = r.applyLocked(ctx, actor, spec{org: actor.Org, kind: kindKey, id: string(k.ID), change: "key.changed", reason: reason, expect: k.Version, restricts: restricts,
		mutate: func([]byte) (any, error) { return stored, nil }})
	return err
}

// RevokeKey ends a key at once, also while the ledger is down.
func (r *Register) RevokeKey(ctx context.Context, actor authz.Actor, id KeyID, reason string) error {
	_, err := r.apply(ctx, actor, spec{org: actor.Org, kind: kindKey, id: string(id), change: "key.revoked", reason: reason, restricts: true,
		mutate: func(body []byte) (any, error) {
			var k storedKey
			if body == nil {
				return nil, notFound("key", string(id))
			}
			if err := json.Unmarshal(body, &k); err != nil {
				return nil, err
			}
			if k.RevokedAt.IsZero() {
				k.RevokedAt = r.d.Now().UTC().Truncate(time.Second)
			}
			return k, nil
		}})
	return err
}

// PutBudget adds or changes a budget. Lowering one is in force at once. Like every
// Put, it takes b.Version as the version that the author saw; 0 is whichever.
func (r *Register) PutBudget(ctx context.Context, actor authz.Actor, b Budget, reason string) error {
	if err := r.CheckBudget(actor, b); err != nil {
		return err
	}
	expect := b.Version
	b.Stamp, b.Origin, b.Org = Stamp{}, Origin{}, ""
	return r.put(ctx, actor, kindBudget, string(b.ID), reason, expect, b)
}

// CheckBudget says what is wrong with a budget, as PutBudget would, and changes nothing.
func (r *Register) CheckBudget(actor authz.Actor, b Budget) error {
	s, err := r.State(actor.Org)
	if err != nil {
		return err
	}
	return checkBudgetIn(s, b)
}

func checkBudgetIn(s *State, b Budget) error {
	var wrong fault.Fields
	if b.Limit < 0 {
		wrong.Add("limit", "a budget cannot be below zero")
	}
	if !slices.Contains([]string{"day", "month", "total"}, b.Window) {
		wrong.Add("window", "%q is none of day, month, total", b.Window)
	}
	if _, err := time.LoadLocation(b.Zone); err != nil {
		wrong.Add("zone", "%q is no time zone, such as Europe/Berlin", b.Zone)
	}
	switch b.Scope {
	case ScopeOrg:
		if b.Target != "" {
			wrong.Add("target", "an organisation's budget has no target")
		}
	case ScopeSystem:
		if _, err := s.System(SystemID(b.Target)); err != nil {
			wrong.Add("target", "there is no AI system %q", b.Target)
		}
	case ScopeKey:
		if !slices.ContainsFunc(s.Keys, func(k Key) bool { return k.ID == KeyID(b.Target) }) {
			wrong.Add("target", "there is no key %q", b.Target)
		}
	default:
		wrong.Add("scope", "%q is none of organisation, system, key", b.Scope)
	}
	return wrong.Join(checkID("id", string(b.ID)))
}

// PutProvider adds or changes a provider. Secrets in it are sealed and then known by
// reference alone. A sealed secret stays with its provider and host: one that was not
// entered for them is refused with the code credential_reentry_required, and so is a
// reference that was named for another host.
func (r *Register) PutProvider(ctx context.Context, actor authz.Actor, p Provider, reason string) error {
	sealed, err := r.sealed(actor, &p)
	if err != nil {
		return err
	}
	change := kindProvider + ".changed"
	if len(sealed) > 0 {
		change = secretChange
	}
	expect := p.Version
	p.Stamp, p.Origin, p.Org = Stamp{}, Origin{}, ""
	r.mu.Lock()
	defer r.mu.Unlock()
	s, err := r.State(actor.Org)
	if err != nil {
		return err
	}
	if s.asksSecond(kindProvider) {
		at := slices.IndexFunc(s.Providers, func(old Provider) bool { return old.ID == p.ID })
		switch {
		case len(sealed) == 0:
			if err := r.checkKept(ctx, s, p); err != nil {
				return err
			}
			return r.ask(ctx, actor, kindProvider, string(p.ID), p, expect, reason)
		case at < 0 || !secretsAlone(s.Providers[at], p):
			return fault.New(fault.Conflict, "secret_with_change", "a second person confirms where calls go: ask for this change without the secret, and enter the secret when it is in force")
		}
	}
	mutate, within := r.keeping(&p, sealed)
	_, err = r.applyLocked(ctx, actor, spec{org: actor.Org, kind: kindProvider, id: string(p.ID), change: change, reason: reason, expect: expect, mutate: mutate, within: within})
	return err
}

// CheckProvider says what is wrong with a provider, as PutProvider would, and changes
// nothing. Whether its secrets may go where it calls, PutProvider alone says.
func (r *Register) CheckProvider(actor authz.Actor, p Provider) error {
	if _, err := r.State(actor.Org); err != nil {
		return err
	}
	_, err := r.sealed(actor, &p)
	return err
}

// sealed checks a provider as somebody entered it, puts references in the place of its
// secrets, and gives what is to be kept for them.
func (r *Register) sealed(actor authz.Actor, p *Provider) ([]secretRow, error) {
	var wrong fault.Fields
	named := r.checkProvider(*p)
	kept, secrets := r.seal(actor, p)
	return kept, wrong.Join(named, secrets)
}

func (r *Register) checkProvider(p Provider) error {
	var wrong fault.Fields
	return wrong.Join(r.checkUpstream(&p), r.checkCredentials(&p))
}

// checkUpstream says what is wrong with a provider but for its keys.
func (r *Register) checkUpstream(p *Provider) error {
	var wrong fault.Fields
	wrong.Line("vendor", p.Vendor)
	wrong.Line("region", p.Region)
	wrong.Text("base_url", p.BaseURL)
	upstream := r.checkKind(p)
	if upstream == nil {
		_, upstream = r.HostOf(*p)
	}
	return wrong.Join(checkID("id", string(p.ID)), upstream)
}

func (r *Register) checkKind(p *Provider) error {
	if r.d.Check == nil {
		return nil
	}
	err := r.d.Check.Provider(*p)
	if err == nil || fault.Is(err, fault.Invalid) { // it says which field
		return err
	}
	return fault.Field("kind", "%v", err)
}

// PutProfile adds or changes a guard profile.
func (r *Register) PutProfile(ctx context.Context, actor authz.Actor, p GuardProfile, reason string) error {
	if err := r.checkProfile(p); err != nil {
		return err
	}
	expect := p.Version
	p.Stamp, p.Origin, p.Org = Stamp{}, Origin{}, ""
	return r.put(ctx, actor, kindProfile, string(p.ID), reason, expect, p)
}

func (r *Register) checkProfile(p GuardProfile) error {
	var wrong fault.Fields
	if r.d.Check != nil {
		if err := r.d.Check.Profile(p); err != nil {
			wrong.Add("guards", "%v", err)
		}
	}
	return wrong.Join(checkID("id", string(p.ID)))
}

// PutPolicy adds or changes a policy. One that does not compile is refused.
func (r *Register) PutPolicy(ctx context.Context, actor authz.Actor, p Policy, reason string) error {
	if err := r.checkPolicy(p); err != nil {
		return err
	}
	expect := p.Version
	p.Stamp, p.Origin, p.Org = Stamp{}, Origin{}, ""
	return r.put(ctx, actor, kindPolicy, string(p.ID), reason, expect, p)
}

func (r *Register) checkPolicy(p Policy) error {
	var wrong fault.Fields
	if p.Mode != "enforce" && p.Mode != "shadow" {
		wrong.Add("mode", "%q is neither enforce nor shadow", p.Mode)
	}
	if r.d.Check != nil {
		if err := r.d.Check.Policy(p); err != nil {
			wrong.Add("source", "%v", err)
		}
	}
	return wrong.Join(checkID("id", string(p.ID)))
}

// PutSettings changes an organisation's switches.
func (r *Register) PutSettings(ctx context.Context, actor authz.Actor, v Settings, reason string) error {
	s, err := r.State(actor.Org)
	if err != nil {
		return err
	}
	if err := s.checkSettings(&v); err != nil {
		return err
	}
	expect := v.Version
	v.Stamp, v.Origin, v.Org = Stamp{}, Origin{}, ""
	return r.put(ctx, actor, kindSettings, "settings", reason, expect, v)
}

// checkSettings refuses a second person where there is none.
func (s *State) checkSettings(v *Settings) error {
	var wrong fault.Fields
	if v.SecondPerson && !s.Settings.SecondPerson {
		may := 0
		for _, m := range s.Members {
			if slices.ContainsFunc(m.Roles, func(role authz.Role) bool { return slices.Contains(deciders, role) }) {
				may++
			}
		}
		if may < 2 {
			wrong.Add("second_person", "nobody else could confirm a change; first add a person who is admin, compliance officer or approver")
		}
	}
	return wrong.Join(checkSettings(v))
}

func checkSettings(v *Settings) error {
	if v.Unregistered == "" {
		v.Unregistered = "block"
	}
	var wrong fault.Fields
	if v.Unregistered != "block" && v.Unregistered != "flag" {
		wrong.Add("unregistered", "%q is neither block nor flag", v.Unregistered)
	}
	for i, name := range v.Attributes {
		v.Attributes[i] = strings.ToLower(name)
		if !attributeForm.MatchString(v.Attributes[i]) {
			wrong.Add("attributes", "%q: the name of an attribute has up to 64 letters, digits, dots, dashes or underscores", name)
		}
	}
	if len(v.Attributes) > 16 {
		wrong.Add("attributes", "at most 16 attributes are recorded")
	}
	wrong.Line("confidentiality", v.Confidential)
	wrong.Line("contact", v.Contact)
	return wrong.Err()
}

func (r *Register) put(ctx context.Context, actor authz.Actor, kind, id, reason string, expect uint32, body any) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode %s: %w", kind, err)
	}
	restricts, err := r.narrows(ctx, r.store, actor.Org, kind, id, text)
	if err != nil {
		return err
	}
	s, err := r.State(actor.Org)
	if err != nil {
		return err
	}
	if !restricts && s.asksSecond(kind) {
		return r.ask(ctx, actor, kind, id, body, expect, reason)
	}
	_, err = r.applyLocked(ctx, actor, spec{org: actor.Org, kind: kind, id: id, change: kind + ".changed", reason: reason, expect: expect, restricts: restricts,
		mutate: func([]byte) (any, error) { return body, nil }})
	return err
}

// narrows compares a new body with the row that is in force.
func (r *Register) narrows(ctx context.Context, store *rowStore, org OrgID, kind, id string, body []byte) (bool, error) {
	old, err := store.newest(ctx, org, kind, id, true)
	switch {
	case fault.Is(err, fault.NotFound) || err == nil && old.Deleted != 0:
		return narrows(kind, nil, body), nil
	case err != nil:
		return false, err
	}
	return narrows(kind, []byte(old.Body), body), nil
}

// Delete takes a budget, provider, route, guard profile, policy or price out of force. It
// returns Conflict with the code in_use while something else rests on the row.
func (r *Register) Delete(ctx context.Context, actor authz.Actor, kind, id, reason string) error {
	if !slices.Contains([]string{kindBudget, kindProvider, kindRoute, kindProfile, kindPolicy, kindPrice}, kind) {
		return fault.New(fault.Invalid, "not_deletable", "a %s cannot be deleted", kind)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s, err := r.State(actor.Org)
	if err != nil {
		return err
	}
	if by := s.user(kind, id); by != "" {
		return usedBy(kind, id, by)
	}
	if !takesAway(kind) && s.asksSecond(kind) {
		return r.ask(ctx, actor, kind, id, nil, 0, reason)
	}
	_, err = r.applyLocked(ctx, actor, spec{org: actor.Org, kind: kind, id: id, change: kind + ".deleted", reason: reason, delete: true, restricts: takesAway(kind),
		mutate: func(body []byte) (any, error) { return json.RawMessage(body), nil }})
	return err
}

func usedBy(kind, id, by string) error {
	return fault.New(fault.Conflict, "in_use", "%s %q is used by %s; change that first", kind, id, by)
}

// takesAway reports whether deleting a row of that kind allows less. Without a
// budget, a guard profile or a policy more is allowed.
func takesAway(kind string) bool { return kind == kindProvider || kind == kindRoute }

// user names what rests on a provider, a route or a guard profile; empty when nothing does.
func (s *State) user(kind, id string) string {
	switch kind {
	case kindProvider:
		for i := range s.Routes {
			if s.Routes[i].uses(ProviderID(id)) {
				return "the route of the model " + s.Routes[i].Model
			}
		}
	case kindRoute:
		for i := range s.Routes {
			if slices.ContainsFunc(s.Routes[i].Targets, func(t Target) bool { return t.Route == id }) {
				return "the route of the model " + s.Routes[i].Model
			}
		}
	case kindProfile:
		for _, v := range s.Systems {
			if v.Profile == ProfileID(id) && v.Lifecycle != Retired {
				return "the AI system " + string(v.ID)
			}
		}
	}
	return ""
}
