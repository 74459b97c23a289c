// Package assessments sets evidence against controls. A control test measures a
// system over rollups of the ledger and is judged by conditions that are data; a
// control's state is computed from test results and people's evidence each time it
// is asked for. Nothing here keeps a status that could differ from its reasons.
package assessments

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"plumbline/app/ident"
	"plumbline/assessments/evidence/record"
	"plumbline/assessments/projection"
	"plumbline/frameworks"
	"plumbline/inventory"
)

// Ledger is what the engine writes its results to.
type Ledger interface {
	Append(ctx context.Context, log string, r *record.Record) (uint64, error)
	Verify(ctx context.Context, log string) (uint64, error)
	Size(log string) uint64
}

// Register is what the engine reads of the register.
type Register interface {
	State(org inventory.OrgID) (*inventory.State, error)
	History(ctx context.Context, org inventory.OrgID, kind, id string) ([]inventory.Version, error)
	Orgs() []inventory.Org
}

// Deps of an Engine.
type Deps struct {
	Store      *Store
	Catalog    *frameworks.Catalog
	Projection *projection.Store
	Ledger     Ledger
	Register   Register
	Now        func() time.Time
	Rand       io.Reader
	Log        *slog.Logger
}

// Engine runs tests and computes states.
type Engine struct {
	d    Deps
	rand sync.Mutex // Rand need not be safe for several readers at once
}

