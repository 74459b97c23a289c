package dialect

import "encoding/json"

type converseRequest struct {
	Messages []converseMessage  `json:"messages"`
	System   []converseBlock    `json:"system,omitempty"`
	Config   *converseConfig    `json:"inferenceConfig,omitempty"`
	Tools    *converseTools     `json:"toolConfig,omitempty"`
	More     *converseMore      `json:"additionalModelRequestFields,omitempty"`
	Metadata map[string]string  `json:"requestMetadata,omitempty"`
	Tier     *converseTier      `json:"serviceTier,omitempty"`
	Output   *converseOutConfig `json:"outputConfig,omitempty"`
}

type converseMessage struct {
	Role    string          `json:"role"`
	Content []converseBlock `json:"content"`
}

// converseBlock is a block of content; one of its fields is set.
type converseBlock struct {
	Text     *string            `json:"text,omitempty"`
	Image    *converseFile      `json:"image,omitempty"`
	Document *converseFile      `json:"document,omitempty"`
	Video    *converseFile      `json:"video,omitempty"`
	Audio    *converseFile      `json:"audio,omitempty"`
	Call     *converseUse       `json:"toolUse,omitempty"`
	Result   *converseResult    `json:"toolResult,omitempty"`
	Thought  *converseReasoning `json:"reasoningContent,omitempty"`
	Cache    *cacheControl      `json:"cachePoint,omitempty"`
}

type converseFile struct {
	Format string `json:"format"`
	Name   string `json:"name,omitempty"`
	Source struct {
		Bytes string      `json:"bytes,omitempty"`
		S3    *converseS3 `json:"s3Location,omitempty"`
	} `json:"source"`
}

type converseS3 struct {
	URI string `json:"uri"`
}

type converseUse struct {
	ID    string          `json:"toolUseId"`
	Name  string          `json:"name"`
	Input json.RawMessage `json:"input"`
}

type converseResult struct {
	ID      string          `json:"toolUseId"`
	Content []converseBlock `json:"content"`
	Status  string          `json:"status,omitempty"`
}

type converseReasoning struct {
	Text     *converseThoughtText `json:"reasoningText,omitempty"`
	Redacted string               `json:"redactedContent,omitempty"`
}

type converseThoughtText struct {
	Text      string `json:"text"`
	Signature string `json:"signature,omitempty"`
}

type converseConfig struct {
	MaxTokens   int64    `json:"maxTokens,omitempty"`
	Temperature *float64 `json:"temperature,omitempty"`
	TopP        *float64 `json:"topP,omitempty"`
	Stop        []string `json:"stopSequences,omitempty"`
}

type converseTools struct {
	Tools  []converseTool  `json:"tools"`
	Choice json.RawMessage `json:"toolChoice,omitempty"`
}

type converseTool struct {
	Spec  *converseSpec `json:"toolSpec,omitempty"`
	Cache *cacheControl `json:"cachePoint,omitempty"`
}

type converseSpec struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Schema      struct {
		JSON json.RawMessage `json:"json"`
	} `json:"inputSchema"`
	Strict *bool `json:"strict,omitempty"`
}

// converseMore are fields of models' own, in the words of their makers' APIs.
type converseMore struct {
	Thinking *thinking `json:"thinking,omitempty"`
	TopK     *int64    `json:"top_k,omitempty"`
	Effort   string    `json:"reasoning_effort,omitempty"`
}

type converseTier struct {
	Type string `json:"type"`
}

type converseOutConfig struct {
	Format *converseFormat `json:"textFormat,omitempty"`
	Effort string          `json:"effort,omitempty"`
}

type converseFormat struct {
	Type      string `json:"type"`
	Structure struct {
		Schema converseSchema `json:"jsonSchema"`
	} `json:"structure"`
}

type converseSchema struct {
	Schema      string `json:"schema"`
	Name        string `json:"name,omitempty"`
	Description string `json:"description,omitempty"`
}
