package dialect

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plumbline/gateway/event"
)

const geminiFull = `{
	"systemInstruction":{"role":"user","parts":[{"text":"Be brief."}]},
	"contents":[
		{"role":"user","parts":[{"text":"What is on these?"},
			{"inlineData":{"mimeType":"image/png","data":"AAAA"}},
			{"inline_data":{"mime_type":"audio/wav","data":"BB-_"}},
			{"inlineData":{"mimeType":"application/pdf","data":"CCCC","displayName":"terms.pdf"}},
			{"fileData":{"mimeType":"image/jpeg","fileUri":"https://a.example/b.jpg"}},
			{"fileData":{"mimeType":"video/mp4","fileUri":"https://generativelanguage.googleapis.com/v1beta/files/f1"},"videoMetadata":{"fps":1}}]},
		{"role":"model","parts":[
			{"text":"Hm","thought":true},{"text":"m.","thought":true},
			{"functionCall":{"name":"look","args":{"n":12345678901234567890,"snake_case":1}},"thoughtSignature":"CsIB+/=="},
			{"functionCall":{"name":"look","args":{}}},
			{"functionCall":{"id":"own","name":"listen"}}]},
		{"role":"user","parts":[
			{"functionResponse":{"name":"look","response":{"output":"a cat"},"parts":[{"inlineData":{"mimeType":"image/png","data":"DDDD"}}]}},
			{"functionResponse":{"name":"look","response":{"error":"no such page"}}},
			{"functionResponse":{"id":"own","name":"listen","response":{"db":12}}}]}],
	"tools":[{"functionDeclarations":[
			{"name":"look","description":"Looks.","parameters":{"type":"OBJECT","properties":{"n":{"type":"INTEGER","format":"int32","nullable":true},"when":{"type":"STRING","format":"date-time"}},"required":["n"],"propertyOrdering":["when","n"]}},
			{"name":"listen","parametersJsonSchema":{"type":"object","properties":{}},"response":{"type":"OBJECT"}}]},
		{"googleSearch":{}}],
	"tool_config":{"function_calling_config":{"mode":"ANY","allowed_function_names":["look"]}},
	"safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"BLOCK_NONE"}],
	"labels":{"team":"x"},"serviceTier":"FLEX",
	"generationConfig":{"maxOutputTokens":"100","temperature":0.5,"top_p":0.9,"topK":40.0,"stopSequences":["END"],"candidateCount":2,"seed":7,
		"presencePenalty":0.1,"frequencyPenalty":0.2,"responseLogprobs":true,"logprobs":3,"responseModalities":["TEXT"],"mediaResolution":"MEDIA_RESOLUTION_LOW",
		"responseMimeType":"application/json","responseSchema":{"type":"ARRAY","minItems":"2","items":{"any_of":[{"type":"STRING"},{"type":"NUMBER","format":"float"}]}},
		"thinkingConfig":{"thinkingLevel":"LOW","includeThoughts":true}}}`