// New makes an engine.
func New(d Deps) (*Engine, error) {
	if d.Store == nil || d.Catalog == nil || d.Projection == nil || d.Ledger == nil || d.Register == nil || d.Now == nil || d.Rand == nil {
		return nil, errors.New("assessments: every dependency is needed")
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Engine{d: d}, nil
}

// newID makes the id of a record.
func (e *Engine) newID() (ident.ID, error) {
	e.rand.Lock()
	defer e.rand.Unlock()
	return ident.New(e.d.Now(), e.d.Rand)
}

// Actor under which the engine's records are written.
const engineActor = "job:control-tests"

// RunTests measures every system of an organisation with every test that this
// product computes, records the results, and records which controls changed their
// state. It returns how many results were recorded.
func (e *Engine) RunTests(ctx context.Context, org inventory.OrgID) (int, error) {
	if err := e.recordLeft(ctx, org); err != nil {
		return 0, err
	}
	if err := e.d.Projection.CatchUp(ctx); err != nil {
		return 0, err
	}
	state, err := e.d.Register.State(org)
	if err != nil {
		return 0, err
	}
	results, err := e.measure(ctx, org, state)
	if err != nil {
		return 0, err
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(32)
	n := len(results)
	for _, result := range results {
		group.Go(func() error { return e.append(gctx, org, record.ControlTest, result) })
	}
	if err := group.Wait(); err != nil {
		return 0, fmt.Errorf("record results: %w", err)
	}
	if err := e.d.Projection.CatchUp(ctx); err != nil {
		return n, err
	}
	for i := range state.Systems {
		list, err := e.EvaluateAll(ctx, org, state.Systems[i].ID)
		if err != nil {
			return n, err
		}
		for _, a := range list {
			if err := e.recordStates(ctx, a); err != nil {
				return n, err
			}
		}
	}
	return n, e.d.Projection.CatchUp(ctx)
}

// measure runs every test of every system over one state of the projection, so
// that each result's ledger range is exactly what it counted.
func (e *Engine) measure(ctx context.Context, org inventory.OrgID, state *inventory.State) (out []*record.TestResult, err error) {
	err = e.d.Projection.Still(func() error {
		run := e.newRun(ctx, org, state)
		for i := range state.Systems {
			for _, id := range ComputedTests() {
				result, err := run.test(&state.Systems[i], id)
				if err != nil {
					return fmt.Errorf("%s of %s: %w", id, state.Systems[i].ID, err)
				}
				out = append(out, result)
			}
		}
		return nil
	})
	return out, err
}

func (e *Engine) append(ctx context.Context, org inventory.OrgID, kind record.Kind, body any) error {
	id, err := e.newID()
	if err != nil {
		return err
	}
	_, err = e.d.Ledger.Append(ctx, string(org), &record.Record{Envelope: record.Envelope{Kind: kind, ID: id, Actor: engineActor}, Body: body})
	return err
}

// testRun measures tests over one state of the projection and register.
type testRun struct {
	e     *Engine
	ctx   context.Context
	org   inventory.OrgID
	state *inventory.State
	sums  map[sumOf]projection.Counters // what was added up already
}

type sumOf struct {
	system   inventory.SystemID // empty: all together
	fromHour int64
}

func (e *Engine) newRun(ctx context.Context, org inventory.OrgID, state *inventory.State) *testRun {
	return &testRun{e: e, ctx: ctx, org: org, state: state, sums: map[sumOf]projection.Counters{}}
}

// sum adds up a system's counters from a time on, once for all tests that ask. It is
// not to be changed.
func (r *testRun) sum(system inventory.SystemID, from time.Time) (projection.Counters, error) {
	of := sumOf{system, from.Unix() / 3600}
	if sum, ok := r.sums[of]; ok {
		return sum, nil
	}
	sum, err := r.e.d.Projection.Sum(r.ctx, string(r.org), string(system), of.fromHour)
	if err == nil {
		r.sums[of] = sum
	}
	return sum, err
}

// test measures and judges one test of one system.
func (r *testRun) test(s *inventory.System, id string) (*record.TestResult, error) {
	e, ctx, org := r.e, r.ctx, r.org
	test, err := e.d.Catalog.Test(id)
	if err != nil {
		return nil, err
	}
	now := e.d.Now().UTC()
	m := &measurement{testRun: r, system: s, now: now, from: now.AddDate(0, 0, -test.WindowDays), metrics: map[string]metric{}}
	if m.counters, err = r.sum(s.ID, m.from); err != nil {
		return nil, err
	}
	if err := measures[id](m); err != nil {
		return nil, err
	}
	mark, err := e.d.Projection.LastMark(ctx, string(org))
	if err != nil {
		return nil, err
	}
	result, reason := judge(test, m.metrics, m.population)
	if age := now.Sub(time.UnixMicro(mark)); mark == 0 || age > time.Duration(test.FreshHours*float64(time.Hour))+time.Hour {
		result, reason = NoEvidence, "collector_down"
	}
	first, err := e.d.Projection.FirstLeaf(ctx, string(org), m.from.Unix()/3600)
	if err != nil {
		return nil, err
	}
	end, err := e.d.Projection.Position(ctx, string(org))
	if err != nil {
		return nil, err
	}
	out := &record.TestResult{Test: id, Version: testVersion, System: string(s.ID), From: m.from.UnixMicro(), To: now.UnixMicro(), FirstLeaf: first, EndLeaf: end,
		Projection: projection.Version, Population: uint64(m.population), Result: string(result), Reason: reason, Catalog: e.d.Catalog.Hash, Cited: m.cited}
	for _, c := range test.Conditions {
		v := m.metrics[c.Key]
		out.Metrics = append(out.Metrics, record.Metric{Key: c.Key, Value: v.stored(), Known: v.known})
	}
	return out, nil
}

// testVersion is the version of how tests are measured and judged here.
const testVersion = 1

// recordStates puts the controls on record whose state is another than the last
// one recorded.
func (e *Engine) recordStates(ctx context.Context, a *Assessment) error {
	org, system, framework := a.Org, a.System.ID, a.Framework.ID
	before, err := e.d.Projection.States(ctx, string(org), framework, string(system))
	if err != nil {
		return err
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(64)
	for i := range a.Controls {
		c := &a.Controls[i]
		last := before[c.Control.ID].State
		if last == string(c.State) || last == "" && (c.State == NotApplicable || c.State == NoEvidence) {
			continue // a control that was never otherwise needs no record of it
		}
		body := &record.ControlResult{Framework: framework, Control: c.Control.ID, System: string(system), State: string(c.State), Before: last, Reason: c.Code, Catalog: e.d.Catalog.Hash}
		for _, t := range c.Tests {
			if t.Result != nil {
				if id, err := ident.Parse(t.Result.ID); err == nil {
					body.Results = append(body.Results, id)
				}
			}
		}
		group.Go(func() error { return e.append(gctx, org, record.ControlState, body) })
	}
	return group.Wait()
}

// VerifyChain reads an organisation's whole log again and notes the outcome, which
// t.chain_verified reads. A failure of the check is no error of this call. A log
// without a record has nothing to check, and one that was not read to its end
// because ctx ended is not checked: neither is noted as checked or as broken.
func (e *Engine) VerifyChain(ctx context.Context, org inventory.OrgID) (ok bool, leaves uint64, err error) {
	if e.d.Ledger.Size(string(org)) == 0 {
		return true, 0, nil
	}
	leaves, checkErr := e.d.Ledger.Verify(ctx, string(org))
	if checkErr != nil && ctx.Err() != nil {
		return false, leaves, ctx.Err()
	}
	reason := ""
	if checkErr != nil {
		reason = checkErr.Error()
		e.d.Log.Error("ledger does not verify", "organisation", org, "error", checkErr)
	}
	return checkErr == nil, leaves, e.d.Store.saveCheck(ctx, org, check{e.d.Now().UnixMicro(), checkErr == nil, leaves, reason})
}
