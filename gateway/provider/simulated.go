package provider

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	"plumbline/gateway/dialect"
	"plumbline/inventory"
)

func init() {
	register(Kind{Name: "simulated", Title: "Simulated: built in, answers without a model", Simulated: true, Vendor: "simulated",
		Speaks: openAISpeech(dialect.ChatCompletions, dialect.Embeddings), New: func(*inventory.Provider, http.RoundTripper) (Provider, error) { return simulated{}, nil }})
}

// simulated is the built-in upstream: it answers without a model, the same to
// the same request. Offered tools, it calls one and then answers; asked for JSON
// by a schema, it gives the least that fits. Model sim-fail answers with an error,
// sim-cut breaks a stream off.
type simulated struct{}

type simRequest struct {
	Model    string `json:"model"`
	Stream   bool   `json:"stream"`
	Messages []struct {
		Role    string          `json:"role"`
		Content json.RawMessage `json:"content"`
	} `json:"messages"`
	Input          json.RawMessage `json:"input"`
	EncodingFormat string          `json:"encoding_format"`
	Dimensions     int             `json:"dimensions"`
	MaxTokens      int             `json:"max_tokens"`
	Choices        int             `json:"n"`
	StreamOptions  struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	Tools []struct {
		Function simFunction `json:"function"`
	} `json:"tools"`
	ToolChoice     json.RawMessage `json:"tool_choice"`
	ResponseFormat struct {
		Type       string `json:"type"`
		JSONSchema struct {
			Schema map[string]any `json:"schema"`
		} `json:"json_schema"`
	} `json:"response_format"`
}

type simFunction struct {
	Name       string         `json:"name"`
	Parameters map[string]any `json:"parameters"`
}

// simAnswer is one answer: text in pieces, or a call of a tool.
type simAnswer struct {
	id     string
	pieces []string
	tool   *simFunction
	usage  map[string]any
}

