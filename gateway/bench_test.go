package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"plumbline/app/money"
	"plumbline/app/seal"
	"plumbline/app/server/load"
	"plumbline/assessments/evidence"
	"plumbline/gateway/event"
	"plumbline/gateway/provider"
	"plumbline/inventory"
)

func newReader(b []byte) *bufio.Reader { return bufio.NewReaderSize(bytes.NewReader(b), 16) }

// inMemory reads a body that costs nothing.
type inMemory struct{ bytes.Reader }

func (*inMemory) Close() error { return nil }

// memory is an upstream and a caller without a network.
type memory struct {
	answer   []byte
	header   http.Header
	out      http.Header
	buf      []byte
	body     inMemory
	response provider.Response
}

func (m *memory) Send(context.Context, *provider.Request) (*provider.Response, error) {
	m.body.Reset(m.answer)
	m.response = provider.Response{Status: 200, Header: m.header, Body: &m.body}
	return &m.response, nil
}
func (m *memory) Header() http.Header         { return m.out }
func (m *memory) WriteHeader(int)             {}
func (m *memory) Write(b []byte) (int, error) { m.buf = append(m.buf, b...); return len(b), nil }

// withoutWaiting submits to the ledger, which encodes and enqueues, and takes its
// promise as kept: the writer does its part in its own time.
type withoutWaiting struct {
	*evidence.Ledger
	kept *event.Commit
}

func (w withoutWaiting) Submit(e *event.Event) (*event.Commit, error) {
	_, err := w.Ledger.Submit(e)
	return w.kept, err
}

// inProcess is one exchange from headers and body in memory to answer bytes in a
// buffer, 1 KB in and 350 B out, with every stage and guard on, and the ledger
// encoding and enqueuing its two records.
type inProcess struct {
	t    testing.TB
	g    *Gateway
	m    *memory
	req  *http.Request
	in   inMemory
	body []byte
}

func newInProcess(t testing.TB) *inProcess {
	sealer, err := seal.New(bytes.Repeat([]byte{1}, 32), nil)
	if err != nil {
		t.Fatal(err)
	}
	ledger, err := evidence.Open(t.Context(), evidence.Config{Dir: t.TempDir(), Instance: "bench", Sealer: sealer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ledger.Close(context.Background()) })
	if err := ledger.CreateLog(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	kept := event.NewCommit()
	kept.Resolve(nil)
	r := newRig(t, answerPlain)
	r.g.c.Recorder, r.g.c.ContentKey = withoutWaiting{ledger, kept}, ledger.ContentKey
	o := r.org()
	budget := func(id inventory.BudgetID, scope inventory.BudgetScope) *inventory.Budget {
		return &inventory.Budget{ID: id, Org: "acme", Scope: scope, Limit: 1e6 * money.Dollar, Window: "month"}
	}
	o.KeyBudgets["k1"] = []*inventory.Budget{budget("k", inventory.ScopeKey)}
	o.SystemBudgets["SYS-001"] = []*inventory.Budget{budget("s", inventory.ScopeSystem)}
	o.OrgBudgets = []*inventory.Budget{budget("o", inventory.ScopeOrg)}
	r.snap.Keys["k1"].PerMinute, r.snap.Keys["k1"].Concurrency = 1<<40, 1000
	r.use()
	x := &inProcess{t: t, g: r.g}
	const head = `{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":"`
	const tail = `"},"finish_reason":"stop"}],"usage":{"prompt_tokens":210,"completion_tokens":30,"total_tokens":240}}`
	answer := head + strings.Repeat("The claim is paid within ten working days. ", 9)[:350-len(head)-len(tail)] + tail
	x.m = &memory{answer: []byte(answer), header: http.Header{"Content-Type": jsonHeader}, out: http.Header{}}
	up := r.g.view.Load().orgs["acme"].providers["up"]
	up.Provider = x.m
	r.g.view.Load().orgs["acme"].providers["up"] = up
	const frame = `{"model":"gpt-4o-mini","messages":[{"role":"system","content":"You answer questions about travel insurance."},{"role":"user","content":""}],"temperature":0.2,"max_tokens":200}`
	x.body = []byte(strings.Replace(frame, `"content":""`, `"content":"`+strings.Repeat("How long does it take until a claim is paid, and what is missing? ", 20)[:1024-len(frame)]+`"`, 1))
	if len(x.body) != 1024 || len(x.m.answer) != 350 {
		t.Fatalf("%d bytes in, %d out", len(x.body), len(x.m.answer))
	}
	x.req = &http.Request{Method: http.MethodPost, URL: &url.URL{Path: "/v1/chat/completions"}, Header: http.Header{"Authorization": {"Bearer " + testKey}, "Content-Type": jsonHeader},
		ContentLength: 1024, RemoteAddr: "192.0.2.7:5555", Body: &x.in}
	return x
}

func (x *inProcess) exchange() {
	x.in.Reset(x.body)
	x.m.buf = x.m.buf[:0]
	clear(x.m.out)
	x.g.ServeHTTP(x.m, x.req)
	if !bytes.Equal(x.m.buf, x.m.answer) {
		x.t.Fatalf("answer %s", x.m.buf)
	}
}

// The writer behind the ledger allocates a little for each group; that is in the
// count too.
func TestExchangeAllocatesLittle(t *testing.T) {
	allocatesLittle(t, newInProcess, 10)
}

func allocatesLittle(t *testing.T, make func(testing.TB) *inProcess, most float64) {
	t.Helper()
	if raceDetector {
		t.Skip("the race detector allocates for itself and empties pools; .ci/test runs this once without it")
	}
	if n := testing.AllocsPerRun(5_000, make(t).exchange); n > most {
		t.Errorf("%v allocations, at most %v are allowed", n, most)
	}
}

// BenchmarkExchange says what an exchange costs the goroutine that runs it. The
// clock is stopped by whoever else uses the machine, so CPU time counts.
func BenchmarkExchange(b *testing.B) { newInProcess(b).measure(b, "cpu-us/exchange") }

func (x *inProcess) measure(b *testing.B, unit string) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b.ReportAllocs()
	before, n := load.ThreadCPU(), 0
	for b.Loop() {
		x.exchange()
		n++
	}
	b.ReportMetric(float64((load.ThreadCPU()-before)/time.Nanosecond)/float64(n)/1000, unit)
}

// BenchmarkExchangeToDecoding sets the exchange against work that every Go programmer
// knows: encoding/json decoding its two bodies into any, and nothing else. They take
// turns of 100, so that a slow machine, or one that others use, slows both.
func BenchmarkExchangeToDecoding(b *testing.B) {
	x := newInProcess(b)
	decode := func() {
		for _, body := range [][]byte{x.body, x.m.answer} {
			var v any
			if err := json.Unmarshal(body, &v); err != nil {
				b.Fatal(err)
			}
		}
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var exchange, decoding time.Duration
	for b.Loop() {
		start := load.ThreadCPU()
		for range 100 {
			x.exchange()
		}
		between := load.ThreadCPU()
		for range 100 {
			decode()
		}
		exchange, decoding = exchange+between-start, decoding+load.ThreadCPU()-between
	}
	b.ReportMetric(float64(exchange)/float64(decoding), "x-decoding")
}
