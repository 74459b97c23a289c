package web

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"plumbline/app/fault"
	"plumbline/app/ident"
	"plumbline/app/money"
	"plumbline/assessments/evidence/record"
	"plumbline/gateway/event"
	"plumbline/inventory"
)

type leafData struct {
	leafRow
	record.Envelope
	Said    string
	Fields  []fieldLine
	Opaque  bool
	Bytes   int
	Raw     string   // hex
	Hashes  []string // from the leaf to the root
	Root    string
	Origin  string
	Prev    string
	Next    string
	Subject *joinItem // what the record is about, when it has a page
}

// fieldLine is a field of a record as its page shows it.
type fieldLine struct {
	Number uint64
	Name   string
	Depth  int
	Value  string
	Note   string // the value in other words
	Href   string
	Links  []joinItem
}

// leafNumber reads the leaf of the address.
func (r *request) leafNumber() (uint64, error) {
	n, err := strconv.ParseUint(r.param("leaf"), 10, 63)
	if err != nil {
		return 0, fault.New(fault.NotFound, "not_found", "A leaf is a number, and %q is none.", r.param("leaf"))
	}
	return n, nil
}

func (r *request) leafPage() error {
	n, err := r.leafNumber()
	if err != nil {
		return err
	}
	row, rec, err := r.readLeaf(n)
	if err != nil {
		return err
	}
	org := string(r.actor.Org)
	leaves, err := r.web.d.Ledger.Feed(r.ctx(), org, n, 1)
	if err != nil {
		return err
	}
	b := leaves[0].Bytes
	data := &leafData{leafRow: row, Envelope: rec.Envelope, Said: r.told(rec), Bytes: len(b), Raw: spaced(b)}
	fields, err := record.Fields(b)
	if err != nil {
		return err
	}
	data.Opaque = len(fields) == 0
	data.Fields = r.fieldLines(fields, "", 0)
	cp, err := r.web.d.Ledger.Checkpoint(r.ctx(), org)
	if err != nil {
		return err
	}
	data.Origin, data.Root = cp.Origin, hex32(cp.Root)
	if row.Path > 0 {
		path, err := r.web.d.Ledger.InclusionProof(r.ctx(), org, n, row.Size)
		if err != nil {
			return err
		}
		for _, h := range path {
			data.Hashes = append(data.Hashes, hex32(h))
		}
	}
	if n > 0 {
		data.Prev = "/ledger/" + strconv.FormatUint(n-1, 10)
	}
	if n+1 < r.web.d.Ledger.Size(org) {
		data.Next = "/ledger/" + strconv.FormatUint(n+1, 10)
	}
	data.Subject = r.subject(rec)
	title := "Leaf " + group(n)
	return r.ok("leaf", page{Title: title, Nav: "ledger", Crumbs: []crumb{{"Ledger", "/ledger"}, {Title: title}}}, data)
}

// openLeaf leads from the form of the ledger's page to a leaf.
func (r *request) openLeaf() error {
	n, err := strconv.ParseUint(strings.ReplaceAll(r.query("leaf"), ",", ""), 10, 63)
	if err != nil {
		return fault.Field("leaf", "a leaf is a number")
	}
	return r.redirect("/ledger/" + strconv.FormatUint(n, 10))
}

// leafFile is a record's bytes as they are hashed.
func (r *request) leafFile() error {
	n, err := r.leafNumber()
	if err != nil {
		return err
	}
	leaves, err := r.web.d.Ledger.Feed(r.ctx(), string(r.actor.Org), n, 1)
	if err != nil {
		return err
	}
	if len(leaves) == 0 || leaves[0].Index != n {
		return fault.New(fault.NotFound, "not_found", "The log has no leaf %d.", n)
	}
	return r.download(fmt.Sprintf("%s-%d.cbor", r.actor.Org, n), "application/cbor", leaves[0].Bytes)
}

// spaced is hex in groups of four bytes.
func spaced(b []byte) string {
	var out strings.Builder
	for i := 0; i < len(b); i += 4 {
		if i > 0 {
			out.WriteByte(' ')
		}
		out.WriteString(hex.EncodeToString(b[i:min(i+4, len(b))]))
	}
	return out.String()
}

