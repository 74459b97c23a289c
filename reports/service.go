package reports

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"plumbline/app/authz"
	"plumbline/app/fault"
	"plumbline/app/ident"
	"plumbline/assessments/evidence"
	"plumbline/assessments/evidence/record"
	"plumbline/reports/render"
)

// Ledger is what documents need of the ledger: a signed head to be built at,
// the records that they cite with their proofs, and a place for their hashes.
type Ledger interface {
	Prover
	SignNow(ctx context.Context, log string) (record.Checkpoint, error)
	Append(ctx context.Context, log string, r *record.Record) (uint64, error)
	Feed(ctx context.Context, log string, from uint64, limit int) ([]record.Leaf, error)
	VerifierKeys(log string) ([]evidence.KeyInfo, error)
}

// Proving is what a proof file is made of: the record of a document's issue and
// a signed checkpoint whose tree contains it.
type Proving struct {
	Log        string
	Leaf       uint64
	Bytes      []byte // of the document.issued record
	Checkpoint Checkpoint
	Document   Document
}

// Deps are what a Service works with. DB, Dir, Ledger, Gather and Proof are
// needed.
type Deps struct {
	DB     DB
	Dir    string // data directory; documents lie in documents/<org> beneath it
	Ledger Ledger
	// Gather pictures the organisation as of a checkpoint. It cites no leaf at or
	// past the checkpoint's size.
	Gather func(ctx context.Context, r Request, asOf record.Checkpoint) (Inputs, error)
	// Bundle makes the evidence of a document's JSON; Prove when nil.
	Bundle func(ctx context.Context, log string, cp Checkpoint, cited []Cited) (any, error)
	// Proof makes the bytes of the proof file.
	Proof func(ctx context.Context, p Proving) ([]byte, error)
	Now   func() time.Time
	Rand  io.Reader
	Log   *slog.Logger
}

// Service issues and keeps documents. It is safe for concurrent use; documents
// are issued one after the other.
type Service struct {
	d  Deps
	mu sync.Mutex // one document at a time: numbers follow each other
}

