// Package server joins the rooms: it opens the stores, wires register, gateway,
// ledger, projection, assessments, documents and web, listens, and runs the jobs.
package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"plumbline/app/authz"
	"plumbline/app/config"
	"plumbline/app/db"
	"plumbline/assessments"
	"plumbline/assessments/evidence"
	"plumbline/assessments/projection"
	"plumbline/frameworks"
	"plumbline/gateway"
	"plumbline/gateway/budget"
	"plumbline/gateway/policy"
	"plumbline/gateway/price"
	"plumbline/gateway/provider/credential"
	"plumbline/gateway/spill"
	"plumbline/inventory"
	"plumbline/migrations"
	"plumbline/reports"
	"plumbline/reports/gather"
	"plumbline/web"
)

// Options make a Server.
type Options struct {
	Config  *config.Config
	Version string
	Env     func(string) string
	Log     *slog.Logger
	Now     func() time.Time // time.Now when nil
	Rand    io.Reader        // crypto/rand when nil
	// Hook reaches the ledger's named writes. Tests only.
	Hook func(point string) error

	since func(time.Time) time.Duration // time.Since where Now is time.Now
}

// Server is everything, open. Its parts may be used by commands and tests.
type Server struct {
	Config      *config.Config
	Ledger      *evidence.Ledger
	Register    *inventory.Register
	Gateway     *gateway.Gateway
	Credentials *credential.Source // of providers' keys
	Projection  *projection.Store
	Engine      *assessments.Engine
	Reports     *reports.Service
	Catalog     *frameworks.Catalog
	Budgets     *budget.Counters
	Prices      *price.Table
	Web         *web.Web

	o     Options
	log   *slog.Logger
	jobs  *jobs
	meter *meter
	pins  *pins
	kept  *keptStore
	http  *http.Server
	close []step // in the order in which they were opened
}

// step is one thing to close. They are closed last first.
type step struct {
	name string
	run  func(context.Context) error
}

// New opens everything. What was opened before an error is closed again.
func New(ctx context.Context, o Options) (*Server, error) {
	if o.Now == nil {
		o.Now, o.since = time.Now, time.Since
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Env == nil {
		o.Env = func(string) string { return "" }
	}
	s := &Server{Config: o.Config, o: o, log: o.Log}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close(context.WithoutCancel(ctx)))
	}
	return s, nil
}

