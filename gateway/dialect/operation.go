package dialect

// Operation is what a call asks for, in the words of the dialect that has it.
// It is the endpoint of records, policies and metrics.
type Operation string

// The operations.
const (
	ChatCompletions Operation = "chat.completions"
	Completions     Operation = "completions"
	ResponsesCreate Operation = "responses"
	Embeddings      Operation = "embeddings"
	Moderations     Operation = "moderations"
	Models          Operation = "models"
	ImagesGenerate  Operation = "images.generations"
	ImagesEdit      Operation = "images.edits"
	ImagesVary      Operation = "images.variations"
	Speech          Operation = "audio.speech"
	Transcribe      Operation = "audio.transcriptions"
	TranslateSound  Operation = "audio.translations"

	ResponseGet     Operation = "responses.get"
	ResponseDelete  Operation = "responses.delete"
	ResponseCancel  Operation = "responses.cancel"
	ResponseItems   Operation = "responses.input_items"
	ResponseCount   Operation = "responses.input_tokens"
	ResponseCompact Operation = "responses.compact"

	FileCreate  Operation = "files.create"
	FileList    Operation = "files.list"
	FileGet     Operation = "files.get"
	FileContent Operation = "files.content"
	FileDelete  Operation = "files.delete"
	BatchCreate Operation = "batches.create"
	BatchList   Operation = "batches.list"
	BatchGet    Operation = "batches.get"
	BatchCancel Operation = "batches.cancel"

	MessageBatchCreate  Operation = "messages.batches.create"
	MessageBatchList    Operation = "messages.batches.list"
	MessageBatchGet     Operation = "messages.batches.get"
	MessageBatchResults Operation = "messages.batches.results"
	MessageBatchCancel  Operation = "messages.batches.cancel"
	MessageBatchDelete  Operation = "messages.batches.delete"

	MessagesCreate Operation = "messages"
	MessagesCount  Operation = "messages.count_tokens"

	GenerateContent    Operation = "generate_content"
	GeminiCount        Operation = "count_tokens"
	EmbedContent       Operation = "embed_content"
	BatchEmbedContents Operation = "batch_embed_contents"

	ConverseCreate Operation = "converse"
)

// Generation is the operation by which a dialect generates; "" for none.
func (n Name) Generation() Operation {
	switch n {
	case Chat:
		return ChatCompletions
	case Responses:
		return ResponsesCreate
	case Messages:
		return MessagesCreate
	case Gemini:
		return GenerateContent
	case Converse:
		return ConverseCreate
	}
	return ""
}

// Generates is the dialect in which an operation generates; "" for the others.
func (o Operation) Generates() Name {
	for _, n := range order {
		if n.Generation() == o {
			return n
		}
	}
	return ""
}
