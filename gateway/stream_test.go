package gateway

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"plumbline/gateway/event"
	"plumbline/gateway/peek"
	"plumbline/inventory"
)

const streamed = `{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"x"}]}`

// assembled puts a streamed answer's texts together, as a client does: by choice,
// and by tool call of it.
func assembled(t interface{ Fatalf(string, ...any) }, answer string) map[string]string {
	out := map[string]string{}
	for _, frame := range strings.Split(answer, "\n\n") {
		data, ok := strings.CutPrefix(frame, "data: ")
		if !ok || data == "[DONE]" {
			continue
		}
		var c struct {
			Error   *struct{ Code string }
			Choices []struct {
				Index int
				Delta struct {
					Content   string
					Reasoning string `json:"reasoning_content"`
					ToolCalls []struct {
						Index    int
						Function struct{ Arguments string }
					} `json:"tool_calls"`
				}
			}
		}
		if err := json.Unmarshal([]byte(data), &c); err != nil {
			t.Fatalf("frame %q: %v", frame, err)
		}
		if c.Error != nil {
			out["error"] = c.Error.Code
		}
		for _, ch := range c.Choices {
			out[fmt.Sprint(ch.Index)] += ch.Delta.Content
			out[fmt.Sprint(ch.Index, " reasoning")] += ch.Delta.Reasoning
			for _, call := range ch.Delta.ToolCalls {
				out[fmt.Sprintf("%d tool %d", ch.Index, call.Index)] += call.Function.Arguments
			}
		}
	}
	for k, v := range out {
		if v == "" {
			delete(out, k)
		}
	}
	return out
}

// piece is a delta of one text of an answer.
type piece struct {
	choice, tool int // tool -1: content; -2: reasoning
	text         string
}

// frame writes deltas into one chunk, the index after the delta when late.
func frame(late bool, pieces ...piece) string {
	var choices []string
	for _, p := range pieces {
		text, _ := json.Marshal(p.text)
		var d string
		switch {
		case p.tool == -1:
			d = `"delta":{"content":` + string(text) + `}`
		case p.tool == -2:
			d = `"delta":{"reasoning_content":` + string(text) + `}`
		case late:
			d = fmt.Sprintf(`"delta":{"tool_calls":[{"function":{"arguments":%s},"index":%d}]}`, text, p.tool)
		default:
			d = fmt.Sprintf(`"delta":{"tool_calls":[{"index":%d,"function":{"arguments":%s}}]}`, p.tool, text)
		}
		if late {
			choices = append(choices, fmt.Sprintf(`{%s,"index":%d}`, d, p.choice))
		} else {
			choices = append(choices, fmt.Sprintf(`{"index":%d,%s}`, p.choice, d))
		}
	}
	return `data: {"id":"c","choices":[` + strings.Join(choices, ",") + `]}` + "\n\n"
}

