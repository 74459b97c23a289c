package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// readConfig is the configuration of a ledger that is there already.
func readConfig(path string, c *console) (evidence.Config, error) {
	cfg, err := config.Load(path, c.env)
	if err != nil {
		return evidence.Config{}, err
	}
	return ledgerConfig(cfg)
}

// readLedger opens the ledger for reading, also beside a running server.
func readLedger(ctx context.Context, path string, c *console) (*evidence.Ledger, error) {
	ec, err := readConfig(path, c)
	if err != nil {
		return nil, err
	}
	return evidence.Read(ctx, ec)
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
	generation := generationFlag(fs, "generation of the log to export, after a fork; the only one with records of the period when 0")
	earlier := fs.String("checkpoint", "", "file with a checkpoint that somebody kept: the export then shows that the log only grew since")
	asJSON := fs.Bool("json", false, "print as JSON")
	return func(ctx context.Context, c *console, args []string) error {
		if len(args) != 1 || *org == "" {
			return usageError("write: plumbline export --org ORGANISATION [--from DAY] [--to DAY] [--generation N] DIR")
		}
		begin, end, err := days(*from, *to)
		if err != nil {
			return err
		}
		ec, err := readConfig(*path, c)
		if err != nil {
			return err
		}
		l, x, err := exported(ctx, ec, *org, *generation, begin, end)
		if err != nil {
			return err
		}
		defer l.Close(ctx)
		if *earlier != "" {
			size, err := keptHead(l, *org, *earlier)
			if err != nil {
				return err
			}
			x.Shown = append(x.Shown, size)
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
		m, err := verify.WriteExport(ctx, args[0], l, *x)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.out, m)
		}
		c.printf("%d leaves [%d, %d) of %s in %s\nIts key: %s\nVerify them: plumbline verify %s\n", m.To-m.From, m.From, m.To, m.Origin, args[0], m.Keys[len(m.Keys)-1], args[0])
		return nil
	}
}

func generationFlag(fs *flag.FlagSet, usage string) *uint64 {
	return fs.Uint64("generation", 0, usage)
}

// exported opens the generation of a log that an export is of, and finds the range. A
// range belongs to one generation: each is a tree of its own, under its own key. The
// caller closes the ledger.
func exported(ctx context.Context, ec evidence.Config, org string, generation uint64, begin, end time.Time) (*evidence.Ledger, *verify.Range, error) {
	all, err := generationsOf(ctx, ec, org)
	if err != nil {
		return nil, nil, err
	}
	if generation != 0 {
		if err := oneOf(all, org, generation); err != nil {
			return nil, nil, err
		}
	}
	var found []string // generations with records of the period
	var l *evidence.Ledger
	var x *verify.Range
	for _, g := range all {
		if generation != 0 && g.Number != generation {
			continue
		}
		one, err := evidence.ReadGeneration(ctx, ec, org, g.Number)
		if err != nil {
			return nil, nil, closed(ctx, l, err)
		}
		r := &verify.Range{Log: org}
		if err := leavesBetween(ctx, one, r, begin, end); err != nil {
			return nil, nil, closed(ctx, l, closed(ctx, one, err))
		}
		if r.To == 0 {
			if err := one.Close(ctx); err != nil {
				return nil, nil, closed(ctx, l, err)
			}
			continue
		}
		found = append(found, fmt.Sprintf("--generation %d: %s, leaves [%d, %d)", g.Number, g.Origin, r.From, r.To))
		if err := closed(ctx, l, nil); err != nil {
			return nil, nil, closed(ctx, one, err)
		}
		l, x = one, r
	}
	switch {
	case len(found) == 0:
		return nil, nil, usageError("the log of %q has no record in that period", org)
	case len(found) > 1:
		return nil, nil, closed(ctx, l, usageError("the log of %q was forked, and the period reaches across the fork: each generation is a tree of its own, under its own key. Export each into a folder of its own:\n  %s", org, strings.Join(found, "\n  ")))
	}
	return l, x, nil
}

// closed closes a ledger, which may be nil, on the way out with an error.
func closed(ctx context.Context, l *evidence.Ledger, err error) error {
	if l == nil {
		return err
	}
	if e := l.Close(ctx); e != nil {
		return errors.Join(err, e)
	}
	return err
}

func generationsOf(ctx context.Context, ec evidence.Config, org string) ([]evidence.Generation, error) {
	l, err := evidence.Read(ctx, ec)
	if err != nil {
		return nil, err
	}
	all, err := l.Generations(ctx, org)
	if errors.Is(err, evidence.ErrNoLog) {
		err = usageError("there is no log of an organisation %q", org)
	}
	return all, closed(ctx, l, err)
}

// oneOf refuses a generation that a log does not have.
func oneOf(all []evidence.Generation, org string, generation uint64) error {
	var there []string
	for _, g := range all {
		if g.Number == generation {
			return nil
		}
		there = append(there, fmt.Sprint(g.Number))
	}
	return usageError("the log of %q has no generation %d here; there are: %s", org, generation, strings.Join(there, ", "))
}