// subject is the page of what a record is about.
func (r *request) subject(rec *record.Record) *joinItem {
	switch b := rec.Body.(type) {
	case *event.Event:
		return &joinItem{Text: "Exchange " + b.Exchange.String(), Href: "/exchanges/" + b.Exchange.String()}
	case *record.Document:
		id := b.Identifier + "-r" + decimal(int64(b.Revision))
		return &joinItem{Text: "Document " + id, Href: "/documents/" + id}
	case *record.Download:
		return &joinItem{Text: "Document " + b.Document, Href: "/documents/" + b.Document}
	case *record.Job:
		return &joinItem{Text: "Runs of this job", Href: "/jobs?" + query("job", b.Name)}
	case *record.HumanEvidence:
		return &joinItem{Text: "Evidence", Href: "/evidence/" + rec.ID.String()}
	case *record.HumanDecision:
		return &joinItem{Text: "Evidence", Href: "/evidence/" + b.Evidence.String()}
	case *record.ControlResult:
		return &joinItem{Text: "Control " + b.Control, Href: treeQuery{System: b.System}.href(b.Framework, b.Control)}
	case *record.Change:
		switch kind, _, _ := strings.Cut(b.Kind, "."); kind {
		case "system":
			return &joinItem{Text: "AI system " + b.Object, Href: "/systems/" + b.Object}
		case "key":
			return &joinItem{Text: "Exchanges of this key", Href: "/exchanges?" + query("key", b.Object, "days", "all")}
		}
	case *record.Refusals:
		return &joinItem{Text: "Exchanges with this code", Href: "/exchanges?" + query("code", b.Code, "key", b.Key, "days", "all")}
	case *record.TestResult:
		if href := windowHref(b.System, b.FirstLeaf, b.EndLeaf); href != "" && b.System != "" {
			return &joinItem{Text: "Exchanges of its window", Href: href}
		}
	}
	return nil
}

// fieldLines flattens fields for a table.
func (r *request) fieldLines(list []record.Field, parent string, depth int) []fieldLine {
	var out []fieldLine
	for _, f := range list {
		line := fieldLine{Number: f.Number, Name: words(f.Name), Depth: depth}
		if f.Name == "" {
			line.Name, line.Number = fmt.Sprintf("%s %d", words(strings.TrimSuffix(parent, "s")), f.Number), 0
		}
		if f.Inner == nil {
			r.fillLine(&line, f)
		}
		out = append(out, line)
		name := f.Name
		if name == "" {
			name = parent
		}
		out = append(out, r.fieldLines(f.Inner, name, depth+1)...)
	}
	return out
}

// fillLine writes a value. What a number means stands beside it, never instead.
func (r *request) fillLine(line *fieldLine, f record.Field) {
	switch v := f.Value.(type) {
	case ident.ID:
		if line.Value = v.String(); f.Name == "exchange" {
			line.Href = "/exchanges/" + line.Value
		}
	case [32]byte:
		line.Value = hex32(v)
	case [16]byte:
		line.Value = hex.EncodeToString(v[:])
	case money.Nano:
		line.Value, line.Note = v.Ledger(), fmt.Sprintf("%d nano-dollars", int64(v))
	case bool:
		line.Value = map[bool]string{true: "yes", false: "no"}[v]
	case []string:
		line.Value = strings.Join(v, ", ")
	case []uint64:
		for _, n := range v {
			line.Links = append(line.Links, joinItem{Text: group(n), Href: "/ledger/" + strconv.FormatUint(n, 10)})
		}
	case []ident.ID:
		for _, id := range v {
			line.Value = strings.TrimPrefix(line.Value+", "+id.String(), ", ")
		}
	case map[string]int64:
		for _, k := range sorted(v) {
			line.Value = strings.TrimPrefix(fmt.Sprintf("%s, %s: %d", line.Value, k, v[k]), ", ")
		}
	case string:
		line.Value = v
		line.Href = r.fieldHref(f.Name, v)
	case uint8:
		line.Value, line.Note = strconv.Itoa(int(v)), enumWord(f.Name, v)
	case int64:
		line.Value, line.Note = strconv.FormatInt(v, 10), intNote(f.Name, v)
	case uint64:
		if line.Value = strconv.FormatUint(v, 10); slices.Contains([]string{"first_leaf"}, f.Name) {
			line.Href = "/ledger/" + line.Value
		}
	default:
		line.Value = fmt.Sprint(v)
	}
}

func (r *request) fieldHref(name, v string) string {
	switch {
	case v == "":
		return ""
	case name == "system":
		if _, err := r.state.System(inventory.SystemID(v)); err == nil {
			return "/systems/" + v
		}
	case name == "key":
		return "/exchanges?" + query("key", v, "days", "all")
	case name == "identifier":
		return "/documents/" + v
	case name == "budget":
		return "/budgets"
	}
	return ""
}

// instants are the fields that hold microseconds since 1970, spans those that hold
// microseconds.
var (
	instants = []string{"at", "from", "to", "until", "first", "last", "deadline", "issued_at", "tick"}
	spans    = []string{"first_byte", "upstream", "total", "took"}
)

func intNote(name string, v int64) string {
	switch {
	case v != 0 && slices.Contains(instants, name):
		return time.UnixMicro(v).UTC().Format("2 Jan 2006 15:04:05.000000 UTC")
	case slices.Contains(spans, name):
		return micros(v)
	case name == "hour":
		return time.Unix(v*3600, 0).UTC().Format("2 Jan 2006 15:04 UTC")
	case name == "window":
		return time.Unix(v, 0).UTC().Format("2 Jan 2006 15:04 UTC")
	case v == -1 && slices.Contains([]string{"input", "output", "cache_read", "cache_write", "reasoning"}, name):
		return "not known"
	}
	return ""
}

