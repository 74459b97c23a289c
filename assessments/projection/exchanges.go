package projection

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"plumbline/app/fault"
	"plumbline/app/money"
	"plumbline/gateway/event"
)

// The states of an exchange.
const (
	Open       = "open"
	Complete   = "complete"
	Refused    = "refused"
	Failed     = "failed"
	Blocked    = "blocked"
	Cut        = "cut"
	ClientGone = "client_gone"
	Incomplete = "incomplete"
)

// States lists them for filters.
func States() []string {
	return []string{Complete, Refused, Blocked, Failed, Cut, ClientGone, Incomplete, Open}
}

// Exchange is a row of the index. Leaves are -1 when there is none.
type Exchange struct {
	ID          string            `json:"id"`
	OpenedLeaf  int64             `json:"opened_leaf"`
	ClosedLeaf  int64             `json:"closed_leaf"`
	State       string            `json:"state"`
	At          int64             `json:"at"` // microseconds since 1970
	System      string            `json:"system"`
	Key         string            `json:"key"`
	Endpoint    string            `json:"endpoint"`
	Stream      bool              `json:"stream"`
	Simulated   bool              `json:"simulated"`
	ModelAsked  string            `json:"model_asked"`
	ModelTarget string            `json:"model_target"`
	ModelServed string            `json:"model_served"`
	Provider    string            `json:"provider"`
	Region      string            `json:"region"`
	Status      int               `json:"status"`
	Code        string            `json:"code"`
	End         event.End         `json:"end"`
	Input       int64             `json:"input_tokens"` // -1: not known
	Output      int64             `json:"output_tokens"`
	Source      event.UsageSource `json:"usage_source"`
	Charge      money.Nano        `json:"charge_nano"`   // with what was adjusted
	Adjusted    money.Nano        `json:"adjusted_nano"` // of it; the rest is what was charged first
	Held        money.Nano        `json:"held_nano"`
	Tries       int               `json:"attempts"`
	Total       int64             `json:"total_us"`
	Classes     string            `json:"data_classes"`
	Rule        string            `json:"policy_rule"`
	ShadowRule  string            `json:"shadow_rule"`
	Findings    string            `json:"findings"` // pii:redacted,secrets:not_run; sorted; a clear guard has none
}

// Time is when it began.
func (x *Exchange) Time() time.Time { return time.UnixMicro(x.At).UTC() }

// The findings of a guard. Not run and errored are one: nobody looked.
const (
	Monitored = "monitored"
	Redacted  = "redacted"
	BlockedBy = "blocked"
	NotRun    = "not_run"
)

// Findings lists them for filters.
func Findings() []string { return []string{Monitored, Redacted, BlockedBy, NotRun} }

// Filter narrows a list of exchanges. A list of choices takes any of them; an
// empty one takes all, but of Keys: there nil takes all and an empty one none. Before is the cursor of the page before.
type Filter struct {
	System, Key, Model, State, Code string
	Systems, States, Codes          []string // "" in Systems: of no registered system
	Keys                            []string // beside Key, not instead of it
	Findings                        []string // pii:redacted; pii for whatever it found; :redacted whichever guard did
	Target                          string   // provider/model that it was sent to
	Sources                         []event.UsageSource
	From, To                        int64  // microseconds; 0: open
	Leaves                          uint64 // only what closed before this leaf; 0: all
	Window                          Window
	Before                          string
	Limit                           int
}

// where is the condition of a filter without its cursor.
func (f *Filter) where(org string) *condition {
	c := &condition{}
	c.add("org = ?", org)
	system := "system"
	if f.State == Open || len(f.States) == 1 && f.States[0] == Open {
		c.add("closed_leaf < 0")
		system = "system || ''" // the few that are open have an index, which is better than the system's
	}
	c.equal(system, f.System)
	c.in(system, f.Systems)
	c.equal("key_id", f.Key)
	c.within("key_id", f.Keys)
	c.equal("state", f.State)
	c.equal("code", f.Code)
	c.in("state", f.States)
	c.in("code", f.Codes)
	if f.Model != "" {
		c.add("(model_asked = ? OR model_target = ? OR model_served = ?)", f.Model, f.Model, f.Model)
	}
	if provider, model, ok := strings.Cut(f.Target, "/"); ok {
		c.add("opened_leaf >= 0 AND provider = ? AND model_target = ?", provider, model)
	}
	if len(f.Findings) > 0 {
		var any condition
		for _, x := range f.Findings {
			if guard, _, given := strings.Cut(x, ":"); given {
				if guard != "" {
					x = "," + x
				}
				any.add("',' || findings || ',' LIKE ?", "%"+x+",%")
				continue
			}
			for _, verdict := range []string{Monitored, Redacted, BlockedBy} {
				any.add("',' || findings || ',' LIKE ?", "%,"+x+":"+verdict+",%")
			}
		}
		c.add("findings <> ''")
		c.add("("+strings.Join(any.clauses, " OR ")+")", any.args...)
	}
	if len(f.Sources) > 0 {
		var names []string
		for _, s := range f.Sources {
			names = append(names, strconv.Itoa(int(s)))
		}
		c.add("closed_leaf >= 0 AND state <> '" + Refused + "' AND source IN (" + strings.Join(names, ", ") + ")")
	}
	if f.From != 0 {
		c.add("at >= ?", f.From)
	}
	if f.To != 0 {
		c.add("at < ?", f.To)
	}
	if f.Leaves != 0 {
		c.add("closed_leaf >= 0 AND closed_leaf < ?", f.Leaves)
	}
	if w := f.Window; w.First > 0 {
		c.add("(closed_leaf >= ? OR closed_leaf < 0 AND opened_leaf >= ?)", w.First, w.First)
		if w.FromAt > 0 {
			c.add("at >= ?", w.FromAt)
		}
	}
	if w := f.Window; w.End > 0 {
		c.add("closed_leaf < ? AND opened_leaf < ?", w.End, w.End)
		if w.EndAt > 0 {
			c.add("at < ?", w.EndAt)
		}
	}
	return c
}

