package gateway

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"plumbline/gateway/event"
	"plumbline/gateway/provider"
	"plumbline/gateway/provider/eventstream"
	"plumbline/inventory"
)

const nova = "amazon.nova-lite-v1:0"

// bedrocks is a gateway before a Bedrock under the test's hand.
func bedrocks(t testing.TB, upstream http.HandlerFunc) *rig {
	r := newRig(t, upstream)
	r.org().Providers["aws"] = &inventory.Provider{ID: "aws", Kind: "bedrock", BaseURL: r.up.URL, CredentialRef: "env:UP"}
	r.org().Routes[nova] = &inventory.Route{Model: nova, Provider: "aws"}
	r.use()
	return r
}

const (
	converseAsk  = `{"messages":[{"role":"user","content":[{"text":"Hi"}]}],"additionalModelRequestFields":{"n":98765432109876543210},"future":[1.50,null]}`
	converseSaid = `{"metrics":{"latencyMs":12},"future":12345678901234567890,"output":{"message":{"content":[{"text":"Hello."}],"role":"assistant"}},"stopReason":"end_turn","usage":{"inputTokens":10,"outputTokens":3,"totalTokens":13}}`
)

// told is an event as AWS writes it.
func told(kind, payload string) []byte {
	return eventstream.Append(nil, []byte(payload), ":event-type", kind, ":content-type", "application/json", ":message-type", "event")
}

func textDelta(block int, text string) []byte {
	b, _ := json.Marshal(text)
	return told("contentBlockDelta", fmt.Sprintf(`{"contentBlockIndex":%d,"delta":{"text":%s},"p":"abc"}`, block, b))
}

// numbered has headers of types that are no text, and a future one.
func numbered(kind, payload string) []byte {
	var h []byte
	for _, s := range []string{":message-type", "event", ":event-type", kind} {
		if h = append(h, byte(len(s))); s[0] != ':' {
			h = append(h[:len(h)-1], 7, 0, byte(len(s)))
		}
		h = append(h, s...)
	}
	h = append(h, 4, 'w', 'h', 'e', 'n', 8)
	h = binary.BigEndian.AppendUint64(h, 1<<60)
	h = append(h, 2, 'o', 'k', 0)
	b := binary.BigEndian.AppendUint32(nil, uint32(16+len(h)+len(payload)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(h)))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	b = append(append(b, h...), payload...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

var converseEnd = [][]byte{told("contentBlockStop", `{"contentBlockIndex":0}`), told("messageStop", `{"stopReason":"end_turn"}`),
	told("metadata", `{"usage":{"inputTokens":10,"outputTokens":3,"totalTokens":13},"metrics":{"latencyMs":9}}`)}

// streams answers with the bytes given, in pieces of n.
func streams(whole []byte, n int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
		for rest := whole; len(rest) > 0; rest = rest[min(n, len(rest)):] {
			w.Write(rest[:min(n, len(rest))])
			w.(http.Flusher).Flush()
		}
	}
}

// eventsIn is a stream as a client reads it: its events, each as type and payload.
func eventsIn(t interface{ Fatalf(string, ...any) }, answer string) (out []string) {
	d := eventstream.NewReader(strings.NewReader(answer))
	for {
		m, err := d.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatalf("%v in %q", err, answer)
		}
		kind, exception := m.Kind()
		out = append(out, kind+exception+" "+string(m.Payload))
	}
}

