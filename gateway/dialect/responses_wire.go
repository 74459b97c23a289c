package dialect

import "encoding/json"

// responsesBody is a request, and with its answer's fields the head of an answer,
// which says again what was asked.
type responsesBody struct {
	Model        string              `json:"model"`
	Instructions *string             `json:"instructions,omitempty"`
	Input        []any               `json:"input"`
	Tools        []any               `json:"tools,omitempty"`
	ToolChoice   any                 `json:"tool_choice,omitempty"`
	Parallel     *bool               `json:"parallel_tool_calls,omitempty"`
	Text         *responsesText      `json:"text,omitempty"`
	Reasoning    *responsesReasoning `json:"reasoning,omitempty"`
	Include      []string            `json:"include,omitempty"`
	MaxTokens    int64               `json:"max_output_tokens,omitempty"`
	Temperature  *float64            `json:"temperature,omitempty"`
	TopP         *float64            `json:"top_p,omitempty"`
	Metadata     map[string]string   `json:"metadata,omitempty"`
	User         string              `json:"user,omitempty"`
	CacheKey     string              `json:"prompt_cache_key,omitempty"`
	Tier         string              `json:"service_tier,omitempty"`
	Store        bool                `json:"store"`
	Stream       bool                `json:"stream,omitempty"`
}

type responsesText struct {
	Format    *responsesFormat `json:"format,omitempty"`
	Verbosity string           `json:"verbosity,omitempty"`
}

type responsesFormat struct {
	Type        string          `json:"type"`
	Name        string          `json:"name,omitempty"`
	Description string          `json:"description,omitempty"`
	Schema      json.RawMessage `json:"schema,omitempty"`
	Strict      *bool           `json:"strict,omitempty"`
}

type responsesReasoning struct {
	Effort  string `json:"effort,omitempty"`
	Summary string `json:"summary,omitempty"`
}

// responsesFunction is a tool. The API wants all its fields, and takes a missing
// strict for true, which others do not.
type responsesFunction struct {
	Type        string          `json:"type"`
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters"`
	Strict      bool            `json:"strict"`
}

type responsesNamed struct {
	Type string `json:"type"`
	Name string `json:"name"`
}

// inputMessage is a message of the conversation.
type inputMessage struct {
	Type    string `json:"type"`
	Role    string `json:"role"`
	Content any    `json:"content"`
}

// responsesContent is a part of a message that goes to a model.
type responsesContent struct {
	Type     string  `json:"type"`
	Text     *string `json:"text,omitempty"`
	Refusal  *string `json:"refusal,omitempty"`
	ImageURL string  `json:"image_url,omitempty"`
	Detail   string  `json:"detail,omitempty"`
	FileName string  `json:"filename,omitempty"`
	FileData string  `json:"file_data,omitempty"`
	FileURL  string  `json:"file_url,omitempty"`
}

type toolOutput struct {
	Type   string `json:"type"`
	CallID string `json:"call_id"`
	Output any    `json:"output"`
}

// responsesItem is what a model did: a message, a call or reasoning. Pointers are
// fields that an item of its type has even when they are empty.
type responsesItem struct {
	ID        string         `json:"id,omitempty"`
	Type      string         `json:"type"`
	Status    string         `json:"status,omitempty"`
	Role      string         `json:"role,omitempty"`
	Content   *[]outputText  `json:"content,omitempty"`
	CallID    string         `json:"call_id,omitempty"`
	Name      string         `json:"name,omitempty"`
	Arguments *string        `json:"arguments,omitempty"`
	Input     *string        `json:"input,omitempty"`
	Summary   *[]summaryText `json:"summary,omitempty"`
	Encrypted string         `json:"encrypted_content,omitempty"`
}

// outputText is a part of a message of the model's: its text or its refusal.
type outputText struct {
	Type        string  `json:"type"`
	Text        *string `json:"text,omitempty"`
	Annotations *[]any  `json:"annotations,omitempty"`
	Logprobs    *[]any  `json:"logprobs,omitempty"`
	Refusal     *string `json:"refusal,omitempty"`
}

type summaryText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// outputOf is a part of a message.
func outputOf(kind PartKind, text string) outputText {
	if kind == Declined {
		return outputText{Type: "refusal", Refusal: &text}
	}
	return outputText{Type: "output_text", Text: &text, Annotations: &[]any{}, Logprobs: &[]any{}}
}