// condition is a WHERE clause in the making.
type condition struct {
	clauses []string
	args    []any
}

func (c *condition) add(clause string, args ...any) {
	c.clauses, c.args = append(c.clauses, clause), append(c.args, args...)
}

func (c *condition) equal(column, v string) {
	if v != "" {
		c.add(column+" = ?", v)
	}
}

func (c *condition) in(column string, list []string) {
	if len(list) == 0 {
		return
	}
	args := make([]any, len(list))
	for i, v := range list {
		args[i] = v
	}
	c.add(column+" IN ("+strings.TrimSuffix(strings.Repeat("?, ", len(list)), ", ")+")", args...)
}

// within takes what is in a list; all when it is nil, nothing when it is empty.
func (c *condition) within(column string, list []string) {
	if list != nil && len(list) == 0 {
		c.add("1 = 0")
	}
	c.in(column, list)
}

// after narrows to what stands behind a cursor in a list of the newest first.
func (c *condition) after(cursor, at, id string) error {
	if cursor == "" {
		return nil
	}
	time, last, ok := strings.Cut(cursor, ".")
	micros, err := strconv.ParseInt(time, 10, 64)
	if !ok || err != nil {
		return fault.Field("before", "this cursor is not one that a list gave out")
	}
	c.add(at+" <= ?", micros)
	c.add("("+at+" < ? OR "+id+" < ?)", micros, last)
	return nil
}

func (c *condition) String() string { return strings.Join(c.clauses, " AND ") }

// CursorOf is where a list goes on behind a row of Exchanges or of Counted.
func CursorOf(at int64, id string) string { return strconv.FormatInt(at, 10) + "." + id }

// Exchanges lists exchanges, the newest first, with a cursor for what follows;
// it is empty at the end.
func (s *Store) Exchanges(ctx context.Context, org string, f Filter) ([]Exchange, string, error) {
	c := f.where(org)
	if err := c.after(f.Before, "at", "id"); err != nil {
		return nil, "", err
	}
	if f.Limit <= 0 || f.Limit > 1000 {
		f.Limit = 50
	}
	rows, err := s.db.QueryContext(ctx, s.q("SELECT "+strings.Join(exchangeColumns[1:], ", ")+" FROM proj_exchanges WHERE "+c.String()+" ORDER BY at DESC, id DESC LIMIT ?"), append(c.args, f.Limit+1)...)
	if err != nil {
		return nil, "", fmt.Errorf("read exchanges: %w", err)
	}
	defer rows.Close()
	var out []Exchange
	for rows.Next() {
		x, err := scanExchange(rows)
		if err != nil {
			return nil, "", err
		}
		out = append(out, x)
	}
	if err := rows.Err(); err != nil {
		return nil, "", err
	}
	if len(out) > f.Limit {
		last := out[f.Limit-1]
		return out[:f.Limit], CursorOf(last.At, last.ID), nil
	}
	return out, "", nil
}

// Count counts what a filter takes, up to limit; more says that there are others.
func (s *Store) Count(ctx context.Context, org string, f Filter, limit int) (n int, more bool, err error) {
	c := f.where(org)
	err = s.db.QueryRowContext(ctx, s.q("SELECT COUNT(*) FROM (SELECT 1 FROM proj_exchanges WHERE "+c.String()+" LIMIT ?) AS part"), append(c.args, limit+1)...).Scan(&n)
	if err != nil {
		return 0, false, fmt.Errorf("count exchanges: %w", err)
	}
	return min(n, limit), n > limit, nil
}