// A caller and a provider of Converse: what passes is byte for byte what came, in both
// directions, streamed in pieces of any size and not.
func TestConversePasses(t *testing.T) {
	stream := bytes.Join(append([][]byte{told("messageStart", `{"role":"assistant","big":12345678901234567890}`), numbered("contentBlockDelta", `{"contentBlockIndex":0, "delta":{"text":"w\u00f6rds"}}`),
		told("future", `{"a":[ 1.50,null ]}`)}, converseEnd...), nil)
	var path string
	var answer http.HandlerFunc
	r := bedrocks(t, func(w http.ResponseWriter, q *http.Request) {
		path = q.URL.EscapedPath()
		w.Header().Set("X-Amzn-Requestid", "aws-1")
		answer(w, q)
	})
	const arn = "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0"
	r.org().Routes[arn] = &inventory.Route{Model: arn, Provider: "aws", Target: nova}
	r.org().Routes["by-arn"] = &inventory.Route{Model: "by-arn", Provider: "aws", Target: arn, Unpriced: true}
	r.use()
	for _, c := range []struct{ name, asked, want string }{
		{"plain", nova, nova}, {"colon in the path", "amazon.nova-lite-v1%3A0", nova},
		{"ARN", "arn%3Aaws%3Abedrock%3Aeu-central-1%3A123456789012%3Ainference-profile%2Feu.amazon.nova-lite-v1%3A0", nova},
		{"to an ARN", "by-arn", "arn:aws:bedrock:eu-central-1:123456789012:inference-profile%2Feu.amazon.nova-lite-v1:0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				io.WriteString(w, converseSaid)
			}
			resp, got := r.send(http.MethodPost, "/bedrock/model/"+c.asked+"/converse", testKey, converseAsk)
			if resp.StatusCode != 200 || got != converseSaid || string(r.body) != converseAsk || path != "/model/"+c.want+"/converse" {
				t.Errorf("%d %s\nupstream got %s %s", resp.StatusCode, got, path, r.body)
			}
			h := resp.Header
			if h.Get("X-Amzn-Requestid") != h.Get("X-Request-Id") || h.Get("X-Upstream-Request-Id") != "aws-1" || h.Get("X-Plumbline-Provider") != "aws" || h.Get("X-Plumbline-Policy") != "allow" {
				t.Errorf("%v", h)
			}
			for _, n := range []int{1, 7, 100, len(stream)} {
				answer = streams(stream, n)
				resp, got := r.send(http.MethodPost, "/bedrock/model/"+c.asked+"/converse-stream", testKey, converseAsk)
				if got != string(stream) || resp.Header.Get("Content-Type") != "application/vnd.amazon.eventstream" || path != "/model/"+c.want+"/converse-stream" {
					t.Errorf("in pieces of %d: %v %q\nwant %q", n, resp.Header, got, stream)
				}
			}
		})
	}
	r.rec.wait(t, 40)
	if e := r.rec.last(); e.End != event.EndComplete || e.Source != event.UsageProvider || e.Usage.Input != 10 || e.Usage.Output != 3 || e.Dialect != "bedrock" || e.Endpoint != "converse" || !e.Stream {
		t.Errorf("%+v", e)
	}
}

