package inventory

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/alexedwards/argon2id"

	"plumbline/app/authz"
	"plumbline/app/fault"
	"plumbline/app/ident"
)

// LinkLife is how long a one-time sign-in link works.
const LinkLife = 24 * time.Hour

// minPassword is the shortest password in characters (NIST SP 800-63B asks for
// at least 8; length is what counts).
const minPassword = 12

var roles = []authz.Role{authz.Admin, authz.ComplianceOfficer, authz.SystemOwner, authz.Approver, authz.Auditor, authz.Developer, authz.Respondent}

// CheckPerson refuses a name or an address that no account can have.
func CheckPerson(name, email string) error {
	if strings.TrimSpace(name) == "" {
		return fault.Field("name", "give the person's name")
	}
	address, err := mail.ParseAddress(email)
	if err != nil || address.Name != "" || address.Address != strings.TrimSpace(email) {
		return fault.Field("email", "%q is no e-mail address", email)
	}
	return nil
}

// CheckPassword refuses a password that is too short.
func CheckPassword(password string) error {
	if len([]rune(password)) < minPassword {
		return fault.Field("password", "use at least %d characters", minPassword)
	}
	return nil
}

// AddAccount makes a person a member of the actor's organisation with roles, and
// an account for the address when there is none.
func (r *Register) AddAccount(ctx context.Context, actor authz.Actor, p Person) (Person, error) {
	if err := CheckPerson(p.Name, p.Email); err != nil {
		return p, err
	}
	p.Email = strings.ToLower(strings.TrimSpace(p.Email))
	if len(p.Roles) == 0 {
		return p, fault.Field("roles", "give at least one of %v", roles)
	}
	for _, role := range p.Roles {
		if !slices.Contains(roles, role) {
			return p, fault.Field("roles", "%q is no role; there are %v", role, roles)
		}
	}
	a, err := r.store.accountByEmail(ctx, p.Email)
	if fault.Is(err, fault.NotFound) {
		id, err := ident.New(r.d.Now(), r.d.Rand)
		if err != nil {
			return p, err
		}
		a = account{ID: "p-" + id.String(), Email: p.Email, Name: p.Name, CreatedAt: r.d.Now().UnixMicro()}
		if err := r.store.insertAccount(ctx, a); err != nil {
			return p, err
		}
	} else if err != nil {
		return p, err
	}
	p.ID, p.Org = a.ID, actor.Org
	body, err := json.Marshal(p)
	if err != nil {
		return p, fmt.Errorf("encode account: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	restricts, err := r.narrows(ctx, r.store, actor.Org, kindMember, p.ID, body)
	if err != nil {
		return p, err
	}
	_, err = r.applyLocked(ctx, actor, spec{org: actor.Org, kind: kindMember, id: p.ID, change: "account.added", restricts: restricts, mutate: func([]byte) (any, error) { return p, nil }})
	return p, err
}

// RemoveAccount ends a person's membership at once.
func (r *Register) RemoveAccount(ctx context.Context, actor authz.Actor, id, reason string) error {
	_, err := r.apply(ctx, actor, spec{org: actor.Org, kind: kindMember, id: id, change: "account.removed", reason: reason, restricts: true, delete: true,
		mutate: func(body []byte) (any, error) { return Person{ID: id, Org: actor.Org}, nil }})
	return err
}

// Memberships are the organisations of an account with its roles.
func (r *Register) Memberships(id string) []Person {
	var out []Person
	for _, o := range r.Orgs() {
		s, err := r.State(o.ID)
		if err != nil {
			continue
		}
		for _, m := range s.Members {
			if m.ID == id {
				out = append(out, m)
			}
		}
	}
	return out
}

// Actor is what an account may act as in an organisation; a fault of kind
// Forbidden when it is no member.
func (r *Register) Actor(org OrgID, id string) (authz.Actor, error) {
	for _, m := range r.Memberships(id) {
		if m.Org == org {
			return authz.Actor{Org: org, ID: id, Name: m.Name, Roles: m.Roles}, nil
		}
	}
	return authz.Actor{}, fault.New(fault.Forbidden, "not_a_member", "the account belongs to no organisation of that name")
}

// SetPassword sets an account's password and ends its other sessions.
func (r *Register) SetPassword(ctx context.Context, id, password string) error {
	if err := CheckPassword(password); err != nil {
		return err
	}
	hash, err := argon2id.CreateHash(password, argon2id.DefaultParams)
	if err != nil {
		return fmt.Errorf("hash password: %w", err)
	}
	return r.store.setPassword(ctx, id, hash, r.d.Now().UnixMicro())
}

// Account is an account as sessions know it. Stamp changes with the password.
type Account struct {
	ID, Email, Name string
	Stamp           int64
	HasPassword     bool
}

// Account finds an account.
func (r *Register) Account(ctx context.Context, id string) (Account, error) {
	a, err := r.store.account(ctx, id)
	return Account{a.ID, a.Email, a.Name, a.Stamp, a.Password != ""}, err
}

// noPassword is compared with when there is no account, so that the answer takes
// as long. Making it takes 64 MiB, so no process has it that signs nobody in.
var noPassword = sync.OnceValue(func() string {
	hash, _ := argon2id.CreateHash("no such account", argon2id.DefaultParams)
	return hash
})

// Authenticate checks a password. The error never says which part was wrong.
func (r *Register) Authenticate(ctx context.Context, email, password string) (Account, error) {
	a, err := r.store.accountByEmail(ctx, strings.ToLower(strings.TrimSpace(email)))
	if err != nil && !fault.Is(err, fault.NotFound) {
		return Account{}, err
	}
	hash := a.Password
	if hash == "" {
		hash = noPassword()
	}
	ok, matchErr := argon2id.ComparePasswordAndHash(password, hash)
	if matchErr != nil || !ok || a.Password == "" {
		return Account{}, fault.New(fault.Unauthenticated, "sign_in", "the e-mail address or the password is not right")
	}
	return Account{a.ID, a.Email, a.Name, a.Stamp, true}, nil
}

// FirstRun reports that there is no account yet.
func (r *Register) FirstRun(ctx context.Context) (bool, error) {
	n, err := r.store.accounts(ctx)
	return n == 0, err
}

// Link makes a one-time sign-in link's token for an account, or with an empty id
// for the first run. Only its hash is kept.
func (r *Register) Link(ctx context.Context, id string) (string, error) {
	b := make([]byte, 32)
	if _, err := io.ReadFull(r.d.Rand, b); err != nil {
		return "", fmt.Errorf("make link: %w", err)
	}
	token := base64.RawURLEncoding.EncodeToString(b)
	return token, r.store.insertLink(ctx, hashLink(token), id, r.d.Now().Add(LinkLife).UnixMicro())
}

func hashLink(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// CheckLink says for which account a link is good, without using it up. Mail
// scanners and previews fetch links; only Redeem counts.
func (r *Register) CheckLink(ctx context.Context, token string) (string, error) {
	return r.store.link(ctx, hashLink(token), r.d.Now().UnixMicro())
}

// Redeem uses a link up and gives its account's id; empty for the first run.
func (r *Register) Redeem(ctx context.Context, token string) (string, error) {
	return r.store.redeem(ctx, hashLink(token), r.d.Now().UnixMicro())
}
