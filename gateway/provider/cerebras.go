package provider

import "plumbline/gateway/dialect"

func init() {
	register(Kind{Name: "cerebras", Title: "Cerebras", Vendor: "cerebras", BaseURL: "https://api.cerebras.ai/v1", Speaks: openAISpeech(
		dialect.ChatCompletions, dialect.Completions)})
}
