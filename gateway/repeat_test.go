package gateway

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"plumbline/gateway/dialect"
	"plumbline/gateway/event"
	"plumbline/inventory"
)

const responding = `{"model":"gpt-4o-mini","stream":true,"input":"x"}`

// everywhere collects each text of a stream of responses from every place that has
// it: the name of a text, then the place, then the text.
func everywhere(t interface{ Fatalf(string, ...any) }, answer string) map[string]map[string]string {
	out := map[string]map[string]string{}
	say := func(item, place, text string) {
		if out[item] == nil {
			out[item] = map[string]string{}
		}
		out[item][place] += text
	}
	type content struct{ Type, Text, Refusal string }
	type item struct {
		ID, Type, Arguments string
		Content, Summary    []content
	}
	whole := func(place string, it item) {
		switch it.Type {
		case "message":
			for _, c := range it.Content {
				say(it.ID, place, c.Text+c.Refusal)
			}
		case "reasoning":
			for _, c := range it.Summary {
				say(it.ID, place, c.Text)
			}
		case "function_call":
			say(it.ID, place, it.Arguments)
		}
	}
	for _, frame := range strings.Split(answer, "\n\n") {
		_, data, ok := strings.Cut(frame, "\ndata: ")
		if !ok {
			continue
		}
		var e struct {
			Type                            string
			ItemID                          string `json:"item_id"`
			Delta, Text, Refusal, Arguments string
			Part                            content
			Item                            item
			Response                        struct{ Output []item }
		}
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			t.Fatalf("frame %q: %v", frame, err)
		}
		kind := e.Type[strings.LastIndex(e.Type, ".")+1:]
		switch {
		case e.Type == "response.output_item.done":
			whole("item", e.Item)
		case e.Type == "response.completed":
			for _, it := range e.Response.Output {
				whole("response", it)
			}
		case kind == "delta":
			say(e.ItemID, "pieces", e.Delta)
		case kind == "done" && e.Part.Type != "":
			say(e.ItemID, "part", e.Part.Text+e.Part.Refusal)
		case kind == "done":
			say(e.ItemID, "whole", e.Text+e.Refusal+e.Arguments)
		}
	}
	return out
}

// A stream of responses gives every text in pieces and then whole, up to four times.
// However it is cut and delivered, in each place it is as a guard makes it in one
// piece, and each hit is counted once.
func TestRepetitionsAreJudgedAsTheTextWas(t *testing.T) {
	var script []string
	outer, sent := t, 0
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, s := range script {
			io.WriteString(w, s)
			w.(http.Flusher).Flush()
		}
	})
	words := []string{"Mail anna@example.com ", "4111 1111 1111 1111", "219-09-9999", "füße “", `{"to":"bo@example.com"}`, "4111 1111 ", "plain words. ", "key: ", "\n"}
	rapid.Check(t, func(t *rapid.T) {
		guard := r.g.view.Load().orgs["acme"].profiles["default"].Answer()
		defer guard.Release()
		want := map[string]map[string]string{}
		w := dialect.Of(dialect.Responses).NewWriter(&dialect.Request{Model: "m"})
		stream := w.Write(nil, &dialect.Event{Kind: dialect.Started, ID: "x", Model: "m"})
		for i, kind := range []dialect.PartKind{dialect.Thought, dialect.Text, dialect.ToolCall, dialect.Declined} {
			text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 1, 4).Draw(t, "text"), "")
			out, _ := guard.Text([]byte(text))
			places := map[string]string{"pieces": string(out), "whole": string(out), "part": string(out), "item": string(out), "response": string(out)}
			if kind == dialect.ToolCall {
				delete(places, "part")
			}
			want[[]string{"rs_x_0", "msg_x_1", "fc_x_2", "msg_x_3"}[i]] = places
			stream = w.Write(stream, &dialect.Event{Kind: dialect.PartBegan, Index: i, Part: dialect.Part{Kind: kind, ID: "c", Name: "f"}})
			for runes := []rune(text); len(runes) > 0; {
				n := rapid.IntRange(1, min(len(runes), 12)).Draw(t, "cut")
				stream = w.Write(stream, &dialect.Event{Kind: dialect.Delta, Index: i, Text: string(runes[:n])})
				runes = runes[n:]
			}
			stream = w.Write(stream, &dialect.Event{Kind: dialect.PartEnded, Index: i})
		}
		stream = w.Write(stream, &dialect.Event{Kind: dialect.Stopped, Stop: dialect.StopEnd})
		stream = w.Write(stream, &dialect.Event{Kind: dialect.Ended})
		script = nil
		for rest := string(stream); rest != ""; {
			n := rapid.IntRange(1, min(len(rest), 900)).Draw(t, "write")
			script = append(script, rest[:n])
			rest = rest[n:]
		}
		sent += 2
		_, answer := r.send("POST", "/v1/responses", testKey, responding)
		if diff := cmp.Diff(want, everywhere(t, answer)); diff != "" {
			t.Fatalf("%s\nfrom %s\ngot  %s", diff, stream, answer)
		}
		r.rec.wait(outer, sent)
		verdicts := guard.Verdicts(nil)
		if diff := cmp.Diff(verdicts, r.rec.last().AnswerGuard); diff != "" {
			t.Fatalf("verdicts: %s", diff)
		}
	})
}

