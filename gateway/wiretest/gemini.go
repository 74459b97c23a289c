package wiretest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

const geminiFields = "cachedContent contents generationConfig labels model safetySettings serviceTier store systemInstruction toolConfig tools"

// routeGemini finds what answers a path below the API's version, of the Gemini API
// or of Vertex AI; nil for no such path.
func (c *call) routeGemini(method, path string) func() *Answer {
	if i := strings.LastIndex(path, "/models/"); i >= 0 { // projects/P/locations/L/publishers/google
		path = path[i+1:]
	}
	if path == "models" && method == http.MethodGet {
		return c.geminiModels
	}
	rest, ok := strings.CutPrefix(path, "models/")
	if !ok {
		return nil
	}
	model, action, _ := strings.Cut(rest, ":")
	if plain, err := url.PathUnescape(model); err == nil {
		model = plain
	}
	switch method + " " + action {
	case "GET ":
		return func() *Answer { return c.geminiModel(model) }
	case "POST generateContent":
		return func() *Answer { return c.generate(model, false) }
	case "POST streamGenerateContent":
		return func() *Answer { return c.generate(model, true) }
	case "POST countTokens":
		return func() *Answer { return c.geminiCount(model) }
	case "POST embedContent", "POST batchEmbedContents":
		return func() *Answer { return c.geminiEmbed(action == "batchEmbedContents") }
	}
	return nil
}

var geminiModelIDs = []string{"gemini-2.5-flash", "gemini-3-pro-preview", "gemini-embedding-001"}

func geminiModelObject(id string) object {
	methods := list{"generateContent", "countTokens"}
	if strings.Contains(id, "embedding") {
		methods = list{"embedContent", "countTextTokens"}
	}
	return object{"name", "models/" + id, "version", "001", "displayName", strings.ReplaceAll(id, "-", " "), "description", "Made for tests.",
		"inputTokenLimit", 1048576, "outputTokenLimit", 65536, "supportedGenerationMethods", methods, "temperature", 1, "topP", 0.95, "topK", 64}
}

func (c *call) geminiModels() *Answer {
	models := list{}
	for _, id := range geminiModelIDs {
		models = append(models, geminiModelObject(id))
	}
	return c.whole(object{"models", models})
}

func (c *call) geminiModel(id string) *Answer {
	for _, known := range geminiModelIDs {
		if id == known {
			return c.whole(geminiModelObject(id))
		}
	}
	return c.fail(http.StatusNotFound, "models/"+id+" is not found for API version v1beta.")
}

// generate answers generateContent and, as events or as an array, its stream.
func (c *call) generate(model string, stream bool) *Answer {
	body, err := decode(c.body)
	if err != nil {
		return c.fail(400, "Invalid JSON payload received.")
	}
	if a := c.unknown(body, geminiFields); a != nil {
		return a
	}
	a, failure := c.readGemini(model, body)
	if failure != nil {
		return failure
	}
	r := c.reply(a)
	if !stream {
		return c.whole(c.geminiChunk(a, r, c.geminiParts(r), true, r.output))
	}
	var chunks []any
	if r.thought != "" {
		for _, p := range pieces(r.thought) {
			chunks = append(chunks, c.geminiChunk(a, r, list{object{"text", p, "thought", true}}, false, 0))
		}
	}
	for i, p := range pieces(r.text) {
		if i == 3 && c.has("broken") {
			w := vendorWords[503]
			chunks = append(chunks, object{"error", object{"code", 503, "message", w.message, "status", w.google}})
			return c.geminiStream(chunks)
		}
		chunks = append(chunks, c.geminiChunk(a, r, list{object{"text", p}}, false, int64(i+1)))
	}
	for i := range r.calls { // a call is never cut
		chunks = append(chunks, c.geminiChunk(a, r, list{geminiCall(r, i)}, false, r.output))
	}
	return c.geminiStream(append(chunks, c.geminiChunk(a, r, list{object{"text", ""}}, true, r.output)))
}

// geminiStream frames chunks as they were asked for. The vendor ends its lines
// with CR LF.
func (c *call) geminiStream(chunks []any) *Answer {
	if strings.Contains("&"+c.query+"&", "&alt=sse&") {
		var frames [][]byte
		for _, chunk := range chunks {
			frames = append(frames, append(bytes.TrimSuffix(data(chunk), []byte("\n\n")), "\r\n\r\n"...))
		}
		return c.events(frames)
	}
	a := &Answer{Status: http.StatusOK, Header: c.head("application/json; charset=UTF-8")}
	for i, chunk := range chunks {
		before := ",\r\n"
		if i == 0 {
			before = "["
		}
		a.Events = append(a.Events, append([]byte(before), encode(chunk)...))
	}
	a.Events = append(a.Events, []byte("]\n"))
	return a
}

func geminiCall(r *reply, i int) object {
	t := r.calls[i]
	part := object{"functionCall", object{"name", t.name, "args", json.RawMessage(t.arguments)}}
	if i == 0 { // of parallel calls the first is signed
		part = append(part, "thoughtSignature", seal(t.name))
	}
	return part
}

func (c *call) geminiParts(r *reply) list {
	parts := list{}
	if r.thought != "" {
		parts = append(parts, object{"text", r.thought, "thought", true})
	}
	if r.text != "" {
		parts = append(parts, object{"text", r.text})
	}
	for i := range r.calls {
		parts = append(parts, geminiCall(r, i))
	}
	return parts
}

func (c *call) geminiChunk(a *ask, r *reply, parts list, last bool, output int64) object {
	candidate := object{"content", object{"parts", parts, "role", "model"}}
	if last {
		finish := "STOP"
		switch {
		case r.refusal:
			finish = "PROHIBITED_CONTENT"
		case r.cut:
			finish = "MAX_TOKENS"
		}
		candidate = append(candidate, "finishReason", finish)
	}
	candidate = append(candidate, "index", 0)
	usage := object{"promptTokenCount", r.input}
	if output > 0 {
		usage = append(usage, "candidatesTokenCount", max(output-r.thinking, 0))
	}
	usage = append(usage, "totalTokenCount", r.input+output, "promptTokensDetails", list{object{"modality", "TEXT", "tokenCount", r.input}})
	if r.cached > 0 {
		usage = append(usage, "cachedContentTokenCount", r.cached)
	}
	if r.thinking > 0 {
		usage = append(usage, "thoughtsTokenCount", r.thinking)
	}
	return object{"candidates", list{candidate}, "usageMetadata", usage, "modelVersion", a.model, "responseId", r.id}
}
