package gateway

import (
	"net/http"
	"slices"
	"strings"

	"plumbline/gateway/dialect"
	"plumbline/gateway/event"
	"plumbline/gateway/peek"
)

// endpoint is a call that apps may make. Every one runs through every stage.
type endpoint struct {
	op      dialect.Operation
	method  string
	api     *api
	grammar peek.Grammar
	body    bool // it has one, in JSON
	inPath  bool // the model stands in the path
	stream  bool // the path alone says that it is streamed
}

// served is an endpoint as the router gives it, with what follows from its operation
// and every exchange asks for many times.
type served struct {
	endpoint
	kind   ObjectKind // of what the call is about; "" for neither a file nor a batch
	ofKept bool       // it is about something that a provider keeps, whose id stands in the path: a response, a file or a batch
	free   bool       // providers bill nothing: what a response cost was billed when it was made, and what a batch costs belongs to the call that made it
	embeds bool       // nothing is generated, so that no answer is held for
	passes []string   // the caller's headers that a provider of the same API gets

	batch, form, images, listing, lines bool // what lasts, takesForm, makesImages, lists and givesLines say
}

func serve(e endpoint) *served {
	s := &served{endpoint: e, kind: kindOf[e.op], passes: passedOn[e.api],
		batch: e.lasts(), form: e.takesForm(), images: e.makesImages(), listing: e.lists(), lines: e.givesLines()}
	s.ofKept = e.ofResponse() || s.kind != "" && !e.lists() && !e.makes()
	s.free = s.ofKept || e.op == dialect.ResponseCount || e.op == dialect.FileCreate
	switch s.embeds = s.free; e.op {
	case dialect.Embeddings, dialect.EmbedContent, dialect.BatchEmbedContents, dialect.Moderations, dialect.MessagesCount, dialect.GeminiCount:
		s.embeds = true
	}
	return s
}

func (s *served) lasts() bool       { return s.batch }
func (s *served) takesForm() bool   { return s.form }
func (s *served) makesImages() bool { return s.images }
func (s *served) lists() bool       { return s.listing }
func (s *served) givesLines() bool  { return s.lines }
func (s *served) makes() bool       { return s.batch || s.op == dialect.FileCreate }

// bases are the base URLs that apps set, and the API that each offers. The first
// offers Anthropic's messages too, which are found nowhere else in OpenAI's.
var bases = []struct {
	prefix string
	calls  []call
}{
	{"/v1", append(openAICalls(), anthropicMessages...)},
	{"/openai/v1", openAICalls()},
	{"/azure/openai/v1", openAICalls()},
	{"/azure/openai", azureCalls},
	{"/anthropic/v1", anthropicCalls()},
	{"/gemini/v1beta", geminiCalls},
	{"/gemini/v1", geminiCalls},
	{"/bedrock", bedrockCalls},
}

// call is an endpoint below a base. One * in its path stands for the model, which
// may hold slashes, or for the id of a response, a file or a batch.
type call struct {
	path string
	to   endpoint
}

func openAICalls() []call {
	return slices.Concat([]call{
		{"/chat/completions", endpoint{dialect.ChatCompletions, http.MethodPost, &openAIAPI, peek.OpenAI, true, false, false}},
		{"/completions", endpoint{dialect.Completions, http.MethodPost, &openAIAPI, peek.OpenAI, true, false, false}},
		{"/embeddings", endpoint{dialect.Embeddings, http.MethodPost, &openAIAPI, peek.OpenAI, true, false, false}},
		{"/moderations", endpoint{dialect.Moderations, http.MethodPost, &openAIAPI, peek.OpenAI, true, false, false}},
		{"/images/generations", endpoint{dialect.ImagesGenerate, http.MethodPost, &openAIAPI, peek.Media, true, false, false}},
		{"/images/edits", endpoint{dialect.ImagesEdit, http.MethodPost, &openAIAPI, peek.Media, true, false, false}},
		{"/images/variations", endpoint{dialect.ImagesVary, http.MethodPost, &openAIAPI, peek.Media, true, false, false}},
		{"/audio/speech", endpoint{dialect.Speech, http.MethodPost, &openAIAPI, peek.Media, true, false, false}},
		{"/audio/transcriptions", endpoint{dialect.Transcribe, http.MethodPost, &openAIAPI, peek.Media, true, false, false}},
		{"/audio/translations", endpoint{dialect.TranslateSound, http.MethodPost, &openAIAPI, peek.Media, true, false, false}},
		{"/models", endpoint{dialect.Models, http.MethodGet, &openAIAPI, peek.OpenAI, false, false, false}},
		{"/models/*", endpoint{dialect.Models, http.MethodGet, &openAIAPI, peek.OpenAI, false, true, false}},
	}, openAIResponses, openAIBatches)
}

