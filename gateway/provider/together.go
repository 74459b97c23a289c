package provider

import "plumbline/gateway/dialect"

func init() {
	register(Kind{Name: "together", Title: "Together AI", Vendor: "together", BaseURL: "https://api.together.xyz/v1", Speaks: openAISpeech(
		dialect.ChatCompletions, dialect.Completions, dialect.Embeddings)})
}
