package web

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"plumbline/app/fault"
	"plumbline/assessments/evidence"
	"plumbline/assessments/evidence/record"
	"plumbline/assessments/evidence/verify"
	"plumbline/assessments/projection"
	"plumbline/reports"
)

// recordsShown is how many records a page of the ledger lists, eventsShown how
// many things that befell it.
const (
	recordsShown = 20
	eventsShown  = 30
)

type ledgerData struct {
	Stats      evidence.Stats
	Log        evidence.LogStats
	Generation string
	Checkpoint record.Checkpoint
	Signed     string // why the signature does not hold; empty when it does
	Keys       []evidence.KeyInfo
	Key        string // the one in force
	Next       uint64 // leaves that the index has
	Lag        int64
	Gaps       int64
	Mark       int64 // time of the newest hour mark
	Silent     bool  // it is older than it may be
	Verified   *reports.Run
	Events     []ledgerEvent
	Records    []recordLine
	Older      string
	Newest     string
}

// ledgerEvent is something that befell the log.
type ledgerEvent struct {
	projection.LedgerEvent
	Title, Said string
	Tone, Icon  string
	Actor       string
}

// recordLine is a record in the list of the newest.
type recordLine struct {
	Leaf  uint64
	Kind  record.Kind
	At    int64
	Actor string
	Said  string
	Hash  [32]byte
}

func (r *request) ledgerPage() error {
	data := &ledgerData{Stats: r.web.d.Ledger.Stats()}
	org := string(r.actor.Org)
	for _, l := range data.Stats.Logs {
		if l.Log == org {
			data.Log = l
		}
	}
	if i := strings.LastIndexByte(data.Log.Origin, '/'); i >= 0 {
		data.Generation = data.Log.Origin[i+1:]
	}
	for _, step := range []func(context.Context, string, *ledgerData) error{r.ledgerHead, r.ledgerIndex, r.ledgerEvents, r.ledgerRecords} {
		if err := step(r.ctx(), org, data); err != nil {
			return err
		}
	}
	return r.ok("ledger", page{Title: "Ledger", Nav: "ledger", Crumbs: []crumb{{Title: "Ledger"}}}, data)
}

// ledgerHead is the newest checkpoint, whose signature is checked here with the
// keys that are shown beside it.
func (r *request) ledgerHead(ctx context.Context, org string, data *ledgerData) error {
	var err error
	if data.Checkpoint, err = r.web.d.Ledger.Checkpoint(ctx, org); err != nil {
		return err
	}
	if data.Keys, err = r.web.d.Ledger.VerifierKeys(org); err != nil {
		return err
	}
	if n := len(data.Keys); n > 0 {
		data.Key = data.Keys[n-1].Verifier
	}
	if data.Checkpoint.Size > 0 {
		if err := verify.Signed(data.Checkpoint, data.Key); err != nil {
			data.Signed = "The signature does not check with the key in force"
			r.web.d.Log.Error("checkpoint does not verify", "request", r.id.String(), "log", org, "error", err)
		}
	}
	return nil
}

// ledgerIndex is how far what pages count from is behind what is durable.
func (r *request) ledgerIndex(ctx context.Context, org string, data *ledgerData) error {
	p := r.web.d.Projection
	var err error
	if data.Next, err = p.Position(ctx, org); err != nil {
		return err
	}
	data.Lag = max(int64(data.Log.Size)-int64(data.Next), 0)
	if data.Gaps, err = p.Gaps(ctx, org); err != nil {
		return err
	}
	if data.Mark, err = p.LastMark(ctx, org); err != nil {
		return err
	}
	data.Silent = data.Mark != 0 && r.web.d.Now().Sub(clock(data.Mark)) > 2*time.Hour
	runs, err := r.web.d.Reports.RunsOf(ctx, r.actor.Org, "verify-ledger", 1)
	if err != nil {
		return err
	}
	if len(runs) > 0 {
		data.Verified = &runs[0]
	}
	return nil
}

func (r *request) ledgerEvents(ctx context.Context, org string, data *ledgerData) error {
	events, err := r.web.d.Projection.LedgerEvents(ctx, org, eventsShown)
	if err != nil {
		return err
	}
	for _, e := range events {
		leaves, err := r.web.d.Ledger.Feed(ctx, org, e.Leaf, 1)
		if err != nil {
			return err
		}
		if len(leaves) == 0 {
			continue
		}
		rec, err := record.Decode(leaves[0].Bytes)
		if err != nil {
			return fmt.Errorf("leaf %d: %w", e.Leaf, err)
		}
		row := ledgerEvent{LedgerEvent: e, Tone: "mute", Icon: "ledger", Actor: r.person(rec.Actor), Title: words(strings.TrimPrefix(rec.Kind.String(), "ledger."))}
		row.Said = r.told(rec)
		switch rec.Kind {
		case record.LedgerOutage:
			row.Tone, row.Icon, row.Title = "blind", "down", "Could not write"
		case record.LedgerForked:
			row.Tone, row.Icon, row.Title = "bad", "not", "Began a new generation"
		case record.LedgerRotated:
			row.Tone, row.Icon, row.Title = "note", "key", "Key rotated"
		}
		data.Events = append(data.Events, row)
	}
	return nil
}

// ledgerRecords lists records, the newest first, or those before a leaf.
func (r *request) ledgerRecords(ctx context.Context, org string, data *ledgerData) error {
	end := data.Log.Size
	if v := r.query("before"); v != "" {
		n, err := strconv.ParseUint(v, 10, 63)
		if err != nil {
			return fault.Field("before", "a leaf is a number")
		}
		end, data.Newest = min(n, end), "/ledger#records"
	}
	first := end - min(end, recordsShown)
	leaves, err := r.web.d.Ledger.Feed(ctx, org, first, int(end-first))
	if err != nil {
		return err
	}
	for i := len(leaves) - 1; i >= 0; i-- {
		if leaves[i].Index >= end {
			continue
		}
		rec, err := record.Decode(leaves[i].Bytes)
		if err != nil {
			return fmt.Errorf("leaf %d: %w", leaves[i].Index, err)
		}
		data.Records = append(data.Records, recordLine{leaves[i].Index, rec.Kind, rec.At, r.person(rec.Actor), r.told(rec), record.LeafHash(leaves[i].Bytes)})
	}
	if first > 0 {
		data.Older = "/ledger?before=" + strconv.FormatUint(first, 10) + "#records"
	}
	return nil
}

// checkpointFile is the newest checkpoint as it was signed.
func (r *request) checkpointFile() error {
	cp, err := r.web.d.Ledger.Checkpoint(r.ctx(), string(r.actor.Org))
	if err != nil {
		return err
	}
	if cp.Size == 0 {
		return fault.New(fault.NotFound, "not_found", "Nothing is signed yet: the log is empty.")
	}
	return r.download(fmt.Sprintf("%s-checkpoint-%d.txt", r.actor.Org, cp.Size), "text/plain; charset=utf-8", cp.Note)
}

// verifierKeyFile is the public key in force, for plumbline verify --key.
func (r *request) verifierKeyFile() error {
	keys, err := r.web.d.Ledger.VerifierKeys(string(r.actor.Org))
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		return r.notFound()
	}
	return r.download(string(r.actor.Org)+".vkey", "text/plain; charset=utf-8", []byte(keys[len(keys)-1].Verifier+"\n"))
}

// download answers with bytes that a browser saves and never shows as a page.
func (r *request) download(name, contentType string, b []byte) error {
	r.c.Response().Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	return r.c.Blob(http.StatusOK, contentType, b)
}
