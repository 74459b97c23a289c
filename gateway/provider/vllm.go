package provider

import "plumbline/gateway/dialect"

// Servers of one's own, wherever they stand.
func init() {
	register(Kind{Name: "vllm", Title: "vLLM", Vendor: "local", Speaks: openAISpeech(
		dialect.ChatCompletions, dialect.ResponsesCreate, dialect.Completions, dialect.Embeddings)})
	register(Kind{Name: "sglang", Title: "SGLang", Vendor: "local", Speaks: openAISpeech(
		dialect.ChatCompletions, dialect.Completions, dialect.Embeddings)})
}