// Whatever the texts of an answer's choices and tool calls are, however they are
// cut into deltas, put into frames, mixed with each other and delivered: each text
// comes out as a guard would make it in one piece, and so do the verdicts.
func TestAVerdictNeverDependsOnCuts(t *testing.T) {
	var script []string // what the upstream writes, piece by piece
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, s := range script {
			io.WriteString(w, s)
			w.(http.Flusher).Flush()
		}
	})
	words := []string{"Mail anna@example.com ", "4111 1111 1111 1111", " DE89 3704 0044 0532 0130 00 ", "219-09-9999", "192.0.2.44", "füße “", `{"to":"bo@example.com"}`, "4111 1111 ", "plain words. ", "ünï", "key: ", "\n"}
	redacted := func(text string) string {
		p := r.g.view.Load().orgs["acme"].profiles["default"].Answer()
		defer p.Release()
		out, _ := p.Text([]byte(text))
		return string(out)
	}
	rapid.Check(t, func(t *rapid.T) {
		want := map[string]string{}
		var open [][]piece
		for _, id := range []struct{ choice, tool int }{{0, -1}, {0, -2}, {0, 0}, {1, -1}, {1, 2}} {
			text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 0, 4).Draw(t, "text"), "")
			name := fmt.Sprint(id.choice)
			switch {
			case id.tool == -2:
				name = fmt.Sprint(id.choice, " reasoning")
			case id.tool >= 0:
				name = fmt.Sprintf("%d tool %d", id.choice, id.tool)
			}
			if text != "" {
				want[name] = redacted(text)
			}
			var cut []piece
			for runes := []rune(text); len(runes) > 0; {
				n := rapid.IntRange(1, min(len(runes), 12)).Draw(t, "cut")
				cut = append(cut, piece{id.choice, id.tool, string(runes[:n])})
				runes = runes[n:]
			}
			if len(cut) > 0 {
				open = append(open, cut)
			}
		}
		var stream strings.Builder
		for len(open) > 0 { // mix the texts, up to two deltas of different choices in a frame
			i := rapid.IntRange(0, len(open)-1).Draw(t, "which")
			ps := []piece{open[i][0]}
			open[i] = open[i][1:]
			if k := rapid.IntRange(0, len(open)-1).Draw(t, "with"); k != i && len(open[k]) > 0 && open[k][0].choice != ps[0].choice {
				ps = append(ps, open[k][0])
				open[k] = open[k][1:]
			}
			stream.WriteString(frame(rapid.Bool().Draw(t, "late"), ps...))
			open = slices.DeleteFunc(open, func(p []piece) bool { return len(p) == 0 })
		}
		stream.WriteString("data: [DONE]\n\n")
		script = nil
		for rest := stream.String(); rest != ""; {
			n := rapid.IntRange(1, min(len(rest), 400)).Draw(t, "write")
			script = append(script, rest[:n])
			rest = rest[n:]
		}
		_, answer := r.post(streamed)
		if diff := cmp.Diff(want, assembled(t, answer)); diff != "" {
			t.Fatalf("%s\nfrom %s\ngot  %s", diff, stream.String(), answer)
		}
		if !strings.HasSuffix(answer, "data: [DONE]\n\n") {
			t.Fatalf("%s", answer)
		}
	})
}

// Frames that no guard touches go out byte for byte, comments, unknown fields,
// carriage returns and events between them too.
func TestCleanFramesAreUntouched(t *testing.T) {
	all := []string{
		": hello\n\n",
		"event: message\nid: 7\ndata: {\"id\":\"c\", \"big\":12345678901234567890 ,\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}],\"usage\":null}\n\n",
		delta("clean "), "data:{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"w\\u00f6rds \"}}]}\r\n\r\n",
		`data: {"choices":[],"prompt_filter_results":[{"x":1}]}` + "\n\n",
		`data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n", "data: [DONE]\n\n",
	}
	r := newRig(t, sse(all...))
	if _, answer := r.post(streamed); answer != strings.Join(all, "") {
		t.Errorf("%q\nwant %q", answer, strings.Join(all, ""))
	}
}

// A data field of several lines is one; it is inspected whole.
func TestDataOfSeveralLines(t *testing.T) {
	r := newRig(t, sse("event: m\ndata: {\"choices\":[{\"index\":0,\ndata: \"delta\":{\"content\":\n: comment\ndata: \"mail anna@example.com\"}}]}\n\n", "data: [DONE]\n\n"))
	_, answer := r.post(streamed)
	if want := "event: m\n: comment\ndata: {\"choices\":[{\"index\":0, \"delta\":{\"content\": \"mail [EMAIL]\"}}]}\n\ndata: [DONE]\n\n"; answer != want {
		t.Errorf("%q\nwant %q", answer, want)
	}
}

// What is blocked before anything was given out is a plain 400; the tokens of a
// text that was changed do not show it once more.
func TestBlockedBeforeTheFirstByte(t *testing.T) {
	r := newRig(t, sse(delta("AKIAIOSFODNN7EXAMPLE "), delta("more"), "data: [DONE]\n\n"))
	resp, answer := r.post(streamed)
	if resp.StatusCode != 400 || code(answer) != "guard_blocked" || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %v %q", resp.StatusCode, resp.Header, answer)
	}
	r.rec.wait(t, 2)
	if e := r.rec.last(); e.Status != 400 || e.End != event.EndBlocked || e.AnswerGuard[1].At != 0 || e.Source != event.UsagePartial || e.Charge == 0 {
		t.Errorf("%+v", e)
	}
	for _, stream := range []bool{false, true} {
		choice := `{"index":0,"%s":{"content":"mail anna@example.com"},"logprobs":{"content":[{"token":"anna@example.com","top_logprobs":[]}]}}`
		r = newRig(t, func(w http.ResponseWriter, q *http.Request) {
			if stream {
				sse("data: {\"choices\":["+fmt.Sprintf(choice, "delta")+"]}\n\n", "data: [DONE]\n\n")(w, q)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"choices":[`+fmt.Sprintf(choice, "message")+`]}`)
		})
		_, answer = r.post(fmt.Sprintf(`{"model":"gpt-4o-mini","stream":%v,"logprobs":true,"messages":[]}`, stream))
		if strings.Contains(answer, "anna") || !strings.Contains(answer, `"logprobs":null`) || !strings.Contains(answer, "mail [EMAIL]") {
			t.Errorf("stream %v: %s", stream, answer)
		}
	}
}

