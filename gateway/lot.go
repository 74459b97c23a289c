package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"

	"plumbline/gateway/dialect"
	"plumbline/gateway/event"
	"plumbline/gateway/jsonl"
	"plumbline/gateway/peek"
	"plumbline/gateway/price"
)

// Lot is the most that the requests of a batch can use, all together.
type Lot struct {
	Requests  int64 `json:"requests"`
	Input     int64 `json:"input"`     // tokens: no more than bytes, and what is held for each image
	Output    int64 `json:"output"`    // tokens, of those that have a limit
	Unlimited int64 `json:"unlimited"` // answers without a limit of their own
	Searches  int64 `json:"searches,omitempty"`
}

// lot is the requests of a batch that came with a call: in a file, or in its body.
type lot struct {
	Lot
	op     dialect.Operation // of each
	models []share           // for; one, or the batch is refused
	lines  []request
}

// share is a model and how many requests ask for it.
type share struct {
	model    string
	requests int
}

// mostMixed is how many models a refusal names.
const mostMixed = 8

// request is one of a lot: where it stands in the text, and where its model does.
type request struct {
	line        int // from 1
	body, model jsonl.Span
}

// mostRequests is how many a batch may have: as many as Anthropic takes, and twice what
// OpenAI does.
const mostRequests = 100_000

// lineOps are the calls that a batch of OpenAI's may be made of, by the end of their
// path: Azure's has no version.
var lineOps = map[string]dialect.Operation{"/chat/completions": dialect.ChatCompletions, "/completions": dialect.Completions, "/responses": dialect.ResponsesCreate,
	"/embeddings": dialect.Embeddings, "/moderations": dialect.Moderations}

func lineOp(path string) (dialect.Operation, bool) {
	op, ok := lineOps[strings.TrimPrefix(path, "/v1")]
	return op, ok
}

func badLine(line int, what string) *refusal {
	return refuse(http.StatusBadRequest, "batch_line_invalid", fmt.Sprintf("request %d of the batch: %s", line, what)).about("file")
}

// readFile finds the requests in a batch's input of OpenAI's: a JSON object in each line.
func (l *lot) readFile(file []byte, p *peek.Body) error {
	in := jsonl.NewReader(bytes.NewReader(file), len(file))
	at := 0
	for {
		line, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return badLine(in.Number(), err.Error())
		}
		at += bytes.Index(file[at:], line) // empty lines stand between
		found, err := jsonl.Fields(line, "custom_id", "method", "url", "body")
		if err != nil {
			return badLine(in.Number(), err.Error())
		}
		method, _ := jsonl.Text(found[1].Of(line))
		url, _ := jsonl.Text(found[2].Of(line))
		op, ok := lineOp(url)
		switch {
		case method != http.MethodPost || !ok:
			return badLine(in.Number(), "it has no `method` POST with a `url` of chat completions, responses, completions, embeddings or moderations")
		case found[3].Empty():
			return badLine(in.Number(), "it has no `body`")
		case l.op != "" && op != l.op:
			return badLine(in.Number(), "all requests of a batch have the same `url`")
		}
		l.op = op
		if err := l.add(file, request{line: in.Number(), body: found[3].In(at)}, p); err != nil {
			return err
		}
		at += len(line)
	}
	return l.whole()
}

// readBody finds the requests in the body of a message batch.
func (l *lot) readBody(body []byte, p *peek.Body) error {
	l.op = dialect.MessagesCreate
	found, err := jsonl.Fields(body, "requests")
	if err != nil || found[0].Empty() {
		return refuse(http.StatusBadRequest, "batch_empty", "send `requests`, a list of at least one request").about("requests")
	}
	n := 0
	err = jsonl.Elements(found[0].Of(body), func(at jsonl.Span) error {
		n++
		at = at.In(found[0].Start)
		params, err := jsonl.Fields(at.Of(body), "params")
		if err != nil || params[0].Empty() {
			return badLine(n, "it has no `params`")
		}
		return l.add(body, request{line: n, body: params[0].In(at.Start)}, p)
	})
	var r *refusal
	if err != nil && !errors.As(err, &r) {
		return refuse(http.StatusBadRequest, "batch_empty", "`requests` is no list").about("requests")
	}
	if err != nil {
		return err
	}
	return l.whole()
}

