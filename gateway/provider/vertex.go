package provider

import "plumbline/gateway/dialect"

// Vertex AI has Google's and Anthropic's models below the same base URL, each with the
// API of its maker: a kind for each. The base URL names project and location:
// https://europe-west4-aiplatform.googleapis.com/v1/projects/PROJECT/locations/europe-west4
func init() {
	register(Kind{Name: "vertex", Title: "Vertex AI: Gemini (base URL with project and location)", Vendor: "vertex",
		Speaks: map[dialect.Operation]Path{
			dialect.GenerateContent: {At: "/publishers/google/models/{model}:generateContent", Stream: "/publishers/google/models/{model}:streamGenerateContent?alt=sse"},
			dialect.GeminiCount:     {At: "/publishers/google/models/{model}:countTokens"},
			dialect.EmbedContent:    {At: "/publishers/google/models/{model}:embedContent"},
		}})
	register(Kind{Name: "vertex-anthropic", Title: "Vertex AI: Anthropic (base URL with project and location)", Vendor: "vertex",
		Speaks: map[dialect.Operation]Path{dialect.MessagesCreate: {
			At: "/publishers/anthropic/models/{model}:rawPredict", Stream: "/publishers/anthropic/models/{model}:streamRawPredict",
			// The path names the model, and the version stands in the body
			// (docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude).
			Body: func(body []byte, _ string, _ bool) ([]byte, error) {
				return withFields(body, `"anthropic_version":"vertex-2023-10-16"`, "model", "anthropic_version")
			},
		}}})
}
