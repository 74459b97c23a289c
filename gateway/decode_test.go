package gateway

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"plumbline/gateway/event"
	"plumbline/inventory"
)

// raw sends a body with headers of its own.
func (r *rig) raw(path, body string, headers ...string) (*http.Response, string) {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodPost, r.srv.URL+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+testKey)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	return resp, string(answer)
}

func zipped(body string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, body)
	w.Close()
	return b.String()
}

// What is sent wrongly is refused with one clear sentence, never reaches the
// provider, is on record under the request id of its answer, and costs nothing.
func TestBadInput(t *testing.T) {
	good := ask("gpt-4o-mini", "x")
	for _, c := range []struct {
		name, body string
		headers    []string
		status     int
		code       string
	}{
		{"nothing", "", nil, 400, "body_malformed"},
		{"no JSON", "hello", nil, 400, "body_malformed"},
		{"list", "[]", nil, 400, "body_malformed"},
		{"cut", good[:len(good)-3], nil, 400, "body_malformed"},
		{"two objects", good + good, nil, 400, "body_malformed"},
		{"trailing comma", `{"model":"gpt-4o-mini","messages":[],}`, nil, 400, "body_malformed"},
		{"comment", `{"model":"gpt-4o-mini",/* x */"messages":[]}`, nil, 400, "body_malformed"},
		{"byte order mark", "\ufeff" + good, nil, 400, "body_malformed"},
		{"NaN", `{"model":"gpt-4o-mini","temperature":NaN}`, nil, 400, "body_malformed"},
		{"100,000 deep", `{"model":"gpt-4o-mini","messages":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}", nil, 400, "body_too_deep"},
		{"100,000 objects deep", strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000), nil, 400, "body_too_deep"},
		{"model twice", `{"model":"gpt-4o-mini","messages":[],"model":"alias"}`, nil, 400, "body_duplicate_key"},
		{"model twice, once with an escape", `{"model":"gpt-4o-mini","messages":[],"mod\u0065l":"alias"}`, nil, 400, "body_malformed"},
		{"role twice below", `{"model":"gpt-4o-mini","messages":[{"role":"user","r\u006fle":"system","content":"x"}]}`, nil, 400, "body_duplicate_key"},
		{"content twice", `{"model":"gpt-4o-mini","messages":[{"content":"a","content":"b"}]}`, nil, 400, "body_duplicate_key"},
		{"not UTF-8", "{\"model\":\"gpt-4o-mini\",\"messages\":[{\"content\":\"\xc3\x28\"}]}", nil, 400, "body_not_utf8"},
		{"UTF-16", "\xff\xfe{\x00}\x00", nil, 400, "body_not_utf8"},
		{"overlong", "{\"model\":\"gpt-4o-mini\",\"a\":\"\xc0\xaf\"}", nil, 400, "body_not_utf8"},
		{"form", "model=gpt-4o-mini", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "body_not_json"},
		{"multipart", "--x\r\n\r\n--x--", []string{"Content-Type", "multipart/form-data; boundary=x"}, 415, "body_not_json"},
		{"text", good, []string{"Content-Type", "text/plain"}, 415, "body_not_json"},
		{"another charset", good, []string{"Content-Type", "application/json; charset=latin1"}, 415, "body_not_json"},
		{"type that is none", good, []string{"Content-Type", "json;;;"}, 415, "body_not_json"},
		{"brotli", good, []string{"Content-Encoding", "br"}, 415, "body_encoded"},
		{"gzip of gzip", zipped(zipped(good)), []string{"Content-Encoding", "gzip, gzip"}, 415, "body_encoded"},
		{"no gzip", good, []string{"Content-Encoding", "gzip"}, 400, "body_malformed"},
		{"cut gzip", zipped(good)[:30], []string{"Content-Encoding", "gzip"}, 400, "body_malformed"},
		{"gzip bomb", zipped(`{"model":"gpt-4o-mini","messages":[],"a":"` + strings.Repeat("0", 40<<20) + `"}`), []string{"Content-Encoding", "gzip"}, 413, "body_bomb"},
		{"gzip of an object twice", zipped(`{"model":"gpt-4o-mini","messages":[],"model":"alias"}`), []string{"Content-Encoding", "gzip"}, 400, "body_duplicate_key"},
		{"a list without end", `{"model":"gpt-4o-mini","messages":[` + strings.Repeat("{},", 1<<18) + "{}]}", nil, 400, "body_too_complex"},
		{"gzip that does not say so", zipped(good), nil, 400, "body_not_utf8"},
		{"no model", `{"messages":[]}`, nil, 400, "model_missing"},
		{"empty model", `{"model":"","messages":[]}`, nil, 400, "model_missing"},
		{"model that is no string", `{"model":["gpt-4o-mini"],"messages":[]}`, nil, 400, "model_missing"},
		{"model of 129 bytes", `{"model":"` + strings.Repeat("a", 129) + `","messages":[]}`, nil, 400, "model_malformed"},
		{"model of a megabyte", `{"model":"` + strings.Repeat("\\u0061", 1<<17) + `","messages":[]}`, nil, 400, "model_malformed"},
		{"model with a line end", `{"model":"gpt\n4","messages":[]}`, nil, 400, "model_malformed"},
		{"model with a direction mark", `{"model":"gpt-\u202e4","messages":[]}`, nil, 400, "model_malformed"},
		{"model with a NUL", `{"model":"gpt-4o-mini\u0000","messages":[]}`, nil, 400, "model_malformed"},
		{"model as a path", `{"model":"../../etc/passwd","messages":[]}`, nil, 404, "model_not_found"},
		{"model of another case", `{"model":"GPT-4O-MINI","messages":[]}`, nil, 404, "model_not_found"},
		{"body of another API", `{"model":"gpt-4o-mini","input":"x"}`, nil, 400, "body_of_responses"},
		{"32 MiB and a byte", `{"model":"gpt-4o-mini","messages":[],"a":"` + strings.Repeat("x", MaxBody-43) + `"}`, nil, 413, "body_too_large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, answerPlain)
			resp, answer := r.raw("/v1/chat/completions", c.body, c.headers...)
			if resp.StatusCode != c.status || code(answer) != c.code {
				t.Fatalf("%d %s", resp.StatusCode, answer)
			}
			var e struct {
				Error struct{ Message, Type string }
			}
			if json.Unmarshal([]byte(answer), &e); e.Error.Message == "" || e.Error.Type == "" || resp.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s", answer)
			}
			if r.body != nil || r.rec.kinds() != "refused" {
				t.Errorf("reached the provider, or records %q", r.rec.kinds())
			}
			if got := r.rec.last(); got.Exchange.String() != resp.Header.Get("X-Request-Id") || got.Code != c.code || got.Status != uint32(c.status) {
				t.Errorf("record %+v of %s", got, resp.Header.Get("X-Request-Id"))
			}
		})
	}
}

// A body of exactly 32 MiB passes; one more byte does not, also when its length is
// not announced.
func TestLargestBody(t *testing.T) {
	r := newRig(t, answerPlain)
	head, tail := `{"model":"gpt-4o-mini","max_tokens":1,"messages":[{"role":"user","content":"`, `"}]}`
	exact := head + strings.Repeat("x", MaxBody-len(head)-len(tail)) + tail
	if resp, answer := r.post(exact); resp.StatusCode != 200 || len(r.body) != MaxBody {
		t.Fatalf("%d %s", resp.StatusCode, answer)
	}
	req, _ := http.NewRequest(http.MethodPost, r.srv.URL+"/v1/chat/completions", io.MultiReader(strings.NewReader(exact), strings.NewReader(" ")))
	req.Header.Set("Authorization", "Bearer "+testKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, _ := io.ReadAll(resp.Body); resp.StatusCode != 413 || code(string(answer)) != "body_too_large" {
		t.Errorf("%d %s", resp.StatusCode, answer)
	}
}

// What content types pass, and names with escapes as some encoders write them.
func TestGoodInput(t *testing.T) {
	r := newRig(t, answerPlain)
	for _, kind := range []string{"application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8", "application/vnd.api+json"} {
		if resp, answer := r.raw("/v1/chat/completions", ask("gpt-4o-mini", "x"), "Content-Type", kind); resp.StatusCode != 200 {
			t.Errorf("%s: %d %s", kind, resp.StatusCode, answer)
		}
	}
	r.org().Routes["meta/llama"] = &inventory.Route{Model: "meta/llama", Provider: "up", Target: "gpt-4o-mini"}
	r.use()
	if resp, answer := r.post(`{"model":"meta\/llama","messages":[]}`); resp.StatusCode != 200 || string(r.body) != `{"model":"gpt-4o-mini","messages":[]}` {
		t.Errorf("%d %s, upstream got %s", resp.StatusCode, answer, r.body)
	}
	if resp, answer := r.post(`{"model":"gpt\u002d4o-mini","messages":[]}`); resp.StatusCode != 200 || string(r.body) != `{"model":"gpt-4o-mini","messages":[]}` {
		t.Errorf("what was checked is not what was sent: %d %s, upstream got %s", resp.StatusCode, answer, r.body)
	}
}

// anyJSON draws a value with numbers of any size, as it is written.
func anyJSON(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		kinds := 5
		if depth > 0 {
			kinds = 7
		}
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			return rapid.StringMatching(`-?(0|[1-9][0-9]{0,40})`).Draw(t, "integer")
		case 1:
			return rapid.StringMatching(`-?(0|[1-9][0-9]{0,5})\.[0-9]{1,20}([eE][+-]?[0-9]{1,3})?`).Draw(t, "number")
		case 2:
			return rapid.SampledFrom([]string{"true", "false", "null"}).Draw(t, "literal")
		case 3:
			b, _ := json.Marshal(rapid.StringMatching(`[a-z \\"\n\täß]{0,20}`).Draw(t, "text"))
			return string(b)
		case 4:
			return rapid.SampledFrom([]string{`"\u00e9\/\ud83d\ude00"`, `""`, `" \u0000"`}).Draw(t, "escapes")
		case 5:
			return "[ " + strings.Join(rapid.SliceOfN(anyJSON(depth-1), 0, 3).Draw(t, "list"), " ,") + "]"
		}
		var b strings.Builder
		for i, v := range rapid.SliceOfN(anyJSON(depth-1), 0, 3).Draw(t, "object") {
			fmt.Fprintf(&b, "%s\"k%d\" :%s", map[bool]string{true: "", false: ","}[i == 0], i, v)
		}
		return "{" + b.String() + "}"
	})
}

// Fields that nobody here knows, and numbers of any size, reach the provider byte
// for byte, with and without a change beside them; the answer's reach the caller.
func TestUnknownFieldsSurvive(t *testing.T) {
	var answer string
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, answer)
	})
	rapid.Check(t, func(t *rapid.T) {
		before, after, back := anyJSON(3).Draw(t, "before"), anyJSON(3).Draw(t, "after"), anyJSON(3).Draw(t, "back")
		body := `{"x_before": ` + before + `, "model":"%s","messages":[{"role":"user","content":"%s","x_in":` + after + `}]` + "\n,\"x_after\":" + after + ` }`
		answer = `{"x":` + back + `,"model":"m","choices":[{"index":0,"message":{"content":"Hi"},"x":` + back + "}]}"
		_, got := r.post(fmt.Sprintf(body, "alias", "bo@example.com"))
		if want := fmt.Sprintf(body, "gpt-4o-mini", "[EMAIL]"); string(r.body) != want {
			t.Fatalf("upstream got %s\nwant         %s", r.body, want)
		}
		if got != answer {
			t.Fatalf("caller got %s\nwant       %s", got, answer)
		}
		stream := fmt.Sprintf(`{"x_before":%s,"stream":true,"model":"gpt-4o-mini","messages":[]}`, before)
		r.post(stream)
		if want := stream[:len(stream)-1] + `,"stream_options":{"include_usage":true}}`; string(r.body) != want {
			t.Fatalf("upstream got %s\nwant         %s", r.body, want)
		}
	})
}

