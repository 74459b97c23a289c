package gateway

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"plumbline/gateway/dialect"
	"plumbline/gateway/jsonl"
	"plumbline/gateway/peek"
)

// Of a batch's time.
const (
	messageWindow = 24 * time.Hour     // that Anthropic gives each batch
	longestWindow = 7 * 24 * time.Hour // that may be asked for
	// batchGrace is how long after its window word of a batch is waited for, before it
	// is charged at its hold.
	batchGrace = 2 * time.Hour
)

// batchAsk is what a call that makes a batch of OpenAI's asks for.
type batchAsk struct {
	input    string
	endpoint string
	window   time.Duration
}

// decodeBatch reads the body of a call that makes a batch.
func (g *Gateway) decodeBatch(x *exchange) error {
	if x.call.op == dialect.MessageBatchCreate {
		x.lot, x.batch = &lot{}, batchAsk{window: messageWindow}
		if err := x.lot.readBody(x.body, &x.chunk); err != nil {
			return err
		}
		return x.asks(x.lot.models[0].model)
	}
	found, err := jsonl.Fields(x.body, "input_file_id", "endpoint", "completion_window")
	if err != nil {
		return refuse(http.StatusBadRequest, "body_malformed", "the body: "+err.Error())
	}
	x.batch.input, _ = jsonl.Text(found[0].Of(x.body))
	x.batch.endpoint, _ = jsonl.Text(found[1].Of(x.body))
	window, _ := jsonl.Text(found[2].Of(x.body))
	x.batch.window, err = time.ParseDuration(window)
	switch {
	case x.batch.input == "":
		return refuse(http.StatusBadRequest, "batch_invalid", "name the file with the batch's requests as `input_file_id`").about("input_file_id")
	case err != nil || x.batch.window <= 0 || x.batch.window > longestWindow:
		return refuse(http.StatusBadRequest, "batch_invalid", "say in what time the batch shall be done as `completion_window`, such as 24h; the longest is a week").about("completion_window")
	}
	return nil
}

// recallKept finds the file or the batch that a call is about, or is made from.
func (g *Gateway) recallKept(x *exchange) error {
	if x.call.op == dialect.BatchCreate {
		o, err := g.findKept(x, KeptFile, x.batch.input)
		if err != nil {
			return err
		}
		op, ok := lineOp(x.batch.endpoint)
		switch {
		case o.Purpose != purposeBatch:
			return refuse(http.StatusBadRequest, "batch_invalid", "the file was uploaded for another purpose than batch").about("input_file_id")
		case !ok || op != o.Op:
			return refuse(http.StatusBadRequest, "batch_invalid", "the `endpoint` is not the `url` of the requests in the file").about("endpoint")
		}
		x.goTo(o)
		x.lot = &lot{Lot: o.Lot, op: o.Op}
		return nil
	}
	o, err := g.findKept(x, x.call.kind, x.asked)
	if err != nil {
		return err
	}
	x.goTo(o)
	return g.settleFirst(x)
}

// state is what a provider says of a file or a batch, as far as the gateway minds.
type state struct {
	ID         string
	Status     string // OpenAI's
	Processing string `json:"processing_status"` // Anthropic's
	Output     string `json:"output_file_id"`
	Errors     string `json:"error_file_id"`

	ended bool
}

func readState(kind ObjectKind, said []byte) (*state, error) {
	var s state
	if err := json.Unmarshal(said, &s); err != nil {
		return nil, errors.New("it does not describe a file or a batch")
	}
	switch kind {
	case KeptBatch:
		s.ended = s.Status == "completed" || s.Status == "failed" || s.Status == "expired" || s.Status == "cancelled"
	case KeptMessageBatch:
		s.ended = s.Processing == "ended"
	}
	return &s, nil
}

// files are those with results.
func (s *state) files() (out []string) {
	for _, id := range []string{s.Output, s.Errors} {
		if id != "" {
			out = append(out, id)
		}
	}
	return out
}

// resultsHere are the edits that make a batch say that its results are here, not at its
// provider: clients go where it says, with the key that they have. The path is below
// the base URL.
func resultsHere(kind ObjectKind, answer []byte) []peek.Edit {
	if kind != KeptMessageBatch {
		return nil
	}
	found, err := jsonl.Fields(answer, "id", "results_url")
	if err != nil {
		return nil
	}
	id, _ := jsonl.Text(found[0].Of(answer))
	if url, ok := jsonl.Text(found[1].Of(answer)); !ok || url == "" || !plainID(id) {
		return nil
	}
	return []peek.Edit{{Start: found[1].Start, End: found[1].End, With: []byte(`"/v1/messages/batches/` + id + `/results"`)}}
}

// list gives a system's own files or batches, as they were described last.
func (g *Gateway) list(x *exchange) error {
	kind := x.call.kind
	all, err := g.listKept(x, kind)
	if err != nil {
		return err
	}
	q := x.r.URL.Query()
	most := 20
	if kind == KeptFile {
		most = 10_000
	}
	if n, err := strconv.Atoi(q.Get("limit")); err == nil && n > 0 {
		most = min(n, 10_000)
	}
	if q.Get("order") == "asc" && kind == KeptFile {
		for i, k := 0, len(all)-1; i < k; i, k = i+1, k-1 {
			all[i], all[k] = all[k], all[i]
		}
	}
	if purpose := q.Get("purpose"); purpose != "" {
		all = only(all, func(o *Object) bool { return o.Purpose == purpose })
	}
	after := q.Get("after")
	if kind == KeptMessageBatch {
		after = q.Get("after_id")
	}
	page, more := all, false
	for i, o := range all {
		if o.ID == after && after != "" {
			page = all[i+1:]
		}
	}
	if before := q.Get("before_id"); before != "" {
		for i, o := range page {
			if o.ID == before {
				page = page[max(0, i-most):i]
				more = i > most
				break
			}
		}
	} else if more = len(page) > most; more {
		page = page[:most]
	}
	x.answer(listOf(kind, page, more))
	return nil
}

func only(all []*Object, f func(*Object) bool) (out []*Object) {
	for _, o := range all {
		if f(o) {
			out = append(out, o)
		}
	}
	return out
}

// listOf writes a page in the words of the kind's API.
func listOf(kind ObjectKind, page []*Object, more bool) []byte {
	var b []byte
	if b = append(b, `{"object":"list","data":[`...); kind == KeptMessageBatch {
		b = append(b[:0], `{"data":[`...)
	}
	for i, o := range page {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, o.Said...)
	}
	b = append(b, `],"has_more":`...)
	b = strconv.AppendBool(b, more)
	if len(page) == 0 {
		return append(b, `,"first_id":null,"last_id":null}`...)
	}
	b = field(b, `,"first_id":"`, page[0].ID)
	return append(field(b, `,"last_id":"`, page[len(page)-1].ID), '}')
}

// answer gives what the gateway itself has to say, and ends the call.
func (x *exchange) answer(body []byte) {
	h := x.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	x.head(http.StatusOK)
	x.write(body)
	x.done = true
}
