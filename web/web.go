package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/labstack/echo/v4"

	"plumbline/app/authz"
	"plumbline/app/fault"
	"plumbline/app/ident"
	"plumbline/app/money"
	"plumbline/assessments"
	"plumbline/assessments/evidence"
	"plumbline/assessments/evidence/record"
	"plumbline/assessments/projection"
	"plumbline/frameworks"
	"plumbline/inventory"
	"plumbline/reports"
)

// Ledger is what pages show of the ledger.
type Ledger interface {
	Stats() evidence.Stats
	Checkpoint(ctx context.Context, log string) (record.Checkpoint, error)
	VerifierKeys(log string) ([]evidence.KeyInfo, error)
	Feed(ctx context.Context, log string, from uint64, limit int) ([]record.Leaf, error)
	Size(log string) uint64
	InclusionProof(ctx context.Context, log string, leaf, size uint64) ([][32]byte, error)
}

// Job is a scheduled job as the page of jobs shows it.
type Job struct {
	Name     string    // control-tests
	Org      string    // empty: every organisation has it, or the instance
	Instance bool      // it runs for the instance, and nobody runs it by hand
	Title    string    // Control tests
	About    string    // one line
	Cron     string    // five fields, UTC
	Said     string    // the same in words; may be empty
	Next     time.Time // zero when never
}

// JobRunning is the code of the fault of a run that was not started because an
// earlier one has not ended.
const JobRunning = "job_running"

// Jobs is the server's table of jobs. It exists because schedules run in
// app/server, which nothing may import.
type Jobs interface {
	List() []Job
	// Run runs a job of that name now for the actor's organisation and returns
	// when it ended, with its error. It returns a fault of code JobRunning while a
	// run of it has not ended, and then starts none.
	Run(ctx context.Context, actor authz.Actor, name string) error
}

// Deps of a Web. All are needed but Log, Version and PublicURL.
type Deps struct {
	Register   *inventory.Register
	Engine     *assessments.Engine
	Projection *projection.Store
	Ledger     Ledger
	Reports    *reports.Service
	Catalog    *frameworks.Catalog
	Enforcer   *authz.Enforcer
	Jobs       Jobs
	// Kinds are the kinds of providers that the gateway has, for its form.
	Kinds []ProviderKind
	// Guards are the guards that there are, for the form of a profile.
	Guards []GuardKind
	// DefaultPolicy is the source of the policy of an organisation that has none.
	DefaultPolicy string
	// Namable says which credentials people may name for a provider; none when nil.
	// host is that which calls go to, as scheme://host[:port].
	Namable   func(reference, host string) bool
	KeyHealth func(inventory.OrgID) []inventory.KeyHealth // of providers' keys; may be nil
	// Budgets says where a budget's current window stands.
	Budgets func(*inventory.Budget) (charged, held, left money.Nano)
	// Health says how the deployments stand that an organisation's routes lead to.
	Health func(inventory.OrgID) []ProviderHealth
	// Batches finds the batch that an exchange made; its error is of kind NotFound when
	// nothing is known of one.
	Batches func(ctx context.Context, org inventory.OrgID, exchange ident.ID) (Batch, error)
	DB      DB
	Now     func() time.Time
	Rand    io.Reader
	Log     *slog.Logger
	// PublicURL is where people reach the console. With https, cookies are secure.
	PublicURL   string
	SessionLife time.Duration // 12 h when zero
	Version     string
}

// Web is the console.
type Web struct {
	d         Deps
	public    *url.URL
	sessions  *scs.SessionManager
	origin    *http.CrossOriginProtection
	attempts  *attempts
	templates map[string]pageTemplate
	table     []route
}

// New makes a Web and reads what its pages share.
func New(d Deps) (*Web, error) {
	switch {
	case d.Register == nil, d.Engine == nil, d.Projection == nil, d.Ledger == nil, d.Reports == nil, d.Catalog == nil, d.Enforcer == nil, d.Jobs == nil, d.Budgets == nil, d.Health == nil, d.Batches == nil:
		return nil, errors.New("web: Register, Engine, Projection, Ledger, Reports, Catalog, Enforcer, Jobs, Budgets, Health and Batches are needed")
	case d.DB == nil, d.Now == nil, d.Rand == nil:
		return nil, errors.New("web: DB, Now and Rand are needed")
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.SessionLife == 0 {
		d.SessionLife = 12 * time.Hour
	}
	table := routes()
	if err := checkRoutes(table); err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	w := &Web{d: d, public: &url.URL{}, origin: http.NewCrossOriginProtection(), attempts: newAttempts(d.Now), table: table}
	if d.PublicURL != "" {
		u, err := url.Parse(d.PublicURL)
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("web: public URL %q is no URL", d.PublicURL)
		}
		w.public = u
		if err := w.origin.AddTrustedOrigin(u.Scheme + "://" + u.Host); err != nil {
			return nil, fmt.Errorf("web: public URL: %w", err)
		}
	}
	w.sessions = w.newSessions()
	var err error
	w.templates, err = w.parse()
	return w, err
}

func (w *Web) newSessions() *scs.SessionManager {
	// Not scs.New: the store that it makes keeps a goroutine for ever.
	m := &scs.SessionManager{Store: &sessionStore{w.d.DB, w.d.Now}, Codec: scs.GobCodec{}, HashTokenInStore: true, Lifetime: w.d.SessionLife,
		Cookie: scs.SessionCookie{Name: "plumbline_session", Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Persist: true}}
	if w.public.Scheme == "https" {
		m.Cookie.Name, m.Cookie.Secure = "__Host-plumbline_session", true
	}
	m.ErrorFunc = func(res http.ResponseWriter, req *http.Request, err error) {
		w.d.Log.Error("session", "error", err)
		told := fault.New(fault.Unavailable, "session_unavailable", "The session could not be read. Try again.")
		if known := (*fault.Error)(nil); errors.As(err, &known) && known.Kind == fault.Unavailable {
			told = known
		}
		if isAPI(req.URL.Path) {
			writeProblem(res, http.StatusServiceUnavailable, apiProblem{Code: told.Code, Message: told.Message})
			return
		}
		http.Error(res, told.Message, http.StatusServiceUnavailable)
	}
	return m
}

// Mount adds every route of the table to e, and answers what no route matches.
func (w *Web) Mount(e *echo.Echo) {
	load := echo.WrapMiddleware(w.sessions.LoadAndSave)
	for _, rt := range w.table {
		e.Add(rt.method, rt.path, w.serve(rt), w.headers, load)
	}
	e.GET("/static/*", w.static, w.headers)
	for _, path := range []string{"/*", "/api/*"} {
		e.RouteNotFound(path, w.serve(route{method: http.MethodGet, path: path, who: public, handler: (*request).notFound}), w.headers, load)
	}
}

func isAPI(path string) bool { return strings.HasPrefix(path, "/api/") }
