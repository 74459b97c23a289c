package wiretest

import (
	"bytes"
	"cmp"
	"fmt"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
)

// storedFile is a file that was uploaded, or the results of a batch.
type storedFile struct {
	id, name, purpose string
	content           []byte
}

// storedBatch is a batch of either vendor. It ends when it is asked for and Pending says
// no: its requests are answered then, as each would be alone.
type storedBatch struct {
	id, status, input, endpoint string
	messages                    bool
	output, failed              string // ids of files
	results                     []byte // of a message batch
	requests                    [][2]node
	header                      http.Header
	ends                        map[string]int // of its requests, in the words of the vendor's request_counts
}

// Forgery is what tests do to the results of a batch: each line as it would be given,
// and what is given in its place.
type Forgery func(line []byte) []byte

func (s *Server) store(f *storedFile) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files = append(s.files, f)
}

func (s *Server) file(id string) *storedFile {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.files {
		if f.id == id {
			return f
		}
	}
	return nil
}

func (s *Server) batch(id string) *storedBatch {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.batches[id]
}

// Files gives the contents of what was uploaded and made, by id.
func (s *Server) Files() map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string][]byte{}
	for _, f := range s.files {
		out[f.id] = f.content
	}
	return out
}

// fresh is an id that was not given out before.
func (s *Server) fresh(prefix string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made++
	return fmt.Sprintf("%s%06d", prefix, s.made)
}

func fileObject(f *storedFile) object {
	return object{"id", f.id, "object", "file", "bytes", len(f.content), "created_at", created, "expires_at", nil, "filename", f.name, "purpose", f.purpose, "status", "processed", "status_details", nil}
}

// routeFiles finds what answers a path below /v1/files or /v1/batches.
func (c *call) routeFiles(method, path string) func() *Answer {
	part := strings.Split(strings.TrimPrefix(path, "/"), "/")
	switch shape := method + " " + part[0] + strings.Repeat("/*", min(len(part)-1, 1)) + strings.Join(append([]string{""}, part[min(len(part), 2):]...), "/"); shape {
	case "POST files":
		return c.uploadFile
	case "GET files/*":
		return func() *Answer {
			return c.withFile(part[1], func(f *storedFile) *Answer { return c.whole(fileObject(f)) })
		}
	case "GET files/*/content":
		return func() *Answer {
			return c.withFile(part[1], func(f *storedFile) *Answer {
				return &Answer{Status: 200, Header: http.Header{"Content-Type": {"application/octet-stream"}}, Body: f.content}
			})
		}
	case "DELETE files/*":
		return func() *Answer {
			return c.withFile(part[1], func(f *storedFile) *Answer {
				c.server.mu.Lock()
				c.server.files = slices.DeleteFunc(c.server.files, func(o *storedFile) bool { return o == f })
				c.server.mu.Unlock()
				return c.whole(object{"id", f.id, "object", "file", "deleted", true})
			})
		}
	case "POST batches":
		return c.makeBatch
	case "GET batches/*", "POST batches/*/cancel":
		return func() *Answer { return c.askBatch(part[1], method == http.MethodPost, c.shown()) }
	}
	return nil
}

func (c *call) withFile(id string, f func(*storedFile) *Answer) *Answer {
	if found := c.server.file(id); found != nil {
		return f(found)
	}
	return c.fail(404, "No such File object: "+id)
}

func (c *call) uploadFile() *Answer {
	_, params, err := mime.ParseMediaType(c.header.Get("Content-Type"))
	if err != nil {
		return c.fail(400, "The body is no form.")
	}
	in, err := multipart.NewReader(bytes.NewReader(c.body), params["boundary"]).ReadForm(64 << 20)
	if err != nil || len(in.File["file"]) != 1 || len(in.Value["purpose"]) != 1 || len(in.Value["model"]) != 0 {
		return c.fail(400, "The form has no file, no purpose, or a field that is not known.")
	}
	f := &storedFile{id: c.server.fresh("file-"), name: in.File["file"][0].Filename, purpose: in.Value["purpose"][0]}
	from, err := in.File["file"][0].Open()
	if err == nil {
		var b bytes.Buffer
		_, err = b.ReadFrom(from)
		f.content = b.Bytes()
	}
	if err != nil {
		return c.fail(400, "The file cannot be read.")
	}
	c.server.store(f)
	return c.whole(fileObject(f))
}

