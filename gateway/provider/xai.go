package provider

import "plumbline/gateway/dialect"

func init() {
	register(Kind{Name: "xai", Title: "xAI", Vendor: "xai", BaseURL: "https://api.x.ai/v1", Speaks: openAISpeech(
		dialect.ChatCompletions, dialect.ResponsesCreate)})
}