// A block in mid-stream records how many bytes were out, and they are what the
// caller got before the error event.
func TestABlockRecordsBytesOut(t *testing.T) {
	r := newRig(t, sse(delta("Some clean words go out. "), delta("And more. "), delta("AKIAIOSFODNN7EXAMPLE."), delta(" rest "), usageFrame, "data: [DONE]\n\n"))
	_, answer := r.post(streamed)
	r.rec.wait(t, 2)
	before, _, ok := strings.Cut(answer, `data: {"error"`)
	if e := r.rec.last(); !ok || int(e.AnswerGuard[1].At) != len(before) || len(before) == 0 || e.AnswerGuard[1].Action != event.ActionBlocked || e.BytesOut != uint64(len(answer)) {
		t.Errorf("%q: %+v of %d", answer, e.AnswerGuard[1], len(before))
	}
	if strings.Contains(answer, "[DONE]") || strings.Contains(answer, "AKIA") {
		t.Errorf("%q", answer)
	}
}

// A monitoring guard delays nothing: each frame is out before the next one is
// written, also in the middle of a candidate. A redacting one holds it back.
func TestMonitorDelaysNothing(t *testing.T) {
	for _, mode := range []inventory.GuardMode{inventory.Monitor, inventory.Redact} {
		next := make(chan string)
		r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for f := range next {
				io.WriteString(w, f)
				w.(http.Flusher).Flush()
			}
		})
		r.org().Profiles["default"] = &inventory.GuardProfile{ID: "default", Guards: []inventory.GuardSetting{{Guard: "pii", Mode: mode}}}
		r.use()
		go func() { next <- delta("pay 4111 1111") }()
		type result struct {
			resp *http.Response
			err  error
		}
		got := make(chan result, 1)
		go func() {
			req, _ := http.NewRequest(http.MethodPost, r.srv.URL+"/v1/chat/completions", strings.NewReader(streamed))
			req.Header.Set("Authorization", "Bearer "+testKey)
			resp, err := http.DefaultClient.Do(req)
			got <- result{resp, err}
		}()
		select {
		case g := <-got:
			if g.err != nil {
				t.Fatal(g.err)
			}
			defer g.resp.Body.Close()
			line, _ := bufio.NewReader(g.resp.Body).ReadString('\n')
			if mode == inventory.Redact || !strings.Contains(line, "pay 4111 1111") {
				t.Errorf("%s: %q came", mode, line)
			}
		case <-time.After(300 * time.Millisecond):
			if mode == inventory.Monitor {
				t.Error("a monitoring guard held a frame back")
			}
		}
		next <- delta(" 1111 1111")
		next <- "data: [DONE]\n\n"
		close(next)
		if mode == inventory.Redact {
			g := <-got
			answer, _ := io.ReadAll(g.resp.Body)
			g.resp.Body.Close()
			if text := assembled(t, string(answer))["0"]; text != "pay [CARD]" {
				t.Errorf("%q", text)
			}
		}
		r.rec.wait(t, 2)
		if v := r.rec.last().AnswerGuard[0]; v.State != event.Hit || v.Hits != 1 {
			t.Errorf("%s: %+v", mode, v)
		}
	}
}