// A frame that a guard changed is framed anew; the others are what they were. White
// space that would end a line is another.
func TestConverseFramesThatAGuardChanged(t *testing.T) {
	clean := told("messageStart", `{"role":"assistant"}`)
	stream := append(bytes.Clone(clean), numbered("contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"mail anna@exam"},"p":"abc"}`)...)
	stream = append(append(stream, textDelta(0, "ple.com now.")...), bytes.Join(converseEnd, nil)...)
	r := bedrocks(t, streams(stream, 50))
	_, got := r.send(http.MethodPost, "/bedrock/model/"+nova+"/converse-stream", testKey, converseAsk)
	want := append(bytes.Clone(clean), numbered("contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"mail [EMAIL]"},"p":"abc"}`)...)
	want = append(append(want, textDelta(0, " now.")...), bytes.Join(converseEnd, nil)...)
	if got != string(want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	r = bedrocks(t, streams(bytes.Join(append([][]byte{told("messageStart", "{\r\n\"role\":\"assistant\"\n}")}, converseEnd...), nil), 50))
	_, got = r.send(http.MethodPost, "/bedrock/model/"+nova+"/converse-stream", testKey, converseAsk)
	if events := eventsIn(t, got); len(events) != 4 || events[0] != `messageStart {  "role":"assistant" }` {
		t.Errorf("%q", events)
	}
}

// Whatever an answer's blocks are, however they are cut into deltas and delivered: each
// comes out as a guard would make it in one piece, in messages that a client can read.
func TestAVerdictNeverDependsOnCutsOfConverse(t *testing.T) {
	var stream []byte
	piece := 1
	r := bedrocks(t, func(w http.ResponseWriter, q *http.Request) { streams(stream, piece)(w, q) })
	words := []string{"Mail anna@example.com ", "4111 1111 1111 1111", " DE89 3704 0044 0532 0130 00 ", "219-09-9999", "füße “", `{"to":"bo@example.com"}`, "4111 1111 ", "plain words. ", "\n"}
	rapid.Check(t, func(t *rapid.T) {
		stream = told("messageStart", `{"role":"assistant"}`)
		want := map[int]string{}
		for block := range rapid.IntRange(1, 3).Draw(t, "blocks") {
			text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 1, 4).Draw(t, "text"), "")
			p := r.g.view.Load().orgs["acme"].profiles["default"].Answer()
			out, _ := p.Text([]byte(text))
			want[block] = string(out)
			p.Release()
			for runes := []rune(text); len(runes) > 0; {
				n := rapid.IntRange(1, min(len(runes), 12)).Draw(t, "cut")
				stream = append(stream, textDelta(block, string(runes[:n]))...)
				runes = runes[n:]
			}
			stream = append(stream, told("contentBlockStop", fmt.Sprintf(`{"contentBlockIndex":%d}`, block))...)
		}
		stream = append(stream, bytes.Join(converseEnd[1:], nil)...)
		piece = rapid.IntRange(1, 400).Draw(t, "piece")
		_, answer := r.send(http.MethodPost, "/bedrock/model/"+nova+"/converse-stream", testKey, converseAsk)
		got := map[int]string{}
		events := eventsIn(t, answer)
		for _, e := range events {
			if rest, ok := strings.CutPrefix(e, "contentBlockDelta "); ok {
				var d struct {
					Index int `json:"contentBlockIndex"`
					Delta struct{ Text string }
				}
				if err := json.Unmarshal([]byte(rest), &d); err != nil {
					t.Fatalf("%s: %v", rest, err)
				}
				got[d.Index] += d.Delta.Text
			}
		}
		if diff := cmp.Diff(want, got); diff != "" || !strings.HasPrefix(events[len(events)-1], "metadata ") {
			t.Fatalf("%s\n%q", diff, events)
		}
	})
}

// Errors are Bedrock's: a name in a header and a message; in a stream an exception, which
// nothing follows.
func TestConverseErrors(t *testing.T) {
	const converse = "/bedrock/model/" + nova + "/converse"
	signature := "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261126/eu-central-1/bedrock/aws4_request, SignedHeaders=host, Signature=00"
	for _, c := range []struct {
		name, path    string
		authorization string
		set           func(r *rig)
		status        int
		kind, code    string
		says          string
	}{
		{"no key", converse, "", nil, 401, "AccessDeniedException", "key_missing", "virtual key"},
		{"unknown key", converse, "Bearer pk-k9-x", nil, 401, "AccessDeniedException", "key_unknown", ""},
		{"signed", converse, signature, nil, 401, "AccessDeniedException", "signature_unsupported", "AWS_BEARER_TOKEN_BEDROCK"},
		{"signed in the query", converse + "-stream?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00", "", nil, 401, "AccessDeniedException", "signature_unsupported", ""},
		{"suspended", converse, "", func(r *rig) { r.org().Systems["SYS-001"].Suspended = &inventory.Suspension{} }, 403, "AccessDeniedException", "system_suspended", ""},
		{"no such model", "/bedrock/model/amazon.nothing/converse", "", nil, 404, "ResourceNotFoundException", "model_not_found", ""},
		{"InvokeModel", "/bedrock/model/" + nova + "/invoke", "", nil, 404, "UnknownOperationException", "unknown_endpoint", "send the call as Converse"},
		{"InvokeModelWithResponseStream", "/bedrock/model/" + nova + "/invoke-with-response-stream", "", nil, 404, "UnknownOperationException", "unknown_endpoint", "send the call as Converse"},
		{"another call", "/bedrock/model/" + nova + "/count-tokens", "", nil, 404, "UnknownOperationException", "unknown_endpoint", ""},
		{"budget", converse, "", func(r *rig) { r.org().OrgBudgets[0].Limit = 1 }, 400, "ServiceQuotaExceededException", "budget_exceeded", ""},
		{"rate", converse, "", func(r *rig) { k := r.snap.Keys["k1"]; k.PerMinute = 1; r.g.c.Budgets.Admit(k, time.Now()) }, 429, "ThrottlingException", "rate_limited", ""},
		{"ledger", converse + "-stream", "", func(r *rig) { r.rec.down = true }, 503, "ServiceUnavailableException", "ledger_unavailable", ""},
		{"provider", converse, "", func(r *rig) { r.org().Routes[nova].Provider, r.org().Routes[nova].Target = "dead", "gpt-4o-mini" }, 502, "InternalServerException", "upstream_unreachable", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			reached := false
			r := bedrocks(t, func(http.ResponseWriter, *http.Request) { reached = true })
			authorization := c.authorization
			if c.set != nil {
				authorization = "Bearer " + testKey
				c.set(r)
				r.use()
			} else if c.status == 404 {
				authorization = "Bearer " + testKey
			}
			req, err := http.NewRequest(http.MethodPost, r.srv.URL+c.path, strings.NewReader(converseAsk))
			if err != nil {
				t.Fatal(err)
			}
			if authorization != "" {
				req.Header.Set("Authorization", authorization)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var said struct{ Message, Code string }
			if err := json.NewDecoder(resp.Body).Decode(&said); err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != c.status || resp.Header.Get("X-Amzn-Errortype") != c.kind || said.Code != c.code || said.Message == "" || !strings.Contains(said.Message, c.says) || resp.Header.Get("X-Amzn-Requestid") == "" {
				t.Errorf("%d %v %+v", resp.StatusCode, resp.Header, said)
			}
			if strings.Contains(said.Message, "Signature=00") || reached {
				t.Errorf("%s; the provider was reached: %v", said.Message, reached)
			}
		})
	}
}

// What Bedrock says about a request is passed on with its name; what breaks a stream is
// an exception.
func TestConverseSaysWhatWentWrongUpstream(t *testing.T) {
	r := bedrocks(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amzn-Errortype", "ValidationException:http://internal.amazon.com/coral/com.amazon.bedrock/")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(400)
		io.WriteString(w, `{"message":"Too many stop sequences."}`)
	})
	resp, answer := r.send(http.MethodPost, "/bedrock/model/"+nova+"/converse", testKey, converseAsk)
	if resp.StatusCode != 400 || answer != `{"message":"Too many stop sequences."}` || !strings.HasPrefix(resp.Header.Get("X-Amzn-Errortype"), "ValidationException") {
		t.Errorf("%d %v %s", resp.StatusCode, resp.Header, answer)
	}
	begun := append(told("messageStart", `{"role":"assistant"}`), textDelta(0, "All of it ")...)
	for _, c := range []struct {
		name string
		then []byte
		want string
	}{
		{"cut", nil, "modelStreamErrorException"},
		{"an exception", eventstream.Append(nil, []byte(`{"message":"slow down"}`), ":message-type", "exception", ":exception-type", "throttlingException"), "modelStreamErrorException"},
		{"a blocked secret", textDelta(0, "AKIAIOSFODNN7EXAMPLE and more. "), "validationException"},
	} {
		r := bedrocks(t, streams(append(bytes.Clone(begun), c.then...), 1<<20))
		resp, answer := r.send(http.MethodPost, "/bedrock/model/"+nova+"/converse-stream", testKey, converseAsk)
		events := eventsIn(t, answer)
		last := events[len(events)-1]
		if resp.StatusCode != 200 || !strings.HasPrefix(last, c.want+` {"message":"`) || strings.Contains(answer, "messageStop") || strings.Contains(answer, "AKIA") {
			t.Errorf("%s: %d %q", c.name, resp.StatusCode, events)
		}
	}
	// A stream that is no stream of AWS's is none at all.
	r = bedrocks(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: {\"messageStop\":{}}\n\ndata: {\"metadata\":{}}\n\n")
	})
	if resp, answer := r.send(http.MethodPost, "/bedrock/model/"+nova+"/converse-stream", testKey, converseAsk); resp.StatusCode != 502 || !strings.Contains(answer, "upstream_bad_answer") {
		t.Errorf("%d %s", resp.StatusCode, answer)
	}
}

// The framing has no comments: nothing is sent while a model thinks, and how often the
// client tried is on record.
func TestConverseStaysSilent(t *testing.T) {
	r := bedrocks(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
		w.Write(told("messageStart", `{"role":"assistant"}`))
		w.(http.Flusher).Flush()
		time.Sleep(30 * time.Millisecond)
		w.Write(bytes.Join(converseEnd, nil))
	})
	r.g.c.KeepAlive = time.Millisecond
	req, err := http.NewRequest(http.MethodPost, r.srv.URL+"/bedrock/model/"+nova+"/converse-stream", strings.NewReader(converseAsk))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Api-Key", testKey)
	req.Header.Set("Amz-Sdk-Request", "attempt=3; max=3")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if want := string(told("messageStart", `{"role":"assistant"}`)) + string(bytes.Join(converseEnd, nil)); string(answer) != want {
		t.Errorf("%q", answer)
	}
	r.rec.wait(t, 2)
	if e := r.rec.events[0]; e.ClientRetry != 2 {
		t.Errorf("%+v", e)
	}
}

