package dialect

import "encoding/json"

type geminiRequest struct {
	System      *geminiContent  `json:"systemInstruction,omitempty"`
	Contents    []geminiContent `json:"contents"`
	Tools       []geminiTool    `json:"tools,omitempty"`
	ToolConfig  *geminiChoice   `json:"toolConfig,omitempty"`
	Config      *generateConfig `json:"generationConfig,omitempty"`
	ServiceTier string          `json:"serviceTier,omitempty"`
}

type geminiContent struct {
	Role  string       `json:"role,omitempty"`
	Parts []geminiPart `json:"parts"`
}

type geminiPart struct {
	Text      *string       `json:"text,omitempty"`
	Thought   bool          `json:"thought,omitempty"`
	Inline    *geminiBlob   `json:"inlineData,omitempty"`
	File      *geminiFile   `json:"fileData,omitempty"`
	Call      *geminiCall   `json:"functionCall,omitempty"`
	Result    *geminiResult `json:"functionResponse,omitempty"`
	Signature string        `json:"thoughtSignature,omitempty"`
}

type geminiBlob struct {
	Type string `json:"mimeType"`
	Data string `json:"data"`
}

type geminiFile struct {
	Type string `json:"mimeType,omitempty"`
	URI  string `json:"fileUri"`
}

type geminiCall struct {
	ID   string          `json:"id,omitempty"`
	Name string          `json:"name"`
	Args json.RawMessage `json:"args"`
}

type geminiResult struct {
	ID       string            `json:"id,omitempty"`
	Name     string            `json:"name"`
	Response map[string]string `json:"response"`
	Parts    []geminiPart      `json:"parts,omitempty"`
}

type geminiTool struct {
	Functions []geminiFunction `json:"functionDeclarations"`
}

type geminiFunction struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Schema      json.RawMessage `json:"parametersJsonSchema,omitempty"`
}

type geminiChoice struct {
	Calling struct {
		Mode    string   `json:"mode"`
		Allowed []string `json:"allowedFunctionNames,omitempty"`
	} `json:"functionCallingConfig"`
}

type generateConfig struct {
	MaxTokens   int64           `json:"maxOutputTokens,omitempty"`
	Temperature *float64        `json:"temperature,omitempty"`
	TopP        *float64        `json:"topP,omitempty"`
	TopK        *int64          `json:"topK,omitempty"`
	Stop        []string        `json:"stopSequences,omitempty"`
	MIME        string          `json:"responseMimeType,omitempty"`
	Schema      json.RawMessage `json:"responseJsonSchema,omitempty"`
	Candidates  int64           `json:"candidateCount,omitempty"`
	Seed        *int64          `json:"seed,omitempty"`
	Presence    *float64        `json:"presencePenalty,omitempty"`
	Frequency   *float64        `json:"frequencyPenalty,omitempty"`
	Logprobs    bool            `json:"responseLogprobs,omitempty"`
	TopLogprobs int64           `json:"logprobs,omitempty"`
	Thinking    *geminiThinking `json:"thinkingConfig,omitempty"`
}

type geminiThinking struct {
	Budget *int64 `json:"thinkingBudget,omitempty"`
	Level  string `json:"thinkingLevel,omitempty"`
	Show   bool   `json:"includeThoughts,omitempty"`
}
