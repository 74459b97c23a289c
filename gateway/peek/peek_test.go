package peek

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestRequest(t *testing.T) {
	body := []byte(`{"model":"gpt-4o","big":12345678901234567890123,"stream":true,"stream_options":{"include_usage":false},
	"messages":[{"role":"system","content":"one"},{"role":"user","content":[{"type":"text","text":"two \"q\""},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}],
	"max_tokens":20,"n":2,"tools":[{"type":"function","function":{"name":"f","description":"three"}}],"user":"u-1"}`)
	var p Body
	if err := p.Request(body, OpenAI); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, s := range p.Text {
		texts = append(texts, string(body[s.Start:s.End]))
	}
	if got := strings.Join(texts, "|"); got != `one|two \"q\"|f|three` {
		t.Errorf("text %q", got)
	}
	if string(body[p.Model.Start:p.Model.End]) != "gpt-4o" || !p.Stream || p.IncludeUsage || p.MaxTokens != 20 || p.Choices != 2 || !p.Tools || string(body[p.User.Start:p.User.End]) != "u-1" {
		t.Errorf("%+v", p)
	}
	if string(body[p.StreamOptions.Start:p.StreamOptions.End]) != `{"include_usage":false}` || body[p.End] != '}' {
		t.Errorf("spans %+v", p.StreamOptions)
	}
}

func TestAnswer(t *testing.T) {
	chunk := []byte(`{"choices":[{"delta":{"content":"late"},"index":1},{"index":0,"delta":{"tool_calls":[{"index":2,"function":{"arguments":"{}"}}]}}],"usage":null}`)
	var p Body
	if err := p.Answer(chunk, OpenAI); err != nil {
		t.Fatal(err)
	}
	if len(p.Text) != 2 || p.Text[1].Channel != 1<<8|3 || p.NoChoices {
		t.Errorf("%+v", p.Text)
	}
	last := []byte(`{"model":"m-1","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":0,"prompt_tokens_details":{"cached_tokens":3},"completion_tokens_details":{"reasoning_tokens":0}}}`)
	if err := p.Answer(last, OpenAI); err != nil {
		t.Fatal(err)
	}
	if !p.NoChoices || p.Usage != (Usage{Input: 9, CacheRead: 3, CacheWrite: -1}) || !p.HasUsage {
		t.Errorf("%+v", p)
	}
}