// FuzzConverseFrames: what is read of a stream of AWS's and written again is what it was.
func FuzzConverseFrames(f *testing.F) {
	f.Add(bytes.Join(append([][]byte{told("messageStart", `{"role":"assistant"}`), numbered("contentBlockDelta", `{"delta":{"text":"a"}}`)}, converseEnd...), nil), "a", []byte("{\n}"))
	f.Add(eventstream.Append(nil, []byte(`{"message":"x"}`), ":message-type", "exception", ":exception-type", "throttlingException"), "initial-response", []byte("{}"))
	kind, err := provider.KindOf("bedrock")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte, event string, payload []byte) {
		if len(event) > 1000 {
			return
		}
		b = append(told(event, string(payload)), b...)
		var want [][]byte
		for d := eventstream.NewReader(bytes.NewReader(b)); ; {
			m, err := d.Next()
			if err != nil {
				break
			}
			switch name, exception := m.Kind(); {
			case name == "initial-response" && exception == "":
			case exception != "" || bytes.ContainsAny(m.Payload, "\r\n"): // which is told otherwise
				want = append(want, nil)
			default:
				want = append(want, eventstream.AppendRaw(nil, m.Raw, m.Payload))
			}
		}
		run, _ := io.ReadAll(kind.Events(io.NopCloser(bytes.NewReader(b))))
		at := 0
		if err := eachFrame(run, func(frame *frames, _ []byte) error {
			got, ok := appendMessage(nil, frame.raw)
			refused := string(dataOf(frame.raw)) == "{" // as no JSON
			if !ok && !refused && want[at] != nil || ok && want[at] != nil && !bytes.Equal(want[at], got) {
				t.Fatalf("%q\nwant %q", got, want[at])
			}
			at++
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	})
}
