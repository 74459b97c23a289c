package web

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"plumbline/app/authz"
	"plumbline/app/fault"
	"plumbline/assessments/evidence/verify"
	"plumbline/reports"
	"plumbline/reports/render"
)

type documentData struct {
	documentRow
	Content    reports.Content
	Owed       []owed
	Unreadable string // why its file cannot be read; empty when it can
	Before     *reports.Document
	Moves      []reports.Move
	Revisions  []documentRow     // the newest, and this one
	Issues     int               // how many revisions there are
	Newest     *reports.Document // when it is another
	Join       []joinItem
	Verify     *verifyHelp
}

// owed are the required fields that one role has not provided.
type owed struct {
	Owner  string
	Fields []string
}

// owedBy groups what is missing by who owes it, in the document's order.
func owedBy(missing []render.Missing) (out []owed) {
	for _, m := range missing {
		i := slices.IndexFunc(out, func(o owed) bool { return o.Owner == m.Owner })
		if i < 0 {
			i, out = len(out), append(out, owed{Owner: m.Owner})
		}
		out[i].Fields = append(out[i].Fields, m.Field)
	}
	return out
}

func (r *request) documentPage() error {
	d, err := r.web.d.Reports.Get(r.ctx(), r.actor.Org, r.param("id"))
	if err != nil {
		return err
	}
	data := &documentData{documentRow: r.documentRow(d)}
	if data.Content, err = r.web.d.Reports.Content(r.ctx(), r.actor.Org, d.ID); err != nil {
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Unavailable {
			return err
		}
		data.Unreadable = f.Message
		r.web.d.Log.Error("document cannot be read", "request", r.id.String(), "document", d.ID, "error", err)
	}
	data.Owed = owedBy(data.Content.Missing)
	if err := r.revisions(data); err != nil {
		return err
	}
	data.Join = r.documentJoin(d)
	if data.Verify, err = r.verifyHelp(d); err != nil {
		return err
	}
	if err := r.verifyHere(data.Verify, d); err != nil {
		return err
	}
	return r.ok("document", documentCrumbs(d.ID), data)
}

// revisions sets a document beside the others of its number.
func (r *request) revisions(data *documentData) error {
	all, err := r.web.d.Reports.List(r.ctx(), r.actor.Org)
	if err != nil {
		return err
	}
	for i := range all {
		if all[i].Number == data.Number {
			data.Revisions = append(data.Revisions, r.documentRow(all[i]))
		}
	}
	slices.SortFunc(data.Revisions, func(a, b documentRow) int { return b.Revision - a.Revision })
	for i := range data.Revisions {
		x := data.Revisions[i].Document
		if x.Revision == data.Revision-1 {
			data.Before, data.Moves = &x, reports.Moves(x.Summary, data.Summary)
		}
	}
	if newest := data.Revisions[0].Document; newest.Revision > data.Revision {
		data.Newest = &newest
	}
	data.Issues = len(data.Revisions)
	data.Revisions = slices.DeleteFunc(data.Revisions, func(x documentRow) bool {
		return x.Revision <= data.Issues-revisionsShown && x.Revision != data.Revision
	})
	return nil
}

// documentJoin leads from the exchanges that a document counts to the leaf that
// proves it.
func (r *request) documentJoin(d reports.Document) []joinItem {
	exchanges := joinItem{Label: "Exchanges", Text: "of the organisation"}
	keys := joinItem{Label: "Keys", Text: "every key", Href: "/keys"}
	subject := joinItem{Label: "Vendor", Text: d.Vendor, Href: "/gateway"}
	if d.System != "" {
		exchanges.Text, keys.Text = "of "+string(d.System), "of "+string(d.System)
		keys.Href = "/keys?" + query("system", string(d.System))
		subject = joinItem{Label: "AI system", Text: string(d.System), Href: "/systems/" + string(d.System)}
	}
	if r.can("exchange", "read") {
		exchanges.Href = exchangesHref("system", string(d.System), "from", d.From.Truncate(time.Hour).Format(hourLayout), "to", d.To.Truncate(time.Hour).Add(time.Hour).Format(hourLayout))
	}
	out := []joinItem{exchanges, keys, subject}
	if d.Framework != "" {
		out = append(out, joinItem{Label: "Controls", Text: r.frameworkTitle(d.Framework), Href: treeQuery{System: string(d.System)}.href(d.Framework, "")})
	}
	return append(out, joinItem{Label: "Document", Text: d.ID, Current: true}, joinItem{Label: "Leaf", Text: group(d.Leaf), Href: "/ledger/" + decimal(int64(d.Leaf))})
}

// verifyHelp is what someone needs who checks a document without this server.
type verifyHelp struct {
	Document    *reports.Document
	File        string // name without its ending
	Key         string
	Fingerprint string
	Rotated     bool   // the log has a newer key by now
	Output      string // of the command, as this server's own run has it
	Code        int
}

// verifyHelp names the key that was in force when the document was issued: its
// proof cannot follow a rotation that came later.
func (r *request) verifyHelp(d reports.Document) (*verifyHelp, error) {
	keys, err := r.web.d.Ledger.VerifierKeys(string(r.actor.Org))
	if err != nil {
		return nil, err
	}
	h := &verifyHelp{Document: &d, File: d.ID}
	for i, k := range keys {
		if i == 0 || !k.Created.After(d.IssuedAt) {
			h.Key, h.Rotated = k.Verifier, i < len(keys)-1
		}
	}
	sum := sha256.Sum256([]byte(h.Key))
	h.Fingerprint = hex.EncodeToString(sum[:])
	return h, nil
}

// verifyHere runs the same check over the same files as the command does.
func (r *request) verifyHere(h *verifyHelp, d reports.Document) error {
	path, err := r.web.d.Reports.Path(r.ctx(), r.actor.Org, d.ID, reports.PartPDF)
	if err != nil {
		return err
	}
	results, code := verify.Files([]string{path}, verify.Options{Key: h.Key})
	h.Code = code
	for _, x := range results {
		x.File = filepath.Base(x.File)
		h.Output += x.Text()
	}
	return nil
}

// documentFile gives a document's PDF, JSON or proof out as a download. Every
// download is logged; an auditor's is a record before the file goes out.
func (r *request) documentFile() error {
	part := reports.Part(r.param("part"))
	d, err := r.web.d.Reports.Get(r.ctx(), r.actor.Org, r.param("id"))
	if err != nil {
		return err
	}
	file, kind, err := r.web.d.Reports.Open(r.ctx(), r.actor.Org, d.ID, part)
	if err != nil {
		return err
	}
	defer file.Close()
	if slices.Contains(r.actor.Roles, authz.Auditor) {
		if err := r.web.d.Reports.RecordDownload(r.ctx(), r.actor, d, part); err != nil {
			return err
		}
	}
	r.web.d.Log.Info("document downloaded", "request", r.id.String(), "org", string(r.actor.Org), "document", d.ID, "part", string(part), "account", r.actor.ID)
	r.attachment(d.FileName(part))
	r.c.Response().Header().Set("Content-Type", kind)
	http.ServeContent(r.c.Response(), r.c.Request(), "", d.IssuedAt, file)
	return nil
}