var openAIResponses = []call{
	{"/responses", endpoint{dialect.ResponsesCreate, http.MethodPost, &responsesAPI, peek.Responses, true, false, false}},
	{"/responses/input_tokens", endpoint{dialect.ResponseCount, http.MethodPost, &responsesAPI, peek.Responses, true, false, false}},
	{"/responses/compact", endpoint{dialect.ResponseCompact, http.MethodPost, &responsesAPI, peek.Responses, true, false, false}},
	{"/responses/*", endpoint{dialect.ResponseGet, http.MethodGet, &responsesAPI, peek.Responses, false, false, false}},
	{"/responses/*", endpoint{dialect.ResponseDelete, http.MethodDelete, &responsesAPI, peek.Responses, false, false, false}},
	{"/responses/*/cancel", endpoint{dialect.ResponseCancel, http.MethodPost, &responsesAPI, peek.Responses, false, false, false}},
	{"/responses/*/input_items", endpoint{dialect.ResponseItems, http.MethodGet, &responsesAPI, peek.Responses, false, false, false}},
}

var openAIBatches = []call{
	{"/files", endpoint{dialect.FileCreate, http.MethodPost, &openAIAPI, peek.OpenAI, true, false, false}},
	{"/files", endpoint{dialect.FileList, http.MethodGet, &openAIAPI, peek.OpenAI, false, false, false}},
	{"/files/*", endpoint{dialect.FileGet, http.MethodGet, &openAIAPI, peek.OpenAI, false, false, false}},
	{"/files/*", endpoint{dialect.FileDelete, http.MethodDelete, &openAIAPI, peek.OpenAI, false, false, false}},
	{"/files/*/content", endpoint{dialect.FileContent, http.MethodGet, &openAIAPI, peek.OpenAI, false, false, false}},
	{"/batches", endpoint{dialect.BatchCreate, http.MethodPost, &openAIAPI, peek.OpenAI, true, false, false}},
	{"/batches", endpoint{dialect.BatchList, http.MethodGet, &openAIAPI, peek.OpenAI, false, false, false}},
	{"/batches/*", endpoint{dialect.BatchGet, http.MethodGet, &openAIAPI, peek.OpenAI, false, false, false}},
	{"/batches/*/cancel", endpoint{dialect.BatchCancel, http.MethodPost, &openAIAPI, peek.OpenAI, false, false, false}},
}

// azureCalls are Azure's older paths, as its clients make them of an api-version.
var azureCalls = slices.Concat([]call{
	{"/deployments/*/chat/completions", endpoint{dialect.ChatCompletions, http.MethodPost, &openAIAPI, peek.OpenAI, true, true, false}},
	{"/deployments/*/completions", endpoint{dialect.Completions, http.MethodPost, &openAIAPI, peek.OpenAI, true, true, false}},
	{"/deployments/*/embeddings", endpoint{dialect.Embeddings, http.MethodPost, &openAIAPI, peek.OpenAI, true, true, false}},
	{"/deployments/*/images/generations", endpoint{dialect.ImagesGenerate, http.MethodPost, &openAIAPI, peek.Media, true, true, false}},
	{"/deployments/*/images/edits", endpoint{dialect.ImagesEdit, http.MethodPost, &openAIAPI, peek.Media, true, true, false}},
	{"/deployments/*/audio/speech", endpoint{dialect.Speech, http.MethodPost, &openAIAPI, peek.Media, true, true, false}},
	{"/deployments/*/audio/transcriptions", endpoint{dialect.Transcribe, http.MethodPost, &openAIAPI, peek.Media, true, true, false}},
	{"/deployments/*/audio/translations", endpoint{dialect.TranslateSound, http.MethodPost, &openAIAPI, peek.Media, true, true, false}},
	{"/models", endpoint{dialect.Models, http.MethodGet, &openAIAPI, peek.OpenAI, false, false, false}},
}, openAIResponses, openAIBatches)

var anthropicMessages = []call{
	{"/messages", endpoint{dialect.MessagesCreate, http.MethodPost, &anthropicAPI, peek.Messages, true, false, false}},
	{"/messages/count_tokens", endpoint{dialect.MessagesCount, http.MethodPost, &anthropicAPI, peek.Messages, true, false, false}},
	{"/messages/batches", endpoint{dialect.MessageBatchCreate, http.MethodPost, &anthropicAPI, peek.Messages, true, false, false}},
	{"/messages/batches", endpoint{dialect.MessageBatchList, http.MethodGet, &anthropicAPI, peek.Messages, false, false, false}},
	{"/messages/batches/*", endpoint{dialect.MessageBatchGet, http.MethodGet, &anthropicAPI, peek.Messages, false, false, false}},
	{"/messages/batches/*", endpoint{dialect.MessageBatchDelete, http.MethodDelete, &anthropicAPI, peek.Messages, false, false, false}},
	{"/messages/batches/*/cancel", endpoint{dialect.MessageBatchCancel, http.MethodPost, &anthropicAPI, peek.Messages, false, false, false}},
	{"/messages/batches/*/results", endpoint{dialect.MessageBatchResults, http.MethodGet, &anthropicAPI, peek.Messages, false, false, false}},
}

func anthropicCalls() []call {
	return append([]call{
		{"/models", endpoint{dialect.Models, http.MethodGet, &anthropicAPI, peek.OpenAI, false, false, false}},
		{"/models/*", endpoint{dialect.Models, http.MethodGet, &anthropicAPI, peek.OpenAI, false, true, false}},
	}, anthropicMessages...)
}

