package assessments

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"plumbline/app/db"
	"plumbline/app/fault"
	"plumbline/inventory"
)

// Store keeps what people attached, and the checks of the log.
type Store struct {
	db      *sql.DB
	dialect string
}

// NewStore opens it over the state database.
func NewStore(pool *sql.DB, dialect string) *Store { return &Store{pool, dialect} }

func (s *Store) q(query string) string { return db.Rebind(s.dialect, query) }

func (s *Store) exec(ctx context.Context, query string, args ...any) error {
	res, err := s.db.ExecContext(ctx, s.q(query), args...)
	if err != nil {
		return fmt.Errorf("write assessment: %w", err)
	}
	if n, err := res.RowsAffected(); err == nil && n == 0 {
		return fault.New(fault.Conflict, "changed", "it was changed by somebody else meanwhile")
	}
	return nil
}

const evidenceColumns = `id, org, framework, control, system, type, title, form, link, file_name, hash, from_at, until_at, author, at, leaf, decision, decided_by, decided_at, decided_leaf, reason`

// errNoOrg is the answer to a write that names no organisation.
var errNoOrg = errors.New("assessments: an organisation is needed")

func (s *Store) insertEvidence(ctx context.Context, ev *Evidence) error {
	if ev.Org == "" {
		return errNoOrg
	}
	return s.exec(ctx, `INSERT INTO human_evidence (`+evidenceColumns+`, content) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', '', 0, -1, '', ?)`,
		ev.ID, string(ev.Org), ev.Framework, ev.Control, string(ev.System), ev.Type, ev.Title, ev.Form, ev.Link, ev.FileName, ev.Hash, micros(ev.From), micros(ev.Until), ev.Author, micros(ev.At), ev.Leaf, ev.Content)
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

func (s *Store) stampEvidence(ctx context.Context, org inventory.OrgID, id string, leaf int64) error {
	return s.exec(ctx, `UPDATE human_evidence SET leaf = ? WHERE org = ? AND id = ?`, leaf, string(org), id)
}

func (s *Store) decideEvidence(ctx context.Context, org inventory.OrgID, id, decision, by, reason string, at, leaf int64) error {
	return s.exec(ctx, `UPDATE human_evidence SET decision = ?, decided_by = ?, reason = ?, decided_at = ?, decided_leaf = ? WHERE org = ? AND id = ? AND decision = ''`,
		decision, by, reason, at, leaf, string(org), id)
}

func scanEvidence(row interface{ Scan(...any) error }, more ...any) (ev Evidence, err error) {
	var from, until, at, decided int64
	err = row.Scan(append([]any{&ev.ID, &ev.Org, &ev.Framework, &ev.Control, &ev.System, &ev.Type, &ev.Title, &ev.Form, &ev.Link, &ev.FileName, &ev.Hash, &from, &until, &ev.Author, &at, &ev.Leaf,
		&ev.Decision, &ev.DecidedBy, &decided, &ev.DecidedLeaf, &ev.Reason}, more...)...)
	ev.From, ev.Until, ev.At, ev.DecidedAt = fromMicros(from), fromMicros(until), fromMicros(at), fromMicros(decided)
	return ev, err
}

// evidence lists a framework's evidence by control; what is attached without a
// system speaks for every system.
func (s *Store) evidence(ctx context.Context, org inventory.OrgID, framework, control string, system inventory.SystemID) (map[string][]Evidence, error) {
	where, args := `org = ? AND framework = ? AND (system = ? OR system = '')`, []any{string(org), framework, string(system)}
	if control != "" {
		where += ` AND control = ?`
		args = append(args, control)
	}
	list, err := s.listEvidence(ctx, where, args...)
	out := map[string][]Evidence{}
	for _, ev := range list {
		out[ev.Control] = append(out[ev.Control], ev)
	}
	return out, err
}

func (s *Store) attached(ctx context.Context, org inventory.OrgID, want Sought) ([]Evidence, error) {
	where, args := want.where(org)
	if want.System != "" {
		where += ` AND (system = ? OR system = '')`
		args = append(args, string(want.System))
	}
	if want.Form != "" {
		where += ` AND form = ?`
		args = append(args, want.Form)
	}
	return s.listEvidence(ctx, where, args...)
}

// where asks for the organisation, framework and control.
func (w Sought) where(org inventory.OrgID) (string, []any) {
	where, args := `org = ?`, []any{string(org)}
	if w.Framework != "" {
		where += ` AND framework = ?`
		args = append(args, w.Framework)
	}
	if w.Control != "" {
		where += ` AND control = ?`
		args = append(args, w.Control)
	}
	return where, args
}

// listEvidence lists evidence, the oldest first.
func (s *Store) listEvidence(ctx context.Context, where string, args ...any) (out []Evidence, err error) {
	rows, err := s.db.QueryContext(ctx, s.q(`SELECT `+evidenceColumns+` FROM human_evidence WHERE `+where+` ORDER BY id`), args...)
	if err != nil {
		return nil, fmt.Errorf("read evidence: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		ev, err := scanEvidence(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, ev)
	}
	return out, rows.Err()
}

func (s *Store) evidenceByID(ctx context.Context, org inventory.OrgID, id string) (Evidence, error) {
	var content []byte
	ev, err := scanEvidence(s.db.QueryRowContext(ctx, s.q(`SELECT `+evidenceColumns+`, content FROM human_evidence WHERE org = ? AND id = ?`), string(org), id), &content)
	if errors.Is(err, sql.ErrNoRows) {
		return ev, fault.New(fault.NotFound, "not_found", "there is no evidence %q", id)
	}
	ev.Content = content
	return ev, err
}

func (s *Store) insertApplicability(ctx context.Context, org inventory.OrgID, a Applicability) error {
	if org == "" {
		return errNoOrg
	}
	return s.exec(ctx, `INSERT INTO applicability (id, org, framework, control, system, applies, reason, author, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		a.ID, string(org), a.Framework, a.Control, string(a.System), bit(a.Applies), a.Reason, a.Author, micros(a.At))
}

func (s *Store) decideApplicability(ctx context.Context, org inventory.OrgID, a Applicability) error {
	return s.exec(ctx, `UPDATE applicability SET applies = ?, rejected = ?, approver = ?, answer = ?, decided_at = ?, leaf = ? WHERE org = ? AND id = ? AND approver = ''`,
		bit(a.Applies), bit(a.Rejected), a.Approver, a.Answer, micros(a.DecidedAt), a.Leaf, string(org), a.ID)
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

const applicabilityColumns = `id, framework, control, system, applies, rejected, reason, author, at, approver, answer, decided_at, leaf`

func scanApplicability(row interface{ Scan(...any) error }) (a Applicability, err error) {
	var applies, rejected int
	var at, decided int64
	err = row.Scan(&a.ID, &a.Framework, &a.Control, &a.System, &applies, &rejected, &a.Reason, &a.Author, &at, &a.Approver, &a.Answer, &decided, &a.Leaf)
	a.Applies, a.Rejected, a.At, a.DecidedAt = applies != 0, rejected != 0, fromMicros(at), fromMicros(decided)
	return a, err
}

func (s *Store) applicabilityByID(ctx context.Context, org inventory.OrgID, id string) (Applicability, error) {
	a, err := scanApplicability(s.db.QueryRowContext(ctx, s.q(`SELECT `+applicabilityColumns+` FROM applicability WHERE org = ? AND id = ?`), string(org), id))
	if errors.Is(err, sql.ErrNoRows) {
		return a, fault.New(fault.NotFound, "not_found", "there is no proposal %q", id)
	}
	return a, err
}

func (s *Store) proposals(ctx context.Context, org inventory.OrgID, framework, control string, system inventory.SystemID) ([]Applicability, error) {
	where, args := `org = ? AND framework = ? AND system = ?`, []any{string(org), framework, string(system)}
	if control != "" {
		where += ` AND control = ?`
		args = append(args, control)
	}
	return s.listApplicability(ctx, where, args...)
}

// listApplicability lists proposals and decisions, the oldest first.
func (s *Store) listApplicability(ctx context.Context, where string, args ...any) (out []Applicability, err error) {
	rows, err := s.db.QueryContext(ctx, s.q(`SELECT `+applicabilityColumns+` FROM applicability WHERE `+where+` ORDER BY id`), args...)
	if err != nil {
		return nil, fmt.Errorf("read applicability: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		a, err := scanApplicability(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, rows.Err()
}

func (s *Store) applicabilities(ctx context.Context, org inventory.OrgID, want Sought) ([]Applicability, error) {
	where, args := want.where(org)
	if want.System != "" {
		where += ` AND system = ?`
		args = append(args, string(want.System))
	}
	return s.listApplicability(ctx, where, args...)
}

// applicability lists a framework's decisions by control.
func (s *Store) applicability(ctx context.Context, org inventory.OrgID, framework string, system inventory.SystemID) (map[string][]Applicability, error) {
	list, err := s.proposals(ctx, org, framework, "", system)
	out := map[string][]Applicability{}
	for _, a := range list {
		out[a.Control] = append(out[a.Control], a)
	}
	return out, err
}

// unrecorded lists evidence whose record was not confirmed by the ledger.
func (s *Store) unrecorded(ctx context.Context, org inventory.OrgID) ([]Evidence, error) {
	return s.listEvidence(ctx, `org = ? AND leaf < 0`, string(org))
}

// undecided lists evidence and proposals that wait for a second person.
func (s *Store) undecided(ctx context.Context, org inventory.OrgID) (list []Evidence, proposals []Applicability, err error) {
	if list, err = s.listEvidence(ctx, `org = ? AND decision = ''`, string(org)); err != nil {
		return nil, nil, err
	}
	proposals, err = s.listApplicability(ctx, `org = ? AND approver = ''`, string(org))
	return list, proposals, err
}

// check is one full check of a log.
type check struct {
	At     int64
	OK     bool
	Leaves uint64
	Reason string
}

func (s *Store) saveCheck(ctx context.Context, org inventory.OrgID, c check) error {
	if org == "" {
		return errNoOrg
	}
	ok := 0
	if c.OK {
		ok = 1
	}
	return s.exec(ctx, `INSERT INTO chain_checks (org, at, ok, leaves, reason) VALUES (?, ?, ?, ?, ?)`, string(org), c.At, ok, c.Leaves, c.Reason)
}

func (s *Store) lastCheck(ctx context.Context, org inventory.OrgID) (c check, found bool, err error) {
	var ok int
	err = s.db.QueryRowContext(ctx, s.q(`SELECT at, ok, leaves, reason FROM chain_checks WHERE org = ? ORDER BY at DESC LIMIT 1`), string(org)).Scan(&c.At, &ok, &c.Leaves, &c.Reason)
	if errors.Is(err, sql.ErrNoRows) {
		return c, false, nil
	}
	c.OK = ok != 0
	return c, err == nil, err
}
