package provider

import "plumbline/gateway/dialect"

// Azure has two ways to the same models: its v1 API, in which the body names the
// deployment, and the older paths, in which the path does
// (learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle).
func init() {
	register(Kind{Name: "azure", Title: "Azure OpenAI (base URL with /openai/v1)", Vendor: "azure", NewerLimit: true, Speaks: openAISpeech(
		dialect.ChatCompletions, dialect.ResponsesCreate, dialect.ResponseGet, dialect.ResponseDelete, dialect.ResponseCancel, dialect.ResponseItems,
		dialect.Completions, dialect.Embeddings,
		dialect.FileCreate, dialect.FileGet, dialect.FileContent, dialect.FileDelete, dialect.BatchCreate, dialect.BatchGet, dialect.BatchCancel),
		Authorize: inHeader("Api-Key")})
	const version = "?api-version=2024-10-21"
	register(Kind{Name: "azure-deployments", Title: "Azure OpenAI (base URL with /openai, a path for each deployment)", Vendor: "azure", NewerLimit: true,
		Speaks: map[dialect.Operation]Path{
			dialect.ChatCompletions: {At: "/deployments/{model}/chat/completions" + version},
			dialect.Completions:     {At: "/deployments/{model}/completions" + version},
			dialect.Embeddings:      {At: "/deployments/{model}/embeddings" + version},
			// Files and batches are the resource's; the requests in them name their deployment.
			dialect.FileCreate:  {At: "/files" + version},
			dialect.FileGet:     {At: "/files/{id}" + version},
			dialect.FileContent: {At: "/files/{id}/content" + version},
			dialect.FileDelete:  {At: "/files/{id}" + version},
			dialect.BatchCreate: {At: "/batches" + version},
			dialect.BatchGet:    {At: "/batches/{id}" + version},
			dialect.BatchCancel: {At: "/batches/{id}/cancel" + version},
		}, Authorize: inHeader("Api-Key")})
}