// A choice that has ended holds back no other, however long that goes on; and what
// is held for long is still there when it is let go.
func TestChoicesDoNotHoldEachOther(t *testing.T) {
	ended := `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
	arrived := make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		sse(frame(false, piece{0, -1, "open word"}), ended, frame(false, piece{1, -1, "other choice "}))(w, q)
		<-arrived
		sse("data: [DONE]\n\n")(w, q)
	})
	req, _ := http.NewRequest(http.MethodPost, r.srv.URL+"/v1/chat/completions", strings.NewReader(streamed))
	req.Header.Set("Authorization", "Bearer "+testKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	seen := make(chan string, 1)
	go func() {
		b := make([]byte, 0, 4096)
		for !strings.Contains(string(b), "other choice") && len(b) < cap(b) {
			n, err := resp.Body.Read(b[len(b):cap(b)])
			if b = b[:len(b)+n]; err != nil {
				break
			}
		}
		seen <- string(b)
	}()
	select {
	case <-seen:
	case <-time.After(2 * time.Second):
		t.Error("the last word of a choice that ended held the other back")
	}
	close(arrived)

	var frames []string
	frames = append(frames, frame(false, piece{0, -1, "open"}), frame(false, piece{1, -1, "anna@example.com "}))
	for range 300 {
		frames = append(frames, frame(false, piece{1, -1, strings.Repeat("many clean words ", 30)}))
	}
	frames = append(frames, frame(false, piece{0, -1, " closed"}), "data: [DONE]\n\n")
	r = newRig(t, sse(frames...))
	_, answer := r.post(streamed)
	if got := assembled(t, answer); got["0"] != "open closed" || got["1"] != "[EMAIL] "+strings.Repeat("many clean words ", 9000) {
		t.Errorf("%.200q", answer)
	}
}

// What comes after [DONE] is not given on, and a provider that keeps its
// connection open does not keep the caller.
func TestDoneIsTheEnd(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		sse(delta("all "), "data: [DONE]\n\n", delta("mail anna@example.com"))(w, q)
		<-hold
	})
	began := time.Now()
	_, answer := r.post(streamed)
	if answer != delta("all ")+"data: [DONE]\n\n" || time.Since(began) > 5*time.Second {
		t.Errorf("%q after %v", answer, time.Since(began))
	}
	r.rec.wait(t, 2)
	if e := r.rec.last(); e.End != event.EndComplete {
		t.Errorf("%+v", e)
	}
}

// However a stream breaks: an error event, no [DONE], nothing of the upstream's own
// words, usage partial, and the call is charged for what came.
func TestBrokenStreams(t *testing.T) {
	for _, c := range []struct {
		name   string
		frames []string
		abort  bool
		code   string
		class  string
	}{
		{"connection lost", []string{delta("Half of ")}, true, "upstream_cut", "reset"},
		{"ended without [DONE]", []string{delta("Half of ")}, false, "upstream_cut", "reset"},
		{"cut in a frame", []string{delta("Half of "), `data: {"choices":[{"ind`}, false, "upstream_cut", "reset"},
		{"lost after usage", []string{delta("Half of "), usageFrame}, true, "upstream_cut", "reset"},
		{"error in the stream", []string{delta("Half of "), `data: {"error":{"message":"canary overloaded","code":"x"}}` + "\n\n"}, false, "upstream_error", "in_answer"},
		{"something else than JSON", []string{delta("Half of "), "data: canary\n\n"}, false, "upstream_bad_answer", "bad_answer"},
		{"not UTF-8", []string{delta("Half of "), "data: {\"a\":\"\xff\"}\n\n"}, false, "upstream_bad_answer", "bad_answer"},
		{"cut with a candidate open", []string{delta("Half of "), delta("4111 1111 1111 1111")}, true, "upstream_cut", "reset"},
	} {
		r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
			sse(c.frames...)(w, q)
			if c.abort {
				panic(http.ErrAbortHandler)
			}
		})
		resp, answer := r.post(streamed)
		if resp.StatusCode != 200 || strings.Contains(answer, "[DONE]") || strings.Contains(answer, "canary") || strings.Contains(answer, "4111") || !strings.Contains(answer, "Half of") || assembled(t, answer)["error"] != c.code {
			t.Errorf("%s: %d %q", c.name, resp.StatusCode, answer)
		}
		r.rec.wait(t, 2)
		if e := r.rec.last(); e.End != event.EndCut || e.Source != event.UsagePartial || e.Usage.Output == 0 || e.Charge == 0 || e.Code != c.code || e.UpstreamErr != c.class {
			t.Errorf("%s: %+v", c.name, e)
		}
		if b := r.g.c.Budgets.Now(r.org().OrgBudgets[0]); b.Held != 0 || b.Charged == 0 {
			t.Errorf("%s: %+v", c.name, b)
		}
	}
}

