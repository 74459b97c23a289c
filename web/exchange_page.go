package web

import (
	"fmt"
	"strings"
	"time"

	"plumbline/app/fault"
	"plumbline/app/money"
	"plumbline/assessments/evidence/record"
	"plumbline/assessments/evidence/verify"
	"plumbline/assessments/projection"
	"plumbline/gateway/event"
	"plumbline/inventory"
)

// exchangePane is one exchange with everything that its records hold.
type exchangePane struct {
	*projection.Exchange
	Began, End *event.Event // its first and last record; one and the same for a refusal
	SystemRow  *inventory.System
	SystemName string
	KeyName    string
	Alone      string // the address of this exchange alone
	Join       []joinItem
	Stages     []stageRow
	Attempts   []attemptRow
	Guards     []guardRow
	Holds      []holdRow
	Final      money.Nano // the charge after adjustments
	Adjusted   []adjustRow
	Usage      []usageRow
	Records    []leafRow
	Proof      leafRow // of the record that closed it, or opened it
	Found      []finding
	Use        *exchangeUse
	Batch      *batchPane // nil when it made none
}

// leafRow is a record of the exchange where it stands in the log.
type leafRow struct {
	Leaf     uint64
	Kind     record.Kind
	Hash     [32]byte
	At       int64
	Writer   string
	Number   uint64
	Path     int    // hashes from the leaf to the root
	Included bool   // the path was computed anew and ends in the signed root
	Why      string // when it is not
	Size     uint64 // of the signed tree
}

type attemptRow struct {
	Try       uint32
	Provider  string
	Model     string
	Region    string
	Simulated bool
	Leaf      uint64
	Result    string
	Tone      string
	Icon      string
}

type guardRow struct {
	event.Verdict
	On   string // prompt, answer
	Look string
	Said string
}

type holdRow struct {
	event.Hold
	Title    string
	Charged  money.Nano
	Released money.Nano
	Over     money.Nano
}

type adjustRow struct {
	Leaf   uint64
	Amount money.Nano
	Figure money.Nano // the charge after it; what is shown only with a reason
	Reason string
	Prices string // hash of the table
	Actor  string
}

type usageRow struct {
	Label string
	N     int64
	Unit  string
	Known bool
}

func (r *request) exchangePage() error {
	q, err := parseLogFilter(r.c.QueryParams(), r.web.d.Now().UTC())
	if err != nil {
		return err
	}
	x, err := r.index().one(r.ctx(), r.param("id"))
	if fault.Is(err, fault.NotFound) {
		said := "There is no exchange with this request id in this organisation."
		if n := r.web.d.Projection.Lag(); n > 0 {
			said += fmt.Sprintf(" The index is %s behind the ledger, so a new one may appear in a moment.", plural(int(n), "record"))
		}
		return fault.New(fault.NotFound, "not_found", "%s", said)
	}
	if err != nil {
		return err
	}
	pane, err := r.exchangePane(&x)
	if err != nil {
		return err
	}
	p := page{Title: "Exchange " + x.ID, Nav: "exchanges", Crumbs: []crumb{{"Exchanges", q.href()}, {Title: x.ID}}}
	return r.ok("exchanges", p, &exchangesData{Alone: !r.fragment(), Filter: q, Exchange: pane})
}

// exchangePane reads every record of an exchange again from the ledger. The index
// only says where they are.
func (r *request) exchangePane(x *projection.Exchange) (*exchangePane, error) {
	p := &exchangePane{Exchange: x, SystemName: r.systemName(x.System), KeyName: r.keyName(x.Key), Alone: "/exchanges/" + x.ID, Final: x.Charge, Found: findings(x.Findings)}
	if s, err := r.state.System(inventory.SystemID(x.System)); err == nil {
		p.SystemRow = s
	}
	leaves, err := r.web.d.Projection.Leaves(r.ctx(), string(r.actor.Org), x)
	if err != nil {
		return nil, err
	}
	for _, n := range leaves {
		leaf, rec, err := r.readLeaf(n)
		if err != nil {
			return nil, err
		}
		e, ok := rec.Body.(*event.Event)
		if !ok {
			return nil, fmt.Errorf("leaf %d is no record of an exchange", n)
		}
		p.take(n, rec, e)
		p.Records = append(p.Records, leaf)
	}
	if p.Began == nil {
		p.Began = p.End
	}
	if p.Began == nil {
		return nil, fmt.Errorf("exchange %s has no records", x.ID)
	}
	p.Proof = p.Records[len(p.Records)-1]
	for _, leaf := range p.Records {
		if int64(leaf.Leaf) == max(x.ClosedLeaf, x.OpenedLeaf) {
			p.Proof = leaf
		}
	}
	p.finishAttempts()
	p.guards()
	r.holds(p)
	p.usage()
	p.Stages = p.stages()
	p.Batch = r.batchOf(p.Began, p.End, x)
	if p.Use, err = r.useOf(p); err != nil {
		return nil, err
	}
	p.Join = r.exchangeJoin(p)
	return p, nil
}