var geminiCalls = []call{
	{"/models/*:generateContent", endpoint{dialect.GenerateContent, http.MethodPost, &geminiAPI, peek.Gemini, true, true, false}},
	{"/models/*:streamGenerateContent", endpoint{dialect.GenerateContent, http.MethodPost, &geminiAPI, peek.Gemini, true, true, true}},
	{"/models/*:countTokens", endpoint{dialect.GeminiCount, http.MethodPost, &geminiAPI, peek.Gemini, true, true, false}},
	{"/models/*:embedContent", endpoint{dialect.EmbedContent, http.MethodPost, &geminiAPI, peek.Gemini, true, true, false}},
	{"/models/*:batchEmbedContents", endpoint{dialect.BatchEmbedContents, http.MethodPost, &geminiAPI, peek.Gemini, true, true, false}},
	{"/models", endpoint{dialect.Models, http.MethodGet, &geminiAPI, peek.OpenAI, false, false, false}},
	{"/models/*", endpoint{dialect.Models, http.MethodGet, &geminiAPI, peek.OpenAI, false, true, false}},
}

var bedrockCalls = []call{
	{"/model/*/converse", endpoint{dialect.ConverseCreate, http.MethodPost, &bedrockAPI, peek.Converse, true, true, false}},
	{"/model/*/converse-stream", endpoint{dialect.ConverseCreate, http.MethodPost, &bedrockAPI, peek.Converse, true, true, true}},
}

// ofResponse reports that the call is about a response that was made before, whose id
// stands in the path.
func (e *endpoint) ofResponse() bool {
	switch e.op {
	case dialect.ResponseGet, dialect.ResponseDelete, dialect.ResponseCancel, dialect.ResponseItems:
		return true
	}
	return false
}

// lists reports that the gateway itself answers, with what it knows of its own.
func (e *endpoint) lists() bool {
	return e.op == dialect.FileList || e.op == dialect.BatchList || e.op == dialect.MessageBatchList
}

// makes reports that the call makes a file or a batch, which are made once: no further
// attempt is sent elsewhere.
func (e *endpoint) makes() bool { return e.op == dialect.FileCreate || e.lasts() }

// lasts reports that the call makes a batch: it is billed when its results arrive.
func (e *endpoint) lasts() bool { return event.MakesBatch(string(e.op)) }

// givesLines reports that the answer is a file, or lines of answers.
func (e *endpoint) givesLines() bool {
	return e.op == dialect.FileContent || e.op == dialect.MessageBatchResults
}

// router finds endpoints. It is built once and only read.
type router struct {
	exact map[string][]*served
	with  []pattern // those with a model or an id in their path
}

type pattern struct {
	before, after string
	to            *served
}

func newRouter() *router {
	r := &router{exact: map[string][]*served{}}
	for _, b := range bases {
		for _, c := range b.calls {
			path, to := b.prefix+c.path, serve(c.to)
			if before, after, ok := strings.Cut(path, "*"); ok {
				r.with = append(r.with, pattern{before, after, to})
			} else {
				r.exact[path] = append(r.exact[path], to)
			}
		}
	}
	return r
}

// find gives the endpoints at a path, one for each method, and the model or the
// id in the path.
func (r *router) find(path string) (to []*served, model string) {
	if to, ok := r.exact[path]; ok {
		return to, ""
	}
	best := -1
	for i := range r.with {
		p := &r.with[i]
		if len(path) <= len(p.before)+len(p.after) || !strings.HasPrefix(path, p.before) || !strings.HasSuffix(path, p.after) {
			continue
		}
		switch size := len(p.before) + len(p.after); {
		case size > best:
			best, to, model = size, []*served{p.to}, path[len(p.before):len(path)-len(p.after)]
		case size == best:
			to = append(to, p.to)
		}
	}
	return to, model
}

// unknownEndpoint answers in the words of the API below whose base it was looked for, else
// of the one that it was meant for; nil: nobody knows.
func unknownEndpoint(path string, meant *api) *served {
	switch {
	case strings.HasPrefix(path, "/anthropic/"):
		return serve(endpoint{api: &anthropicAPI})
	case strings.HasPrefix(path, "/gemini/"):
		return serve(endpoint{api: &geminiAPI})
	case strings.HasPrefix(path, "/bedrock/"):
		return serve(endpoint{api: &bedrockAPI})
	}
	if meant != nil {
		return serve(endpoint{api: meant})
	}
	return serve(endpoint{api: &openAIAPI})
}

// Paths lists what the gateway serves, as METHOD path; * stands for a model, or for the id of what a provider keeps.
func (g *Gateway) Paths() []string {
	var out []string
	for _, b := range bases {
		for _, c := range b.calls {
			out = append(out, c.to.method+" "+b.prefix+c.path)
		}
	}
	return out
}

// Prefixes are the paths below which the gateway serves.
func Prefixes() []string {
	return []string{"/v1/", "/openai/", "/azure/", "/anthropic/", "/gemini/", "/bedrock/"}
}
