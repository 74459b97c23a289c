package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"plumbline/app/config"
	"plumbline/app/db"
	"plumbline/app/seal"
	"plumbline/app/server"
	"plumbline/assessments/evidence"
	"plumbline/assessments/evidence/record"
	"plumbline/assessments/evidence/verify"
)

// ledgerConfig is that of a ledger which is there already: nothing is made.
func ledgerConfig(cfg *config.Config) (evidence.Config, error) {
	if _, err := os.Stat(cfg.DataDir); errors.Is(err, os.ErrNotExist) {
		return evidence.Config{}, usageError("there is no data directory %s: name it in the file of --config, or in PLUMBLINE_DATA_DIR", cfg.DataDir)
	}
	sealer, err := seal.ReadFile(cfg.KeyFile, nil)
	return evidence.Config{Dir: cfg.DataDir, Postgres: cfg.Postgres, Instance: cfg.Instance, Version: version, Sealer: sealer}, err
}

// openLedger opens the ledger for writing; a running server refuses it.
func openLedger(ctx context.Context, cfg *config.Config) (*evidence.Ledger, error) {
	sealer, err := server.OpenKey(cfg.KeyFile, cfg.DataDir, nil)
	if err != nil {
		return nil, err
	}
	return evidence.Open(ctx, evidence.Config{Dir: cfg.DataDir, Postgres: cfg.Postgres, Instance: cfg.Instance, Version: version, Sealer: sealer})
}

// readLedger opens the ledger for reading, also beside a running server.
func readLedger(ctx context.Context, path string, c *console) (*evidence.Ledger, *config.Config, error) {
	cfg, err := config.Load(path, c.env)
	if err != nil {
		return nil, nil, err
	}
	ec, err := ledgerConfig(cfg)
	if err != nil {
		return nil, nil, err
	}
	l, err := evidence.Read(ctx, ec)
	return l, cfg, err
}

func prepareVerify(fs *flag.FlagSet) action {
	key := fs.String("key", "", "the log's verifier key as you had it from the issuer on another way; without it the key seen first is trusted, and that is said")
	store := fs.String("store", "", "file in which keys and checkpoints seen are kept; default .plumbline/known-logs.json in your home")
	checkpoint := fs.String("checkpoint", "", "file with an earlier checkpoint of the log; the tree must continue it")
	asJSON := fs.Bool("json", false, "print as JSON")
	return func(_ context.Context, c *console, args []string) error {
		if len(args) == 0 {
			return usageError("name a PDF, a .json, a .proof.json or the folder of an export")
		}
		if *key != "" {
			if !verify.IsKey(*key) {
				return usageError("--key %q is no verifier key: give all of what `plumbline ledger key` prints, between quotes", *key)
			}
		}
		o := verify.Options{Key: *key, Store: *store}
		if *store == "" {
			if home := c.env("HOME"); home != "" {
				o.Store = filepath.Join(home, ".plumbline", "known-logs.json")
			}
		}
		if *checkpoint != "" {
			text, err := os.ReadFile(*checkpoint)
			if err != nil {
				return usageError("read checkpoint: %v", err)
			}
			o.Checkpoint = string(text)
		}
		results, code := verify.Files(args, o)
		if *asJSON {
			if err := printJSON(c.out, map[string]any{"results": results, "code": code}); err != nil {
				return err
			}
		} else {
			for _, r := range results {
				c.printf("%s", r.Text())
			}
		}
		if code != verify.OK {
			return &exitError{code: code}
		}
		return nil
	}
}