// take sorts a record in.
func (p *exchangePane) take(leaf uint64, rec *record.Record, e *event.Event) {
	switch e.Kind {
	case event.Intent:
		if p.Began == nil {
			p.Began = e
			p.Attempts = append(p.Attempts, attemptOf(leaf, e))
		}
	case event.Attempt:
		if n := len(p.Attempts); n > 0 && e.UpstreamErr != "" {
			p.Attempts[n-1].Result = upstreamWords(e.UpstreamErr) + "; what followed is the next attempt"
		}
		p.Attempts = append(p.Attempts, attemptOf(leaf, e))
	case event.Adjusted:
		p.Adjusted = append(p.Adjusted, adjustRow{leaf, e.Charge, e.Figure, e.Reason, e.PriceTable, rec.Actor})
	default:
		if int64(leaf) == p.ClosedLeaf {
			p.End = e
		}
	}
}

func attemptOf(leaf uint64, e *event.Event) attemptRow {
	return attemptRow{Try: e.Try, Provider: e.Provider, Model: e.ModelTarget, Region: e.Region, Simulated: e.Simulated, Leaf: leaf, Result: "failed; what followed is the next attempt", Tone: "blind", Icon: "failed"}
}

// finishAttempts says how the last attempt ended; the outcome holds that.
func (p *exchangePane) finishAttempts() {
	if len(p.Attempts) == 0 {
		return
	}
	last := &p.Attempts[len(p.Attempts)-1]
	last.Tone, last.Icon = "mute", "clock"
	if last.Result = "no outcome on record yet"; p.End == nil {
		switch {
		case event.MakesBatch(p.Began.Endpoint):
			last.Result = "a batch, whose results are waited for"
		case event.Lasts(p.Began):
			last.Result = "a response made in the background, whose end is waited for"
		}
		return
	}
	last.Tone, last.Icon = "mute", "allowed"
	switch e := p.End; {
	case e.Code == batchOverdue:
		last.Tone, last.Icon, last.Result = "blind", "broken", "there was no word of the batch's results at its deadline; charged at its hold"
	case e.Code == responseOverdue:
		last.Tone, last.Icon, last.Result = "blind", "broken", "there was no word of the response's end at its deadline; charged at its hold"
	case e.Code == "response_failed" || e.Code == "response_cancelled":
		last.Tone, last.Icon, last.Result = "blind", "failed", "the response, made in the background, ended as "+strings.TrimPrefix(e.Code, "response_")
	case event.MakesBatch(e.Endpoint) && e.End == event.EndComplete:
		last.Result = "the batch's results arrived"
	case event.MakesBatch(e.Endpoint) && strings.HasPrefix(e.Code, "batch_"):
		last.Tone, last.Icon, last.Result = "blind", "failed", "the batch ended as "+strings.TrimPrefix(e.Code, "batch_")
	case e.Kind == event.Incomplete:
		last.Tone, last.Icon, last.Result = "blind", "broken", "the outcome was lost in a crash; charged at its hold"
	case e.UpstreamErr != "":
		last.Tone, last.Icon, last.Result = "blind", "failed", upstreamWords(e.UpstreamErr)
	case e.End == event.EndCut:
		last.Tone, last.Icon, last.Result = "blind", "cut", "broke off after the first byte"
	case e.End == event.EndClientGone:
		last.Icon, last.Result = "cut", "answered; the caller hung up"
	case e.FirstByte > 0:
		last.Result = "answered, first byte out after " + micros(e.FirstByte)
	default:
		last.Result = "answered"
	}
}

// guards sets every verdict beside what it means.
func (p *exchangePane) guards() {
	add := func(on string, list []event.Verdict) {
		for _, v := range list {
			look, said := verdictWords(&v)
			p.Guards = append(p.Guards, guardRow{v, on, look, said})
		}
	}
	add("prompt", p.Began.Prompt)
	if p.End != nil {
		add("answer", p.End.AnswerGuard)
	}
}

// holds sets what was reserved beside what was charged. A charge is booked in full
// on each budget above the call.
func (r *request) holds(p *exchangePane) {
	for _, h := range p.Began.Holds {
		row := holdRow{Hold: h, Title: h.Budget}
		for _, b := range r.state.Budgets {
			if string(b.ID) == h.Budget {
				row.Title = h.Budget + ", " + string(b.Scope)
			}
		}
		if p.End != nil {
			row.Charged = p.End.Charge
			row.Released, row.Over = max(h.Amount-p.End.Charge, 0), max(p.End.Charge-h.Amount, 0)
		}
		p.Holds = append(p.Holds, row)
	}
}

