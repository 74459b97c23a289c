package provider

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"plumbline/gateway/dialect"
	"plumbline/gateway/provider/eventstream"
	"plumbline/inventory"
)

func TestBedrockStreams(t *testing.T) {
	const start, stop = `{"type":"message_start","message":{"usage":{"input_tokens":3}}}`, `{"type":"message_stop"}`
	chunk := func(b []byte, text string) []byte {
		return eventstream.Append(b, fmt.Appendf(nil, `{"bytes":%q,"p":"abc"}`, base64.StdEncoding.EncodeToString([]byte(text))), ":message-type", "event", ":event-type", "chunk")
	}
	var path, body string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		path, body = r.URL.EscapedPath(), string(b)
		w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
		out := chunk(chunk(nil, start), stop)
		if strings.Contains(body, "throttle") {
			out = eventstream.Append(chunk(nil, start), []byte(`{"message":"slow down"}`), ":message-type", "exception", ":exception-type", "throttlingException")
		}
		w.Write(out)
	}))
	defer srv.Close()
	k, err := KindOf("bedrock-anthropic")
	if err != nil {
		t.Fatal(err)
	}
	p, err := k.New(&inventory.Provider{BaseURL: srv.URL}, Transport())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, body, want string }{
		{"whole", `{"model":"m","stream":true,"max_tokens":5,"big":12345678901234567890}`, "event: message_start\ndata: " + start + "\n\nevent: message_stop\ndata: " + stop + "\n\n"},
		{"an exception", `{"throttle":1}`, "event: message_start\ndata: " + start + "\n\nevent: error\ndata: {\"error\":{\"message\":\"slow down\",\"type\":\"throttlingException\"},\"type\":\"error\"}\n\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			way := k.Speaks[dialect.MessagesCreate]
			out, err := way.Body([]byte(c.body), "m", true)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := p.Send(t.Context(), &Request{Path: way.Of("arn:aws:bedrock:eu-central-1::x/claude v1:0", true), Body: out, Stream: true})
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(iotest.OneByteReader(resp.Body))
			if err != nil || string(got) != c.want || resp.Header.Get("Content-Type") != "text/event-stream" {
				t.Errorf("%v %s %s", err, resp.Header, got)
			}
		})
	}
	if path != "/model/arn:aws:bedrock:eu-central-1::x%2Fclaude%20v1:0/invoke-with-response-stream" {
		t.Errorf("path %s", path)
	}
}

func TestWithFields(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"between", `{"a":1, "model" : "m" ,"b":{"model":2}}`, `{"v":1,"a":1,"b":{"model":2}}`},
		{"first and last", `{"model":"m","a":12345678901234567890,"stream":true}`, `{"v":1,"a":12345678901234567890}`},
		{"alone", ` {"model":"m"} `, `{"v":1}`},
	} {
		if got, err := withFields([]byte(c.in), `"v":1`, "model", "stream"); err != nil || string(got) != c.want {
			t.Errorf("%s: %s %v", c.name, got, err)
		}
	}
}
