package inventory

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"plumbline/app/authz"
	"plumbline/app/db"
	"plumbline/app/fault"
	"plumbline/app/seal"
	"plumbline/migrations"
)

// book is a journal in memory, one log for each organisation, idempotent by the
// change's id as the contract asks.
type book struct {
	mu      sync.Mutex
	down    error // nothing is written
	lost    error // written, and reported as failed
	changes map[OrgID][]Change
}

func (b *book) Append(_ context.Context, c Change) (uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down != nil {
		return 0, b.down
	}
	for i, old := range b.changes[c.Org] {
		if old.ID == c.ID {
			return uint64(i), nil
		}
	}
	b.changes[c.Org] = append(b.changes[c.Org], c)
	return uint64(len(b.changes[c.Org]) - 1), b.lost
}

func (b *book) set(down, lost error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down, b.lost = down, lost
}

func (b *book) kinds(org OrgID) (out []string) {
	for _, c := range b.changes[org] {
		out = append(out, c.Kind)
	}
	return out
}

// picky refuses what it is told to, in place of the gateway's compilers.
type picky struct{}

func (picky) Profile(p GuardProfile) error {
	for _, g := range p.Guards {
		if g.Guard == "crystal_ball" {
			return errors.New("there is no guard crystal_ball")
		}
	}
	return nil
}

func (picky) Price(p *Price) error {
	if p.Input == "" {
		return errors.New("input: a price is missing")
	}
	return nil
}

func (picky) Policy(p Policy) error {
	if strings.Contains(p.Source, "syntax error") {
		return errors.New("does not compile")
	}
	return nil
}

func (picky) Provider(p Provider) error {
	if p.Kind != "openai" && p.Kind != "simulated" {
		return fmt.Errorf("there is no kind %q", p.Kind)
	}
	return nil
}

func (picky) Credential(reference string) error {
	if strings.HasPrefix(reference, "vault:") {
		return errors.New("there is no vault here")
	}
	return nil
}

func (picky) Host(p Provider) (string, error) {
	if p.Kind == "simulated" {
		return "", nil
	}
	if p.BaseURL == "" {
		return "https://api.example", nil
	}
	u, err := url.Parse(p.BaseURL)
	if err != nil {
		return "", errors.New("base_url is no URL")
	}
	return u.Scheme + "://" + u.Host, nil
}

func (picky) Secret(text string) error {
	if strings.ContainsAny(text, " \n") {
		return errors.New("the secret is not one line of plain characters")
	}
	return nil
}

// desk is a register over a database, with its journal and a clock.
type desk struct {
	*Register
	t     testing.TB
	d     Deps
	book  *book
	now   time.Time
	swaps int
}

var (
	ann = authz.Actor{Org: "acme", ID: "p-ann"}
	bob = authz.Actor{Org: "acme", ID: "p-bob"}
	eve = authz.Actor{Org: "evil", ID: "p-eve"}

	errDown = errors.New("the ledger cannot write")
)

// backends runs a test on SQLite, and on PostgreSQL when there is one.
func backends(t *testing.T, f func(*testing.T, *desk)) {
	t.Run("sqlite", func(t *testing.T) { f(t, newDesk(t, db.Config{Dir: t.TempDir()})) })
	t.Run("postgres", func(t *testing.T) { f(t, newDesk(t, db.Config{Postgres: database(t)})) })
}

// database makes an empty database on the test server, or skips.
func database(t testing.TB) string {
	t.Helper()
	server := os.Getenv("PLUMBLINE_TEST_POSTGRES")
	if server == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("PLUMBLINE_TEST_POSTGRES is not set")
		}
		t.Skip("PLUMBLINE_TEST_POSTGRES is not set")
	}
	admin, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("register_%d_%d", os.Getpid(), time.Now().UnixNano())
	if _, err := admin.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, err := admin.Exec("DROP DATABASE " + name + " WITH (FORCE)")
		if err := errors.Join(err, admin.Close()); err != nil {
			t.Error(err)
		}
	})
	return strings.Replace(server, "/postgres?", "/"+name+"?", 1)
}