func (p *exchangePane) usage() {
	if p.End == nil || p.End.Kind == event.Refused {
		return
	}
	u := p.End.Usage
	add := func(label string, n int64, unit string) {
		p.Usage = append(p.Usage, usageRow{label, n, unit, n >= 0})
	}
	add("Input", u.Input, "tokens")
	add("Output", u.Output, "tokens")
	add("Read from the provider's cache", u.CacheRead, "tokens")
	add("Written to it", u.CacheWrite, "tokens")
	add("Reasoning", u.Reasoning, "tokens")
	for _, row := range []usageRow{
		{Label: "Written to it for an hour", N: u.CacheWrite1h, Unit: "tokens"}, {Label: "Sound in", N: u.AudioIn, Unit: "tokens"}, {Label: "Sound from the cache", N: u.CachedAudio, Unit: "tokens"},
		{Label: "Images in", N: u.ImageIn, Unit: "tokens"}, {Label: "Sound out", N: u.AudioOut, Unit: "tokens"}, {Label: "Images out", N: u.ImageOut, Unit: "tokens"},
		{Label: "Images made", N: u.Images}, {Label: "Text spoken", N: u.Characters, Unit: "characters"}, {Label: "Sound written down", N: u.Seconds, Unit: "seconds"},
		{Label: "Searches", N: u.Searches}, {Label: "Billed calls", N: u.Requests},
	} {
		if row.N != 0 { // what the call does not have at all is not shown
			add(row.Label, row.N, row.Unit)
		}
	}
}

// Priced is what beside the counts decides on the price of the call.
func (p *exchangePane) Priced() string {
	if p.End == nil {
		return ""
	}
	said := p.End.Usage.Form
	if p.End.Usage.Batch {
		said = strings.TrimPrefix(said+", in a batch", ", ")
	}
	if tier := p.End.Usage.Tier; tier != "" {
		said = strings.TrimPrefix(said+", service tier "+tier, ", ")
	}
	return said
}

// Own is the time that the exchange spent in the gateway itself.
func (p *exchangePane) Own() int64 {
	if p.End == nil {
		return 0
	}
	return max(p.End.Total-p.End.Upstream, 0)
}

// Window is when a budget's window began.
func (h holdRow) Began() time.Time { return time.Unix(h.Window, 0).UTC() }

// readLeaf reads a record from the ledger and computes its path to the signed root
// anew.
func (r *request) readLeaf(n uint64) (leafRow, *record.Record, error) {
	org := string(r.actor.Org)
	leaves, err := r.web.d.Ledger.Feed(r.ctx(), org, n, 1)
	if err != nil {
		return leafRow{}, nil, fmt.Errorf("read leaf %d: %w", n, err)
	}
	if len(leaves) == 0 || leaves[0].Index != n {
		return leafRow{}, nil, fault.New(fault.NotFound, "not_found", "The log has no leaf %d. It ends at %d.", n, r.web.d.Ledger.Size(org))
	}
	rec, err := record.Decode(leaves[0].Bytes)
	if err != nil {
		return leafRow{}, nil, fmt.Errorf("leaf %d: %w", n, err)
	}
	row := leafRow{Leaf: n, Kind: rec.Kind, Hash: record.LeafHash(leaves[0].Bytes), At: rec.At, Writer: rec.Writer, Number: rec.Number}
	return row, rec, r.include(&row)
}

// include checks a leaf against the newest checkpoint.
func (r *request) include(row *leafRow) error {
	org := string(r.actor.Org)
	cp, err := r.web.d.Ledger.Checkpoint(r.ctx(), org)
	if err != nil {
		return err
	}
	row.Size = cp.Size
	if row.Leaf >= cp.Size {
		row.Why = "durable; the next checkpoint signs it"
		return nil
	}
	path, err := r.web.d.Ledger.InclusionProof(r.ctx(), org, row.Leaf, cp.Size)
	if err != nil {
		return err
	}
	row.Path = len(path)
	if err := verify.Included(row.Hash, row.Leaf, path, cp); err != nil {
		row.Why = "the record does not lead to the signed root: the log was altered"
		r.web.d.Log.Error("leaf is not in the signed tree", "request", r.id.String(), "log", org, "leaf", row.Leaf, "error", err)
		return nil
	}
	row.Included = true
	return nil
}

// exchangeJoin is the strip from this exchange to the documents that say so.
func (r *request) exchangeJoin(p *exchangePane) []joinItem {
	key := joinItem{Label: "Key", Text: p.KeyName}
	if p.Key != "" && r.can("key", "read") {
		key.Href = "/exchanges?" + query("key", p.Key, "days", "all")
	} else if p.Key == "" {
		key.Text = "none"
	}
	system := joinItem{Label: "AI system", Text: "none registered"}
	if p.System != "" {
		system.Text = p.System
		if p.SystemRow != nil {
			system.Href = "/systems/" + p.System
		}
	}
	controls := joinItem{Label: "Controls", Text: "none yet", Href: "#evidence"}
	if n := p.Use.Controls; n > 0 {
		controls.Text = plural(n, "control")
	}
	docs := joinItem{Label: "Documents", Text: "none yet", Href: "#documents"}
	if n := len(p.Use.Documents); n > 0 {
		docs.Text = plural(n, "document")
	}
	return []joinItem{{Label: "Exchange", Text: "…" + p.ID[max(0, len(p.ID)-6):], Href: p.Alone, Current: true}, key, system, controls, docs}
}
