package peek

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRequest(t *testing.T) {
	body := []byte(`{"model":"gpt-4o","big":12345678901234567890123,"stream":true,"stream_options":{"include_usage":false},
	"messages":[{"role":"system","content":"one"},{"role":"user","content":[{"type":"text","text":"two \"q\""},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}],
	"max_tokens":20,"n":2,"tools":[{"type":"function","function":{"name":"f","description":"three"}}],"user":"u-1"}`)
	var p Body
	if err := p.Request(body); err != nil {
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
	if err := p.Answer(chunk); err != nil {
		t.Fatal(err)
	}
	if len(p.Text) != 2 || p.Text[1].Channel != 1<<8|3 || p.NoChoices {
		t.Errorf("%+v", p.Text)
	}
	last := []byte(`{"model":"m-1","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":0,"prompt_tokens_details":{"cached_tokens":3},"completion_tokens_details":{"reasoning_tokens":0}}}`)
	if err := p.Answer(last); err != nil {
		t.Fatal(err)
	}
	if !p.NoChoices || p.Usage != (Usage{9, 0, 3, 0}) || !p.HasUsage {
		t.Errorf("%+v", p)
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
		{"duplicate below", `{"messages":[{"role":"a","role":"b"}]}`, "body_duplicate_key"},
		{"deep", `{"a":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "}", "body_too_deep"},
		{"utf-8", "{\"a\":\"\xff\"}", "body_not_utf8"},
	} {
		var p Body
		var e *Error
		if err := p.Request([]byte(c.body)); !errors.As(err, &e) || e.Code != c.code {
			t.Errorf("%s: %v", c.name, err)
		}
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
	for _, s := range []string{`{"model":"m","messages":[{"content":"x"}]}`, `{"a":"\ud83d\ude00"}`, `{"a":1e9,"b":[true,null]}`, `{"stream_options":null}`, "{", `{"a":{"a":{"a":1}}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Body
		if p.Answer(b) == nil && !json.Valid(b) {
			t.Fatalf("answer %q was accepted", b)
		}
		if p.Request(b) != nil {
			return
		}
		if !json.Valid(b) {
			t.Fatalf("%q was accepted", b)
		}
		for _, s := range p.Text {
			Unescape(nil, b[s.Start:s.End])
		}
	})
}

func BenchmarkRequest(b *testing.B) {
	body := []byte(`{"model":"gpt-4o","messages":[{"role":"system","content":"` + strings.Repeat("Answer in one short paragraph. ", 15) + `"},{"role":"user","content":"` + strings.Repeat("How long does it take? ", 18) + `"}],"temperature":0.2,"max_tokens":200}`)
	var p Body
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Request(body); err != nil {
			b.Fatal(err)
		}
	}
}
