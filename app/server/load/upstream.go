// Package load is the measuring side of the benchmarks and of the kill test: an
// upstream that counts what reaches it, and callers that note what they got.
package load

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Answer is the chat completion that the upstream gives: 846 bytes, of which
// usage is the provider's own.
const answerHead = `{"id":"chatcmpl-load","object":"chat.completion","created":1790000000,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":"`
const answerTail = `","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":42,"completion_tokens":118,"total_tokens":160,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}},"system_fingerprint":"fp_load"}`

var answer = buildAnswer(846)

func buildAnswer(size int) []byte {
	const words = "The claim is paid within ten working days after the last document has reached us. "
	b := []byte(answerHead)
	for i := 0; len(b) < size-len(answerTail); i++ {
		b = append(b, words[i%len(words)])
	}
	return append(b, answerTail...)
}

// StreamEvents is how many events with text a streamed answer has; two more say that
// it is finished and what it used.
const StreamEvents = 20

// eventPause is the time between two events. Models take five times as long; without
// any the events would reach whoever reads them as one.
const eventPause = 2 * time.Millisecond

var streamed = buildStream()

func buildStream() (events [][]byte) {
	const head, tail = `data: {"id":"chatcmpl-load","object":"chat.completion.chunk","created":1790000000,"model":"gpt-4o-mini-2024-07-18","choices":[`, "}\n\n"
	words := []string{"The ", "claim ", "is ", "paid ", "within ", "ten ", "working ", "days ", "after ", "it. "}
	for i := range StreamEvents {
		events = append(events, []byte(head+`{"index":0,"delta":{"content":"`+words[i%len(words)]+`"},"finish_reason":null}]`+tail))
	}
	return append(events, []byte(head+`{"index":0,"delta":{},"finish_reason":"stop"}]`+tail),
		[]byte(head+`],"usage":{"prompt_tokens":42,"completion_tokens":20,"total_tokens":62}`+tail), []byte("data: [DONE]\n\n"))
}

var whole = Stream()

// Stream is a streamed answer in one piece.
func Stream() []byte { return bytes.Join(streamed, nil) }

// Upstream is an OpenAI-compatible server on the loopback interface.
type Upstream struct {
	URL   string
	Delay time.Duration // before the answer
	Burst bool          // the events of a stream come in one piece, without pauses

	// Mark, when set, is called with each request's x-request-id before it is
	// answered.
	Mark func(request string)

	calls atomic.Int64
	srv   *http.Server
}

// Start listens on a free port.
func (u *Upstream) Start() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	u.URL = "http://" + l.Addr().String()
	u.srv = &http.Server{Handler: u, ReadHeaderTimeout: 10 * time.Second}
	go u.srv.Serve(l)
	return nil
}

// Close ends it.
func (u *Upstream) Close() { u.srv.Close() }

// Calls is how many requests arrived with their whole body.
func (u *Upstream) Calls() int64 { return u.calls.Load() }

var bodies = sync.Pool{New: func() any { b := make([]byte, 0, 16<<10); return &b }}

// ServeHTTP counts, marks, waits and answers.
func (u *Upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := bodies.Get().(*[]byte)
	defer bodies.Put(p)
	body, err := readInto((*p)[:0], r.Body)
	*p = body
	if err != nil {
		return
	}
	u.calls.Add(1)
	if u.Mark != nil {
		u.Mark(r.Header.Get("X-Request-Id"))
	}
	if u.Delay > 0 {
		time.Sleep(u.Delay)
	}
	h := w.Header()
	if bytes.Contains(body, []byte(`"stream":true`)) {
		h["Content-Type"] = []string{"text/event-stream"}
		if u.Burst {
			w.Write(whole)
			return
		}
		for _, event := range streamed {
			w.Write(event)
			w.(http.Flusher).Flush()
			time.Sleep(eventPause)
		}
		return
	}
	h["Content-Type"] = []string{"application/json"}
	h["Content-Length"] = []string{strconv.Itoa(len(answer))}
	w.Write(answer)
}

func readInto(b []byte, r io.Reader) ([]byte, error) {
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}
