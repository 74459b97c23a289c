package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"plumbline/app/config"
	"plumbline/app/db"
	"plumbline/app/demo"
	"plumbline/app/server"
	"plumbline/inventory"
	"plumbline/migrations"
)

type action = func(ctx context.Context, c *console, args []string) error

// logger writes JSON lines to standard error.
func logger(c *console, level string) *slog.Logger {
	var l slog.Level
	_ = l.UnmarshalText([]byte(level)) // was checked with the configuration
	return slog.New(slog.NewJSONHandler(c.err, &slog.HandlerOptions{Level: l}))
}

func configFlag(fs *flag.FlagSet) *string {
	return fs.String("config", "", "configuration file; without it the environment and the defaults count")
}

func prepareDemo(fs *flag.FlagSet) action {
	dir := fs.String("dir", "./plumbline-demo", "data directory of the sample organisation")
	listen := fs.String("listen", "127.0.0.1:8080", "host:port; a free port of the host when it is taken")
	once := fs.Bool("once", false, "end when everything was done and verified; exit code 1 when something was not")
	upstream := fs.String("upstream", "", "base URL of an OpenAI-compatible API to send the calls to, in place of the built-in simulated provider")
	model := fs.String("model", "", "chat model at the upstream")
	verbose := fs.Bool("verbose", false, "print the server's log")
	return func(ctx context.Context, c *console, _ []string) error {
		log := slog.New(slog.NewJSONHandler(c.err, &slog.HandlerOptions{Level: slog.LevelError}))
		if *verbose {
			log = logger(c, "info")
		}
		return demo.Run(ctx, demo.Options{Dir: *dir, Listen: *listen, Once: *once, Upstream: *upstream, Model: *model, Version: version, Env: c.env, Out: c.out, Log: log})
	}
}

func prepareServe(fs *flag.FlagSet) action {
	path := configFlag(fs)
	return func(ctx context.Context, c *console, _ []string) error {
		cfg, err := config.Load(*path, c.env)
		if err != nil {
			return err
		}
		log := logger(c, cfg.LogLevel)
		s, err := server.New(ctx, server.Options{Config: cfg, Version: version, Env: c.env, Log: log})
		if err != nil {
			return err
		}
		l, err := s.Listen()
		if err == nil {
			err = firstRun(ctx, c, s)
		}
		if err == nil {
			stop := reloadOnHangup(ctx, s, log)
			err = s.Run(ctx, l)
			stop()
		}
		return errors.Join(err, s.Close(ctx))
	}
}

// firstRun prints the link with which the first account is made.
func firstRun(ctx context.Context, c *console, s *server.Server) error {
	first, err := s.Register.FirstRun(ctx)
	if err != nil || !first {
		return err
	}
	token, err := s.Register.Link(ctx, "")
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "No account yet. Make the first one within a day: %s/signin/link/%s\n", s.Config.PublicURL, token)
	return nil
}

// reloadOnHangup reads the declarations again on SIGHUP. What does not hold is
// refused whole, and the old state stays.
func reloadOnHangup(ctx context.Context, s *server.Server, log *slog.Logger) (stop func()) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	go func() {
		for range hangup {
			if s.Config.Declarations == "" {
				log.Warn("nothing to read again: no declarations file is configured")
				continue
			}
			n, err := s.Declare(ctx)
			if err != nil {
				log.Error("declarations refused; the old state is kept", "error", err)
				continue
			}
			log.Info("declarations read again", "changes", n)
		}
	}()
	return func() { signal.Stop(hangup); close(hangup) }
}

func prepareMigrate(fs *flag.FlagSet) action {
	path := configFlag(fs)
	asJSON := fs.Bool("json", false, "print as JSON")
	return func(ctx context.Context, c *console, _ []string) error {
		cfg, err := config.Load(*path, c.env)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
			return fmt.Errorf("make data directory: %w", err)
		}
		l, err := openLedger(ctx, cfg) // its tables come up to date with it, under its lock
		if err != nil {
			return err
		}
		defer l.Close(ctx)
		state, err := db.Open(ctx, db.Config{Dir: cfg.DataDir, Postgres: cfg.Postgres})
		if err != nil {
			return err
		}
		defer db.Close(state)
		schema, err := migrations.Up(ctx, db.SQL(state), db.Dialect(state), migrations.State)
		if err != nil {
			return err
		}
		found := []migrations.Schema{schema, l.Schema()}
		if *asJSON {
			return printJSON(c.out, map[string]any{"applied": found[0].Applied + found[1].Applied, "databases": found})
		}
		for _, s := range found {
			c.printf("%s\n", s)
		}
		return nil
	}
}

func prepareConfigValidate(fs *flag.FlagSet) action {
	path := configFlag(fs)
	asJSON := fs.Bool("json", false, "print as JSON")
	return func(ctx context.Context, c *console, _ []string) error {
		cfg, err := config.Load(*path, c.env)
		if err != nil {
			return err
		}
		orgs, remarks := 0, []string{}
		if cfg.Declarations != "" {
			if orgs, remarks, err = checkDeclarations(ctx, cfg, c); err != nil {
				return err
			}
		}
		if *asJSON {
			return printJSON(c.out, map[string]any{"valid": true, "declarations": cfg.Declarations, "organisations": orgs, "remarks": remarks})
		}
		for _, r := range remarks {
			fmt.Fprintf(c.err, "plumbline config validate: %s\n", r)
		}
		c.printf("the configuration holds\n")
		if cfg.Declarations != "" {
			c.printf("%s holds: %d organisations declared\n", cfg.Declarations, orgs)
		}
		return nil
	}
}

// checkDeclarations applies the file to an empty server in a temporary folder,
// so that the check is the one that counts and nothing is changed. It gives how many
// organisations there are, and what holds and yet will not do what was meant.
func checkDeclarations(ctx context.Context, cfg *config.Config, c *console) (int, []string, error) {
	text, err := os.ReadFile(cfg.Declarations)
	if err != nil {
		return 0, nil, usageError("read declarations: %v", err)
	}
	d, err := inventory.ParseDeclaration(text, cfg.Declarations)
	if err != nil {
		return 0, nil, &exitError{exitUsage, err}
	}
	dir, err := os.MkdirTemp("", "plumbline-validate-")
	if err != nil {
		return 0, nil, err
	}
	defer os.RemoveAll(dir)
	trial := *cfg
	trial.DataDir, trial.KeyFile, trial.Postgres = dir, filepath.Join(dir, "instance.key"), ""
	s, err := server.New(ctx, server.Options{Config: &trial, Version: version, Env: c.env})
	if err != nil {
		return 0, nil, &exitError{exitUsage, err}
	}
	remarks := []string{}
	for _, r := range s.Gateway.Remarks() {
		remarks = append(remarks, r.String())
	}
	return len(d.Organisations), remarks, s.Close(ctx)
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