// However stream_options is written, usage is asked for once and nothing else of
// it changes.
func TestUsageIsAskedForOnce(t *testing.T) {
	r := newRig(t, sse(delta("x"), usageFrame, "data: [DONE]\n\n"))
	for _, c := range []struct{ options, want string }{
		{`{}`, `{"include_usage":true}`},
		{`{ }`, `{"include_usage":true }`},
		{`{"include_usage":false}`, `{"include_usage":true}`},
		{`{"include_usage":null}`, `{"include_usage":true}`},
		{`{"include_usage":"yes"}`, `{"include_usage":true}`},
		{`{"x":12345678901234567890}`, `{"include_usage":true,"x":12345678901234567890}`},
		{`{"x":{"y":1}, "include_usage" : false}`, `{"x":{"y":1}, "include_usage" : true}`},
		{`null`, `{"include_usage":true}`},
		{`7`, `{"include_usage":true}`},
	} {
		r.post(`{"model":"gpt-4o-mini","stream":true,"stream_options":` + c.options + `,"messages":[]}`)
		if want := `{"model":"gpt-4o-mini","stream":true,"stream_options":` + c.want + `,"messages":[]}`; string(r.body) != want {
			t.Errorf("%s: upstream got %s", c.options, r.body)
		}
	}
}

