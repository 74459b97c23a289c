package reports

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"

	"plumbline/app/authz"
	"plumbline/app/db"
	"plumbline/inventory"
)

// DB is the state database.
type DB = *gorm.DB

type documentRow struct {
	Org, ID, Number                 string
	Revision                        int
	Kind, System, Framework, Vendor string
	Title, Subject, Template, State string
	FromAt, ToAt                    int64
	AsOfSize, AsOfAt                int64
	AsOfRoot, PDFHash, JSONHash     []byte
	Pages, Provided, Required       int
	Summary                         string
	Simulated                       int
	Record                          string
	Leaf                            int64
	IssuedBy, IssuedName            string
	IssuedAt                        int64
}

const documentColumns = "org, id, number, revision, kind, system, framework, vendor, title, subject, template, state, from_at, to_at, " +
	"as_of_size, as_of_at, as_of_root, pdf_hash, json_hash, pages, provided, required, summary, simulated, record, leaf, issued_by, issued_name, issued_at"

func (r documentRow) document() Document {
	d := Document{Org: authz.OrgID(r.Org), ID: r.ID, Number: r.Number, Revision: r.Revision, Kind: Kind(r.Kind), System: inventory.SystemID(r.System),
		Framework: r.Framework, Vendor: r.Vendor, Title: r.Title, Subject: r.Subject, Template: r.Template, State: State(r.State),
		From: micro(r.FromAt), To: micro(r.ToAt), AsOfSize: uint64(max(r.AsOfSize, 0)), AsOf: micro(r.AsOfAt), Pages: r.Pages,
		Provided: r.Provided, Required: r.Required, Simulated: r.Simulated != 0, Record: r.Record, Leaf: uint64(max(r.Leaf, 0)),
		IssuedBy: r.IssuedBy, IssuedName: r.IssuedName, IssuedAt: micro(r.IssuedAt), Summary: map[string]int{}}
	copy(d.Root[:], r.AsOfRoot)
	copy(d.PDF[:], r.PDFHash)
	copy(d.JSON[:], r.JSONHash)
	_ = json.Unmarshal([]byte(r.Summary), &d.Summary) // a summary that cannot be read is compared with nothing
	return d
}

func micro(at int64) time.Time {
	if at == 0 {
		return time.Time{}
	}
	return time.UnixMicro(at).UTC()
}

// reserve takes the number and revision of a document: the next revision of the
// newest one with the same subject, or a new number of the year. The row's key
// is unique, so of two that race one fails and may try again.
func (s *Service) reserve(ctx context.Context, d *Document, prefix string) (*Document, error) {
	var previous *Document
	err := db.InTx(ctx, s.d.DB, func(tx *gorm.DB) error {
		var rows []documentRow
		err := tx.Table("documents").Select(documentColumns).
			Where("org = ? AND kind = ? AND system = ? AND framework = ? AND vendor = ?", d.Org, d.Kind, d.System, d.Framework, d.Vendor).
			Order("issued_at DESC, revision DESC").Limit(1).Find(&rows).Error
		if err != nil {
			return fmt.Errorf("read last revision: %w", err)
		}
		d.Revision = 1
		if len(rows) == 1 {
			before := rows[0].document()
			previous, d.Number, d.Revision = &before, before.Number, before.Revision+1
		} else if d.Number, err = nextNumber(tx, d, prefix); err != nil {
			return err
		}
		d.ID, d.State = d.Number+"-r"+strconv.Itoa(d.Revision), Reserved
		return tx.Table("documents").Create(map[string]any{"org": d.Org, "id": d.ID, "number": d.Number, "revision": d.Revision, "kind": d.Kind,
			"system": d.System, "framework": d.Framework, "vendor": d.Vendor, "template": d.Template, "state": d.State,
			"from_at": d.From.UnixMicro(), "to_at": d.To.UnixMicro(), "issued_by": d.IssuedBy, "issued_name": d.IssuedName, "issued_at": d.IssuedAt.UnixMicro()}).Error
	})
	if err != nil {
		return nil, fmt.Errorf("reserve document number: %w", err)
	}
	return previous, nil
}

