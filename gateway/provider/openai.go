package provider

import "plumbline/gateway/dialect"

func init() {
	register(Kind{Name: "openai", Title: "OpenAI", Vendor: "openai", BaseURL: "https://api.openai.com/v1", NewerLimit: true, Speaks: openAISpeech(
		dialect.ChatCompletions, dialect.ResponsesCreate, dialect.ResponseGet, dialect.ResponseDelete, dialect.ResponseCancel, dialect.ResponseItems,
		dialect.ResponseCount, dialect.ResponseCompact, dialect.Completions, dialect.Embeddings, dialect.Moderations,
		dialect.ImagesGenerate, dialect.ImagesEdit, dialect.ImagesVary, dialect.Speech, dialect.Transcribe, dialect.TranslateSound,
		dialect.FileCreate, dialect.FileGet, dialect.FileContent, dialect.FileDelete, dialect.BatchCreate, dialect.BatchGet, dialect.BatchCancel)})
	register(Kind{Name: "compatible", Title: "Any server that speaks OpenAI's API", Vendor: "openai", Speaks: openAISpeech(
		dialect.ChatCompletions, dialect.Completions, dialect.Embeddings, dialect.Moderations,
		dialect.ImagesGenerate, dialect.ImagesEdit, dialect.ImagesVary, dialect.Speech, dialect.Transcribe, dialect.TranslateSound)})
}

// openAISpeech are OpenAI's paths of some operations: what a compatible server says
// that it has.
func openAISpeech(ops ...dialect.Operation) map[dialect.Operation]Path {
	paths := map[dialect.Operation]string{dialect.ChatCompletions: "/chat/completions", dialect.ResponsesCreate: "/responses",
		dialect.ResponseGet: "/responses/{id}", dialect.ResponseDelete: "/responses/{id}", dialect.ResponseCancel: "/responses/{id}/cancel",
		dialect.ResponseItems: "/responses/{id}/input_items", dialect.ResponseCount: "/responses/input_tokens", dialect.ResponseCompact: "/responses/compact", dialect.Completions: "/completions",
		dialect.Embeddings: "/embeddings", dialect.Moderations: "/moderations",
		dialect.ImagesGenerate: "/images/generations", dialect.ImagesEdit: "/images/edits", dialect.ImagesVary: "/images/variations",
		dialect.Speech: "/audio/speech", dialect.Transcribe: "/audio/transcriptions", dialect.TranslateSound: "/audio/translations",
		dialect.FileCreate: "/files", dialect.FileGet: "/files/{id}", dialect.FileContent: "/files/{id}/content", dialect.FileDelete: "/files/{id}",
		dialect.BatchCreate: "/batches", dialect.BatchGet: "/batches/{id}", dialect.BatchCancel: "/batches/{id}/cancel"}
	out := map[dialect.Operation]Path{}
	for _, op := range ops {
		out[op] = Path{At: paths[op]}
	}
	return out
}