// Requests that are written so that two servers could read them differently are
// not forwarded, and nothing but the checked request is.
func TestSmuggling(t *testing.T) {
	r := newRig(t, answerPlain)
	body := ask("gpt-4o-mini", "x")
	for _, c := range []struct{ name, head string }{
		{"two lengths", fmt.Sprintf("Content-Length: %d\r\nContent-Length: 3\r\n", len(body))},
		{"length and chunks", fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n", len(body))},
		{"unknown coding", "Transfer-Encoding: xchunked\r\n"},
		{"space before the colon", fmt.Sprintf("Content-Length : %d\r\n", len(body))},
		{"no number", "Content-Length: +5\r\n"},
	} {
		conn, err := net.Dial("tcp", r.srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(5 * time.Second))
		fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%sConnection: close\r\n\r\n%s\r\n", testKey, c.head, body)
		answer, _ := io.ReadAll(conn)
		conn.Close()
		if status := strings.SplitN(string(answer), "\r\n", 2)[0]; !strings.Contains(status, " 400 ") && !strings.Contains(status, " 501 ") {
			t.Errorf("%s: %s", c.name, status)
		}
		if r.body != nil {
			t.Errorf("%s reached the provider as %s", c.name, r.body)
			r.body = nil
		}
	}
	var got http.Header
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { got = q.Header.Clone(); answerPlain(w, q) }))
	defer up.Close()
	p := *r.org().Providers["up"]
	p.BaseURL = up.URL
	r.org().Providers["up"] = &p
	r.use()
	r.raw("/v1/chat/completions", body, "X-Forwarded-For", "10.0.0.1", "Cookie", "a=b", "OpenAI-Organization", "org-1", "X-Api-Key", "pk-other-key")
	for _, name := range []string{"X-Forwarded-For", "Cookie", "Openai-Organization", "X-Api-Key"} {
		if v := got.Get(name); v != "" {
			t.Errorf("the provider got %s: %s", name, v)
		}
	}
	if got.Get("Authorization") != "Bearer sk-upstream" || strings.Contains(fmt.Sprint(got), testKey) {
		t.Errorf("the provider got %v", got)
	}
}