func nextNumber(tx *gorm.DB, d *Document, prefix string) (string, error) {
	stem := fmt.Sprintf("%s-%d-", prefix, d.IssuedAt.UTC().Year())
	var numbers []string
	err := tx.Table("documents").Where("org = ? AND number LIKE ?", d.Org, stem+"%").Order("number DESC").Limit(1).Pluck("number", &numbers).Error
	if err != nil {
		return "", fmt.Errorf("read last number: %w", err)
	}
	last := 0
	if len(numbers) == 1 {
		last, _ = strconv.Atoi(strings.TrimPrefix(numbers[0], stem)) // what is no number counts as none
	}
	return fmt.Sprintf("%s%04d", stem, last+1), nil
}

// release gives a reserved number back after a failure before anything was kept.
func (s *Service) release(ctx context.Context, d *Document) error {
	return s.d.DB.WithContext(ctx).Table("documents").Where("org = ? AND id = ? AND state = ?", d.Org, d.ID, Reserved).Delete(nil).Error
}

// rendered fixes the hashes and the id of the record before the record is
// appended, so that a crash in between is finished by Resume with the same one.
func (s *Service) rendered(ctx context.Context, d *Document) error {
	summary, err := json.Marshal(d.Summary)
	if err != nil {
		return fmt.Errorf("encode summary: %w", err)
	}
	simulated := 0
	if d.Simulated {
		simulated = 1
	}
	d.State = Rendered
	return s.d.DB.WithContext(ctx).Table("documents").Where("org = ? AND id = ? AND state = ?", d.Org, d.ID, Reserved).
		Updates(map[string]any{"title": d.Title, "subject": d.Subject, "state": d.State, "as_of_size": d.AsOfSize, "as_of_at": d.AsOf.UnixMicro(),
			"as_of_root": d.Root[:], "pdf_hash": d.PDF[:], "json_hash": d.JSON[:], "pages": d.Pages, "provided": d.Provided, "required": d.Required,
			"summary": string(summary), "simulated": simulated, "record": d.Record}).Error
}

// issued marks the document and supersedes its earlier revisions.
func (s *Service) issued(ctx context.Context, d *Document) error {
	return db.InTx(ctx, s.d.DB, func(tx *gorm.DB) error {
		err := tx.Table("documents").Where("org = ? AND number = ? AND revision < ? AND state = ?", d.Org, d.Number, d.Revision, Issued).
			Update("state", Superseded).Error
		if err != nil {
			return fmt.Errorf("supersede earlier revisions: %w", err)
		}
		d.State = Issued
		return tx.Table("documents").Where("org = ? AND id = ?", d.Org, d.ID).Updates(map[string]any{"state": d.State, "leaf": int64(d.Leaf)}).Error
	})
}

// List gives the documents of an organisation, newest first.
func (s *Service) List(ctx context.Context, org authz.OrgID) ([]Document, error) {
	return s.documents(ctx, "org = ? AND state IN ?", org, []State{Issued, Superseded})
}

// Pending gives the documents that are written and wait for their record.
func (s *Service) Pending(ctx context.Context, org authz.OrgID) ([]Document, error) {
	return s.documents(ctx, "org = ? AND state = ?", org, Rendered)
}

// Get gives one document. It returns a fault of kind NotFound when there is none
// in this organisation.
func (s *Service) Get(ctx context.Context, org authz.OrgID, id string) (Document, error) {
	docs, err := s.documents(ctx, "org = ? AND id = ? AND state IN ?", org, id, []State{Issued, Superseded})
	if err != nil {
		return Document{}, err
	}
	if len(docs) == 0 {
		return Document{}, errNoDocument
	}
	return docs[0], nil
}

func (s *Service) documents(ctx context.Context, where string, args ...any) ([]Document, error) {
	var rows []documentRow
	if err := s.d.DB.WithContext(ctx).Table("documents").Select(documentColumns).Where(where, args...).Order("issued_at DESC, id DESC").Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read documents: %w", err)
	}
	docs := make([]Document, len(rows))
	for i, r := range rows {
		docs[i] = r.document()
	}
	return docs, nil
}

// unfinished gives what a crash left: reserved numbers are given back here,
// rendered documents are for Resume.
func (s *Service) unfinished(ctx context.Context) ([]Document, error) {
	lost := s.d.DB.WithContext(ctx).Table("documents").Where("state = ?", Reserved).Delete(nil).Error
	docs, err := s.documents(ctx, "state = ?", Rendered)
	return docs, errors.Join(lost, err)
}
