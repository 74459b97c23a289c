package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"text/tabwriter"
	"time"

	"plumbline/app/config"
	"plumbline/app/db"
	"plumbline/app/rerate"
	"plumbline/app/server"
	"plumbline/assessments/evidence"
	"plumbline/gateway/price"
	"plumbline/inventory"
	"plumbline/migrations"
)

func prepareRerate(fs *flag.FlagSet) action {
	path := configFlag(fs)
	org := fs.String("org", "", "organisation whose charges are computed again; needed")
	from := fs.String("from", "", "first day, UTC, as 2026-11-01; the log's beginning when empty")
	to := fs.String("to", "", "last day, UTC, as 2026-11-30; no end when empty")
	prices := fs.String("prices", "", "file with a price table; the configured one when empty. The organisation's own prices stand on top of either")
	apply := fs.Bool("apply", false, "put the corrections on record; without it nothing changes. Stop the server first")
	asJSON := fs.Bool("json", false, "print as JSON")
	return func(ctx context.Context, c *console, _ []string) error {
		if *org == "" {
			return usageError("write: plumbline rerate --org ORGANISATION [--from DAY] [--to DAY] [--prices FILE] [--apply]")
		}
		begin, end, err := days(*from, *to)
		if err != nil {
			return err
		}
		cfg, err := config.Load(*path, c.env)
		if err != nil {
			return err
		}
		table, err := ratingTable(cfg, *prices)
		if err != nil {
			return err
		}
		open := evidence.Read
		if *apply {
			open = evidence.Open
		}
		ec, err := ledgerConfig(cfg)
		if err != nil {
			return err
		}
		l, err := open(ctx, ec)
		if err != nil {
			return err
		}
		plan, err := rerated(ctx, cfg, l, table, inventory.OrgID(*org), begin, end)
		if err == nil && *apply {
			err = plan.Apply(ctx, l, "cli", time.Now())
		}
		if err = errors.Join(err, l.Close(ctx)); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.out, struct {
				*rerate.Plan
				Corrections int  `json:"corrections"`
				Applied     bool `json:"applied"`
			}{plan, plan.Corrections(), *apply})
		}
		printPlan(c, plan, *apply)
		return nil
	}
}

func ratingTable(cfg *config.Config, file string) (*price.Table, error) {
	if file == "" {
		file = cfg.Prices
	}
	t, err := server.LoadPrices(file)
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	return t, nil
}

// rerated computes a plan from the register as it is in force. It writes nothing to
// it: changes that wait for the ledger go on waiting.
func rerated(ctx context.Context, cfg *config.Config, l *evidence.Ledger, table *price.Table, org inventory.OrgID, begin, end time.Time) (*rerate.Plan, error) {
	state, err := db.Open(ctx, db.Config{Dir: cfg.DataDir, Postgres: cfg.Postgres})
	if err != nil {
		return nil, err
	}
	defer db.Close(state)
	if _, err := migrations.Check(ctx, db.SQL(state), db.Dialect(state), migrations.State); err != nil {
		return nil, err
	}
	register, err := inventory.New(ctx, inventory.Deps{DB: state, Journal: closedJournal{}, HashKey: func(string) [32]byte { return [32]byte{} }, Now: time.Now, Rand: rand.Reader})
	if err != nil {
		return nil, err
	}
	return rerate.Compute(ctx, rerate.Deps{Ledger: l, Register: register, Prices: table}, org, begin, end)
}

// closedJournal is of a register that is only read.
type closedJournal struct{}

func (closedJournal) Append(context.Context, inventory.Change) (uint64, error) {
	return 0, errors.New("the register is open for reading")
}

// printPlan prints what differs, by system and model, and what stays and why.
func printPlan(c *console, p *rerate.Plan, applied bool) {
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SYSTEM\tPROVIDER\tMODEL\tCALLS\tCHANGED\tBEFORE\tAFTER\tDIFFERENCE")
	var all rerate.Line
	for _, l := range p.Lines {
		all.Calls, all.Changed = all.Calls+l.Calls, all.Changed+l.Changed
		all.Before, all.After = all.Before.Add(l.Before), all.After.Add(l.After)
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\n", orDash(l.System), l.Provider, l.Model, l.Calls, l.Changed, l.Before, l.After, l.After-l.Before)
	}
	fmt.Fprintf(w, "all\t\t\t%d\t%d\t%s\t%s\t%s\n", all.Calls, all.Changed, all.Before, all.After, all.After-all.Before)
	if err := w.Flush(); err != nil {
		fmt.Fprintln(c.err, err)
	}
	for _, k := range p.Kept {
		c.printf("left as they are: %d calls of %s, %s: %s\n", k.Calls, orDash(k.Model), k.Charge, k.Why)
	}
	switch {
	case p.Corrections() == 0:
		c.printf("Nothing differs with the prices %s.\n", p.Table)
	case applied:
		c.printf("%d corrections are on record, with the prices %s.\n", p.Corrections(), p.Table)
	default:
		c.printf("Nothing was changed. With --apply %d corrections go on record, with the prices %s.\n", p.Corrections(), p.Table)
	}
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