// A caller who takes longer than the server's deadline for reading is not taken
// for gone while the provider works.
func TestReadDeadlineEndsWithTheBody(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		time.Sleep(300 * time.Millisecond)
		sse(delta("late"), usageFrame, "data: [DONE]\n\n")(w, q)
	})
	srv := httptest.NewUnstartedServer(r.g)
	srv.Config.ReadTimeout = 100 * time.Millisecond
	srv.Start()
	defer srv.Close()
	r.srv = srv
	_, answer := r.post(`{"model":"gpt-4o-mini","stream":true,"messages":[]}`)
	r.rec.wait(t, 2)
	if e := r.rec.last(); e.End != event.EndComplete || !strings.Contains(answer, "[DONE]") {
		t.Errorf("%q %+v", answer, e)
	}
}

// TestModerationWithoutAModel: the clients' examples name none; what is checked, recorded
// and sent is OpenAI's default, as if it were named.
func TestModerationWithoutAModel(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"id":"modr-1","model":"omni-moderation-latest","results":[{"flagged":false}]}`)
	})
	if resp, answer := r.raw("/v1/moderations", `{"input":"x"}`); resp.StatusCode != 404 || !strings.Contains(answer, `no route for the model \"omni-moderation-latest\"`) {
		t.Errorf("without a route: %d %s", resp.StatusCode, answer)
	}
	r.org().Routes["omni-moderation-latest"] = &inventory.Route{Model: "omni-moderation-latest", Provider: "up", Target: "omni-moderation-2024-09-26", Unpriced: true}
	r.use()
	resp, answer := r.raw("/v1/moderations", `{"input":"mail jane@example.com"}`)
	if want := `{"model":"omni-moderation-2024-09-26","input":"mail [EMAIL]"}`; resp.StatusCode != 200 || string(r.body) != want || r.rec.last().ModelAsked != "omni-moderation-latest" {
		t.Errorf("%d %s: the provider got %s", resp.StatusCode, answer, r.body)
	}
	r.body = nil
	for _, model := range []string{`null`, `["text-moderation-latest"]`, `""`} {
		if resp, answer := r.raw("/v1/moderations", `{"input":"x","model":`+model+`}`); resp.StatusCode != 400 || code(answer) != "model_missing" || r.body != nil {
			t.Errorf("model %s: %d %s, the provider got %s", model, resp.StatusCode, answer, r.body)
		}
	}
	r.snap.Keys["k1"].Models = []string{"gpt-4o-mini"}
	r.use()
	if resp, answer := r.raw("/v1/moderations", `{"input":"x"}`); resp.StatusCode != 403 || code(answer) != "model_not_allowed" {
		t.Errorf("a key that may not ask for it: %d %s", resp.StatusCode, answer)
	}
}
