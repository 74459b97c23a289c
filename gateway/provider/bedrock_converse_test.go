package provider

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"plumbline/gateway/dialect"
	"plumbline/gateway/event"
	"plumbline/gateway/provider/eventstream"
	"plumbline/inventory"
)

// A stream of Converse becomes events that its codec reads.
func TestConverseStreams(t *testing.T) {
	said := func(b []byte, event, payload string) []byte {
		return eventstream.Append(b, []byte(payload), ":message-type", "event", ":event-type", event, ":content-type", "application/json")
	}
	whole := said(nil, "messageStart", `{"role":"assistant","p":"abc"}`)
	whole = said(whole, "contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"Hi"},"p":"abcdef"}`)
	whole = said(whole, "contentBlockStop", `{"contentBlockIndex":0}`)
	cut := append([]byte(nil), whole...)
	whole = said(whole, "messageStop", `{"stopReason":"end_turn"}`)
	whole = said(whole, "metadata", `{"usage":{"inputTokens":3,"outputTokens":1,"totalTokens":4},"metrics":{"latencyMs":9}}`)
	begun := []dialect.Event{{Kind: dialect.Started}, {Kind: dialect.PartBegan}, {Kind: dialect.Delta, Text: "Hi"}, {Kind: dialect.PartEnded}}
	for _, c := range []struct {
		name string
		out  []byte
		want []dialect.Event
		err  bool
	}{
		{"whole", whole, append(begun[:4:4], dialect.Event{Kind: dialect.Stopped, Stop: dialect.StopEnd},
			dialect.Event{Kind: dialect.Counted, Usage: event.Usage{Input: 3, Output: 1, CacheRead: -1, CacheWrite: -1, Reasoning: -1}}, dialect.Event{Kind: dialect.Ended}), false},
		{"cut", cut, begun, false},
		{"an exception", eventstream.Append(append([]byte(nil), cut...), []byte(`{"message":"slow down"}`), ":message-type", "exception", ":exception-type", "throttlingException"),
			append(begun[:4:4], dialect.Event{Kind: dialect.Failed, Class: "throttlingException", Message: "slow down"}), false},
		{"no JSON", said(append([]byte(nil), cut...), "messageStop", `{`), begun, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var path string
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				path = r.URL.EscapedPath()
				w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
				w.Write(c.out)
			}))
			defer srv.Close()
			k, err := KindOf("bedrock")
			if err != nil {
				t.Fatal(err)
			}
			p, err := k.New(&inventory.Provider{BaseURL: srv.URL}, Transport())
			if err != nil {
				t.Fatal(err)
			}
			resp, err := p.Send(t.Context(), &Request{Path: k.Speaks[dialect.ConverseCreate].Of("eu.amazon.nova-pro-v1:0", true), Body: []byte(`{}`), Stream: true})
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if path != "/model/eu.amazon.nova-pro-v1:0/converse-stream" || resp.Header.Get("Content-Type") != "text/event-stream" {
				t.Errorf("%s %v", path, resp.Header)
			}
			var got []dialect.Event
			r, lines := dialect.Of(dialect.Converse).NewReader(), bufio.NewScanner(iotest.OneByteReader(resp.Body.(io.Reader)))
			for lines.Scan() {
				if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
					if got, err = r.Read(got, []byte(data)); err != nil {
						break
					}
				}
			}
			if err == nil {
				got, err = r.Read(got, nil)
			}
			if diff := cmp.Diff(c.want, got); diff != "" || lines.Err() != nil || (err != nil) != c.err {
				t.Errorf("%v %v %s", lines.Err(), err, diff)
			}
		})
	}
}
