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

// CheckPerson refuses a name or an address that no account can have; the error
// names each field that is wrong.
func CheckPerson(name, email string) error {
	var wrong fault.Fields
	if strings.TrimSpace(name) == "" {
		wrong.Add("name", "give the person's name")
	}
	wrong.Line("name", name)
	address, err := mail.ParseAddress(email)
	if err != nil || address.Name != "" || address.Address != strings.TrimSpace(email) {
		wrong.Add("email", "%q is no e-mail address", email)
	}
	wrong.Line("email", email)
	return wrong.Err()
}

// CheckPassword refuses a password that is too short.
func CheckPassword(password string) error {
	if len([]rune(password)) < minPassword {
		return fault.Field("password", "use at least %d characters", minPassword)
	}
	return nil
}

// checkRoles refuses an empty set of roles and such as there are not.
func checkRoles(given []authz.Role) error {
	if len(given) == 0 {
		return fault.Field("roles", "give at least one role")
	}
	for _, role := range given {
		if !slices.Contains(roles, role) {
			return fault.Field("roles", "%q is no role; there are %s", role, listed(roles))
		}
	}
	return nil
}

// AddAccount makes a person a member of the actor's organisation with roles, and
// an account for the address when there is none. Whoever is a member already is
// refused with Conflict: SetRoles changes what a member may do.
func (r *Register) AddAccount(ctx context.Context, actor authz.Actor, p Person) (Person, error) {
	var wrong fault.Fields
	if err := wrong.Join(CheckPerson(p.Name, p.Email), checkRoles(p.Roles)); err != nil {
		return p, err
	}
	p.Email = strings.ToLower(strings.TrimSpace(p.Email))
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
	r.mu.Lock()
	defer r.mu.Unlock()
	_, err = r.applyLocked(ctx, actor, spec{org: actor.Org, kind: kindMember, id: p.ID, change: "account.added",
		mutate: func(old []byte) (any, error) {
			if old != nil {
				return nil, &fault.Error{Kind: fault.Conflict, Code: "exists", Message: p.Email + " is a member already; change the roles of that person instead",
					Fields: map[string]string{"email": "is a member already; change the roles of that person instead"}}
			}
			return p, nil
		}})
	return p, err
}

// SetRoles changes what a member of the actor's organisation may do. Fewer roles are
// in force at once, also while the ledger cannot write. The last administrator stays
// one: that is a Conflict.
func (r *Register) SetRoles(ctx context.Context, actor authz.Actor, id string, given []authz.Role, reason string) error {
	if err := checkRoles(given); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p, err := r.member(actor.Org, id)
	if err != nil {
		return err
	}
	if !slices.Contains(given, authz.Admin) {
		if err := r.otherAdmin(actor.Org, id); err != nil {
			return err
		}
	}
	p.Roles = given
	body, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode account: %w", err)
	}
	restricts, err := r.narrows(ctx, r.store, actor.Org, kindMember, id, body)
	if err != nil {
		return err
	}
	_, err = r.applyLocked(ctx, actor, spec{org: actor.Org, kind: kindMember, id: id, change: "account.roles_changed", reason: reason, restricts: restricts,
		mutate: func(old []byte) (any, error) {
			if old == nil {
				return nil, notFound("account", id)
			}
			return p, nil
		}})
	return err
}

// member is a member as in force.
func (r *Register) member(org OrgID, id string) (Person, error) {
	s, err := r.State(org)
	if err != nil {
		return Person{}, err
	}
	i := slices.IndexFunc(s.Members, func(m Person) bool { return m.ID == id })
	if i < 0 {
		return Person{}, notFound("account", id)
	}
	return s.Members[i], nil
}

// otherAdmin refuses what would leave an organisation without an administrator.
func (r *Register) otherAdmin(org OrgID, id string) error {
	s, err := r.State(org)
	if err != nil {
		return err
	}
	was, other := false, false
	for _, m := range s.Members {
		if slices.Contains(m.Roles, authz.Admin) {
			was, other = was || m.ID == id, other || m.ID != id
		}
	}
	if was && !other {
		return fault.New(fault.Conflict, "last_admin", "this is the only administrator; make another person one first")
	}
	return nil
}

// RemoveAccount ends a person's membership at once. The last administrator stays:
// that is a Conflict.
func (r *Register) RemoveAccount(ctx context.Context, actor authz.Actor, id, reason string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.otherAdmin(actor.Org, id); err != nil {
		return err
	}
	_, err := r.applyLocked(ctx, actor, spec{org: actor.Org, kind: kindMember, id: id, change: "account.removed", reason: reason, restricts: true, delete: true,
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
// for the first run. Only its hash is kept. A link that one person makes for another
// is made by LinkFor.
func (r *Register) Link(ctx context.Context, id string) (string, error) {
	token, err := r.newToken()
	if err != nil {
		return "", err
	}
	return token, r.store.insertLink(ctx, hashLink(token), id, r.d.Now().Add(LinkLife).UnixMicro())
}

// LinkFor is Link for a member of the actor's organisation. Whoever holds the link can
// act as that person, so it is given out only once it is on record who made it, and for
// whom; until the ledger can record that the error is of kind Unavailable.
func (r *Register) LinkFor(ctx context.Context, actor authz.Actor, id string) (string, error) {
	token, err := r.newToken()
	if err != nil {
		return "", err
	}
	_, err = r.apply(ctx, actor, spec{org: actor.Org, kind: kindMember, id: id, change: "account.link_made",
		mutate: func(old []byte) (any, error) {
			if old == nil {
				return nil, notFound("account", id)
			}
			return json.RawMessage(old), nil
		},
		within: func(ctx context.Context, tx *rowStore) error {
			return tx.insertLink(ctx, hashLink(token), id, r.d.Now().Add(LinkLife).UnixMicro())
		}})
	if fault.Is(err, fault.Unavailable) {
		return "", fault.Wrap(fault.Unavailable, "ledger_unavailable", err, "a sign-in link is given out once the ledger can record it; try again")
	}
	if err != nil {
		return "", err
	}
	return token, nil
}

func (r *Register) newToken() (string, error) {
	b := make([]byte, 32)
	if _, err := io.ReadFull(r.d.Rand, b); err != nil {
		return "", fmt.Errorf("make link: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
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