func (c *call) makeBatch() *Answer {
	body, err := decode(c.body)
	if err != nil {
		return c.fail(400, "We could not parse the JSON body of your request.")
	}
	if a := c.unknown(body, "input_file_id endpoint completion_window metadata output_expires_after"); a != nil {
		return a
	}
	input := c.server.file(body.at("input_file_id").text())
	if input == nil || input.purpose != "batch" {
		return c.fail(400, "The input file is not there.")
	}
	b := &storedBatch{id: c.server.fresh("batch_"), status: "validating", input: input.id, endpoint: body.at("endpoint").text(), header: c.header, ends: map[string]int{}}
	return c.keepBatch(b, c.shown())
}

func (c *call) keepBatch(b *storedBatch, show func(*storedBatch) object) *Answer {
	a := c.whole(show(b))
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.server.batches[b.id] = b
	return a
}

func batchObject(b *storedBatch) object {
	id := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	return object{"id", b.id, "object", "batch", "endpoint", b.endpoint, "errors", nil, "input_file_id", b.input, "completion_window", "24h", "status", b.status,
		"output_file_id", id(b.output), "error_file_id", id(b.failed), "created_at", created, "request_counts", requestCounts(b),
		"usage", object{"input_tokens", 0, "output_tokens", 0, "total_tokens", 0}, "metadata", nil}
}

// azureBatchObject has no usage, and "" for the ids of files that are not there.
func azureBatchObject(b *storedBatch) object {
	return object{"object", "batch", "id", b.id, "endpoint", b.endpoint, "errors", nil, "input_file_id", b.input, "completion_window", "24h", "status", b.status,
		"output_file_id", b.output, "error_file_id", b.failed, "created_at", created, "in_progress_at", nil, "expires_at", created + 86400, "completed_at", nil,
		"request_counts", requestCounts(b), "metadata", nil}
}

func requestCounts(b *storedBatch) object {
	return object{"total", b.ends["total"], "completed", b.ends["completed"], "failed", b.ends["failed"]}
}

// shown is how the vendor that was asked describes a batch.
func (c *call) shown() func(*storedBatch) object {
	if c.vendor == azure {
		return azureBatchObject
	}
	return batchObject
}

func messageBatchObject(b *storedBatch) object {
	var url any
	if b.status == "ended" {
		url = "https://api.anthropic.com/v1/messages/batches/" + b.id + "/results"
	}
	processing := 0 // until all have ended, every one is
	if b.status != "ended" {
		processing = len(b.requests)
	}
	counts := object{"processing", processing}
	for _, how := range []string{"succeeded", "errored", "canceled", "expired"} {
		counts = append(counts, how, b.ends[how])
	}
	return object{"id", b.id, "type", "message_batch", "processing_status", b.status, "request_counts", counts,
		"ended_at", nil, "created_at", "2026-01-01T00:00:00Z", "expires_at", "2026-01-02T00:00:00Z", "archived_at", nil, "cancel_initiated_at", nil, "results_url", url}
}

// askBatch tells how a batch stands, and ends it unless it is pending.
func (c *call) askBatch(id string, cancel bool, show func(*storedBatch) object) *Answer {
	c.server.turns.Lock()
	defer c.server.turns.Unlock()
	b := c.server.batch(id)
	if b == nil {
		return c.fail(404, "No such batch: "+id)
	}
	switch ended := b.status != "validating" && b.status != "in_progress"; {
	case ended:
	case cancel:
		c.end(b, "cancelled")
	case c.server.Pending != nil && c.server.Pending():
		b.status = "in_progress"
	default:
		c.end(b, cmp.Or(c.server.Ends, "completed"))
	}
	return c.whole(show(b))
}

// end answers a batch's requests. Of one that is cancelled or expires the first was
// answered before; one that fails had something wrong in its file.
func (c *call) end(b *storedBatch, how string) {
	if b.messages {
		c.runMessages(b, how)
		return
	}
	if b.status = how; how != "failed" {
		c.runBatch(b, how)
	}
}

// forged is a line of results as it is given.
func (c *call) forged(o object) []byte {
	line := encode(o)
	if c.server.Forge != nil {
		line = c.server.Forge(line)
	}
	return append(line, '\n')
}

