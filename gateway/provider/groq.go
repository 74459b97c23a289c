package provider

import "plumbline/gateway/dialect"

func init() {
	register(Kind{Name: "groq", Title: "Groq", Vendor: "groq", BaseURL: "https://api.groq.com/openai/v1", Speaks: openAISpeech(
		dialect.ChatCompletions, dialect.ResponsesCreate)})
}