// A text that comes only whole, or differs from its pieces, is no repetition: it is
// looked at and counted as any other.
func TestAWholeTextWithoutPieces(t *testing.T) {
	const created = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"output\":[]}}\n\n"
	const done = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"output\":[{\"id\":\"m\",\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"TEXT\"}]}]}}\n\n"
	delta := func(text string) string {
		return "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"item_id\":\"m\",\"output_index\":0,\"content_index\":0,\"delta\":\"" + text + "\"}\n\n"
	}
	for _, c := range []struct {
		name string
		all  []string
		mode inventory.GuardMode
		text string // where it is given
		hits uint32
		end  event.End
	}{
		{"no pieces", []string{created, strings.Replace(done, "TEXT", "mail anna@example.com", 1)}, inventory.Redact, `"text":"mail [EMAIL]"`, 1, event.EndComplete},
		{"other pieces", []string{created, delta("mail bo@example.com"), strings.Replace(done, "TEXT", "mail anna@example.com", 1)}, inventory.Redact, `"text":"mail [EMAIL]"`, 2, event.EndComplete},
		{"watched alone", []string{created, delta("mail anna@"), delta("example.com"), strings.Replace(done, "TEXT", "mail anna@example.com", 1)}, inventory.Monitor, `"text":"mail anna@example.com"`, 1, event.EndComplete},
		{"blocked in the whole", []string{created, strings.Replace(done, "TEXT", "mail anna@example.com", 1)}, inventory.Block, "guard_blocked", 1, event.EndBlocked},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, sse(c.all...))
			r.org().Profiles["default"] = &inventory.GuardProfile{ID: "default", Guards: []inventory.GuardSetting{{Guard: "pii", Mode: c.mode}}}
			r.use()
			_, answer := r.send("POST", "/v1/responses", testKey, responding)
			r.rec.wait(t, 2)
			e := r.rec.last()
			if !strings.Contains(answer, c.text) || e.AnswerGuard[0].Hits != c.hits || e.End != c.end {
				t.Errorf("%q\n%+v", answer, e)
			}
		})
	}
}

// Responses keep what their API says: bytes pass, errors are the API's, and a stream
// that breaks off ends in its error event with the number that is next.
func TestResponsesPass(t *testing.T) {
	const stream = "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"r\",\"output\":[]}}\n\n" +
		"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":1, \"item_id\":\"m\",\"output_index\":0,\"content_index\":0,\"delta\":\"h\\u00ed\",\"big\":12345678901234567890}\n\n"
	const done = "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":2,\"response\":{\"id\":\"r\",\"model\":\"served\",\"output\":[],\"usage\":{\"input_tokens\":7,\"input_tokens_details\":{\"cached_tokens\":3},\"output_tokens\":2,\"output_tokens_details\":{\"reasoning_tokens\":1}}}}\n\n"
	r := newRig(t, sse(stream, done))
	r.g.pins.put(Pin{"acme", "SYS-001", sha("resp_0"), "up", "gpt-4o-mini", "alias", time.Now(), ""})
	body := `{"model":"alias","stream":true,"store":false,"include":["reasoning.encrypted_content"],"previous_response_id":"resp_0","input":[{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"anna@example.com"}],"big":12345678901234567890}`
	_, answer := r.send("POST", "/v1/responses", testKey, body)
	if answer != stream+done {
		t.Errorf("%q", answer)
	}
	if want := strings.Replace(body, "alias", "gpt-4o-mini", 1); string(r.body) != want {
		t.Errorf("%s", r.body)
	}
	r.rec.wait(t, 2)
	want := event.Usage{Input: 7, Output: 2, CacheRead: 3, CacheWrite: -1, Reasoning: 1}
	if e := r.rec.last(); e.Usage != want || e.Source != event.UsageProvider || e.ModelServed != "served" || e.Endpoint != "responses" || e.End != event.EndComplete {
		t.Errorf("%+v", e)
	}
	r = newRig(t, sse(stream))
	_, answer = r.send("POST", "/v1/responses", testKey, responding)
	if rest, ok := strings.CutPrefix(answer, stream); !ok || !strings.HasPrefix(rest, "event: error\ndata: {\"type\":\"error\",\"code\":\"upstream_cut\"") || !strings.Contains(rest, `"sequence_number":2`) {
		t.Errorf("%q", answer)
	}
}