// New makes a Service. It fails when a dependency is missing.
func New(d Deps) (*Service, error) {
	switch {
	case d.DB == nil, d.Dir == "", d.Ledger == nil, d.Gather == nil, d.Proof == nil:
		return nil, errors.New("reports: DB, Dir, Ledger, Gather and Proof are needed")
	case d.Now == nil, d.Rand == nil:
		return nil, errors.New("reports: Now and Rand are needed")
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Bundle == nil {
		d.Bundle = func(ctx context.Context, log string, cp Checkpoint, cited []Cited) (any, error) {
			return Prove(ctx, d.Ledger, log, cp, cited)
		}
	}
	return &Service{d: d}, nil
}

// Issue writes a document:
//
//  1. sign a checkpoint C of the organisation's log;
//  2. gather and build as of C, read every record cited and its proof in C;
//  3. render PDF and JSON, write both, keep their hashes and the record's id;
//  4. append document.issued, which makes the files provable;
//  5. sign again, write the proof, mark the document issued.
//
// A failure before 3 leaves nothing. A crash after 3 is finished by Resume with
// the same record, so a document is never recorded twice. Errors: Invalid for a
// request that names no document, Conflict while nothing is recorded at all,
// Unavailable while the ledger cannot write.
func (s *Service) Issue(ctx context.Context, actor authz.Actor, r Request) (Document, error) {
	kind, err := check(r)
	if err == nil {
		err = own(actor, r.Org)
	}
	if err != nil {
		return Document{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	cp, err := s.d.Ledger.SignNow(ctx, string(r.Org))
	if err != nil {
		return Document{}, fmt.Errorf("sign checkpoint for document: %w", err)
	}
	if len(cp.Note) == 0 {
		return Document{}, fault.New(fault.Conflict, "ledger_empty", "Nothing is recorded for this organisation yet, so there is nothing that a document could prove.")
	}
	if err := period(&r, kind, cp); err != nil {
		return Document{}, err
	}
	in, err := s.d.Gather(ctx, r, cp)
	if err != nil {
		return Document{}, fmt.Errorf("gather for document: %w", err)
	}
	d := Document{Org: r.Org, Kind: r.Kind, System: r.System, Framework: r.Framework, Vendor: r.Vendor, Template: kind.Template,
		From: r.From, To: r.To, IssuedBy: actor.ID, IssuedName: actor.Name, IssuedAt: s.d.Now().UTC().Truncate(time.Second)}
	previous, err := s.reserve(ctx, &d, kind.Prefix)
	if err != nil {
		return Document{}, err
	}
	if err := s.produce(ctx, kind, r, cp, in, previous, &d); err != nil {
		return Document{}, errors.Join(err, s.release(context.WithoutCancel(ctx), &d))
	}
	return d, s.finish(ctx, &d)
}

// produce builds, renders and keeps the files.
func (s *Service) produce(ctx context.Context, kind KindInfo, r Request, cp record.Checkpoint, in Inputs, previous *Document, d *Document) error {
	in.Request, in.Org, in.ID, in.Number, in.IssuedAt = r, r.Org, d.Number, d.Revision, d.IssuedAt
	if in.IssuedBy = d.IssuedName; in.IssuedBy == "" {
		in.IssuedBy = d.IssuedBy
	}
	if previous != nil {
		in.Previous = &Previous{ID: previous.Number, Revision: previous.Revision, IssuedAt: previous.IssuedAt, Summary: previous.Summary}
	}
	in.Checkpoint = Checkpoint{Checkpoint: cp}
	keys, err := s.d.Ledger.VerifierKeys(string(r.Org))
	if err != nil {
		return fmt.Errorf("read verifier keys: %w", err)
	}
	for _, k := range keys {
		in.Checkpoint.Keys = append(in.Checkpoint.Keys, k.Verifier)
	}
	if in.Records, err = s.records(ctx, &in); err != nil {
		return err
	}
	doc := kind.build(in)
	if doc.Evidence, err = s.d.Bundle(ctx, string(r.Org), in.Checkpoint, citedOf(doc, in.Records)); err != nil {
		return fmt.Errorf("prove cited records: %w", err)
	}
	data, err := render.JSON(doc)
	if err != nil {
		return err
	}
	pdf, err := render.Render(doc, data)
	if err != nil {
		return err
	}
	id, err := ident.New(s.d.Now(), s.d.Rand)
	if err != nil {
		return err
	}
	d.Title, d.Subject, d.AsOf, d.AsOfSize, d.Root = doc.Title, doc.Subtitle, doc.AsOf, cp.Size, cp.Root
	d.PDF, d.JSON, d.Pages = sha256.Sum256(pdf), sha256.Sum256(data), render.Pages(pdf)
	d.Provided, d.Required, d.Summary = doc.Completeness.Provided, doc.Completeness.Required, summary(in)
	d.Simulated, d.Record = in.Simulated, id.String()
	return errors.Join(s.write(d, PartPDF, pdf), s.write(d, PartJSON, data), s.rendered(ctx, d))
}

// finish records the document and proves the record.
func (s *Service) finish(ctx context.Context, d *Document) error {
	id, err := ident.Parse(d.Record)
	if err != nil {
		return fmt.Errorf("record of document %s: %w", d.ID, err)
	}
	subject := string(d.System)
	if subject == "" {
		subject = d.Vendor
	}
	log := string(d.Org)
	d.Leaf, err = s.d.Ledger.Append(ctx, log, &record.Record{Envelope: record.Envelope{Kind: record.DocumentIssued, ID: id, Actor: d.IssuedBy},
		Body: &record.Document{Kind: string(d.Kind), Subject: subject, Framework: d.Framework, PDF: d.PDF, JSON: d.JSON, AsOf: d.AsOfSize, Root: d.Root,
			Template: d.Template, Revision: uint64(d.Revision), IssuedAt: d.IssuedAt.UnixMicro(), Identifier: d.Number}})
	if err != nil {
		return fmt.Errorf("record document %s: %w", d.ID, err)
	}
	cp, err := s.d.Ledger.SignNow(ctx, log)
	if err != nil {
		return fmt.Errorf("sign after document %s: %w", d.ID, err)
	}
	leaf, err := s.leaf(ctx, log, d.Leaf)
	if err != nil {
		return err
	}
	p := Proving{Log: log, Leaf: d.Leaf, Bytes: leaf.Bytes, Checkpoint: Checkpoint{Checkpoint: cp}, Document: *d}
	keys, err := s.d.Ledger.VerifierKeys(log)
	if err != nil {
		return fmt.Errorf("read verifier keys: %w", err)
	}
	for _, k := range keys {
		p.Checkpoint.Keys = append(p.Checkpoint.Keys, k.Verifier)
	}
	proof, err := s.d.Proof(ctx, p)
	if err != nil {
		return fmt.Errorf("prove document %s: %w", d.ID, err)
	}
	if err := s.write(d, PartProof, proof); err != nil {
		return err
	}
	if err := s.issued(ctx, d); err != nil {
		return fmt.Errorf("mark document %s: %w", d.ID, err)
	}
	s.d.Log.Info("document issued", "org", log, "document", d.ID, "pages", d.Pages, "leaf", d.Leaf)
	return nil
}

// Resume finishes what a crash interrupted: documents whose files are written,
// and runs that never ended. Call it once at start, after the ledger is open.
func (s *Service) Resume(ctx context.Context) error {
	return errors.Join(s.Finish(ctx), s.interrupted(ctx))
}

// Finish records the documents whose files are written and whose record is not
// confirmed: after a crash, or because the ledger could not write. The record's
// id was fixed with the files, so that it is there once however often this runs.
func (s *Service) Finish(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	docs, err := s.unfinished(ctx)
	for i := range docs {
		err = errors.Join(err, s.finish(ctx, &docs[i]))
	}
	return err
}

// write keeps a file whole or not at all, and durable when it returns.
func (s *Service) write(d *Document, p Part, b []byte) error {
	dir, err := s.folder(d.Org)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make folder of documents: %w", err)
	}
	path := filepath.Join(dir, d.FileName(p))
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write document: %w", err)
	}
	if _, err = f.Write(b); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write document: %w", err)
	}
	return os.Rename(path+".new", path)
}