func prepareExport(fs *flag.FlagSet) action {
	path := configFlag(fs)
	org := fs.String("org", "", "organisation whose log is exported; needed")
	from := fs.String("from", "", "first day, as 2026-11-01; the log's beginning when empty")
	to := fs.String("to", "", "last day, as 2026-11-30; the newest checkpoint when empty")
	earlier := fs.String("checkpoint", "", "file with a checkpoint that somebody kept: the export then shows that the log only grew since")
	asJSON := fs.Bool("json", false, "print as JSON")
	return func(ctx context.Context, c *console, args []string) error {
		if len(args) != 1 || *org == "" {
			return usageError("write: plumbline export --org ORGANISATION [--from DAY] [--to DAY] DIR")
		}
		begin, end, err := days(*from, *to)
		if err != nil {
			return err
		}
		l, _, err := readLedger(ctx, *path, c)
		if err != nil {
			return err
		}
		defer l.Close(ctx)
		x := verify.Range{Log: *org}
		if *earlier != "" {
			text, err := os.ReadFile(*earlier)
			if err != nil {
				return usageError("read checkpoint: %v", err)
			}
			size, err := verify.CheckpointSize(string(text))
			if err != nil {
				return usageError("%s: %v", *earlier, err)
			}
			x.Shown = append(x.Shown, size)
		}
		if err := leavesBetween(ctx, l, &x, begin, end); err != nil {
			return err
		}
		if x.Rotations, err = l.Rotations(ctx, *org); err != nil {
			return err
		}
		infos, err := l.VerifierKeys(*org)
		if err != nil {
			return err
		}
		for _, k := range infos {
			x.Keys = append(x.Keys, k.Verifier)
		}
		m, err := verify.WriteExport(ctx, args[0], l, x)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.out, m)
		}
		c.printf("%d leaves [%d, %d) of %s in %s\nVerify them: plumbline verify %s\n", m.To-m.From, m.From, m.To, m.Origin, args[0], args[0])
		return nil
	}
}

// days reads a period of whole days, UTC; end is the first moment after it.
func days(from, to string) (begin, end time.Time, err error) {
	if from != "" {
		if begin, err = time.Parse(time.DateOnly, from); err != nil {
			return begin, end, usageError("--from %q: write a day as 2026-11-01", from)
		}
	}
	if to != "" {
		if end, err = time.Parse(time.DateOnly, to); err != nil {
			return begin, end, usageError("--to %q: write a day as 2026-11-30", to)
		}
		end = end.AddDate(0, 0, 1)
		if !end.After(begin) {
			return begin, end, usageError("--to %s comes before --from %s", to, from)
		}
	}
	return begin, end, nil
}

// leavesBetween finds the dense range that holds every record of a period, and the
// sizes of heads that documents in it were built at.
func leavesBetween(ctx context.Context, l *evidence.Ledger, x *verify.Range, begin, end time.Time) error {
	if _, err := l.Origin(x.Log); err != nil {
		return usageError("there is no log of an organisation %q", x.Log)
	}
	size := l.Size(x.Log)
	for at := uint64(0); at < size; {
		leaves, err := l.Feed(ctx, x.Log, at, 4096)
		if err != nil {
			return err
		}
		if len(leaves) == 0 {
			break
		}
		for _, leaf := range leaves {
			at = leaf.Index + 1
			r, err := record.Decode(leaf.Bytes)
			if errors.Is(err, record.ErrErased) {
				continue
			}
			if err != nil {
				return fmt.Errorf("leaf %d: %w", leaf.Index, err)
			}
			if d, ok := r.Body.(*record.Document); ok {
				x.Shown = append(x.Shown, d.AsOf)
			}
			when := time.UnixMicro(r.At)
			if when.Before(begin) || !end.IsZero() && !when.Before(end) {
				continue
			}
			if x.To == 0 {
				x.From = leaf.Index
			}
			x.To = leaf.Index + 1
		}
	}
	if x.To == 0 {
		return usageError("the log of %q has no record in that period", x.Log)
	}
	return nil
}

