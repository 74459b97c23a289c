package gateway

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"plumbline/app/server/load"
	"plumbline/gateway/provider"
)

// eventwise is an upstream whose answers come an event at a time, as they do from a
// network while a model writes.
type eventwise struct {
	*memory
	rest []byte
}

func (e *eventwise) Send(context.Context, *provider.Request) (*provider.Response, error) {
	e.rest = e.answer
	e.response = provider.Response{Status: 200, Header: e.header, Body: e}
	return &e.response, nil
}

func (e *eventwise) Read(p []byte) (int, error) {
	if len(e.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, e.rest[:bytes.Index(e.rest, []byte("\n\n"))+2])
	e.rest = e.rest[n:]
	return n, nil
}

func (*eventwise) Close() error { return nil }

// newInProcessStream is newInProcess with an answer of twenty events with text and
// three others.
func newInProcessStream(t testing.TB) *inProcess {
	x := newInProcess(t)
	x.m.answer, x.m.header = load.Stream(), http.Header{"Content-Type": sseHeader}
	x.g.view.Load().orgs["acme"].providers["up"].Provider = &eventwise{memory: x.m}
	x.body = []byte(strings.Replace(string(x.body), `"temperature":0.2`, `"stream":true,"stream_options":{"include_usage":true}`, 1))
	x.req.ContentLength = int64(len(x.body))
	return x
}

func TestStreamAllocatesLittle(t *testing.T) { allocatesLittle(t, newInProcessStream, 16) }

// BenchmarkStream is BenchmarkExchange for a streamed answer.
func BenchmarkStream(b *testing.B) { newInProcessStream(b).measure(b, "cpu-us/stream") }