func TestGeminiReadRequest(t *testing.T) {
	got, err := Of(Gemini).ReadRequest([]byte(geminiFull), "gemini-3-pro", true)
	if err != nil {
		t.Fatal(err)
	}
	want := &Request{
		Model: "gemini-3-pro", Stream: true, StreamUsage: true,
		System: []Part{text("Be brief.")},
		Turns: []Turn{
			{Parts: []Part{
				text("What is on these?"),
				{Kind: Image, Media: Media{Type: "image/png", Data: "AAAA"}},
				{Kind: Audio, Media: Media{Type: "audio/wav", Data: "BB+/"}},
				{Kind: File, Media: Media{Type: "application/pdf", Data: "CCCC", Name: "terms.pdf"}},
				{Kind: Image, Media: Media{Type: "image/jpeg", URL: "https://a.example/b.jpg"}},
				{Kind: File, Media: Media{Type: "video/mp4", FileID: "https://generativelanguage.googleapis.com/v1beta/files/f1"}},
			}},
			{Role: Assistant, Parts: []Part{
				{Kind: Thought, Text: "Hmm.", Origin: Gemini},
				{Kind: ToolCall, ID: "call_0", Name: "look", Text: `{"n":12345678901234567890,"snake_case":1}`, Signature: "CsIB+/==", Origin: Gemini},
				{Kind: ToolCall, ID: "call_1", Name: "look", Text: `{}`},
				{Kind: ToolCall, ID: "own", Name: "listen", Text: `{}`},
			}},
			{Parts: []Part{
				{Kind: ToolResult, ID: "call_0", Name: "look", Content: []Part{text("a cat"), {Kind: Image, Media: Media{Type: "image/png", Data: "DDDD"}}}},
				{Kind: ToolResult, ID: "call_1", Name: "look", Failed: true, Content: []Part{text("no such page")}},
				{Kind: ToolResult, ID: "own", Name: "listen", Content: []Part{text(`{"db":12}`)}},
			}},
		},
		Tools: []Tool{
			{Name: "look", Description: "Looks.", Schema: []byte(`{"type":"object","properties":{"when":{"type":"string","format":"date-time"},"n":{"type":["integer","null"]}},"required":["n"]}`)},
			{Name: "listen", Schema: []byte(`{"type":"object","properties":{}}`)},
			{Name: "googleSearch", Hosted: "googleSearch", Raw: []byte(`{"googleSearch":{}}`)},
		},
		Choice:    Choice{ChoiceNamed, "look"},
		Format:    Format{Kind: FormatSchema, Name: "answer", Schema: []byte(`{"type":"array","minItems":2,"items":{"anyOf":[{"type":"string"},{"type":"number"}]}}`), Strict: ptr(true)},
		Reasoning: Reasoning{Effort: "low", Show: true},
		MaxTokens: 100, Temperature: ptr(0.5), TopP: ptr(0.9), TopK: ptr(int64(40)), Stop: []string{"END"}, Choices: 2, Seed: ptr(int64(7)),
		Presence: ptr(0.1), Frequency: ptr(0.2), Logprobs: true, TopLogprobs: 3,
		Metadata: map[string]string{"team": "x"}, Tier: "flex",
		Lost: []string{"contents.parts.videoMetadata", "tools.functionDeclarations.response", "generationConfig.mediaResolution", "safetySettings"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestGeminiRefused(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"no object", `[]`, "body: is not a JSON object"},
		{"no contents", `{}`, "contents: is not a JSON array"},
		{"twice", `{"contents":[],"toolConfig":{},"tool_config":{}}`, "body: has both toolConfig and tool_config"},
		{"role", `{"contents":[{"role":"system","parts":[]}]}`, "contents.0.role: must be user or model"},
		{"cached", `{"contents":[],"cachedContent":"cachedContents/1"}`, "cachedContent: content that was cached at Google is there alone; send it"},
		{"code", `{"contents":[{"parts":[{"executableCode":{"code":"1"}}]}]}`, "contents.0.parts.0.executableCode: no other API has tools that Google runs"},
		{"base64", `{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"!"}}]}]}`, "contents.0.parts.0.inlineData.data: is not base64"},
		{"empty media", `{"contents":[{"parts":[{"fileData":{}}]}]}`, "contents.0.parts.0.fileData: holds nothing"},
		{"mode", `{"contents":[],"toolConfig":{"functionCallingConfig":{"mode":"SOME"}}}`, "toolConfig.functionCallingConfig.mode: must be AUTO, ANY, NONE or VALIDATED"},
		{"sound", `{"contents":[],"generationConfig":{"responseModalities":["AUDIO"]}}`, "generationConfig.responseModalities: other APIs answer this call in text alone"},
		{"enum", `{"contents":[],"generationConfig":{"responseMimeType":"text/x.enum"}}`, "generationConfig.responseMimeType: other APIs answer in text or in JSON alone"},
		{"number", `{"contents":[],"generationConfig":{"maxOutputTokens":1.5}}`, "generationConfig.maxOutputTokens: has another type than the API says"},
	} {
		_, err := Of(Gemini).ReadRequest([]byte(c.body), "m", false)
		if got := fmt.Sprint(err); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// Those that may not be called are not offered: other APIs know all or one.
func TestGeminiSomeAllowed(t *testing.T) {
	r, err := Of(Gemini).ReadRequest([]byte(`{"contents":[],"tools":[{"functionDeclarations":[{"name":"a"},{"name":"b"},{"name":"c"}]}],"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["a","c"]}}}`), "m", false)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Tool{{Name: "a"}, {Name: "c"}}, r.Tools); diff != "" || r.Choice.Mode != ChoiceRequired {
		t.Error(diff, r.Choice)
	}
}

func TestGeminiWriteRequest(t *testing.T) {
	hello := asked(text("hello"))
	const user = `"contents":[{"role":"user","parts":[{"text":"hello"}]}]`
	calls := []Turn{
		{Parts: []Part{text("a")}},
		{Role: Assistant, Parts: []Part{
			{Kind: Thought, Text: "another's", Signature: "s", Origin: Messages},
			{Kind: Thought, Signature: "sig", Origin: Gemini},
			{Kind: ToolCall, ID: "1", Name: "f", Text: `{"a":12345678901234567890}`}, {Kind: ToolCall, ID: "2", Name: "g", Text: "cut"}}},
		{Parts: []Part{text("and"), {Kind: ToolResult, ID: "1", Name: "f", Content: []Part{text("x"), {Kind: Image, Media: Media{Type: "image/png", Data: "AAAA"}}}}, {Kind: ToolResult, ID: "2", Name: "g", Failed: true}}},
		{Role: Assistant, Parts: []Part{{Kind: ToolCall, ID: "3", Name: "f"}}},
		{Parts: []Part{{Kind: ToolResult, ID: "3", Name: "f", Content: []Part{text("y")}}}},
	}
	for _, c := range []struct {
		name string
		r    Request
		want string
		lost []string
	}{
		{"least", Request{Model: "m", Turns: hello}, `{` + user + `}`, nil},
		{"much", Request{
			Model: "gemini-2.0-flash", MaxTokens: 10, Turns: hello, System: []Part{{Kind: Text, Text: "Be brief.", Cache: true}},
			Tools:  []Tool{{Name: "f", Description: "d", Schema: []byte(`{"type":"object","additionalProperties":false}`)}, {Name: "g"}},
			Choice: Choice{ChoiceNamed, "f"}, Parallel: ptr(false), Stop: []string{"END"}, Temperature: ptr(0.2), TopP: ptr(0.5), TopK: ptr(int64(3)),
			User: "u", Tier: "default", Seed: ptr(int64(1)), Presence: ptr(0.1), Frequency: ptr(0.2), Logprobs: true, TopLogprobs: 2, Choices: 2, CacheKey: "k",
			Format: Format{Kind: FormatSchema, Schema: []byte(`{"type":"object"}`)}, Reasoning: Reasoning{Effort: "low"},
		}, `{"systemInstruction":{"parts":[{"text":"Be brief."}]},` + user + `,
			"tools":[{"functionDeclarations":[{"name":"f","description":"d","parametersJsonSchema":{"type":"object","additionalProperties":false}},{"name":"g"}]}],
			"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f"]}},
			"generationConfig":{"maxOutputTokens":10,"temperature":0.2,"topP":0.5,"topK":3,"stopSequences":["END"],"responseMimeType":"application/json","responseJsonSchema":{"type":"object"},
				"candidateCount":2,"seed":1,"presencePenalty":0.1,"frequencyPenalty":0.2,"responseLogprobs":true,"logprobs":2},"serviceTier":"standard"}`,
			[]string{"cache_control", "reasoning", "user", "prompt_cache_key", "parallel_tool_calls"}},
		{"calls", Request{Model: "gemini-3-pro", Turns: calls}, `{"contents":[{"role":"user","parts":[{"text":"a"}]},
			{"role":"model","parts":[{"functionCall":{"id":"1","name":"f","args":{"a":12345678901234567890}},"thoughtSignature":"sig"},{"functionCall":{"id":"2","name":"g","args":{"arguments":"cut"}}}]},
			{"role":"user","parts":[{"functionResponse":{"id":"1","name":"f","response":{"output":"x"},"parts":[{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]}},{"functionResponse":{"id":"2","name":"g","response":{"error":""}}}]},
			{"role":"user","parts":[{"text":"and"}]},
			{"role":"model","parts":[{"functionCall":{"id":"3","name":"f","args":{}},"thoughtSignature":"skip_thought_signature_validator"}]},
			{"role":"user","parts":[{"functionResponse":{"id":"3","name":"f","response":{"output":"y"}}}]}]}`,
			[]string{"messages.thinking", "messages.tool_calls.arguments"}},
		{"calls of an older model", Request{Model: "gemini-2.5-flash", Turns: calls[3:]}, `{"contents":[
			{"role":"model","parts":[{"functionCall":{"id":"3","name":"f","args":{}}}]},
			{"role":"user","parts":[{"functionResponse":{"id":"3","name":"f","response":{"output":"y"}}}]}]}`, nil},
		{"media and turns", Request{Model: "m", Turns: []Turn{
			{Name: "anna", Parts: []Part{{Kind: Image, Media: Media{URL: "https://a.example/b", Detail: "low"}}, {Kind: Audio, Media: Media{Type: "audio/wav", Data: "BBBB"}}, {Kind: File, Media: Media{Type: "application/pdf", Data: "CCCC"}}}},
			{Role: System, Parts: []Part{text("now")}}, {Parts: []Part{text("more")}}, {Role: Assistant, Parts: []Part{{Kind: Text, Text: "signed", Signature: "s", Origin: Gemini}}},
		}}, `{"systemInstruction":{"parts":[{"text":"now"}]},"contents":[
			{"role":"user","parts":[{"fileData":{"fileUri":"https://a.example/b"}},{"inlineData":{"mimeType":"audio/wav","data":"BBBB"}},{"inlineData":{"mimeType":"application/pdf","data":"CCCC"}},{"text":"more"}]},
			{"role":"model","parts":[{"text":"signed","thoughtSignature":"s"}]}]}`,
			[]string{"messages.name", "messages.content.detail", "messages.role"}},
	} {
		r := c.r
		got, err := Of(Gemini).WriteRequest(&r)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if diff := cmp.Diff(compact(t, c.want), string(got)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		if diff := cmp.Diff(c.lost, r.Lost); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestGeminiThinking(t *testing.T) {
	for _, c := range []struct {
		name, model string
		r           Reasoning
		want        string
		lost        []string
	}{
		{"nothing", "gemini-3-pro", Reasoning{}, `null`, nil},
		{"level", "gemini-3-pro", Reasoning{Effort: "xhigh", Show: true}, `{"thinkingLevel":"HIGH","includeThoughts":true}`, nil},
		{"least of pro", "gemini-3-pro", Reasoning{Effort: "minimal"}, `{"thinkingLevel":"LOW"}`, nil},
		{"least of flash", "gemini-3-flash", Reasoning{Effort: "none"}, `{"thinkingLevel":"MINIMAL"}`, []string{"reasoning"}},
		{"budget as level", "gemini-3-pro", Reasoning{Budget: ptr(int64(9000))}, `{"thinkingLevel":"MEDIUM"}`, nil},
		{"as the model likes", "gemini-3-pro", Reasoning{Show: true}, `{"includeThoughts":true}`, nil},
		{"level as budget", "gemini-2.5-flash", Reasoning{Effort: "medium"}, `{"thinkingBudget":8192}`, nil},
		{"off", "gemini-2.5-flash", Reasoning{Effort: "none"}, `{"thinkingBudget":0}`, nil},
		{"cannot be off", "gemini-2.5-pro", Reasoning{Budget: ptr(int64(0))}, `{"thinkingBudget":128}`, []string{"reasoning"}},
		{"too much", "gemini-2.5-flash", Reasoning{Budget: ptr(int64(50000))}, `{"thinkingBudget":24576}`, nil},
		{"shown", "gemini-2.5-flash", Reasoning{Show: true}, `{"includeThoughts":true}`, nil},
		{"does not think", "gemini-2.0-flash", Reasoning{Effort: "none"}, `null`, nil},
	} {
		r := Request{Model: c.model, Reasoning: c.r}
		got, err := encode(r.geminiThinking())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, string(got)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		if diff := cmp.Diff(c.lost, r.Lost); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestGeminiImpossible(t *testing.T) {
	for _, c := range []struct {
		name string
		r    Request
		want string
	}{
		{"hosted", Request{Turns: asked(text("a")), Tools: []Tool{{Hosted: "web_search"}}}, "tools: the provider's API has no tool web_search that works as asked"},
		{"file of another", Request{Turns: asked(Part{Kind: File, Media: Media{FileID: "file-1"}})}, "messages.0.content.0: a file that was sent to one provider is not known to another: send its content"},
		{"untyped", Request{Turns: asked(Part{Kind: Image, Media: Media{Data: "AAAA"}})}, "messages.0.content.0: the provider's API wants the media type said"},
		{"result of nothing", Request{Turns: asked(Part{Kind: ToolResult, ID: "1"})}, "messages.0.content.0: answers no call that stands before it"},
		{"nothing said", Request{System: []Part{text("a")}}, "messages: the provider's API wants a message of the user"},
	} {
		_, err := Of(Gemini).WriteRequest(&c.r)
		if got := fmt.Sprint(err); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestGeminiAnswer(t *testing.T) {
	const body = `{"candidates":[{"content":{"role":"model","parts":[{"text":"Hm.","thought":true},{"text":"I look."},{"functionCall":{"name":"look","args":{"n":1}},"thoughtSignature":"sig"},
			{"functionCall":{"id":"own","name":"listen","args":{}}},{"executableCode":{"code":"1"}},{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]},
			"finishReason":"STOP","index":0,"safetyRatings":[],"groundingMetadata":{}},
		{"content":{"parts":[{"text":"cut"}]},"finishReason":"MAX_TOKENS","index":1}],
		"usageMetadata":{"promptTokenCount":10,"cachedContentTokenCount":4,"candidatesTokenCount":7,"thoughtsTokenCount":3,"toolUsePromptTokenCount":2,"totalTokenCount":22},
		"modelVersion":"gemini-3-pro","responseId":"r1","createTime":"2026-01-02T03:04:05Z"}`
	got, err := Of(Gemini).ReadAnswer([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	made := got.Choices[0].Parts[2].ID
	if !strings.HasPrefix(made, "call_") || len(made) != len("call_")+16 {
		t.Errorf("id %q", made)
	}
	want := &Answer{
		ID: "r1", Model: "gemini-3-pro", Created: 1767323045, HasUsage: true, Usage: event.Usage{Input: 12, Output: 10, CacheRead: 4, CacheWrite: -1, Reasoning: 3},
		Choices: []Candidate{
			{Stop: StopTool, Parts: []Part{
				{Kind: Thought, Text: "Hm.", Origin: Gemini}, text("I look."),
				{Kind: ToolCall, ID: made, Name: "look", Text: `{"n":1}`, Signature: "sig", Origin: Gemini},
				{Kind: ToolCall, ID: "own", Name: "listen", Text: `{}`},
				{Kind: Image, Media: Media{Type: "image/png", Data: "AAAA"}},
			}},
			{Stop: StopLength, Parts: []Part{text("cut")}},
		},
		Lost: []string{"candidates.content.parts.executableCode", "candidates.groundingMetadata"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	back, err := Of(Gemini).WriteAnswer(got, &Request{Model: "m"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(compact(t, `{"candidates":[{"content":{"role":"model","parts":[{"text":"Hm.","thought":true},{"text":"I look."},{"functionCall":{"id":"`+made+`","name":"look","args":{"n":1}},"thoughtSignature":"sig"},
			{"functionCall":{"id":"own","name":"listen","args":{}}},{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]},"finishReason":"STOP","index":0},
		{"content":{"role":"model","parts":[{"text":"cut"}]},"finishReason":"MAX_TOKENS","index":1}],
		"usageMetadata":{"promptTokenCount":12,"candidatesTokenCount":7,"thoughtsTokenCount":3,"cachedContentTokenCount":4,"totalTokenCount":22},"modelVersion":"gemini-3-pro","responseId":"r1"}`), string(back)); diff != "" {
		t.Error(diff)
	}
}

func TestGeminiStops(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       StopReason
	}{
		{"end", `{"candidates":[{"finishReason":"STOP"}]}`, StopEnd},
		{"filter", `{"candidates":[{"finishReason":"RECITATION"}]}`, StopFilter},
		{"bad call", `{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL"}]}`, StopUnknown},
		{"prompt", `{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":1}}`, StopFilter},
	} {
		a, err := Of(Gemini).ReadAnswer([]byte(c.body))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if a.Choices[0].Stop != c.want {
			t.Errorf("%s: %v, want %v", c.name, a.Choices[0].Stop, c.want)
		}
	}
	for _, body := range []string{`{}`, `{"error":{"code":500}}`, `{"candidates":[7]}`} {
		if a, err := Of(Gemini).ReadAnswer([]byte(body)); err == nil {
			t.Errorf("%s: %+v", body, a)
		}
	}
}

// Google's client sends back a streamed answer as a content for each event.
func TestGeminiJoinsEvents(t *testing.T) {
	r, err := Of(Gemini).ReadRequest([]byte(`{"contents":[{"role":"user","parts":[{"text":"a"}]},
		{"role":"model","parts":[{"text":"H","thought":true}]},{"role":"model","parts":[{"text":"m.","thought":true}]},
		{"role":"model","parts":[{"text":"","thought":true,"thoughtSignature":"cGx1bWJsaW5lOm1lc3NhZ2VzOnNpZ25hdHVyZTpFcW9CPT0="}]},
		{"role":"model","parts":[{"text":"I look."}]},{"role":"model","parts":[{"functionCall":{"id":"c1","name":"f","args":{}}}]},{"role":"model","parts":[{"text":""}]},
		{"role":"user","parts":[{"functionResponse":{"id":"c1","name":"f","response":{"output":"x"}}}]}]}`), "m", false)
	if err != nil {
		t.Fatal(err)
	}
	want := []Turn{
		{Parts: []Part{text("a")}},
		{Role: Assistant, Parts: []Part{{Kind: Thought, Text: "Hm.", Signature: "EqoB==", Origin: Messages}, text("I look."), {Kind: ToolCall, ID: "c1", Name: "f", Text: "{}"}}},
		{Parts: []Part{{Kind: ToolResult, ID: "c1", Name: "f", Content: []Part{text("x")}}}},
	}
	if diff := cmp.Diff(want, r.Turns); diff != "" {
		t.Error(diff)
	}
}

// A signature of another provider passes through a caller of this API and comes back.
func TestGeminiCarriesSignatures(t *testing.T) {
	a := &Answer{Choices: []Candidate{{Stop: StopTool, Parts: []Part{{Kind: Thought, Text: "Hm.", Signature: "EqoB==", Origin: Messages}, {Kind: Thought, Sealed: "EmwK==", Origin: Messages}, {Kind: ToolCall, ID: "1", Name: "f", Text: "{}"}}}}}
	b, err := Of(Gemini).WriteAnswer(a, &Request{})
	if err != nil {
		t.Fatal(err)
	}
	_, parts, _ := strings.Cut(string(b), `"parts":`)
	parts, _, _ = strings.Cut(parts, `]`)
	r, err := Of(Gemini).ReadRequest([]byte(`{"contents":[{"role":"model","parts":`+parts+`]}]}`), "m", false)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a.Choices[0].Parts, r.Turns[0].Parts); diff != "" {
		t.Error(diff)
	}
}
