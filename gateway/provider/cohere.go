package provider

import "plumbline/gateway/dialect"

func init() {
	register(Kind{Name: "cohere", Title: "Cohere", Vendor: "cohere", BaseURL: "https://api.cohere.ai/compatibility/v1", NoStreamUsage: true, Speaks: openAISpeech(
		dialect.ChatCompletions, dialect.Embeddings)})
}
