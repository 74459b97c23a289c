package provider

import "plumbline/gateway/dialect"

func init() {
	register(Kind{Name: "mistral", Title: "Mistral AI", Vendor: "mistral", BaseURL: "https://api.mistral.ai/v1", NoStreamUsage: true, Speaks: openAISpeech(
		dialect.ChatCompletions, dialect.Embeddings)})
}