// xAI counts thoughts apart from the output, and says so by the sum alone.
func TestThoughtsApart(t *testing.T) {
	for _, c := range []struct {
		name, usage string
		want        int64
	}{
		{"apart", `"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,"completion_tokens_details":{"reasoning_tokens":94}`, 103},
		{"apart, the sum last", `"completion_tokens_details":{"reasoning_tokens":94},"completion_tokens":9,"prompt_tokens":32,"total_tokens":135`, 103},
		{"within", `"prompt_tokens":32,"completion_tokens":103,"total_tokens":135,"completion_tokens_details":{"reasoning_tokens":94}`, 103},
		{"no sum", `"prompt_tokens":32,"completion_tokens":103,"completion_tokens_details":{"reasoning_tokens":94}`, 103},
		{"a sum of something else", `"prompt_tokens":32,"completion_tokens":103,"total_tokens":1000,"completion_tokens_details":{"reasoning_tokens":94}`, 103},
		{"none", `"prompt_tokens":0,"completion_tokens":0,"total_tokens":0,"completion_tokens_details":{"reasoning_tokens":0}`, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p Body
			if err := p.Answer([]byte(`{"choices":[],"usage":{`+c.usage+`}}`), OpenAI); err != nil || p.Usage.Output != c.want {
				t.Errorf("%d, want %d, error %v", p.Usage.Output, c.want, err)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct{ name, body, code string }{
		{"empty", "", "body_malformed"},
		{"array", "[]", "body_malformed"},
		{"trailing", "{} {}", "body_malformed"},
		{"comma", `{"a":1,}`, "body_malformed"},
		{"number", `{"a":01}`, "body_malformed"},
		{"literal", `{"a":nul}`, "body_malformed"},
		{"control", "{\"a\":\"\x01\"}", "body_malformed"},
		{"escape", `{"a":"\x"}`, "body_malformed"},
		{"cut", `{"a":"b`, "body_malformed"},
		{"escaped key", `{"\u006dodel":"x"}`, "body_malformed"},
		{"duplicate", `{"model":"a","model":"b"}`, "body_duplicate_key"},
		{"byte order mark", "\ufeff{}", "body_malformed"},
		{"form", "model=a&stream=true", "body_malformed"},
		{"gzip", "\x1f\x8b\x08\x00", "body_not_utf8"},
		{"deep as can be", strings.Repeat(`{"a":`, 100_000), "body_too_deep"},
		{"duplicate behind an escape", `{"messages":[{"role":"a","\u0072ole":"b"}]}`, "body_duplicate_key"},
		{"two escapes of one key", `{"messages":[{"\u0072ole":"a","r\u006fle":"b"}]}`, "body_duplicate_key"},
		{"duplicate among many", `{"a":{` + manyMembers(5000) + `,"k77":0}}`, "body_duplicate_key"},
		{"escaped duplicate among many", `{"a":{` + manyMembers(5000) + `,"\u006b77":0}}`, "body_duplicate_key"},
		{"duplicate below", `{"messages":[{"role":"a","role":"b"}]}`, "body_duplicate_key"},
		{"deep", `{"a":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "}", "body_too_deep"},
		{"utf-8", "{\"a\":\"\xff\"}", "body_not_utf8"},
		{"objects without end", `{"model":"m","a":[` + strings.Repeat(`{},`, MaxParts) + `1]}`, "body_too_complex"},
		{"lists without end", `{"model":"m","a":[` + strings.Repeat(`[],`, MaxParts) + `1]}`, "body_too_complex"},
		{"texts without end", `{"model":"m","messages":[` + strings.Repeat(`{"content":["a","a","a","a"]},`, MaxParts/4) + `1]}`, "body_too_complex"},
		{"keys without end", `{"model":"m","a":{` + manyMembers(MaxParts) + `}}`, "body_too_complex"},
	} {
		var p Body
		var e *Error
		if err := p.Request([]byte(c.body), OpenAI); !errors.As(err, &e) || e.Code != c.code {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Some providers pass over case in keys, so that another model would answer than the one
// that was checked, or another text than guards have read. What means nothing here is
// written as anybody likes.
func TestKeysAreWrittenAsTheyAre(t *testing.T) {
	for _, c := range []struct {
		name, body string
		of         Grammar
		want       string // part of the message; empty: it is read
	}{
		{"a second model", `{"model":"cheap","Model":"dear"}`, OpenAI, `write the key "Model" as "model"`},
		{"texts that no guard reads", `{"model":"m","MESSAGES":[{"content":"x"}]}`, OpenAI, `"messages"`},
		{"a limit beside the one that is held for", `{"max_tokens":1,"Max_Tokens":9}`, OpenAI, `"max_tokens"`},
		{"a long s", `{"model":"m","me` + "\u017f" + `sages":[]}`, OpenAI, `"messages"`},
		{"a kelvin sign", `{"max_to` + "\u212a" + `ens":1}`, OpenAI, `"max_tokens"`},
		{"Anthropic's", `{"model":"m","System":"x"}`, Messages, `"system"`},
		{"Responses", `{"model":"m","Input":"x"}`, Responses, `"input"`},
		{"images", `{"model":"m","Prompt":"x"}`, Media, `"prompt"`},
		{"unknown", `{"model":"m","TopK":1,"Größe":2,"` + strings.Repeat("K", 200) + `":3}`, OpenAI, ""},
		{"unknown either way", `{"model":"m","Signature":"x","VERSION":"1.2.3.4"}`, OpenAI, ""},
		{"below the top", `{"model":"m","metadata":{"Model":"x","model":"y"}}`, OpenAI, ""},
		{"Google's", `{"generationConfig":{},"safetySettings":[],"cachedContent":"x","toolConfig":{}}`, Gemini, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p Body
			err := p.Request([]byte(c.body), c.of)
			var e *Error
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
			} else if !errors.As(err, &e) || e.Code != "body_malformed" || !strings.Contains(e.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
	var p Body
	if err := p.Answer([]byte(`{"Usage":1,"usage":{"prompt_tokens":3}}`), OpenAI); err != nil || p.Usage.Input != 3 {
		t.Errorf("an answer: %v %+v", err, p.Usage)
	}
}

// What bounds the cost of an answer is read as loosely as the servers do that take a
// string or a fraction for a number: else it would not be held for.
func TestLimitsAreReadLoosely(t *testing.T) {
	for _, c := range []struct {
		body            string
		of              Grammar
		choices, tokens int64
	}{
		{`{"n":100}`, OpenAI, 100, -1},
		{`{"n":"100"}`, OpenAI, 100, -1},
		{`{"n":" 1\u00300 "}`, OpenAI, 100, -1},
		{`{"n":100.0}`, OpenAI, 100, -1},
		{`{"n":1e2}`, OpenAI, 100, -1},
		{`{"n":99.5}`, OpenAI, 100, -1},
		{`{"max_tokens":99999999999999999999}`, OpenAI, 1, mostLimit},
		{`{"max_tokens":"1e999"}`, OpenAI, 1, mostLimit},
		{`{"n":-3}`, OpenAI, 1, -1},
		{`{"n":"NaN"}`, OpenAI, 1, -1},
		{`{"n":"many"}`, OpenAI, 1, -1},
		{`{"n":""}`, OpenAI, 1, -1},
		{`{"n":null}`, OpenAI, 1, -1},
		{`{"max_tokens":1,"max_completion_tokens":"5000"}`, OpenAI, 1, 5000},
		{`{"max_tokens":1,"max_completion_tokens":5e3}`, OpenAI, 1, 5000},
		{`{"max_tokens":0}`, OpenAI, 1, 0},
		{`{"max_tokens":"7"}`, Messages, 1, 7},
		{`{"max_output_tokens":7.0}`, Responses, 1, 7},
		{`{"n":"4"}`, Media, 4, -1},
		{`{"generationConfig":{"candidateCount":"2","maxOutputTokens":8e1}}`, Gemini, 2, 80},
		{`{"inferenceConfig":{"maxTokens":"9"}}`, Converse, 1, 9},
	} {
		var p Body
		if err := p.Request([]byte(c.body), c.of); err != nil || p.Choices != c.choices || p.MaxTokens != c.tokens {
			t.Errorf("%s: %d choices, %d tokens, %v", c.body, p.Choices, p.MaxTokens, err)
		}
	}
}

// Completions take a list of prompts, and answer each; of best_of answers all are billed.
func TestEachPromptIsAnswered(t *testing.T) {
	for body, want := range map[string]int64{
		`{"prompt":"a"}`:                            1,
		`{"prompt":[]}`:                             1,
		`{"prompt":["a \" ] [","b","c\\"]}`:         3,
		`{"prompt":[1,2,3]}`:                        1,
		`{"prompt":[[1,2],[3,4]],"n":2}`:            4,
		`{"prompt":[ "a" , [1] ]}`:                  2,
		`{"best_of":10,"n":3}`:                      10,
		`{"n":3,"best_of":"10","prompt":["a","b"]}`: 20,
		`{"metadata":{"prompt":["a","b"]}}`:         1,
	} {
		var p Body
		if err := p.Request([]byte(body), OpenAI); err != nil || p.Answers() != want {
			t.Errorf("%.60s: %d, want %d, %v", body, p.Answers(), want, err)
		}
	}
}

// A request cannot ask for more answers than can be summed up.
func TestTooManyAnswers(t *testing.T) {
	list := `"prompt":[` + strings.Repeat(`"a",`, 2047) + `"a"]`
	for body, of := range map[string]Grammar{`{"n":65537}`: OpenAI, `{"n":"9e9"}`: OpenAI, `{"best_of":99999999999999999999}`: OpenAI, `{"n":33,` + list + `}`: OpenAI, `{` + list + `,"n":33}`: OpenAI,
		`{"n":1e999}`: Media, `{"generationConfig":{"candidateCount":65537}}`: Gemini} {
		var p Body
		var e *Error
		if err := p.Request([]byte(body), of); !errors.As(err, &e) || e.Code != "body_invalid" || e.Offset == 0 {
			t.Errorf("%.40s: %v", body, err)
		}
	}
	var p Body
	if err := p.Request([]byte(`{"n":32,`+list+`}`), OpenAI); err != nil || p.Answers() != MaxAnswers {
		t.Errorf("%d %v", p.Answers(), err)
	}
}

// An answer that says it used more than there can be says nothing: sums of a few such
// counts would turn over, and give a budget back what it never had.
func TestAbsurdUsageIsNone(t *testing.T) {
	for _, c := range []struct {
		name, body string
		of         Grammar
		want       bool
	}{
		{"much", `{"usage":{"prompt_tokens":1073741824,"completion_tokens":3}}`, OpenAI, true},
		{"input", `{"usage":{"prompt_tokens":1073741825,"completion_tokens":3}}`, OpenAI, false},
		{"output", `{"usage":{"prompt_tokens":3,"completion_tokens":999999999999999999}}`, OpenAI, false},
		{"longer than a number", `{"usage":{"prompt_tokens":3,"completion_tokens":99999999999999999999999}}`, OpenAI, false},
		{"from a cache", `{"usage":{"prompt_tokens":3,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":999999999999}}}`, OpenAI, false},
		{"seconds in detail", `{"usage":{"seconds":12.34567890123456789}}`, OpenAI, true},
		{"Anthropic's", `{"type":"message","usage":{"input_tokens":999999999999,"output_tokens":1}}`, Messages, false},
		{"Google's", `{"usageMetadata":{"promptTokenCount":999999999999,"candidatesTokenCount":1}}`, Gemini, false},
		{"Responses", `{"object":"response","usage":{"input_tokens":1,"output_tokens":999999999999}}`, Responses, false},
		{"an index", `{"choices":[{"index":99999999999,"message":{"content":"x"}}],"usage":{"prompt_tokens":3,"completion_tokens":3}}`, OpenAI, true},
	} {
		var p Body
		if err := p.Answer([]byte(c.body), c.of); err != nil || p.HasUsage != c.want || !c.want && p.Usage != noUsage {
			t.Errorf("%s: %v %+v %v", c.name, p.HasUsage, p.Usage, err)
		}
	}
}

// A server that takes anything for a boolean would stream where the gateway waits for a
// whole answer.
func TestStreamIsABoolean(t *testing.T) {
	for body, want := range map[string]bool{`{"stream":true}`: true, `{"stream":false}`: true, `{"stream":null}`: true, `{"stream":"true"}`: false, `{"stream":1}`: false, `{"stream":[true]}`: false, `{"stream":{}}`: false} {
		for _, of := range []Grammar{OpenAI, Messages, Responses, Media} {
			var p Body
			var e *Error
			if err := p.Request([]byte(body), of); (err == nil) != want || err != nil && (!errors.As(err, &e) || e.Code != "body_invalid") {
				t.Errorf("%s: %v", body, err)
			}
		}
	}
	var p Body
	if err := p.Request([]byte(`{"metadata":{"stream":"x"}}`), OpenAI); err != nil {
		t.Error(err)
	}
	if err := p.Answer([]byte(`{"stream":"x"}`), OpenAI); err != nil {
		t.Errorf("an answer: %v", err)
	}
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `%s"k%d":%d`, map[bool]string{true: "", false: ","}[i == 0], i, i)
	}
	return b.String()
}

// Reading takes time that grows with the body, whatever it is made of.
func TestReadInTime(t *testing.T) {
	for _, c := range []struct{ name, body string }{
		{"keys", `{"model":"m","metadata":{` + manyMembers(120_000) + `}}`},
		{"escapes", `{"model":"m","a":"` + strings.Repeat(`\u0061`, 600_000) + `"}`},
		{"quotes", `{"model":"m","a":"` + strings.Repeat(`\"`, 2_000_000) + `"}`},
		{"objects", `{"model":"m","a":[` + strings.Repeat(`{},`, 130_000) + `1]}`},
		{"texts", `{"model":"m","messages":[` + strings.Repeat(`"a",`, 130_000) + `1]}`},
	} {
		began := time.Now()
		var p Body
		if err := p.Request([]byte(c.body), OpenAI); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: %d bytes took %v", c.name, len(c.body), took)
		}
	}
}

// What an error says of a body is no text of a person or a model.
func TestErrorsNameNothing(t *testing.T) {
	var p Body
	for _, err := range []error{p.Answer([]byte(`{"canary":1,"canary":2}`), OpenAI), p.Request([]byte(`{"metadata":{"canary":1,"canary":2}}`), OpenAI), p.Answer([]byte(`{"choices":[{"canary":canary}]}`), OpenAI)} {
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%v", err)
		}
	}
	if err := p.Request([]byte(`{"model":"a","model":"b"}`), OpenAI); err == nil || !strings.Contains(err.Error(), `"model"`) {
		t.Errorf("a parameter is named: %v", err)
	}
}

func texts(b []byte, p *Body) string {
	var out []string
	for _, s := range p.Text {
		out = append(out, fmt.Sprintf("%d/%d %s", s.Channel>>8, s.Channel&255, b[s.Start:s.End]))
	}
	return strings.Join(out, "|")
}

// A string ends at the first quote that no escape takes, wherever in a word of the
// machine that is, and what is forbidden in it is seen there too.
func TestStringsOfEveryLength(t *testing.T) {
	for n := range 40 {
		for _, tail := range []string{"", `\"`, `\\`, `\u00e9`, "é", "\x7f", "\x1f", "\x00", "\n", `\x`, `\u12`, `"`} {
			for _, after := range []string{"", "a", strings.Repeat("b", 9)} {
				body := `{"user":"` + strings.Repeat("a", n) + tail + after + `"}`
				var p Body
				err := p.Request([]byte(body), OpenAI)
				if valid := json.Valid([]byte(body)); valid != (err == nil) {
					t.Fatalf("%q: %v, valid %v", body, err, valid)
				}
				if got := body[p.User.Start:p.User.End]; err == nil && got != body[9:len(body)-2] {
					t.Fatalf("%q: read %q", body, got)
				}
			}
		}
	}
}

// A text belongs to its choice and tool call, wherever the index stands.
func TestChannels(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"index first", `{"choices":[{"index":3,"delta":{"content":"a"}}]}`, "4/0 a"},
		{"index last", `{"choices":[{"delta":{"content":"a"},"index":3}]}`, "4/0 a"},
		{"two choices", `{"choices":[{"delta":{"content":"a"},"index":1},{"delta":{"content":"b"},"index":0}]}`, "2/0 a|1/0 b"},
		{"no index", `{"choices":[{"message":{"content":"a"}},{"message":{"content":"b"}}]}`, "1/0 a|2/0 b"},
		{"tool index first", `{"choices":[{"index":0,"delta":{"tool_calls":[{"index":2,"function":{"name":"f","arguments":"{}"}}],"content":"c"}}]}`, "1/3 {}|1/0 c"},
		{"tool index last", `{"choices":[{"index":0,"delta":{"tool_calls":[{"function":{"arguments":"{}"},"index":2},{"custom":{"input":"x"},"index":0}]}}]}`, "1/3 {}|1/1 x"},
		{"texts of one choice", `{"choices":[{"index":0,"delta":{"reasoning_content":"r","refusal":"no","content":"c","function_call":{"arguments":"f"}}}]}`, "1/254 r|1/253 no|1/0 c|1/252 f"},
		{"parts", `{"choices":[{"index":0,"message":{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}}]}`, "1/0 a|1/0 b"},
		{"escaped key", `{"choices":[{"delta":{"c\u006fntent":"a"},"ind\u0065x":1}]}`, "2/0 a"},
	} {
		var p Body
		if err := p.Answer([]byte(c.body), OpenAI); err != nil {
			t.Fatal(err)
		}
		if got := texts([]byte(c.body), &p); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	body := []byte(`{"choices":[{"finish_reason":"stop","index":1,"logprobs":{"content":[{"token":"a"}]}},{"index":0,"finish_reason":null,"logprobs":null}]}`)
	var p Body
	if err := p.Answer(body, OpenAI); err != nil || len(p.Finished) != 1 || p.Finished[0] != 2 || len(p.Logprobs) != 1 || p.Logprobs[0].Choice() != 2 {
		t.Errorf("%v %+v %+v", err, p.Finished, p.Logprobs)
	}
}

// Images, sounds and files are counted, base64 of them is not read as text, and
// nothing can be hidden behind the look of one.
func TestMedia(t *testing.T) {
	long := strings.Repeat("QUJD", 20)
	for _, c := range []struct {
		name, part, text string
		media, bytes     int
	}{
		{"data URL", `{"type":"image_url","image_url":{"url":"data:image/png;base64,` + long + `=","detail":"high"}}`, "", 1, 103},
		{"link", `{"type":"image_url","image_url":{"url":"https://a.example/x?mail=anna@example.com"}}`, "https://a.example/x?mail=anna@example.com", 1, 0},
		{"sound", `{"type":"input_audio","input_audio":{"data":"` + long + `","format":"wav"}}`, "", 1, 80},
		{"file", `{"type":"file","file":{"filename":"anna.pdf","file_data":"data:application/pdf;base64,` + long + `"}}`, "anna.pdf", 1, 108},
		{"file by id", `{"type":"file","file":{"file_id":"file-1"}}`, "", 1, 0},
		{"text that begins like one", `{"type":"text","text":"data:image/png;base64,QUJD and anna@example.com"}`, "data:image/png;base64,QUJD and anna@example.com", 0, 0},
		{"text in the place of one", `{"type":"image_url","image_url":{"url":"data:text/plain;base64,anna@example.com"}}`, "data:text/plain;base64,anna@example.com", 1, 0},
		{"short word in the place of one", `{"type":"input_audio","input_audio":{"data":"secret"}}`, "secret", 1, 0},
	} {
		body := []byte(`{"model":"m","messages":[{"role":"user","content":[` + c.part + `]}]}`)
		var p Body
		if err := p.Request(body, OpenAI); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range p.Text {
			got = append(got, string(body[s.Start:s.End]))
		}
		if strings.Join(got, "|") != c.text || p.Media != c.media || p.MediaBytes != c.bytes {
			t.Errorf("%s: %q, %d media of %d bytes", c.name, got, p.Media, p.MediaBytes)
		}
	}
}

// Every string that reaches a model is text: what is said beside the messages too.
func TestTextBesideMessages(t *testing.T) {
	body := []byte(`{"model":"m","messages":[],"prediction":{"type":"content","content":"a"},"response_format":{"type":"json_schema","json_schema":{"schema":{"description":"b"}}},"metadata":{"k":"c"},
		"tools":[{"type":"function","function":{"description":"d"}}],"unknown":"e","stream_options":{"include_usage":"yes"}}`)
	var p Body
	if err := p.Request(body, OpenAI); err != nil {
		t.Fatal(err)
	}
	if got := texts(body, &p); got != "0/0 a|0/0 b|0/0 c|0/0 d|0/0 e" || !p.HasMessages || p.HasInput {
		t.Errorf("%s %+v", got, p)
	}
	if string(body[p.UsageFlag.Start:p.UsageFlag.End]) != `"yes"` || p.IncludeUsage {
		t.Errorf("%+v", p.UsageFlag)
	}
}

func TestEscapesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		quoted, _ := json.Marshal(text)
		if got := Unescape(nil, quoted[1:len(quoted)-1]); string(got) != text {
			t.Fatalf("%q became %q", text, got)
		}
		var back string
		ours := append(append([]byte{'"'}, Escape(nil, []byte(text))...), '"')
		if err := json.Unmarshal(ours, &back); err != nil || back != text {
			t.Fatalf("%q became %q (%v)", text, back, err)
		}
	})
}