func newDesk(t testing.TB, c db.Config) *desk {
	t.Helper()
	g, err := db.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(g); err != nil {
			t.Error(err)
		}
	})
	if _, err := migrations.Up(t.Context(), db.SQL(g), db.Dialect(g), migrations.State); err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, book: &book{changes: map[OrgID][]Change{}}, now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	env := map[string]string{"env:UP": "sk-upstream", "env:APP_KEY": "a-secret-of-more-than-twenty", "env:SHORT": "short"}
	sealer, err := seal.New(bytes.Repeat([]byte{9}, 32), nil)
	if err != nil {
		t.Fatal(err)
	}
	d.d = Deps{DB: g, Sealer: sealer, Journal: d.book, Check: picky{}, HashKey: func(s string) [32]byte { return sha256.Sum256([]byte(s)) },
		Resolve: func(ref string) (string, error) {
			if v, ok := env[ref]; ok {
				return v, nil
			}
			return "", errors.New("there is no " + ref)
		},
		OnSwap: func(*Snapshot) { d.swaps++ }, Now: func() time.Time { return d.now }, Rand: rand.NewChaCha8([32]byte{5})}
	d.open()
	return d
}

// open is what a new process does: the register is read from the database, and
// what waits is recorded.
func (d *desk) open() {
	d.t.Helper()
	r, err := New(d.t.Context(), d.d)
	if err != nil {
		d.t.Fatal(err)
	}
	d.Register = r
}

func (d *desk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// refused checks an error's kind and code, and that it names something.
func (d *desk) refused(err error, kind fault.Kind, code, names string) {
	d.t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != kind || f.Code != code || !strings.Contains(err.Error(), names) {
		d.t.Errorf("error %v, want %v %s that names %q", err, kind, code, names)
	}
}

func (d *desk) state(org OrgID) *State {
	d.t.Helper()
	s, err := d.State(org)
	d.must(err)
	return s
}

// furnish makes an organisation with one row of each kind; the system is approved.
func (d *desk) furnish(asked, decides authz.Actor) (system SystemID, key KeyID) {
	d.t.Helper()
	ctx := d.t.Context()
	d.must(d.CreateOrg(ctx, asked, Org{ID: asked.Org, Name: string(asked.Org)}))
	d.must(d.PutProvider(ctx, asked, Provider{ID: "up", Kind: "openai", CredentialRef: "env:UP"}, "first"))
	d.must(d.PutRoute(ctx, asked, Route{Model: "gpt", Provider: "up"}, "first"))
	d.must(d.PutProfile(ctx, asked, GuardProfile{ID: "strict", Guards: []GuardSetting{{Guard: "pii", Mode: Redact}}}, "first"))
	d.must(d.PutPolicy(ctx, asked, Policy{ID: "house", Mode: "enforce", Source: "package plumbline"}, "first"))
	d.must(d.PutSettings(ctx, asked, Settings{Unregistered: "flag"}, "first"))
	s, err := d.AddSystem(ctx, asked, System{Name: "Desk", Purpose: "Answers.", Owner: "Service", Roles: []ActRole{RoleDeployer}, RiskClass: Minimal, RiskReason: "no use of Annex III", Lifecycle: InUse,
		Profile: "strict", Models: []ModelRef{{Provider: "up", Model: "gpt"}}}, "first")
	d.must(err)
	d.must(d.RequestApproval(ctx, asked, s.ID, "please"))
	d.must(d.DecideApproval(ctx, decides, s.ID, true, time.Time{}, "looked at"))
	k, _, err := d.CreateKey(ctx, asked, Key{System: s.ID, Name: "desk"}, "first")
	d.must(err)
	d.must(d.PutBudget(ctx, asked, Budget{ID: "org", Scope: ScopeOrg, Limit: 100, Window: "month"}, "first"))
	return s.ID, k.ID
}
