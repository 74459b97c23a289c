package provider

import "plumbline/gateway/dialect"

func init() {
	register(Kind{Name: "nvidia", Title: "NVIDIA NIM", Vendor: "nvidia", BaseURL: "https://integrate.api.nvidia.com/v1", Speaks: openAISpeech(
		dialect.ChatCompletions, dialect.Completions, dialect.Embeddings)})
}
