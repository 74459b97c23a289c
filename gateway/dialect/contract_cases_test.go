package dialect

import (
	"fmt"

	"plumbline/gateway/event"
)

// contract is everything that passes, each with what of it must be the same on both
// ends.
var contract = []struct {
	name    string
	request func(caller Name) *Request
	answer  func(provider Name) *Answer
	wrong   map[Name]string // the provider's stream breaks off with this
	look    func(*Request) any
}{
	{name: "text", request: func(Name) *Request {
		return &Request{System: []Part{text("Be brief.")}, Turns: []Turn{{Parts: []Part{text("Hi.")}}, {Role: Assistant, Parts: []Part{text("Hello.")}}, {Parts: []Part{text("And now?")}}},
			MaxTokens: 64, Temperature: ptr(0.5), TopP: ptr(0.9)}
	}, look: func(r *Request) any { return []any{r.System, r.MaxTokens, r.Temperature, r.TopP} },
		answer: func(Name) *Answer {
			return &Answer{Choices: []Candidate{{Parts: []Part{text("Fine.")}, Stop: StopEnd}}}
		}},
	{name: "limit reached", answer: func(Name) *Answer {
		return &Answer{Choices: []Candidate{{Parts: []Part{text("Fi")}, Stop: StopLength}}}
	}},
	{name: "stop sequences", request: func(Name) *Request { return &Request{Turns: asked(text("Count.")), Stop: []string{"END", "5"}} },
		look: func(r *Request) any { return r.Stop }},
	{name: "tools", request: func(Name) *Request {
		return &Request{Turns: asked(text("Weather?")), Tools: []Tool{weatherTool}, Choice: Choice{ChoiceNamed, "weather"}}
	}, look: func(r *Request) any { return []any{toolNames(r), r.Choice} },
		answer: func(Name) *Answer {
			return &Answer{Choices: []Candidate{{Parts: []Part{text("I look."), weatherCall("call_1", "Zürich")}, Stop: StopTool}}}
		}},
	{name: "parallel tools", request: func(Name) *Request {
		return &Request{Turns: []Turn{{Parts: []Part{text("Weather?")}}, {Role: Assistant, Parts: []Part{weatherCall("call_1", "Zürich"), weatherCall("call_2", "Bern")}},
			{Parts: []Part{weatherResult("call_1", "12 degrees"), weatherResult("call_2", "9 degrees")}}}, Tools: []Tool{weatherTool}}
	}, answer: func(Name) *Answer {
		return &Answer{Choices: []Candidate{{Parts: []Part{weatherCall("call_1", "Zürich"), weatherCall("call_2", "Bern")}, Stop: StopTool}}}
	}},
	{name: "one tool at a time", request: func(Name) *Request {
		return &Request{Turns: asked(text("Weather?")), Tools: []Tool{weatherTool}, Parallel: ptr(false), Choice: Choice{Mode: ChoiceAuto}}
	}, look: func(r *Request) any { return r.Parallel }},
	{name: "tool result", request: func(Name) *Request {
		return &Request{Turns: []Turn{{Parts: []Part{text("Weather?")}}, {Role: Assistant, Parts: []Part{weatherCall("call_1", "Zürich")}}, {Parts: []Part{weatherResult("call_1", "12 degrees")}}}, Tools: []Tool{weatherTool}}
	}},
	{name: "tool error", request: func(Name) *Request {
		failed := weatherResult("call_1", "no such city")
		failed.Failed = true
		return &Request{Turns: []Turn{{Parts: []Part{text("Weather?")}}, {Role: Assistant, Parts: []Part{weatherCall("call_1", "Zürich")}}, {Parts: []Part{failed}}}, Tools: []Tool{weatherTool}}
	}},
	{name: "image", request: func(Name) *Request {
		return &Request{Turns: asked(text("What is this?"), Part{Kind: Image, Media: Media{Type: "image/png", Data: "iVBORw0KGgo="}})}
	}},
	{name: "image by link", request: func(Name) *Request {
		return &Request{Turns: asked(text("What is this?"), Part{Kind: Image, Media: Media{URL: "https://example.com/a.png"}})}
	}},
	{name: "file", request: func(Name) *Request {
		return &Request{Turns: asked(text("Sum up."), Part{Kind: File, Media: Media{Type: "application/pdf", Data: "JVBERg==", Name: "a.pdf"}})}
	}},
	{name: "structured output", request: func(Name) *Request {
		return &Request{Turns: asked(text("Fill in.")), Format: Format{Kind: FormatSchema, Name: "answer", Schema: []byte(`{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}`), Strict: ptr(true)}}
	}, look: func(r *Request) any { return []any{r.Format.Kind, compactJSON(r.Format.Schema)} },
		answer: func(Name) *Answer {
			return &Answer{Choices: []Candidate{{Parts: []Part{text(`{"a":"b"}`)}, Stop: StopEnd}}}
		}},
	{name: "any JSON", request: func(Name) *Request { return &Request{Turns: asked(text("As JSON.")), Format: Format{Kind: FormatJSON}} },
		look: func(r *Request) any { return r.Format.Kind }},
	{name: "reasoning", request: func(Name) *Request {
		return &Request{Turns: asked(text("Think.")), MaxTokens: 32000, Reasoning: Reasoning{Effort: "medium", Show: true}}
	},
		look: func(r *Request) any { return r.responsesEffort() },
		answer: func(provider Name) *Answer {
			return &Answer{Choices: []Candidate{{Parts: []Part{{Kind: Thought, Text: "Hm.", Origin: provider}, text("Yes.")}, Stop: StopEnd}}}
		}},
	{name: "signed reasoning", request: func(caller Name) *Request {
		return &Request{Turns: []Turn{{Parts: []Part{text("Think.")}}, {Role: Assistant, Parts: []Part{{Kind: Thought, Text: "Hm.", Signature: "c2lnbmVk", Origin: caller}, text("Yes.")}}, {Parts: []Part{text("Why?")}}}}
	}, answer: func(provider Name) *Answer {
		return &Answer{Choices: []Candidate{{Parts: []Part{{Kind: Thought, Text: "Hm.", Signature: "c2lnbmVk", Origin: provider}, text("Yes.")}, Stop: StopEnd}}}
	}},
	{name: "refusal", answer: func(Name) *Answer {
		return &Answer{Choices: []Candidate{{Parts: []Part{{Kind: Declined, Text: "I will not."}}, Stop: StopDeclined}}}
	}},
	{name: "filtered", answer: func(Name) *Answer {
		return &Answer{Choices: []Candidate{{Parts: []Part{text("I")}, Stop: StopFilter}}}
	}},
	{name: "usage", answer: func(Name) *Answer {
		return &Answer{Choices: []Candidate{{Parts: []Part{text("Fine.")}, Stop: StopEnd}}, HasUsage: true, Usage: counted(100, 20, -1, -1, -1)}
	}},
	{name: "cache reads", answer: func(Name) *Answer {
		return &Answer{Choices: []Candidate{{Parts: []Part{text("Fine.")}, Stop: StopEnd}}, HasUsage: true, Usage: counted(100, 20, 60, -1, -1)}
	}},
	{name: "cache writes", answer: func(Name) *Answer {
		return &Answer{Choices: []Candidate{{Parts: []Part{text("Fine.")}, Stop: StopEnd}}, HasUsage: true, Usage: counted(100, 20, -1, 10, -1)}
	}},
	{name: "reasoning tokens", answer: func(Name) *Answer {
		return &Answer{Choices: []Candidate{{Parts: []Part{text("Fine.")}, Stop: StopEnd}}, HasUsage: true, Usage: counted(100, 20, -1, -1, 5)}
	}},
	{name: "error", wrong: map[Name]string{
		Chat:      `{"error":{"message":"sorry","type":"server_error","code":null}}`,
		Responses: `{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"sorry"},"output":[]}}`,
		Messages:  `{"type":"error","error":{"type":"overloaded_error","message":"sorry"}}`,
		Gemini:    `{"error":{"code":503,"message":"sorry","status":"UNAVAILABLE"}}`,
		Converse:  `{"serviceUnavailableException":{"message":"sorry"}}`,
	}},
}

var weatherTool = Tool{Name: "weather", Description: "The weather of a city.", Schema: []byte(`{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}`)}

func weatherCall(id, city string) Part {
	return Part{Kind: ToolCall, ID: id, Name: "weather", Text: fmt.Sprintf(`{"city":%q}`, city)}
}

func weatherResult(id, said string) Part {
	return Part{Kind: ToolResult, ID: id, Name: "weather", Content: []Part{text(said)}}
}

func toolNames(r *Request) (out []string) {
	for _, t := range r.Tools {
		out = append(out, t.Name, t.Description, compactJSON(t.Schema))
	}
	return out
}

func counted(input, output, read, write, reasoning int64) event.Usage {
	u := noUsage
	u.Input, u.Output, u.CacheRead, u.CacheWrite, u.Reasoning = input, output, read, write, reasoning
	return u
}