// open is one long straight line on purpose: it is the wiring, and its order is
// the order in which things depend on each other.
func (s *Server) open(ctx context.Context) error {
	c, o := s.Config, s.o
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	sealer, err := OpenKey(c.KeyFile, c.DataDir, o.Rand)
	if err != nil {
		return err
	}
	if s.Ledger, err = evidence.Open(ctx, evidence.Config{Dir: c.DataDir, Postgres: c.Postgres, Instance: c.Instance, Version: o.Version, Sealer: sealer,
		Now: o.Now, Rand: o.Rand, Log: s.log, Pause: c.CommitPause, Hook: o.Hook}); err != nil {
		return err
	}
	s.opened("ledger", s.Ledger.Close)
	state, err := db.Open(ctx, db.Config{Dir: c.DataDir, Postgres: c.Postgres})
	if err != nil {
		return err
	}
	s.opened("state database", func(context.Context) error { return db.Close(state) })
	schema, err := migrations.Up(ctx, db.SQL(state), db.Dialect(state), migrations.State)
	if err != nil {
		return err
	}
	if schema.Newer() {
		s.log.Warn(schema.String())
	}
	if s.Catalog, err = frameworks.Load(); err != nil {
		return err
	}
	if s.Prices, err = LoadPrices(c.Prices); err != nil {
		return err
	}
	pepper := sealer.Derive("virtual keys")
	hashKey := keyHash(pepper)
	s.Budgets = budget.New(o.Now)
	bodies, err := spill.New(spill.Config{Dir: filepath.Join(c.DataDir, "bodies"), Resident: int64(c.BodyMemory) / 4, Loaded: int64(c.BodyMemory) / 4 * 3})
	if err != nil {
		return err
	}
	s.pins = newPins(&pinStore{state}, o.Now, s.log)
	s.kept = &keptStore{state, sealer, o.Hook}
	s.opened("places of responses", s.pins.Close)
	var register *inventory.Register
	if s.Credentials, err = credential.New(credential.Config{Resolve: config.Resolver(o.Env), Vault: c.Vault, Now: o.Now, Log: s.log,
		Sealed: (&inventory.Secrets{DB: state, Sealer: sealer, Host: checker{}.Host}).Open}); err != nil {
		return err
	}
	s.opened("credentials", s.Credentials.Close)
	s.Gateway, err = gateway.New(gateway.Config{Credentials: s.Credentials, Recorder: s.Ledger, ContentKey: s.Ledger.ContentKey, Pseudonym: s.Ledger.PseudonymKey, HashKey: hashKey,
		Fresh:   func() bool { return register != nil && o.Now().Sub(register.Confirmed()) < snapshotLife },
		Budgets: s.Budgets, Prices: s.Prices, Pins: s.pins, Kept: s.kept, Bodies: bodies, MaxBody: int64(c.MaxBody), Now: o.Now, Since: o.since, Rand: nil, Log: s.log, Timeout: c.Timeout, Observe: s.observe})
	if err != nil {
		return err
	}
	register, err = inventory.New(ctx, inventory.Deps{DB: state, Journal: journal{s.Ledger}, Check: checker{ctx, s.Credentials}, HashKey: hashKey, Resolve: config.Resolver(o.Env), Sealer: sealer, Bound: c.Bound,
		OnSwap: func(snap *inventory.Snapshot) {
			if err := s.Gateway.Use(context.WithoutCancel(ctx), snap); err != nil {
				s.log.Error("part of the register cannot be obeyed", "error", err)
			}
		}, Now: o.Now, Rand: o.Rand, Log: s.log})
	if err != nil {
		return err
	}
	s.Register = register
	if err := s.checkRegister(); err != nil {
		return err
	}
	for _, org := range register.Orgs() {
		if err := s.Ledger.CreateLog(ctx, string(org.ID)); err != nil {
			return err
		}
	}
	s.Projection = projection.New(db.SQL(state), db.Dialect(state), s.Ledger, s.log)
	if err := s.Projection.CatchUp(ctx); err != nil {
		return err
	}
	if err := s.restoreBudgets(ctx); err != nil {
		return err
	}
	s.Gateway.Reopen(s.Ledger.Lasting())
	if s.Engine, err = assessments.New(assessments.Deps{Store: assessments.NewStore(db.SQL(state), db.Dialect(state)), Catalog: s.Catalog, Projection: s.Projection,
		Ledger: s.Ledger, Register: register, Now: o.Now, Rand: o.Rand, Log: s.log}); err != nil {
		return err
	}
	picture, err := gather.New(gather.Deps{Register: register, Engine: s.Engine, Projection: s.Projection, Catalog: s.Catalog, Prices: s.pricesHash})
	if err != nil {
		return err
	}
	if s.Reports, err = reports.New(reports.Deps{DB: state, Dir: c.DataDir, Ledger: s.Ledger, Gather: picture.Inputs, Proof: s.proof, Now: o.Now, Rand: o.Rand, Log: s.log}); err != nil {
		return err
	}
	if err := s.Reports.Resume(ctx); err != nil {
		s.log.Warn("an interrupted document is not finished yet", "error", err)
	}
	if c.Declarations != "" {
		if _, err := s.Declare(ctx); err != nil {
			return err
		}
	}
	s.jobs = newJobs(s)
	s.meter = newMeter(s)
	enforcer, err := authz.New()
	if err != nil {
		return err
	}
	s.Web, err = web.New(web.Deps{Register: register, Engine: s.Engine, Projection: s.Projection, Ledger: s.Ledger, Reports: s.Reports, Catalog: s.Catalog, Enforcer: enforcer,
		Jobs: s.jobs, Kinds: providerKinds(), Guards: guardKinds(), DefaultPolicy: policy.Default().Source, Namable: s.Config.Namable, KeyHealth: s.Credentials.Health, Budgets: s.balance, Health: s.deployments, Batches: s.batch, DB: state, Now: o.Now, Rand: o.Rand, Log: s.log, PublicURL: c.PublicURL, SessionLife: c.SessionLife, Version: o.Version})
	return err
}

