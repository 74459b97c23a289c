package provider

import "plumbline/gateway/dialect"

func init() {
	register(Kind{Name: "ollama", Title: "Ollama", Vendor: "local", BaseURL: "http://127.0.0.1:11434/v1", Speaks: openAISpeech(
		dialect.ChatCompletions, dialect.ResponsesCreate, dialect.Completions, dialect.Embeddings)})
}