// Open opens a file of a document for download. The caller closes it.
func (s *Service) Open(ctx context.Context, org authz.OrgID, id string, part Part) (*os.File, string, error) {
	kind, ok := partFiles[part]
	if !ok {
		return nil, "", errNoDocument
	}
	path, err := s.Path(ctx, org, id, part)
	if err != nil {
		return nil, "", err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, "", fault.Wrap(fault.Unavailable, "document_missing", err, "The file of this document cannot be read. Its hash is still in the ledger.")
	}
	return f, kind.contentType, nil
}

// RecordDownload puts on record that a person takes a part of a document away. It
// returns once the record is durable.
func (s *Service) RecordDownload(ctx context.Context, actor authz.Actor, d Document, part Part) error {
	if err := own(actor, d.Org); err != nil {
		return err
	}
	id, err := ident.New(s.d.Now(), s.d.Rand)
	if err != nil {
		return err
	}
	if _, err := s.d.Ledger.Append(ctx, string(d.Org), &record.Record{Envelope: record.Envelope{Kind: record.DocumentTaken, ID: id, Actor: actor.ID},
		Body: &record.Download{Document: d.ID, Part: string(part), Request: actor.Request}}); err != nil {
		return fmt.Errorf("record download of %s: %w", d.ID, err)
	}
	return nil
}

// Path is where a file of a document lies.
func (s *Service) Path(ctx context.Context, org authz.OrgID, id string, part Part) (string, error) {
	d, err := s.Get(ctx, org, id)
	if err != nil {
		return "", err
	}
	dir, err := s.folder(org)
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, d.FileName(part)), nil
}