func enumWord(name string, v uint8) string {
	switch name {
	case "effect", "shadow_effect":
		return effectName(event.Effect(v))
	case "source":
		return strings.ToLower(usageWord(event.UsageSource(v)))
	case "end":
		return endWord(event.End(v))
	case "commit":
		return map[uint8]string{1: "before the answer"}[v]
	case "state":
		return map[uint8]string{0: "not run", 1: "clear", 2: "hit", 3: "errored"}[v]
	case "action":
		return map[uint8]string{1: "monitored", 2: "redacted", 3: "blocked"}[v]
	}
	return ""
}

// told is what a record says, in one line.
func (r *request) told(rec *record.Record) string {
	hour := func(at int64) string { return clock(at).Format("2 Jan 2006 15:04:05") }
	switch b := rec.Body.(type) {
	case *event.Event:
		return exchangeTold(b)
	case *record.Refusals:
		return fmt.Sprintf("%s refusals of key %s, %s", group(b.Count), r.keyName(b.Key), strings.ToLower(words(b.Code)))
	case *record.Started:
		if b.Open > 0 {
			return fmt.Sprintf("version %s, found %s without an end", b.Version, plural(int(b.Open), "intent"))
		}
		return strings.TrimSpace("version " + b.Version)
	case *record.Stopped:
		return "in order, after its number " + group(b.Last)
	case *record.Outage:
		return fmt.Sprintf("from %s to %s UTC; %s turned away%s", hour(b.From), hour(b.To), plural(int(b.Turned), "call"), map[bool]string{true: "; cause: " + b.Cause}[b.Cause != ""])
	case *record.Hour:
		return "the hour " + time.Unix(b.Hour*3600, 0).UTC().Format("2 Jan 2006 15:04") + " began"
	case *record.Rotated:
		return "to a key that signs from here on; the old one signs beside it until " + clock(b.Until).Format("2 Jan 2006")
	case *record.Forked:
		said := b.Lost()
		if b.Found < b.Size {
			said = fmt.Sprintf("from %s of %s leaves; %s were still there", b.OldOrigin, group(b.Size), group(b.Found))
		}
		if b.Why != "" {
			said += ". Reason: " + b.Why
		}
		return said
	case *record.Change:
		said := words(b.Kind) + " " + b.Object + ", version " + group(b.Version)
		if b.Imported {
			said += ", imported"
		}
		return said
	case *record.TestResult:
		return strings.TrimSpace(b.Test+" "+b.System) + ": " + strings.ToLower(lookOf(b.Result).word)
	case *record.ControlResult:
		return b.Framework + " " + b.Control + " " + b.System + ": " + strings.ToLower(lookOf(b.State).word)
	case *record.HumanEvidence:
		return words(b.Type) + " for " + b.Framework + " " + b.Control
	case *record.HumanDecision:
		return map[bool]string{true: "accepted", false: "rejected"}[b.Accepted] + " what " + r.person(b.Author) + " attached"
	case *record.Applicability:
		return b.Framework + " " + b.Control + map[bool]string{true: " applies to ", false: " does not apply to "}[b.Applies] + b.System
	case *record.Document:
		return b.Identifier + ", revision " + group(b.Revision) + ", " + strings.ToLower(words(b.Kind))
	case *record.Download:
		return strings.ToUpper(b.Part) + " of " + b.Document + ", by an auditor"
	case *record.Job:
		return b.Name + map[bool]string{true: ", done", false: ", failed: " + b.Error}[b.OK]
	}
	return "of a kind that this build does not know"
}

func exchangeTold(e *event.Event) string {
	who := e.System
	if who == "" {
		who = "no registered system"
	}
	switch e.Kind {
	case event.Intent:
		return who + " to " + e.ModelTarget + " at " + e.Provider
	case event.Attempt:
		return fmt.Sprintf("%s, attempt %d at %s", who, e.Try, e.Provider)
	case event.Refused:
		return who + ": " + strings.ToLower(words(e.Code))
	case event.Adjusted:
		return who + ": " + e.Charge.Ledger()
	case event.Incomplete:
		return who + ": its end was lost; " + e.Charge.Ledger()
	}
	said := fmt.Sprintf("%s: status %d, %s", who, e.Status, e.Charge.Ledger())
	if e.Code != "" {
		said += ", " + strings.ToLower(words(e.Code))
	}
	return said
}

// windowHref lists the exchanges of a range of leaves.
func windowHref(system string, first, end uint64) string {
	if end <= first {
		return ""
	}
	return "/exchanges?" + query("system", system, "leaves", fmt.Sprintf("%d-%d", first, end))
}
