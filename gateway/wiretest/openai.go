package wiretest

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"net/http"
	"net/url"
	"strings"
)

const created = 1767225600 // seconds since 1970, of everything made here

// routeOpenAI finds what answers a path below /v1; nil for no such path.
func (c *call) routeOpenAI(method, path string) func() *Answer {
	switch method + " " + path {
	case "POST /chat/completions":
		return c.chat
	case "POST /completions":
		return c.completions
	case "POST /responses":
		return c.responses
	case "POST /responses/input_tokens":
		return c.inputTokens
	case "POST /embeddings":
		return c.embeddings
	case "POST /moderations":
		return c.moderations
	case "POST /images/generations":
		return c.images
	case "POST /images/edits":
		return c.imageEdits
	case "POST /images/variations":
		return c.imageVariations
	case "POST /audio/transcriptions":
		return c.transcription
	case "POST /audio/speech":
		return c.speech
	case "GET /models":
		return c.openaiModels
	}
	if id, ok := strings.CutPrefix(path, "/models/"); ok && method == http.MethodGet {
		return func() *Answer { return c.openaiModel(id) }
	}
	if rest, ok := strings.CutPrefix(path, "/responses/"); ok {
		return c.routeResponse(method, rest)
	}
	if strings.HasPrefix(path, "/files") || strings.HasPrefix(path, "/batches") {
		return c.routeFiles(method, path)
	}
	return nil
}

var openaiModelIDs = []string{"gpt-4o-mini", "gpt-5-mini", "text-embedding-3-small", "acme/claims-large"}

func openaiModelObject(id string) object {
	return object{"id", id, "object", "model", "created", created, "owned_by", "system"}
}

func (c *call) openaiModels() *Answer {
	data := list{}
	for _, id := range openaiModelIDs {
		data = append(data, openaiModelObject(id))
	}
	return c.whole(object{"object", "list", "data", data})
}

func (c *call) openaiModel(id string) *Answer {
	if plain, err := url.PathUnescape(id); err == nil {
		id = plain
	}
	for _, known := range openaiModelIDs {
		if id == known {
			return c.whole(openaiModelObject(id))
		}
	}
	return c.fail(http.StatusNotFound, "The model '"+id+"' does not exist")
}

// vector is an embedding of 8 dimensions (or as many as are asked for) and length
// one, made from the text.
func vector(text string, dimensions int64) []float32 {
	if dimensions <= 0 {
		dimensions = 8
	}
	out := make([]float32, dimensions)
	for i := range len(text) {
		out[int64(i)%dimensions] += float32(text[i]) - 90
	}
	var square float64
	for _, x := range out {
		square += float64(x) * float64(x)
	}
	if square == 0 {
		out[0], square = 1, 1
	}
	for i := range out {
		out[i] = float32(float64(out[i]) / math.Sqrt(square))
	}
	return out
}

func (c *call) embeddings() *Answer {
	body, err := decode(c.body)
	if err != nil {
		return c.fail(400, "We could not parse the JSON body of your request.")
	}
	if a := c.unknown(body, "model input encoding_format dimensions user"); a != nil {
		return a
	}
	inputs := body.at("input").items()
	if body.at("input").text() != "" {
		inputs = []node{body.at("input")}
	}
	if len(inputs) == 0 {
		return c.fail(400, "'$.input' is invalid.")
	}
	data, used := list{}, int64(0)
	for i, in := range inputs {
		used += tokens(in.text())
		v := vector(in.text(), body.at("dimensions").number())
		var shown any = v
		if body.at("encoding_format").text() == "base64" {
			raw := make([]byte, 0, 4*len(v))
			for _, x := range v {
				raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
			}
			shown = base64.StdEncoding.EncodeToString(raw)
		}
		data = append(data, object{"object", "embedding", "index", i, "embedding", shown})
	}
	return c.whole(object{"object", "list", "data", data, "model", body.at("model").text(), "usage", object{"prompt_tokens", used, "total_tokens", used}})
}

var moderationCategories = []string{"harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent",
	"self-harm", "self-harm/intent", "self-harm/instructions", "sexual", "sexual/minors", "violence", "violence/graphic"}

func (c *call) moderations() *Answer {
	body, err := decode(c.body)
	if err != nil {
		return c.fail(400, "We could not parse the JSON body of your request.")
	}
	inputs := body.at("input").items()
	if len(inputs) == 0 {
		inputs = []node{body.at("input")}
	}
	results := list{}
	for _, in := range inputs {
		flagged := strings.Contains(in.text(), "violence")
		categories, scores, applied := object{}, object{}, object{}
		for _, name := range moderationCategories {
			hit := flagged && name == "violence"
			score := 0.0001
			if hit {
				score = 0.97
			}
			categories = append(categories, name, hit)
			scores = append(scores, name, score)
			applied = append(applied, name, list{"text"})
		}
		results = append(results, object{"flagged", flagged, "categories", categories, "category_scores", scores, "category_applied_input_types", applied})
	}
	model := body.at("model").text()
	if model == "" {
		model = "omni-moderation-latest"
	}
	return c.whole(object{"id", "modr-" + c.id, "model", model, "results", results})
}
