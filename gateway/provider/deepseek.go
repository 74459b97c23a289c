package provider

import "plumbline/gateway/dialect"

func init() {
	register(Kind{Name: "deepseek", Title: "DeepSeek", Vendor: "deepseek", BaseURL: "https://api.deepseek.com/v1", Speaks: openAISpeech(
		dialect.ChatCompletions)})
}