// add takes a request, whose place is in text.
func (l *lot) add(text []byte, q request, p *peek.Body) error {
	body := q.body.Of(text)
	if err := p.Request(body, grammars[l.op]); err != nil {
		return badLine(q.line, err.Error())
	}
	name := body[p.Model.Start:p.Model.End]
	if p.Model.Escaped {
		name = peek.Unescape(nil, name)
	}
	switch {
	case !p.HasModel || len(name) == 0:
		return badLine(q.line, "it names no model")
	case p.Stream:
		return badLine(q.line, "it asks for a stream; leave out `stream`")
	case len(l.lines) == mostRequests:
		return badLine(q.line, fmt.Sprintf("a batch has at most %d requests", mostRequests))
	}
	if err := l.asks(name); err != nil {
		return err
	}
	q.model = jsonl.Span{Start: p.Model.Start, End: p.Model.End}.In(q.body.Start)
	l.lines = append(l.lines, q)
	l.Requests++
	l.Input += int64(len(body)) - int64(p.MediaBytes) + mediaTokens*int64(p.Media)
	l.Searches = sum(l.Searches, p.Searches)
	switch {
	case l.op == dialect.Embeddings || l.op == dialect.Moderations:
	case p.MaxTokens < 0:
		l.Unlimited = sum(l.Unlimited, p.Answers())
	default:
		l.Output = sum(l.Output, product(p.MaxTokens, p.Answers()))
	}
	return nil
}

// asks counts a request for a model. Models beyond those that a refusal names are not.
func (l *lot) asks(name []byte) error {
	for i := range l.models {
		if l.models[i].model == string(name) {
			l.models[i].requests++
			return nil
		}
	}
	if len(l.models) > mostMixed {
		return nil
	}
	model, ok := printable(name)
	if !ok {
		return refuse(http.StatusBadRequest, "model_malformed", "a model's name has at most 128 printable characters").about("model")
	}
	l.models = append(l.models, share{model, 1})
	return nil
}

func (l *lot) whole() error {
	switch len(l.models) {
	case 0:
		return refuse(http.StatusBadRequest, "batch_empty", "the batch has no request").about("file")
	case 1:
		return nil
	}
	// What it costs and what it used would stand on one record, which has one model.
	var named []string
	for _, a := range l.models[:min(len(l.models), mostMixed)] {
		named = append(named, fmt.Sprintf("%q (%d)", a.model, a.requests))
	}
	if len(l.models) > mostMixed {
		named = append(named, "and others")
	}
	return refuse(http.StatusBadRequest, "batch_mixed", fmt.Sprintf("the requests of the batch ask for several models: %s; send a batch for each model, so that each has its own hold, cost and record", strings.Join(named, ", "))).about("model")
}

// most is the usage that is held for at a rate.
func (l *Lot) most(rate *price.Rate) event.Usage {
	return event.Usage{Input: l.Input, Output: sum(l.Output, product(l.Unlimited, rate.MaxOutput)), CacheRead: -1, CacheWrite: -1, Reasoning: -1, CacheWrite1h: -1, AudioIn: -1, ImageIn: -1, AudioOut: -1,
		Searches: l.Searches, Requests: l.Requests, Batch: true}
}

// inspect lets guards read every request, and gives what they take out.
func (l *lot) inspect(x *exchange, text []byte) (edits []peek.Edit, err error) {
	for _, q := range l.lines {
		body := q.body.Of(text)
		if err := x.chunk.Request(body, grammars[l.op]); err != nil {
			return nil, err // it was read before
		}
		if x.chunk.Media > 0 || x.chunk.Sealed {
			x.prompt.Unread()
		}
		if x.tooMuch(x.chunk.Text, nil) {
			if err := tooMuchText(x.prompt, http.StatusRequestEntityTooLarge, fmt.Sprintf("request %d of the batch holds more text than its guards read (%s), and one of them fails closed", q.line, size(x.profile.MaxText))); err != nil {
				return nil, err
			}
			continue
		}
		for _, s := range x.chunk.Text {
			part := body[s.Start:s.End]
			if s.Escaped {
				x.scratch = peek.Unescape(x.scratch[:0], part)
				part = x.scratch
			}
			if out, changed := x.prompt.Text(part); changed && s.Kept {
				return nil, badLine(q.line, "it holds a thought that the provider signed, and in it what a guard takes out; a signed thought cannot be changed")
			} else if changed {
				edits = append(edits, peek.Edit{Start: q.body.Start + s.Start, End: q.body.Start + s.End, With: peek.Escape(nil, out)})
			}
		}
		if guard, class, hit := x.prompt.Blocked(); hit {
			return nil, refuse(http.StatusBadRequest, "guard_blocked", fmt.Sprintf("the guard %q found %s in request %d of the batch; take it out and send the batch again (request %s)", guard, class, q.line, x.idHdr[0]))
		}
	}
	return edits, nil
}

// named are the edits by which every request names the model as its provider does.
func (l *lot) named(target string, edits []peek.Edit) []peek.Edit {
	with := peek.Escape(nil, []byte(target))
	for _, q := range l.lines {
		edits = append(edits, peek.Edit{Start: q.model.Start, End: q.model.End, With: with})
	}
	return edits
}

func sum(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

func product(a, b int64) int64 {
	if b > 0 && a > math.MaxInt64/b {
		return math.MaxInt64
	}
	return a * b
}
