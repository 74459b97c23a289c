package dialect

import (
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plumbline/gateway/peek"
)

func TestWithoutForeign(t *testing.T) {
	const (
		own     = "plumbline:%:signature:c2ln"
		foreign = "plumbline:other:signature:c2ln"
		sealed  = "plumbline:other:sealed:c2Vh"
	)
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, c := range []struct {
		name string
		op   Operation
		in   string
		want string
		lost []string
	}{
		{"thoughts among blocks", MessagesCreate,
			`{"n":9007199254740993, "messages":[{"role":"assistant","content":[ {"type":"thinking","thinking":"a","signature":"` + foreign + `"} , {"type":"redacted_thinking","data":"` + sealed + `"},{"type":"tool_use","id":"1","input":{"data":"` + foreign + `"}}]}]}`,
			`{"n":9007199254740993, "messages":[{"role":"assistant","content":[ {"type":"tool_use","id":"1","input":{"data":"` + foreign + `"}}]}]}`,
			[]string{"messages.content.signature", "messages.content.data"}},
		{"a thought at the end", MessagesCount,
			`{"messages":[{"role":"assistant","content":[{"type":"text","text":"a"} ,{"type":"thinking","thinking":"a","signature":"` + foreign + `"}]}]}`,
			`{"messages":[{"role":"assistant","content":[{"type":"text","text":"a"}]}]}`, []string{"messages.content.signature"}},
		{"nothing but thoughts", MessagesCreate,
			`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"thinking","thinking":"a","signature":"` + foreign + `"}]},{"role":"user","content":"b"}]}`,
			`{"messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}]}`, []string{"messages.content.signature"}},
		{"its own, wrapped", MessagesCreate,
			`{"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"a","signature":"plumbline:messages:signature:c2\/n"},{"type":"thinking","signature":"raw"},{"type":"redacted_thinking","data":"plumbline:messages:sealed:x"}]}]}`,
			`{"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"a","signature":"c2/n"},{"type":"thinking","signature":"raw"},{"type":"redacted_thinking","data":"x"}]}]}`, nil},
		{"its own and another's", MessagesCreate,
			`{"messages":[{"content":[{"signature":"plumbline:messages:signature:x"},{"signature":"` + foreign + `"},{"signature":"plumbline:messages:signature:y"}]}]}`,
			`{"messages":[{"content":[{"signature":"x"},{"signature":"y"}]}]}`, []string{"messages.content.signature"}},
		{"not as it was wrapped", MessagesCreate, `{"messages":[{"role":"assistant","content":[{"type":"thinking","signature":"plumbline:x"},{"type":"text","text":"a"}]}]}`,
			`{"messages":[{"role":"assistant","content":[{"type":"text","text":"a"}]}]}`, []string{"messages.content.signature"}},
		{"words about it", MessagesCreate, `{"messages":[{"role":"user","content":"plumbline:other:signature:x"}]}`, `{"messages":[{"role":"user","content":"plumbline:other:signature:x"}]}`, nil},
		{"items", ResponsesCreate,
			`{"input":[{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"` + foreign + `"},{"type":"reasoning","encrypted_content":"gAAA"},{"type":"reasoning","encrypted_content":"` + sealed + `"}]}`,
			`{"input":[{"type":"reasoning","encrypted_content":"gAAA"}]}`, []string{"input.encrypted_content"}},
		{"its own item", ResponseCompact, `{"input":[{"type":"reasoning","encrypted_content":"plumbline:responses:signature:gAAA"}]}`, `{"input":[{"type":"reasoning","encrypted_content":"gAAA"}]}`, nil},
		{"details of chat", ChatCompletions,
			`{"messages":[{"role":"assistant","content":null,"reasoning_details":[{"type":"reasoning.text","text":"a","signature":"` + foreign + `"},{"type":"reasoning.encrypted","data":"` + sealed + `"}],"tool_calls":[{"id":"1"}]}]}`,
			`{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"1"}]}]}`, []string{"messages.reasoning_details.signature", "messages.reasoning_details.data"}},
		{"one detail of two", ChatCompletions, `{"messages":[{"reasoning_details":[{"data":"` + sealed + `"},{"data":"mine"}]}]}`, `{"messages":[{"reasoning_details":[{"data":"mine"}]}]}`, []string{"messages.reasoning_details.data"}},
		{"a call of chat", ChatCompletions,
			`{"messages":[{"tool_calls":[{"id":"1","extra_content":{"google":{"thought_signature":"` + foreign + `"}}},{"id":"2","extra_content":{"google":{"thought_signature":"plumbline:gemini:signature:c2ln"}}}]}]}`,
			`{"messages":[{"tool_calls":[{"id":"1"},{"id":"2","extra_content":{"google":{"thought_signature":"c2ln"}}}]}]}`, []string{"messages.tool_calls.extra_content.google.thought_signature"}},
		{"reasoning of Converse", ConverseCreate,
			`{"messages":[{"content":[{"reasoningContent":{"reasoningText":{"text":"a","signature":"` + foreign + `"}}},{"reasoningContent":{"redactedContent":"` + b64(sealed) + `"}},{"text":"b"}]}]}`,
			`{"messages":[{"content":[{"text":"b"}]}]}`, []string{"messages.content.reasoningContent.reasoningText.signature", "messages.content.reasoningContent.redactedContent"}},
		{"parts of Gemini", GenerateContent,
			`{"contents":[{"role":"model","parts":[{"text":"a","thought":true,"thoughtSignature":"` + b64(foreign) + `"},{"thoughtSignature":"` + b64(foreign) + `","functionCall":{"name":"f","args":{}}},{"text":"b","thoughtSignature":"` + b64(foreign) + `"},{"text":"","thoughtSignature":"` + b64(foreign) + `"}]}]}`,
			`{"contents":[{"role":"model","parts":[{"thoughtSignature":"skip_thought_signature_validator","functionCall":{"name":"f","args":{}}},{"text":"b"}]}]}`, []string{"contents.parts.thoughtSignature"}},
		{"its own part of Gemini", GeminiCount, `{"generateContentRequest":{"contents":[{"parts":[{"text":"a","thought_signature":"` + b64("plumbline:gemini:signature:c2ln") + `"},{"text":"b","thoughtSignature":"c2ln"}]}]}}`,
			`{"generateContentRequest":{"contents":[{"parts":[{"text":"a","thought_signature":"c2ln"},{"text":"b","thoughtSignature":"c2ln"}]}]}}`, nil},
		{"a call that has none", Embeddings, `{"input":["plumbline:other:signature:x"]}`, `{"input":["plumbline:other:signature:x"]}`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, lost, err := WithoutForeign(c.op, []byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(got)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(c.lost, lost); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Whatever a body holds, what comes out is JSON, has nothing wrapped left, and is left
// alone the second time.
func FuzzWithoutForeign(f *testing.F) {
	for op := range placesOf {
		for _, s := range []string{`{"messages":[{"content":[{"signature":"plumbline:x:signature:y"},1],"reasoning_details":[{"data":"plumbline:x:sealed:y"}]}]}`,
			`{"input":[{"encrypted_content":"plumbline:x:signature:y"},{}]}`, `{"contents":[{"parts":[{"functionCall":{},"thoughtSignature":"cGx1bWJsaW5lOng="}]}]}`} {
			f.Add(string(op), []byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, op string, body []byte) {
		if !json.Valid(body) {
			return
		}
		out, _, err := WithoutForeign(Operation(op), body)
		if err != nil {
			return
		}
		if !json.Valid(out) {
			t.Fatalf("not JSON: %q from %q", out, body)
		}
		if again, lost, err := WithoutForeign(Operation(op), out); err != nil || len(lost) > 0 || string(again) != string(out) {
			t.Fatalf("%q, then %q, lost %v, error %v", out, again, lost, err)
		}
	})
}

// What is wrapped is seen where a body is read: nothing else is looked through again.
func TestWrappedIsSeen(t *testing.T) {
	signed, sealed := &Part{Origin: Gemini, Signature: "sig"}, &Part{Origin: Messages, Sealed: "x"}
	for _, c := range []struct {
		name, text string
		want       bool
	}{
		{"signature", wrap(signed, Chat), true},
		{"seal", wrap(sealed, Responses), true},
		{"signature in base64", wrapBytes(signed, Messages), true},
		{"seal in base64", wrapBytes(sealed, Converse), true},
		{"its own", wrap(signed, Gemini), false},
		{"within a text", "a plumbline: hangs", false},
		{"empty", "", false},
	} {
		var p peek.Body
		if err := p.Request([]byte(`{"input":[{"type":"reasoning","encrypted_content":"`+c.text+`"}]}`), peek.Responses); err != nil {
			t.Fatal(err)
		}
		if p.Wrapped != c.want {
			t.Errorf("%s: seen %v", c.name, p.Wrapped)
		}
	}
}
