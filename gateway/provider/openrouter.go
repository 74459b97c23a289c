package provider

import "plumbline/gateway/dialect"

func init() {
	register(Kind{Name: "openrouter", Title: "OpenRouter", Vendor: "openrouter", BaseURL: "https://openrouter.ai/api/v1", Speaks: openAISpeech(
		dialect.ChatCompletions, dialect.ResponsesCreate, dialect.Completions, dialect.Embeddings)})
}