// checkRegister refuses an empty register beside a ledger that has logs of
// organisations: with a new state database in place of a lost one, whoever comes
// first would be made administrator of nothing. Declared organisations come back.
func (s *Server) checkRegister() error {
	logs := slices.DeleteFunc(s.Ledger.Logs(), func(name string) bool { return name == evidence.Instance })
	if len(logs) == 0 || len(s.Register.Orgs()) > 0 || s.Config.Declarations != "" {
		return nil
	}
	return fmt.Errorf("the register is empty, but the ledger has a log of %s: the state database is missing or is another's. Bring it back from a backup", strings.Join(logs, ", "))
}

// snapshotLife is how long a snapshot that could not be confirmed is obeyed.
const snapshotLife = 2 * time.Second

func (s *Server) opened(name string, f func(context.Context) error) {
	s.close = append(s.close, step{name, f})
}

// Handler is the whole HTTP surface: the gateway below its prefixes, health and metrics,
// the web UI and the API.
func (s *Server) Handler() http.Handler {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	s.Web.Mount(e)
	s.mountHealth(e)
	mux := http.NewServeMux()
	for _, prefix := range gateway.Prefixes() {
		mux.Handle(prefix, s.Gateway)
	}
	pages := unhurried(e)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if gateway.Misplaced(r) {
			s.Gateway.ServeHTTP(w, r) // which says where the call belongs, to a client that reads no pages
			return
		}
		pages.ServeHTTP(w, r)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if q := gateway.Joined(r); q != nil {
			s.Gateway.ServeHTTP(w, q)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// afterCut is how long exchanges that are cut may take to say and record so.
const afterCut = 2 * time.Second

// Run serves on l until ctx ends, then drains: readiness goes red, running
// exchanges get DrainTimeout to end. Those that did not are cut: their callers are told,
// and what was seen of their answers is recorded. Then everything is closed.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	var err error
	if s.http, err = s.listener(); err != nil {
		return err
	}
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	done := make(chan struct{}, 3)
	go func() { s.Register.Run(work); done <- struct{}{} }()
	go func() { s.Projection.Run(work); done <- struct{}{} }()
	go func() { s.Credentials.Run(work); done <- struct{}{} }()
	s.jobs.start()
	served := make(chan error, 1)
	go func() { served <- s.accept(s.http, l) }()
	s.log.Info("serving", "address", l.Addr().String(), "version", s.o.Version)
	select {
	case err = <-served:
	case <-ctx.Done():
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Config.DrainTimeout)
		defer cancel()
		s.log.Info("draining", "in_flight", s.Gateway.InFlight())
		if err = s.Gateway.Drain(drain); err != nil {
			s.log.Warn("cutting", "in_flight", s.Gateway.InFlight())
			s.Gateway.Cut()
			cut, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterCut)
			defer cancel()
			err, drain = errors.Join(err, s.Gateway.Drain(cut)), cut
		}
		if left := s.http.Shutdown(drain); left != nil {
			err = errors.Join(err, left)
			s.http.Close() // who is cut sees a broken connection, never a whole answer
		}
	}
	s.jobs.stop()
	stop()
	for range cap(done) {
		<-done
	}
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

// Close closes what is open, last first.
func (s *Server) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	var errs []error
	for i := len(s.close) - 1; i >= 0; i-- {
		if err := s.close[i].run(ctx); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", s.close[i].name, err))
		}
	}
	s.close = nil
	return errors.Join(errs...)
}

// Declare reads the declaration file again and makes it the register's state,
// whole or not at all. What holds and yet will not do what was meant is logged.
func (s *Server) Declare(ctx context.Context) (int, error) {
	text, err := os.ReadFile(s.Config.Declarations)
	if err != nil {
		return 0, fmt.Errorf("read declarations: %w", err)
	}
	path, err := filepath.Abs(s.Config.Declarations)
	if err != nil {
		return 0, err
	}
	d, err := inventory.ParseDeclaration(text, path)
	if err != nil {
		return 0, err
	}
	n, err := s.Register.Declare(ctx, d)
	if err == nil {
		for _, r := range s.Gateway.Remarks() {
			s.log.Warn("declared, and of no use", "organisation", string(r.Org), "file", r.Origin.File, "line", r.Origin.Line, "why", r.Text)
		}
	}
	return n, err
}