// A caller who is gone is billed for what the provider says at the end; one whose
// provider then says nothing any more, for what came.
func TestCallerGoneIsBilled(t *testing.T) {
	more := make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		sse(delta("Some words that were seen. "))(w, q)
		<-more
		<-q.Context().Done() // silence, until the gateway hangs up
	})
	req, _ := http.NewRequest(http.MethodPost, r.srv.URL+"/v1/chat/completions", strings.NewReader(streamed))
	req.Header.Set("Authorization", "Bearer "+testKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	io.ReadFull(resp.Body, make([]byte, 10))
	resp.Body.Close()
	time.Sleep(50 * time.Millisecond)
	close(more)
	r.rec.wait(t, 2)
	if e := r.rec.last(); e.End != event.EndClientGone || e.Source != event.UsagePartial || e.Usage.Output == 0 || e.Charge == 0 {
		t.Errorf("%+v", e)
	}
}

// A guard that breaks is a guard that did not run: on record, and closed unless
// the profile says open. In a prompt, in a whole answer and in a stream.
func TestABrokenGuard(t *testing.T) {
	nowhere := peek.Span{Start: 1 << 30, End: 1<<30 + 1}
	for _, open := range []bool{false, true} {
		r := newRig(t, answerPlain)
		setting := inventory.GuardSetting{Guard: "pii", Mode: inventory.Redact}
		if open {
			setting.OnFailure = "open"
		}
		r.org().Profiles["default"] = &inventory.GuardProfile{ID: "default", Guards: []inventory.GuardSetting{setting}}
		r.use()
		check := func(where string, v event.Verdict) {
			t.Helper()
			if v.State != event.NotRun || v.Reason != "failed" || v.FailOpen != open {
				t.Errorf("%s, open %v: %+v", where, open, v)
			}
		}
		i := slices.IndexFunc(r.g.stages, func(s stage) bool { return s.name == "inspect prompt" })
		r.g.stages = slices.Insert(slices.Clone(r.g.stages), i, stage{"break", func(_ *Gateway, x *exchange) error {
			x.peeked.Text = append(x.peeked.Text, nowhere)
			return nil
		}})
		resp, answer := r.post(ask("gpt-4o-mini", "x"))
		if open != (resp.StatusCode == 200) || !open && code(answer) != "guard_failed" {
			t.Errorf("open %v: %d %s", open, resp.StatusCode, answer)
		}
		check("prompt", r.rec.events[0].Prompt[0])

		out := httptest.NewRecorder()
		x := newExchange(rand.Reader)
		x.begin(r.g, out, httptest.NewRequest(http.MethodPost, "/v1/chat/completions", nil))
		x.profile, x.up = r.g.view.Load().orgs["acme"].profiles["default"], &upstream{}
		x.answers = x.profile.Answer()
		x.chunk.Text = []peek.Span{nowhere}
		if err := r.g.readAnswer(x, []byte("{}")); (err == nil) != open || len(x.edits) != 0 {
			t.Errorf("whole answer, open %v: %v", open, err)
		}
		check("whole answer", x.answers.Verdicts(nil)[0])

		x.answers = x.profile.Answer()
		s := &streamer{g: r.g, x: x, holdback: holdback{in: x.answers}}
		s.holdback.take([]byte("held"), 0, nil, &peek.Body{})
		err := s.inspect(func(h *holdback) { h.take([]byte(" now"), 0, nil, &x.chunk) })
		if (err == nil) != open || open && out.Body.String() != "held now" || !open && out.Body.Len() > 0 {
			t.Errorf("stream, open %v: %v, %q", open, err, out.Body)
		}
		check("stream", x.answers.Verdicts(nil)[0])
	}
}

