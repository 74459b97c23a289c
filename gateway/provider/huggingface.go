package provider

import "plumbline/gateway/dialect"

func init() {
	register(Kind{Name: "huggingface", Title: "Hugging Face", Vendor: "huggingface", BaseURL: "https://router.huggingface.co/v1", Speaks: openAISpeech(
		dialect.ChatCompletions)})
}
