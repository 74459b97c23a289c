package gateway

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"plumbline/app/money"
	"plumbline/assessments/evidence/record"
	"plumbline/gateway/event"
	"plumbline/gateway/provider"
	"plumbline/inventory"
)

func newReader(b []byte) *bufio.Reader { return bufio.NewReaderSize(bytes.NewReader(b), 16) }

// memory is an upstream and a caller without a network.
type memory struct {
	answer []byte
	header http.Header
	out    http.Header
	buf    []byte
	body   bytes.Reader
	resp   provider.Response
}

func (m *memory) Send(context.Context, *provider.Request) (*provider.Response, error) {
	m.body.Reset(m.answer)
	m.resp = provider.Response{Status: 200, Header: m.header, Body: io.NopCloser(&m.body)}
	return &m.resp, nil
}
func (m *memory) Header() http.Header         { return m.out }
func (m *memory) WriteHeader(int)             {}
func (m *memory) Write(b []byte) (int, error) { m.buf = append(m.buf, b...); return len(b), nil }

// encoder is the recorder's part in the path: it encodes and enqueues.
type encoder struct {
	buf  []byte
	done *event.Commit
	env  record.Envelope
}

func (e *encoder) Submit(ev *event.Event) (*event.Commit, error) {
	if len(e.buf) > 1<<20 {
		e.buf = e.buf[:0]
	}
	e.env = record.Envelope{Kind: record.KindOf(ev.Kind), Version: 1, ID: ev.Exchange, At: ev.At, Writer: "w-0123456789abcdefghijklmnop", Number: e.env.Number + 1, Actor: "gateway"}
	e.buf = record.AppendEvent(e.buf, &e.env, ev)
	return e.done, nil
}

type rewind struct{ bytes.Reader }

func (*rewind) Close() error { return nil }

// BenchmarkExchange is one exchange in process: from headers and body in memory
// to answer bytes in a buffer, 1 KB in and 350 B out, every stage and guard on,
// the recorder encoding and enqueuing.
func BenchmarkExchange(b *testing.B) {
	r := newRig(b, answerPlain)
	r.g.c.Recorder = &encoder{buf: make([]byte, 0, 2<<20), done: func() *event.Commit { c := event.NewCommit(); c.Resolve(nil); return c }()}
	o := r.org()
	o.KeyBudgets["k1"] = []*inventory.Budget{{ID: "k", Org: "acme", Scope: inventory.ScopeKey, Limit: 1e6 * money.Dollar, Window: "month"}}
	o.SystemBudgets["SYS-001"] = []*inventory.Budget{{ID: "s", Org: "acme", Scope: inventory.ScopeSystem, Limit: 1e6 * money.Dollar, Window: "month"}}
	o.OrgBudgets[0].Limit = 1e6 * money.Dollar
	r.snap.Keys["k1"].PerMinute, r.snap.Keys["k1"].Concurrency = 1<<40, 1000
	r.use()
	head := `{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":"`
	tail := `"},"finish_reason":"stop"}],"usage":{"prompt_tokens":210,"completion_tokens":30,"total_tokens":240}}`
	m := &memory{answer: []byte(head + (strings.Repeat("The claim is paid within ten working days. ", 9))[:350-len(head)-len(tail)] + tail), header: http.Header{"Content-Type": jsonHeader}, out: http.Header{}}
	up := r.g.view.Load().orgs["acme"].providers["up"]
	up.Provider = m
	r.g.view.Load().orgs["acme"].providers["up"] = up
	frame := `{"model":"gpt-4o-mini","messages":[{"role":"system","content":"You answer questions about travel insurance."},{"role":"user","content":""}],"temperature":0.2,"max_tokens":200}`
	body := []byte(strings.Replace(frame, `"content":""`, `"content":"`+strings.Repeat("How long does it take until a claim is paid, and what is missing? ", 20)[:1024-len(frame)]+`"`, 1))
	if len(body) != 1024 || len(m.answer) != 350 {
		b.Fatalf("%d in, %d out", len(body), len(m.answer))
	}
	in := &rewind{}
	req := &http.Request{Method: http.MethodPost, URL: &url.URL{Path: "/v1/chat/completions"}, Header: http.Header{"Authorization": {"Bearer " + testKey}, "Content-Type": jsonHeader},
		ContentLength: 1024, RemoteAddr: "192.0.2.7:5555", Body: in}
	b.ReportAllocs()
	for b.Loop() {
		in.Reset(body)
		m.buf = m.buf[:0]
		clear(m.out)
		r.g.ServeHTTP(m, req)
	}
	if !bytes.Equal(m.buf, m.answer) {
		b.Fatalf("%s", m.buf)
	}
}