// Whatever is accepted is JSON to the standard library too, without duplicate
// keys; and reading never panics.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{`{"model":"m","messages":[{"content":"x"}]}`, `{"a":"\ud83d\ude00"}`, `{"a":1e9,"b":[true,null]}`, `{"stream_options":null}`, "{", `{"a":{"a":{"a":1}}}`,
		`{"messages":[{"role":"a","\u0072ole":"b"}]}`, `{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"{}"},"index":2}]},"index":1,"logprobs":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}`,
		`{"messages":[{"content":[{"image_url":{"url":"data:image/png;base64,AA=="}}]}],"n":3,"max_tokens":12345678901234567890}`, "{\"a\":\"\xff\"}", `{"a":1,"a":2}`, strings.Repeat(`{"a":`, 200)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Body
		if p.Answer(b, OpenAI) == nil && !json.Valid(b) {
			t.Fatalf("answer %q was accepted", b)
		}
		if p.Request(b, OpenAI) != nil {
			return
		}
		if !json.Valid(b) {
			t.Fatalf("%q was accepted", b)
		}
		if key, twice := duplicate(json.NewDecoder(bytes.NewReader(b))); twice {
			t.Fatalf("%q has %q twice", b, key)
		}
		for _, s := range p.Text {
			Unescape(nil, b[s.Start:s.End])
		}
	})
}

// duplicate reads one value and says which key an object of it has twice.
func duplicate(d *json.Decoder) (string, bool) {
	token, err := d.Token()
	if err != nil {
		return "", false
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return "", false
	}
	seen := map[string]bool{}
	for d.More() {
		if delim == '{' {
			key, err := d.Token()
			if err != nil {
				return "", false
			}
			if seen[key.(string)] {
				return key.(string), true
			}
			seen[key.(string)] = true
		}
		if key, twice := duplicate(d); twice {
			return key, true
		}
	}
	d.Token()
	return "", false
}

func BenchmarkRequest(b *testing.B) {
	body := []byte(`{"model":"gpt-4o","messages":[{"role":"system","content":"` + strings.Repeat("Answer in one short paragraph. ", 15) + `"},{"role":"user","content":"` + strings.Repeat("How long does it take? ", 18) + `"}],"temperature":0.2,"max_tokens":200}`)
	var p Body
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Request(body, OpenAI); err != nil {
			b.Fatal(err)
		}
	}
}
