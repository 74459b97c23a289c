package dialect

import (
	"encoding/json"
	"fmt"
	"strings"
)

// geminiEmbeddings is the codec of Gemini's embedContent, and of batchEmbedContents
// (ai.google.dev/api/embeddings).
type geminiEmbeddings struct {
	unstreamed
	batch bool
}

type geminiEmbed struct {
	Model      string        `json:"model,omitempty"`
	Content    embedContents `json:"content"`
	Task       string        `json:"taskType,omitempty"`
	Title      string        `json:"title,omitempty"`
	Dimensions int64         `json:"outputDimensionality,omitempty"`
}

type embedContents struct {
	Parts []embedPart `json:"parts"`
}

type embedPart struct {
	Text string `json:"text"`
}

func (g geminiEmbeddings) ReadRequest(body []byte, model string, _ bool) (*Request, error) {
	o, err := readObject(body, "body")
	if err != nil {
		return nil, err
	}
	r := &Request{Model: model, Embed: &Embed{}}
	delete(o, "model")
	if !g.batch {
		return r, r.embedOne(o, "")
	}
	list, err := readList(o.raw("requests"), "requests")
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, &Malformed{"requests", "is empty"}
	}
	for i, raw := range list {
		at := fmt.Sprintf("requests.%d.", i)
		one, err := readObject(raw, strings.TrimSuffix(at, "."))
		if err != nil {
			return nil, err
		}
		if named := one.text("model"); named != "" && len(list) > 1 && i > 0 && named != firstModel(list) {
			return nil, &Impossible{at + "model", "other APIs embed the texts of one call with one model"}
		}
		if err := r.embedOne(one, at); err != nil {
			return nil, err
		}
	}
	r.loseAll(o.rest(""))
	return r, nil
}

func firstModel(list []json.RawMessage) string {
	var v struct{ Model string }
	json.Unmarshal(list[0], &v)
	return v.Model
}

// embedOne adds a text to those of the call. Other APIs want all of a call the same in
// everything but the text.
func (r *Request) embedOne(o object, at string) error {
	content, err := readObject(o.raw("content"), at+"content")
	if err != nil {
		return err
	}
	parts, err := readList(content.raw("parts"), at+"content.parts")
	if err != nil {
		return err
	}
	var text string
	for _, raw := range parts {
		p, err := readObject(raw, at+"content.parts")
		if err != nil {
			return err
		}
		said := p.raw("text")
		if !isString(said) {
			return &Impossible{at + "content.parts", "other APIs embed text alone"}
		}
		var piece string
		if err := json.Unmarshal(said, &piece); err != nil {
			return &Malformed{at + "content.parts", "holds text that is no JSON string"}
		}
		text += piece
	}
	var e Embed
	for key, to := range map[string]any{"taskType": &e.Task, "title": &e.Title, "outputDimensionality": &e.Dimensions} {
		if _, err := o.take(key, to); err != nil {
			return err
		}
	}
	have := r.Embed
	if len(have.Inputs) > 0 && (have.Task != e.Task || have.Title != e.Title || have.Dimensions != e.Dimensions) {
		return &Impossible{strings.TrimSuffix(at, "."), "other APIs embed the texts of one call in one way"}
	}
	have.Task, have.Title, have.Dimensions = e.Task, e.Title, e.Dimensions
	have.Inputs = append(have.Inputs, text)
	delete(o, "model")
	r.loseAll(o.rest(""))
	return nil
}

func (g geminiEmbeddings) WriteRequest(r *Request) ([]byte, error) {
	e := r.Embed
	r.loseFields(map[string]bool{"user": r.User != ""})
	if !g.batch && len(e.Inputs) > 1 {
		return nil, &Impossible{"input", "the provider's API embeds one text for each call"}
	}
	var all []geminiEmbed
	for _, text := range e.Inputs {
		all = append(all, geminiEmbed{Model: "models/" + r.Model, Content: embedContents{[]embedPart{{text}}}, Task: e.Task, Title: e.Title, Dimensions: e.Dimensions})
	}
	if g.batch {
		return encode(struct {
			Requests []geminiEmbed `json:"requests"`
		}{all})
	}
	all[0].Model = ""
	return encode(all[0])
}

func (g geminiEmbeddings) ReadAnswer(body []byte) (*Answer, error) {
	type vector struct{ Values json.RawMessage }
	var v struct {
		Embedding  *vector
		Embeddings []vector
		Usage      *struct {
			Input *int64 `json:"promptTokenCount"`
		} `json:"usageMetadata"`
	}
	if json.Unmarshal(body, &v) != nil || v.Embedding == nil && v.Embeddings == nil {
		return nil, &Malformed{"body", "holds no embedding"}
	}
	if v.Embedding != nil {
		v.Embeddings = []vector{*v.Embedding}
	}
	a := &Answer{Usage: noUsage, Vectors: Vectors{}}
	for _, e := range v.Embeddings {
		values, err := readVector(e.Values)
		if err != nil {
			return nil, err
		}
		a.Vectors = append(a.Vectors, values)
	}
	if v.Usage != nil && v.Usage.Input != nil {
		a.Usage.Input, a.HasUsage = *v.Usage.Input, true
	}
	return a, nil
}

func (g geminiEmbeddings) WriteAnswer(a *Answer, _ *Request) ([]byte, error) {
	var b []byte
	if g.batch {
		b = append(b, `{"embeddings":[`...)
		for i, v := range a.Vectors {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendVector(append(b, `{"values":`...), v), '}')
		}
		b = append(b, ']')
	} else {
		if len(a.Vectors) != 1 {
			return nil, &Malformed{"body", "holds another number of embeddings than were asked for"}
		}
		b = append(appendVector([]byte(`{"embedding":{"values":`), a.Vectors[0]), '}')
	}
	if a.HasUsage && a.Usage.Input >= 0 {
		b = fmt.Appendf(b, `,"usageMetadata":{"promptTokenCount":%d,"totalTokenCount":%d}`, a.Usage.Input, a.Usage.Input)
	}
	return append(b, '}'), nil
}