// keptHead is the size of a checkpoint that somebody kept, which has to be of the
// generation that is exported.
func keptHead(l *evidence.Ledger, org, path string) (uint64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, usageError("read checkpoint: %v", err)
	}
	origin, size, err := verify.CheckpointHead(string(text))
	if err != nil {
		return 0, usageError("%s: %v", path, err)
	}
	ours, err := l.Origin(org)
	if err != nil {
		return 0, err
	}
	if origin != ours {
		return 0, usageError("the checkpoint in %s is of %s, and the export would be of %s: a checkpoint is continued in its own generation alone. `plumbline ledger key --org %s` lists the generations; name that one with --generation", path, origin, ours, org)
	}
	return size, nil
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

// leavesBetween finds the dense range that holds every record of a period, none where
// there is no such record, and the sizes of heads that documents were built at.
func leavesBetween(ctx context.Context, l *evidence.Ledger, x *verify.Range, begin, end time.Time) error {
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
	return nil
}

// logKeys are the keys of a log and its generations, as `ledger key` prints them.
type logKeys struct {
	Log         string                `json:"log"`
	Origin      string                `json:"origin"`
	Keys        []evidence.KeyInfo    `json:"keys"` // of the generation of that origin
	Generations []evidence.Generation `json:"generations"`
}

func prepareLedgerKey(fs *flag.FlagSet) action {
	path := configFlag(fs)
	org := fs.String("org", "", "only this organisation's log")
	generation := generationFlag(fs, "only this generation; all of them when 0")
	asJSON := fs.Bool("json", false, "print as JSON")
	return func(ctx context.Context, c *console, _ []string) error {
		l, err := readLedger(ctx, *path, c)
		if err != nil {
			return err
		}
		defer l.Close(ctx)
		logs := l.Logs()
		if *org != "" {
			logs = []string{*org}
		}
		var out []logKeys
		for _, name := range logs {
			all, err := l.Generations(ctx, name)
			if errors.Is(err, evidence.ErrNoLog) {
				return usageError("there is no log of an organisation %q", name)
			}
			if err != nil {
				return err
			}
			if *generation != 0 {
				err := oneOf(all, name, *generation)
				if err != nil && *org != "" {
					return err
				}
				if err != nil {
					continue
				}
				all = slices.DeleteFunc(all, func(g evidence.Generation) bool { return g.Number != *generation })
			}
			newest := all[len(all)-1]
			out = append(out, logKeys{name, newest.Origin, newest.Keys, all})
		}
		if *asJSON {
			return printJSON(c.out, out)
		}
		if len(out) == 0 {
			return usageError("no log has a generation %d here", *generation)
		}
		for _, log := range out {
			for _, g := range log.Generations {
				if len(log.Generations) > 1 {
					c.printf("# %s\n", said(g))
				}
				for _, k := range g.Keys {
					c.printf("%s\n", k.Verifier)
				}
			}
		}
		return nil
	}
}

// said is one generation in words.
func said(g evidence.Generation) string {
	const minute = "2006-01-02 15:04 MST"
	text := fmt.Sprintf("%s: leaves [%d, %d), begun %s", g.Origin, g.From, g.To, g.Begun.Format(minute))
	if g.Signed > 0 {
		text += fmt.Sprintf(", signed up to %d on %s", g.Signed, g.SignedAt.Format(minute))
	}
	if g.After != nil {
		text += "; forked: " + g.After.Lost
		if g.After.Reason != "" {
			text += fmt.Sprintf(". Reason: %q", g.After.Reason)
		}
	}
	return text
}

func prepareLedgerFork(fs *flag.FlagSet) action {
	path := configFlag(fs)
	reason := fs.String("reason", "", "why, in one line; needed. It is on record for ever, and read by everybody who verifies: no names of people, no secrets")
	restored := fs.Bool("restored", false, "declare that the ledger is an older copy, though nothing beside it says so: every log gets a new generation")
	var seen []string
	fs.Func("seen", "file with a checkpoint that somebody outside holds, newer than the copy; it declares --restored and is named on record. May be given once for each log", func(file string) error {
		seen = append(seen, file)
		return nil
	})
	asJSON := fs.Bool("json", false, "print as JSON")
	return func(ctx context.Context, c *console, _ []string) error {
		if *reason == "" {
			return usageError("say why with --reason: a fork is on record for ever")
		}
		o := evidence.ForkOptions{Actor: "cli", Reason: *reason, Restored: *restored}
		for _, file := range seen {
			text, err := os.ReadFile(file)
			if err != nil {
				return usageError("read checkpoint: %v", err)
			}
			o.Seen = append(o.Seen, text)
		}
		ec, err := readConfig(*path, c)
		if err != nil {
			return err
		}
		forked, err := evidence.Fork(ctx, ec, o)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.out, forked)
		}
		if len(forked) == 0 {
			c.printf("no log ends before a checkpoint that was signed, as far as is known here: nothing to do.\nWhen the whole directory is a restored copy, say so with --restored, and with --seen FILE if somebody holds a newer checkpoint.\n")
		}
		for _, f := range forked {
			c.printf("%s is followed by %s: %s. Its first record says so\n", f.OldOrigin, f.NewOrigin, f.Lost)
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
		l, err := readLedger(ctx, *path, c)
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
		c.printf("ledger, register, documents and the instance key are in %s\nThe key opens what is sealed: keep the copy as safe as the original.\nNo server starts on it before it is declared to be restored, as its RESTORE.txt says: plumbline ledger fork --restored --reason '…' [--seen CHECKPOINT-FILE]\n", dir)
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
