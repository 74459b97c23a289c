package provider

import "plumbline/gateway/dialect"

func init() {
	register(Kind{Name: "perplexity", Title: "Perplexity", Vendor: "perplexity", BaseURL: "https://api.perplexity.ai", NoStreamUsage: true, Speaks: openAISpeech(
		dialect.ChatCompletions)})
}
