package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"plumbline/gateway/dialect"
	"plumbline/gateway/event"
	"plumbline/gateway/guardrail"
	"plumbline/gateway/jsonl"
	"plumbline/gateway/peek"
	"plumbline/gateway/provider"
)

// results gives a file on: the lines of a batch one by one, each read by the guards
// before it leaves. Of other files no guard reads anything, and their verdicts say so.
func (g *Gateway) results(x *exchange, resp *provider.Response) error {
	if x.object.Kind == KeptFile && x.object.Op == "" {
		if x.answers != nil {
			x.answers.NotRun("media")
		}
		return g.sound(x, resp)
	}
	if err := x.durable(); err != nil {
		return err
	}
	h := x.w.Header()
	copyHeader(h, resp.Header)
	h.Set("Content-Type", "application/x-jsonl")
	began := g.c.Since(x.start)
	defer func() { x.upstreamT += g.c.Since(x.start) - began }()
	x.ev.End, x.perLine = event.EndComplete, true
	if x.profile != nil {
		x.ev.AnswerGuard = notAnswered(x.profile, x.ev.AnswerGuard[:0])
	}
	begin := func() {
		if !x.wrote {
			x.facts(h)
			x.ev.FirstByte = g.c.Since(x.start).Microseconds()
			x.head(http.StatusOK)
		}
	}
	for in := jsonl.NewReader(resp.Body, maxAnswer); ; {
		line, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			x.abort = x.wrote // a cut answer must not look whole
			return g.brokeOff(x, err)
		}
		line = g.guardLine(x, line)
		begin()
		if !x.write(line) || !x.write(lineEnd) {
			x.ev.End = event.EndClientGone
			break
		}
	}
	begin()
	x.done = true
	return nil
}

var lineEnd = []byte("\n")

// placeOf is where a line of a batch holds a request or an answer.
func placeOf(o *Object, line []byte) (at jsonl.Span, request, ok bool) {
	path := []string{"response", "body"}
	switch {
	case o.Kind == KeptResponse:
		path = nil
	case o.Kind == KeptMessageBatch:
		path = []string{"result", "message"}
	case o.Purpose == purposeBatch:
		path, request = []string{"body"}, true
	}
	at = jsonl.Span{End: len(line)}
	for _, key := range path {
		found, err := jsonl.Fields(at.Of(line), key)
		if err != nil || found[0].Empty() || line[at.Start+found[0].Start] != '{' {
			return at, request, false
		}
		at = found[0].In(at.Start)
	}
	return at, request, true
}

// guardLine is a line as it may be given out. One that a guard blocks is an error in
// its place, as its request would have had alone.
func (g *Gateway) guardLine(x *exchange, line []byte) []byte {
	if x.profile == nil {
		return line
	}
	in := x.profile.Answer()
	defer in.Release()
	if in.Idle() {
		return line
	}
	out, err := g.readLine(x, in, line)
	x.ev.AnswerGuard = together(x.ev.AnswerGuard, in.Verdicts(nil))
	if guard, class, hit := in.Blocked(); hit && err == nil {
		err = refuse(http.StatusBadRequest, "guard_blocked", fmt.Sprintf("the guard %q found %s in this answer, so it is not given out (request %s)", guard, class, x.idHdr[0]))
	}
	var r *refusal
	if errors.As(err, &r) {
		return withheld(x.object.Kind, line, r)
	}
	return out
}

func (g *Gateway) readLine(x *exchange, in *guardrail.Inspector, line []byte) (out []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			g.c.Log.Error("guard failed", "request", x.idHdr[0], "cause", panicText(p))
			if out = line; !in.NotRun("failed") {
				err = refuse(http.StatusServiceUnavailable, "guard_failed", "a guard could not look at this answer, and it fails closed")
			}
		}
	}()
	at, request, ok := placeOf(x.object, line)
	if ok {
		read := x.chunk.Answer
		if request {
			read = x.chunk.Request
		}
		ok = read(at.Of(line), grammars[x.object.Op]) == nil
	}
	if ok && x.tooMuch(x.chunk.Text, nil) || !ok && int64(len(line)) > x.profile.MaxText {
		return line, tooMuchText(in, http.StatusBadGateway, fmt.Sprintf("this answer holds more text than its guards read (%s), and one of them fails closed", size(x.profile.MaxText)))
	}
	if !ok { // an error, or something that nobody knows: all of it is text
		text, changed := in.Text(line)
		if changed {
			return bytes.Clone(text), nil
		}
		return line, nil
	}
	var edits []peek.Edit
	for _, s := range x.chunk.Text {
		text := line[at.Start+s.Start : at.Start+s.End]
		if s.Escaped {
			x.scratch = peek.Unescape(x.scratch[:0], text)
			text = x.scratch
		}
		if out, changed := in.Text(text); changed {
			edits = append(edits, peek.Edit{Start: at.Start + s.Start, End: at.Start + s.End, With: peek.Escape(nil, out)})
			edits = withoutLogprobs(edits, x.chunk.Logprobs, s.Choice(), at.Start)
		}
	}
	if len(edits) == 0 {
		return line, nil
	}
	return peek.Splice(nil, line, inOrder(edits)), nil
}

// withheld is what stands in the place of a line that may not be given out.
func withheld(kind ObjectKind, line []byte, r *refusal) []byte {
	found, err := jsonl.Fields(line, "custom_id", "id")
	part := func(i int) string {
		if err == nil && !found[i].Empty() {
			return string(found[i].Of(line))
		}
		return "null"
	}
	out := append([]byte(`{"custom_id":`), part(0)...)
	if kind == KeptMessageBatch {
		out = append(out, `,"result":{"type":"errored","error":`...)
		return append(anthropicFailure(out, r, ""), "}}"...)
	}
	out = append(append(out, `,"id":`...), part(1)...)
	out = field(out, `,"response":null,"error":{"code":"`, r.code)
	return append(field(out, `,"message":"`, r.message), "}}"...)
}

// together is what guards found in several texts, as one verdict for each guard: what
// was found in any, and clear only when none was passed over.
func together(all, more []event.Verdict) []event.Verdict {
	for _, v := range more {
		i := slices.IndexFunc(all, func(o event.Verdict) bool { return o.Guard == v.Guard })
		if i < 0 {
			all = append(all, v)
			continue
		}
		have := &all[i]
		have.Hits += v.Hits
		for _, c := range v.Classes {
			if !slices.Contains(have.Classes, c) {
				have.Classes = append(have.Classes, c)
			}
		}
		slices.Sort(have.Classes)
		if weight(&v) > weight(have) {
			have.State, have.Action, have.Reason, have.FailOpen = v.State, v.Action, v.Reason, v.FailOpen
		}
	}
	return all
}

// weight orders verdicts by what they say of several texts together. A text that a guard
// had nothing to look at in says nothing.
func weight(v *event.Verdict) int {
	switch {
	case v.State == event.Hit:
		return 4 + int(v.Action)
	case v.State == event.NotRun && (v.Reason == "no_text" || v.Reason == "no_answer"):
		return 0
	case v.State == event.Clear:
		return 1
	}
	return 2
}

// linesOf are the operations that give lines, by what keeps them.
var linesOf = map[ObjectKind]dialect.Operation{KeptFile: dialect.FileContent, KeptMessageBatch: dialect.MessageBatchResults}
