package provider

import "plumbline/gateway/dialect"

func init() {
	register(Kind{Name: "gemini", Title: "Google Gemini", Vendor: "google", BaseURL: "https://generativelanguage.googleapis.com/v1beta",
		Speaks: map[dialect.Operation]Path{
			dialect.GenerateContent:    {At: "/models/{model}:generateContent", Stream: "/models/{model}:streamGenerateContent?alt=sse"},
			dialect.GeminiCount:        {At: "/models/{model}:countTokens"},
			dialect.EmbedContent:       {At: "/models/{model}:embedContent"},
			dialect.BatchEmbedContents: {At: "/models/{model}:batchEmbedContents"},
		},
		Authorize: inHeader("X-Goog-Api-Key")})
}