func (simulated) Send(ctx context.Context, r *Request) (*Response, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var q simRequest
	body, release, err := r.Bytes(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := json.Unmarshal(body, &q); err != nil {
		return simError(http.StatusBadRequest, "the request could not be read"), nil
	}
	if q.Model == "sim-fail" {
		return simError(http.StatusInternalServerError, "the simulated provider was asked to fail"), nil
	}
	sum := sha256.Sum256(body)
	if r.Operation == dialect.Embeddings {
		return simEmbedding(&q)
	}
	q.Choices = min(max(q.Choices, 1), 8)
	a := q.answer(sum)
	if q.Stream {
		return simStream(&q, a), nil
	}
	var choices []any
	for i := range q.Choices {
		message, finish := map[string]any{"role": "assistant", "content": strings.Join(a.pieces, "")}, "stop"
		if a.tool != nil {
			message, finish = map[string]any{"role": "assistant", "content": nil, "tool_calls": []any{a.call(i, strings.Join(a.pieces, ""))}}, "tool_calls"
		}
		choices = append(choices, map[string]any{"index": i, "message": message, "finish_reason": finish})
	}
	return simJSON(http.StatusOK, map[string]any{"id": a.id, "object": "chat.completion", "created": 1790000000, "model": q.Model, "choices": choices, "usage": a.usage})
}

// answer follows from the request alone.
func (q *simRequest) answer(sum [32]byte) *simAnswer {
	a := &simAnswer{id: fmt.Sprintf("chatcmpl-sim-%x", sum[:8])}
	prompt := 3 * len(q.Messages)
	for _, m := range q.Messages {
		prompt += len(m.Content) / 4
	}
	switch {
	case q.called() != nil:
		a.tool = q.called()
		a.pieces = simPieces(a.tool.Parameters)
	case q.ResponseFormat.Type == "json_schema":
		a.pieces = simPieces(q.ResponseFormat.JSONSchema.Schema)
	case q.ResponseFormat.Type == "json_object":
		a.pieces = []string{`{"answer":`, `"simulated"}`}
	default:
		for i, w := range simWords(sum, q.MaxTokens) {
			if i > 0 {
				w = " " + w
			}
			a.pieces = append(a.pieces, w)
		}
	}
	out := len(a.pieces) * q.Choices
	a.usage = map[string]any{"prompt_tokens": prompt, "completion_tokens": out, "total_tokens": prompt + out}
	return a
}

// called is the tool that is called: the one asked for, else the first, unless
// its result is there already.
func (q *simRequest) called() *simFunction {
	if len(q.Tools) == 0 || string(q.ToolChoice) == `"none"` || len(q.Messages) > 0 && q.Messages[len(q.Messages)-1].Role == "tool" {
		return nil
	}
	var choice struct{ Function simFunction }
	if json.Unmarshal(q.ToolChoice, &choice) == nil {
		for i := range q.Tools {
			if q.Tools[i].Function.Name == choice.Function.Name {
				return &q.Tools[i].Function
			}
		}
	}
	return &q.Tools[0].Function
}

func (a *simAnswer) call(choice int, arguments string) map[string]any {
	return map[string]any{"id": fmt.Sprintf("call_%s_%d", a.id[len(a.id)-8:], choice), "type": "function", "function": map[string]any{"name": a.tool.Name, "arguments": arguments}}
}

var simSentences = []string{
	"This answer comes from the simulated provider; no model was asked.",
	"It follows from the request alone, so the same request gets the same answer.",
	"Use it to try keys, budgets, guards and documents without a vendor.",
	"Questions about the sample may go to help@example.com at any time.",
	"Figures about it say nothing about a real model.",
	"Whoever needs a real answer declares a provider of kind openai.",
}

func simWords(sum [32]byte, limit int) []string {
	first := int(binary.BigEndian.Uint16(sum[:]))
	var words []string
	for i := range 2 + int(sum[2])%3 {
		words = append(words, strings.Fields(simSentences[(first+i)%len(simSentences)])...)
	}
	if limit > 0 && len(words) > limit {
		words = words[:limit]
	}
	return words
}

func simStream(q *simRequest, a *simAnswer) *Response {
	var b bytes.Buffer
	chunk := func(choices []any, extra string, v any) {
		m := map[string]any{"id": a.id, "object": "chat.completion.chunk", "created": 1790000000, "model": q.Model, "choices": choices}
		if extra != "" {
			m[extra] = v
		}
		text, _ := json.Marshal(m)
		fmt.Fprintf(&b, "data: %s\n\n", text)
	}
	delta := func(choice int, d map[string]any, finish any) {
		chunk([]any{map[string]any{"index": choice, "delta": d, "finish_reason": finish}}, "", nil)
	}
	for i := range q.Choices {
		finish := "stop"
		if a.tool == nil {
			delta(i, map[string]any{"role": "assistant", "content": ""}, nil)
		} else {
			finish = "tool_calls"
			call := a.call(i, "")
			call["index"] = 0
			delta(i, map[string]any{"role": "assistant", "content": nil, "tool_calls": []any{call}}, nil)
		}
		for n, piece := range a.pieces {
			if q.Model == "sim-cut" && n == len(a.pieces)/2 {
				return &Response{http.StatusOK, http.Header{"Content-Type": {"text/event-stream"}}, io.NopCloser(&broken{r: &b})}
			}
			if a.tool == nil {
				delta(i, map[string]any{"content": piece}, nil)
			} else {
				delta(i, map[string]any{"tool_calls": []any{map[string]any{"index": 0, "function": map[string]any{"arguments": piece}}}}, nil)
			}
		}
		delta(i, map[string]any{}, finish)
	}
	if q.StreamOptions.IncludeUsage {
		chunk([]any{}, "usage", a.usage)
	}
	b.WriteString("data: [DONE]\n\n")
	return &Response{http.StatusOK, http.Header{"Content-Type": {"text/event-stream"}}, io.NopCloser(&b)}
}

// broken ends as a connection does that is reset.
type broken struct{ r io.Reader }

func (b *broken) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// simEmbedding gives one vector for each input, as numbers or as base64 of
// little-endian float32, which is what OpenAI's clients ask for by themselves.
func simEmbedding(q *simRequest) (*Response, error) {
	inputs := []json.RawMessage{q.Input}
	var list []json.RawMessage
	if json.Unmarshal(q.Input, &list) == nil && len(list) > 0 && list[0][0] == '"' {
		inputs = list
	}
	size := 16
	if q.Dimensions > 0 {
		size = min(q.Dimensions, 4096)
	}
	data, tokens := []any{}, 0
	for i, in := range inputs {
		tokens += len(in)/4 + 1
		vector, packed := make([]float32, size), []byte(nil)
		for k := range vector {
			sum := sha256.Sum256(fmt.Appendf(nil, "%d:%s", k, in))
			vector[k] = float32(int8(sum[0])) / 128
			packed = binary.LittleEndian.AppendUint32(packed, math.Float32bits(vector[k]))
		}
		entry := map[string]any{"object": "embedding", "index": i, "embedding": vector}
		if q.EncodingFormat == "base64" {
			entry["embedding"] = base64.StdEncoding.EncodeToString(packed)
		}
		data = append(data, entry)
	}
	return simJSON(http.StatusOK, map[string]any{"object": "list", "model": q.Model, "data": data, "usage": map[string]any{"prompt_tokens": tokens, "total_tokens": tokens}})
}

func simError(status int, message string) *Response {
	r, _ := simJSON(status, map[string]any{"error": map[string]any{"message": message, "type": "server_error", "param": nil, "code": "simulated_error"}})
	return r
}

func simJSON(status int, v any) (*Response, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	h := http.Header{"Content-Type": {"application/json"}, "Date": {time.Unix(1790000000, 0).UTC().Format(http.TimeFormat)}}
	return &Response{status, h, io.NopCloser(bytes.NewReader(b))}, nil
}