type scanner interface{ Scan(...any) error }

func scanExchange(row scanner) (x Exchange, err error) {
	var text []byte
	if err := row.Scan(&x.ID, &x.OpenedLeaf, &x.ClosedLeaf, &x.State, &x.At, &x.System, &x.Key, &x.ModelAsked, &x.ModelTarget, &x.ModelServed, &x.Provider, &x.Code, &x.Source, &x.Findings, &text); err != nil {
		return x, err
	}
	var d details
	if err := json.Unmarshal(text, &d); err != nil {
		return x, fmt.Errorf("details of exchange %s: %w", x.ID, err)
	}
	d.into(&x)
	return x, nil
}

// details is the stored form of what no list is filtered by.
type details struct {
	Endpoint   string     `json:"endpoint,omitempty"`
	Stream     bool       `json:"stream,omitempty"`
	Simulated  bool       `json:"simulated,omitempty"`
	Region     string     `json:"region,omitempty"`
	Status     int        `json:"status,omitempty"`
	End        event.End  `json:"end,omitempty"`
	Input      int64      `json:"input,omitempty"`
	Output     int64      `json:"output,omitempty"`
	Charge     money.Nano `json:"charge,omitempty"`
	Adjusted   money.Nano `json:"adjusted,omitempty"`
	Held       money.Nano `json:"held,omitempty"`
	Tries      int        `json:"tries,omitempty"`
	Total      int64      `json:"total,omitempty"`
	Classes    string     `json:"classes,omitempty"`
	Rule       string     `json:"rule,omitempty"`
	ShadowRule string     `json:"shadow_rule,omitempty"`
}

// appendDetails appends them as JSON, as encoding/json would write them.
func (x *Exchange) appendDetails(b []byte) []byte {
	b = append(b, '{')
	name := func(name string) {
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), name...), `":`...)
	}
	text := func(k, v string) {
		if v != "" {
			name(k)
			b = appendJSON(b, v)
		}
	}
	number := func(k string, v int64) {
		if v != 0 {
			name(k)
			b = strconv.AppendInt(b, v, 10)
		}
	}
	is := func(k string, v bool) {
		if v {
			name(k)
			b = append(b, "true"...)
		}
	}
	text("endpoint", x.Endpoint)
	is("stream", x.Stream)
	is("simulated", x.Simulated)
	text("region", x.Region)
	number("status", int64(x.Status))
	number("end", int64(x.End))
	number("input", x.Input)
	number("output", x.Output)
	number("charge", int64(x.Charge))
	number("adjusted", int64(x.Adjusted))
	number("held", int64(x.Held))
	number("tries", int64(x.Tries))
	number("total", x.Total)
	text("classes", x.Classes)
	text("rule", x.Rule)
	text("shadow_rule", x.ShadowRule)
	return append(b, '}')
}

// appendJSON appends a string of JSON.
func appendJSON(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(s) // a string always has a form
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

func (d *details) into(x *Exchange) {
	x.Endpoint, x.Stream, x.Simulated, x.Region, x.Status, x.End = d.Endpoint, d.Stream, d.Simulated, d.Region, d.Status, d.End
	x.Input, x.Output, x.Charge, x.Adjusted, x.Held, x.Tries, x.Total = d.Input, d.Output, d.Charge, d.Adjusted, d.Held, d.Tries, d.Total
	x.Classes, x.Rule, x.ShadowRule = d.Classes, d.Rule, d.ShadowRule
}

// Exchange finds one by its request id.
func (s *Store) Exchange(ctx context.Context, org, id string) (Exchange, error) {
	x, err := scanExchange(s.db.QueryRowContext(ctx, s.q("SELECT "+strings.Join(exchangeColumns[1:], ", ")+" FROM proj_exchanges WHERE org = ? AND id = ?"), org, id))
	if errors.Is(err, sql.ErrNoRows) {
		return x, fault.New(fault.NotFound, "not_found", "there is no exchange %q", id)
	}
	return x, err
}

// Leaves are all records of an exchange, in the order of the log.
func (s *Store) Leaves(ctx context.Context, org string, x *Exchange) ([]uint64, error) {
	var out []uint64
	for _, leaf := range []int64{x.OpenedLeaf, x.ClosedLeaf} {
		if leaf >= 0 {
			out = append(out, uint64(leaf))
		}
	}
	rows, err := s.db.QueryContext(ctx, s.q(`SELECT leaf FROM proj_further WHERE org = ? AND exchange = ? ORDER BY leaf`), org, x.ID)
	if err != nil {
		return nil, fmt.Errorf("read further records: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var leaf uint64
		if err := rows.Scan(&leaf); err != nil {
			return nil, err
		}
		out = append(out, leaf)
	}
	slices.Sort(out)
	return out, rows.Err()
}
