package provider

import "plumbline/gateway/dialect"

func init() {
	register(Kind{Name: "fireworks", Title: "Fireworks AI", Vendor: "fireworks", BaseURL: "https://api.fireworks.ai/inference/v1", Speaks: openAISpeech(
		dialect.ChatCompletions, dialect.ResponsesCreate, dialect.Completions, dialect.Embeddings)})
}
