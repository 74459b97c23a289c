package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"plumbline/app/money"
	"plumbline/inventory"
)

// rowWords are the kinds of rows as people call them.
var rowWords = map[string]string{"guard_profile": "guard profile", "settings": "the settings"}

func rowWord(kind string) string {
	if w := rowWords[kind]; w != "" {
		return w
	}
	return kind
}

// asked is a change request in words: change of the route gpt-4o.
func asked(q *inventory.ChangeRequest) string {
	what := "Change of "
	switch {
	case q.Delete:
		what = "Deletion of "
	case q.Seen == 0:
		what = "New "
		return what + rowWord(q.Kind) + " " + q.Row
	}
	if q.Kind == "settings" {
		return what + rowWord(q.Kind)
	}
	return what + "the " + rowWord(q.Kind) + " " + q.Row
}

type changeRow struct {
	inventory.ChangeRequest
	Title string
}

func (r *request) changeRows() (open, decided []changeRow) {
	for i := range r.state.Requests {
		q := &r.state.Requests[i]
		row := changeRow{*q, asked(q)}
		if q.State == inventory.RequestOpen {
			open = append(open, row)
		} else {
			decided = append(decided, row)
		}
	}
	newest := func(a, b changeRow) int { return b.At.Compare(a.At) }
	slices.SortStableFunc(open, newest)
	slices.SortStableFunc(decided, newest)
	return open, decided
}

type changesData struct {
	Open, Decided []changeRow
	Needed        bool  // the settings ask for a second person
	Pager         pager // of those that are decided
}

func (r *request) changesPage() error {
	data := changesData{Needed: r.state.Settings.SecondPerson}
	var first, last int
	data.Open, data.Decided = r.changeRows()
	first, last, data.Pager = r.pageOf(len(data.Decided))
	data.Decided = data.Decided[first:last]
	return r.ok("changes", page{Title: "Change requests", Nav: "gateway", Crumbs: []crumb{{"Routes and guards", "/gateway"}, {Title: "Change requests"}}}, data)
}

// part is a part of a row that a change request makes another.
type part struct {
	Path, Before, After string
	Long                bool // of several lines
}

// parts compares two JSON bodies, part by part, in the order of paths. Either may be
// empty.
func parts(before, after []byte) (out []part) {
	a, b := leaves(before), leaves(after)
	paths := map[string]bool{}
	for p := range a {
		paths[p] = true
	}
	for p := range b {
		paths[p] = true
	}
	for _, p := range sorted(paths) {
		if a[p] != b[p] {
			out = append(out, part{p, a[p], b[p], strings.Contains(a[p]+b[p], "\n")})
		}
	}
	return out
}

// bare is a row's JSON body without what the register says of its versions; nil for
// none.
func bare(body []byte) map[string]any {
	var v map[string]any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if len(body) == 0 || d.Decode(&v) != nil {
		return nil
	}
	for _, k := range []string{"org", "version", "valid_from", "change_id", "leaf", "author", "origin"} {
		delete(v, k)
	}
	return v
}

// leaves flattens a JSON body into paths such as targets[1].weight.
func leaves(body []byte) map[string]string {
	out := map[string]string{}
	flatten(out, "", bare(body))
	return out
}

func flatten(out map[string]string, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			at := k
			if path != "" {
				at = path + "." + k
			}
			flatten(out, at, x)
		}
	case []any:
		var plain []string
		for i, x := range v {
			switch x.(type) {
			case map[string]any, []any:
				flatten(out, fmt.Sprintf("%s[%d]", path, i+1), x)
			default:
				plain = append(plain, fmt.Sprint(x))
			}
		}
		if plain != nil {
			out[path] = strings.Join(plain, ", ")
		}
	case nil:
	case json.Number:
		n, err := v.Int64()
		if name, nano := strings.CutSuffix(path, "_nano"); nano && err == nil {
			out[name] = money.Nano(n).String()
			return
		}
		out[path] = v.String()
	default:
		out[path] = fmt.Sprint(v)
	}
}

type changeData struct {
	changeRow
	Parts   []part
	Moved   bool   // the row is another than the one that the change was made from
	Blocked string // why the reader cannot decide
	Own     bool   // the reader asked for it
	Form    *form
}

func (r *request) changeForm(id inventory.RequestID, own bool) *form {
	f := &form{Action: "/changes/" + string(id), Submit: "Confirm", Other: "Reject", OtherV: "reject", Fields: []field{reasonField("What the decision rests on")}}
	if own {
		f.Action, f.Submit, f.Other = f.Action+"/withdraw", "Withdraw", ""
		f.Fields = []field{reasonField("Kept with it")}
		f.Fields[0].Optional = true
	}
	return f
}

func (r *request) changeData() (page, *changeData, error) {
	q, err := r.state.ChangeRequest(inventory.RequestID(r.param("id")))
	if err != nil {
		return page{}, nil, err
	}
	data := &changeData{changeRow: changeRow{*q, asked(q)}, Own: q.By == r.actor.ID}
	history, err := r.web.d.Register.History(r.ctx(), r.actor.Org, q.Kind, q.Row)
	if err != nil {
		return page{}, nil, err
	}
	var before []byte
	for _, v := range history {
		if v.Version == q.Seen {
			before = v.Body
		}
	}
	data.Parts = parts(before, q.Body)
	data.Moved = q.State == inventory.RequestOpen && len(history) > 0 && history[0].Version != q.Seen
	switch {
	case q.State != inventory.RequestOpen, data.Own:
	case !r.can("gateway", "decide"):
		data.Blocked = "Waits for a person who may decide on changes. Your roles do not include that."
	}
	data.Form = r.changeForm(q.ID, data.Own)
	return page{Title: string(q.ID), Nav: "gateway", Crumbs: []crumb{{"Routes and guards", "/gateway"}, {"Change requests", "/changes"}, {Title: string(q.ID)}}}, data, nil
}

func (r *request) changePage() error {
	p, data, err := r.changeData()
	if err != nil {
		return err
	}
	return r.ok("change", p, data)
}

func (r *request) decideChange() error {
	confirm := r.value("decision") != "reject"
	said := "It is confirmed and in force."
	if !confirm {
		said = "It is rejected; nothing changes."
	}
	return r.endChange(r.web.d.Register.DecideRequest(r.ctx(), r.actor, inventory.RequestID(r.param("id")), confirm, r.value("reason")), said)
}

func (r *request) withdrawChange() error {
	return r.endChange(r.web.d.Register.WithdrawRequest(r.ctx(), r.actor, inventory.RequestID(r.param("id")), r.value("reason")), "It is withdrawn; nothing changes.")
}

// endChange answers after a decision, or draws the page again with what is wrong.
func (r *request) endChange(err error, said string) error {
	if err == nil {
		return r.done("/changes/"+r.param("id"), said)
	}
	p, data, wrong := r.changeData()
	if wrong != nil {
		return wrong
	}
	return r.againOn("change", p, data.Form, data, err)
}

// waiting answers where a change became a change request: that is no error, and nothing
// is in force.
func (r *request) waiting(err error) (answered bool, _ error) {
	var w *inventory.Waits
	if !errors.As(err, &w) {
		return false, nil
	}
	if !isAPI(r.c.Request().URL.Path) {
		return true, r.done("/changes/"+string(w.Request), "It waits for a second person; nothing of it is in force.")
	}
	if err := r.read(); err != nil {
		return true, err
	}
	q, err := r.state.ChangeRequest(w.Request)
	if err != nil {
		return true, err
	}
	return true, r.answer(http.StatusAccepted, map[string]any{"change_request": changeJSON{*q, bare(q.Body)}})
}