// alone answers one request of a batch.
func (c *call) alone(b *storedBatch, path string, body node) (*Answer, node) {
	h := b.header.Clone()
	h.Set("Content-Type", "application/json")
	if c.vendor == azure { // whose requests have no version in their path
		path = "/openai/v1" + strings.TrimPrefix(path, "/v1")
	}
	a := c.server.Answer(http.MethodPost, path, "", h, encode(body.v))
	said, _ := decode(a.Body)
	return a, said
}

func (c *call) runBatch(b *storedBatch, how string) {
	var good, bad []byte
	answered := 0
	for line := range bytes.Lines(c.server.file(b.input).content) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		in, err := decode(line)
		if err != nil {
			b.status = "failed"
			return
		}
		b.ends["total"]++
		if answered++; answered > 1 && how != "completed" {
			bad = append(bad, c.forged(object{"id", c.server.fresh("batch_req_"), "custom_id", in.at("custom_id").text(), "response", nil, "error", object{"code", "batch_" + how, "message", "This request was not answered."}})...)
			continue
		}
		a, said := c.alone(b, b.endpoint, in.at("body"))
		out := c.forged(object{"id", c.server.fresh("batch_req_"), "custom_id", in.at("custom_id").text(), "response", object{"status_code", a.Status, "request_id", "req_1", "body", said.v}, "error", nil})
		if a.Status == 200 {
			b.ends["completed"]++
			good = append(good, out...)
		} else {
			b.ends["failed"]++
			bad = append(bad, out...)
		}
	}
	for _, r := range []struct {
		content []byte
		id      *string
	}{{good, &b.output}, {bad, &b.failed}} {
		if len(r.content) > 0 {
			*r.id = c.server.fresh("file-out-")
			c.server.store(&storedFile{*r.id, "results.jsonl", "batch_output", r.content})
		}
	}
}

// routeMessageBatches finds what answers a path below /v1/messages/batches.
func (c *call) routeMessageBatches(method, rest string) func() *Answer {
	id, below, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/")
	switch {
	case method == http.MethodPost && rest == "":
		return c.makeMessageBatch
	case method == http.MethodGet && below == "", method == http.MethodPost && below == "cancel":
		return func() *Answer { return c.askBatch(id, below == "cancel", messageBatchObject) }
	case method == http.MethodGet && below == "results":
		return func() *Answer {
			c.server.turns.Lock()
			defer c.server.turns.Unlock()
			b := c.server.batch(id)
			if b == nil || b.status != "ended" {
				return c.fail(404, "The results are not there.")
			}
			return &Answer{Status: 200, Header: http.Header{"Content-Type": {"application/x-jsonl"}}, Body: b.results}
		}
	case method == http.MethodDelete && below == "":
		return func() *Answer {
			c.server.turns.Lock()
			defer c.server.turns.Unlock()
			c.server.mu.Lock()
			defer c.server.mu.Unlock()
			if b := c.server.batches[id]; b == nil || b.status != "ended" {
				return c.fail(400, "It has not ended.")
			}
			delete(c.server.batches, id)
			return c.whole(object{"id", id, "type", "message_batch_deleted"})
		}
	}
	return nil
}

func (c *call) makeMessageBatch() *Answer {
	body, err := decode(c.body)
	if err != nil || len(body.at("requests").items()) == 0 {
		return c.fail(400, "requests: Field required")
	}
	b := &storedBatch{id: c.server.fresh("msgbatch_"), status: "in_progress", messages: true, header: c.header, ends: map[string]int{}}
	for _, q := range body.at("requests").items() {
		b.requests = append(b.requests, [2]node{q.at("custom_id"), q.at("params")})
	}
	return c.keepBatch(b, messageBatchObject)
}

func (c *call) runMessages(b *storedBatch, how string) {
	b.status = "ended"
	for i, q := range b.requests {
		if i > 0 && how != "completed" {
			kind := map[string]string{"cancelled": "canceled", "expired": "expired"}[how]
			b.ends[kind]++
			b.results = append(b.results, c.forged(object{"custom_id", q[0].text(), "result", object{"type", kind}})...)
			continue
		}
		a, said := c.alone(b, "/v1/messages", q[1])
		result := object{"type", "succeeded", "message", said.v}
		if a.Status != 200 {
			result = object{"type", "errored", "error", said.v}
		}
		b.ends[result[1].(string)]++
		b.results = append(b.results, c.forged(object{"custom_id", q[0].text(), "result", result})...)
	}
}
