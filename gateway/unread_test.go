package gateway

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"plumbline/gateway/event"
)

// A request whose head was not taken is on record and counted like one of a caller who
// is not known, and answered in the dialect of its path.
func TestUnread(t *testing.T) {
	r := newRig(t, answerPlain)
	for _, c := range []struct{ path, dialect, endpoint, holds string }{
		{"/v1/chat/completions", "openai", "chat.completions", `"param":null,"code":"host_repeated"`},
		{"/azure/openai/deployments/a/chat/completions", "openai", "chat.completions", `"code":"host_repeated"`},
		{"/v1/messages", "anthropic", "messages", `"request_id":"`},
		{"/anthropic/v1/none", "anthropic", "", `"request_id":"`},
		{"/gemini/v1beta/models/a:streamGenerateContent", "gemini", "generate_content", `"reason":"host_repeated"`},
		{"/bedrock/model/a/converse", "bedrock", "converse", `{"message":"send it once","code":"host_repeated"}`},
		{"", "openai", "", `"code":"host_repeated"`},
	} {
		n := len(r.rec.events)
		text := r.g.Unread(Unread{Method: "POST", Path: c.path, Address: "203.0.113.9:4", Status: 400, Code: "host_repeated", Message: "send it once"})
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(text)), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 400 || !resp.Close || !strings.Contains(string(body), c.holds) || resp.Header.Get("Date") == "" || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %v %v %s", c.path, err, resp, body)
		}
		if kind := resp.Header.Get(amazonError); (kind == "ValidationException") != (c.dialect == "bedrock") {
			t.Errorf("%s: %q", c.path, kind)
		}
		all := r.rec.events
		if len(all) != n+1 {
			t.Fatalf("%s: %d records", c.path, len(all)-n)
		}
		e := all[n]
		if e.Kind != event.Refused || e.Code != "host_repeated" || e.Status != 400 || e.Dialect != c.dialect || e.Endpoint != c.endpoint || e.Address != "203.0.113.0/24" || e.Log != "" ||
			resp.Header.Get("X-Request-Id") != e.Exchange.String() {
			t.Errorf("%s: %+v", c.path, e)
		}
	}
	if n := r.g.InFlight(); n != 0 {
		t.Errorf("%d in flight", n)
	}
}
