package provider

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"plumbline/inventory"
)

func init() {
	register(Kind{Name: "simulated", Simulated: true, Vendor: "simulated", New: func(*inventory.Provider, http.RoundTripper) (Provider, error) { return simulated{}, nil }})
}

// simulated is the built-in upstream: it answers without a model, the same to
// the same request. Model sim-fail answers with an error, sim-cut breaks a
// stream off.
type simulated struct{}

type simRequest struct {
	Model    string `json:"model"`
	Stream   bool   `json:"stream"`
	Messages []struct {
		Content json.RawMessage `json:"content"`
	} `json:"messages"`
	Input         json.RawMessage `json:"input"`
	MaxTokens     int             `json:"max_tokens"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
}

func (simulated) Send(ctx context.Context, r *Request) (*Response, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var q simRequest
	if err := json.Unmarshal(r.Body, &q); err != nil {
		return simError(http.StatusBadRequest, "the request could not be read"), nil
	}
	if q.Model == "sim-fail" {
		return simError(http.StatusInternalServerError, "the simulated provider was asked to fail"), nil
	}
	sum := sha256.Sum256(r.Body)
	if r.Endpoint == "/embeddings" {
		return simEmbedding(&q, sum)
	}
	var prompt strings.Builder
	for _, m := range q.Messages {
		prompt.Write(m.Content)
	}
	words := simWords(sum, q.MaxTokens)
	usage := map[string]any{"prompt_tokens": prompt.Len()/4 + 3*len(q.Messages), "completion_tokens": len(words),
		"total_tokens": prompt.Len()/4 + 3*len(q.Messages) + len(words)}
	id := fmt.Sprintf("chatcmpl-sim-%x", sum[:8])
	if q.Stream {
		return simStream(&q, id, words, usage), nil
	}
	return simJSON(http.StatusOK, map[string]any{"id": id, "object": "chat.completion", "created": 1790000000, "model": q.Model,
		"choices": []any{map[string]any{"index": 0, "message": map[string]any{"role": "assistant", "content": strings.Join(words, " ")}, "finish_reason": "stop"}},
		"usage":   usage})
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

func simStream(q *simRequest, id string, words []string, usage any) *Response {
	var b bytes.Buffer
	chunk := func(choices []any, extra string, v any) {
		m := map[string]any{"id": id, "object": "chat.completion.chunk", "created": 1790000000, "model": q.Model, "choices": choices}
		if extra != "" {
			m[extra] = v
		}
		text, _ := json.Marshal(m)
		fmt.Fprintf(&b, "data: %s\n\n", text)
	}
	delta := func(d map[string]any, finish any) []any {
		return []any{map[string]any{"index": 0, "delta": d, "finish_reason": finish}}
	}
	chunk(delta(map[string]any{"role": "assistant", "content": ""}, nil), "", nil)
	for i, w := range words {
		if q.Model == "sim-cut" && i == len(words)/2 {
			return &Response{http.StatusOK, http.Header{"Content-Type": {"text/event-stream"}}, io.NopCloser(&broken{r: &b})}
		}
		if i > 0 {
			w = " " + w
		}
		chunk(delta(map[string]any{"content": w}, nil), "", nil)
	}
	chunk(delta(map[string]any{}, "stop"), "", nil)
	if q.StreamOptions.IncludeUsage {
		chunk([]any{}, "usage", usage)
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

func simEmbedding(q *simRequest, sum [32]byte) (*Response, error) {
	vector := make([]float64, 16)
	for i := range vector {
		vector[i] = float64(int8(sum[i])) / 128
	}
	return simJSON(http.StatusOK, map[string]any{"object": "list", "model": q.Model,
		"data":  []any{map[string]any{"object": "embedding", "index": 0, "embedding": vector}},
		"usage": map[string]any{"prompt_tokens": len(q.Input)/4 + 1, "total_tokens": len(q.Input)/4 + 1}})
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