func prepareLedgerKey(fs *flag.FlagSet) action {
	path := configFlag(fs)
	org := fs.String("org", "", "only this organisation's log")
	asJSON := fs.Bool("json", false, "print as JSON")
	return func(ctx context.Context, c *console, _ []string) error {
		l, _, err := readLedger(ctx, *path, c)
		if err != nil {
			return err
		}
		defer l.Close(ctx)
		logs := l.Logs()
		if *org != "" {
			logs = []string{*org}
		}
		type log struct {
			Log    string             `json:"log"`
			Origin string             `json:"origin"`
			Keys   []evidence.KeyInfo `json:"keys"`
		}
		var out []log
		for _, name := range logs {
			keys, err := l.VerifierKeys(name)
			if errors.Is(err, evidence.ErrNoLog) {
				return usageError("there is no log of an organisation %q", name)
			}
			if err != nil {
				return err
			}
			origin, err := l.Origin(name)
			if err != nil {
				return err
			}
			out = append(out, log{name, origin, keys})
		}
		if *asJSON {
			return printJSON(c.out, out)
		}
		for _, g := range out {
			for _, k := range g.Keys {
				c.printf("%s\n", k.Verifier)
			}
		}
		return nil
	}
}

func prepareLedgerFork(fs *flag.FlagSet) action {
	path := configFlag(fs)
	reason := fs.String("reason", "", "why; it is on record for ever")
	asJSON := fs.Bool("json", false, "print as JSON")
	return func(ctx context.Context, c *console, _ []string) error {
		if *reason == "" {
			return usageError("say why with --reason: a fork is on record for ever")
		}
		cfg, err := config.Load(*path, c.env)
		if err != nil {
			return err
		}
		ec, err := ledgerConfig(cfg)
		if err != nil {
			return err
		}
		forked, err := evidence.Fork(ctx, ec, "cli", *reason)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.out, forked)
		}
		if len(forked) == 0 {
			c.printf("no log ends before a checkpoint that was signed: nothing to do\n")
		}
		for _, f := range forked {
			c.printf("%s is followed by %s; leaves [%d, %d) are missing and are named in its first record\n", f.OldOrigin, f.NewOrigin, f.MissingFrom, f.MissingTo)
		}
		return nil
	}
}

func prepareBackup(fs *flag.FlagSet) action {
	path := configFlag(fs)
	asJSON := fs.Bool("json", false, "print as JSON")
	return func(ctx context.Context, c *console, args []string) error {
		if len(args) != 1 {
			return usageError("write: plumbline backup DIR")
		}
		cfg, err := config.Load(*path, c.env)
		if err != nil {
			return err
		}
		if cfg.Postgres != "" {
			return usageError("register and ledger are in PostgreSQL: use pg_dump, and copy the data directory beside it")
		}
		dir := args[0]
		if there, err := os.ReadDir(dir); err == nil && len(there) > 0 {
			return usageError("the folder %s is not empty", dir)
		}
		l, _, err := readLedger(ctx, *path, c)
		if err != nil {
			return err
		}
		defer l.Close(ctx)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make %s: %w", dir, err)
		}
		if err := backup(ctx, l, cfg, dir); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.out, map[string]string{"backup": dir})
		}
		c.printf("ledger, register, documents and the instance key are in %s\nThe key opens what is sealed: keep the copy as safe as the original.\n", dir)
		return nil
	}
}

// backup copies the register before the ledger: a change that is in the register
// and not yet on record is recorded again at start, the other way round it would
// be on record and lost.
func backup(ctx context.Context, l *evidence.Ledger, cfg *config.Config, dir string) error {
	state, err := db.Open(ctx, db.Config{Dir: cfg.DataDir})
	if err != nil {
		return err
	}
	defer db.Close(state)
	if _, err := db.SQL(state).ExecContext(ctx, `VACUUM INTO ?`, filepath.Join(dir, "state.db")); err != nil {
		return fmt.Errorf("copy register: %w", err)
	}
	if err := l.Backup(ctx, dir); err != nil {
		return err
	}
	key, err := os.ReadFile(cfg.KeyFile)
	if err != nil {
		return fmt.Errorf("copy key: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "instance.key"), key, 0o600); err != nil {
		return fmt.Errorf("copy key: %w", err)
	}
	documents := filepath.Join(cfg.DataDir, "documents")
	if _, err := os.Stat(documents); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return os.CopyFS(filepath.Join(dir, "documents"), os.DirFS(documents))
}