// A model that thinks for long is no dead connection: the caller gets comments, and
// the answer after them as if there had been none.
func TestLongPausesAreKeptAlive(t *testing.T) {
	release := make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		<-release
		io.WriteString(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi \"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\ndata: [DONE]\n\n")
	})
	r.g.c.KeepAlive = 5 * time.Millisecond
	req, _ := http.NewRequest(http.MethodPost, r.srv.URL+"/v1/chat/completions", strings.NewReader(`{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"x"}]}`))
	req.Header.Set("Authorization", "Bearer "+testKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := bufio.NewReader(resp.Body)
	for range 3 {
		if line, err := in.ReadString('\n'); err != nil || line != ":\n" {
			t.Fatalf("%q %v", line, err)
		}
		in.ReadString('\n')
	}
	close(release)
	rest, err := io.ReadAll(in)
	if err != nil || !strings.Contains(string(rest), `"Hi "`) || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") {
		t.Errorf("%s %v", rest, err)
	}
	r.rec.wait(t, 2)
	if e := r.rec.last(); e.End != event.EndComplete || e.Usage.Output != 1 {
		t.Errorf("%+v", e)
	}
}

// A frame that is whole goes out although the next one has begun to come.
func TestAFrameDoesNotWaitForTheRestOfTheNext(t *testing.T) {
	release := make(chan struct{})
	const first, second = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi. \"}}]}\n\n", "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Bye.\"},\"finish_reason\":\"stop\"}]}\n\n"
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, first+second[:20])
		w.(http.Flusher).Flush()
		<-release
		io.WriteString(w, second[20:]+"data: [DONE]\n\n")
	})
	r.org().Profiles = nil
	r.use()
	req, _ := http.NewRequest(http.MethodPost, r.srv.URL+"/v1/chat/completions", strings.NewReader(streamed))
	req.Header.Set("Authorization", "Bearer "+testKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := bufio.NewReader(resp.Body)
	if line, err := in.ReadString('\n'); err != nil || line+"\n" != first { // would wait for ever if it were held back
		t.Fatalf("%q %v", line, err)
	}
	close(release)
	if rest, err := io.ReadAll(in); err != nil || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") {
		t.Errorf("%q %v", rest, err)
	}
}
