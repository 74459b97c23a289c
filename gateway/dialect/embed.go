package dialect

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// Embed is a call for embeddings, in no dialect. It stands in a Request in the place
// of a conversation.
type Embed struct {
	Inputs     []string
	Dimensions int64  // 0: not said
	Task       string // what the vectors are for, in Gemini's words; "" when not said
	Title      string // of a document
	Base64     bool   // the caller wants the vectors as base64 of float32, little-endian
}

// Vectors are one embedding for each input, in their order.
type Vectors [][]float64

// embedders are the codecs of operations that embed, in the order in which a
// provider's are tried. Not all take several texts.
var embedders = []struct {
	op    Operation
	codec Codec
}{
	{Embeddings, openAIEmbeddings{}},
	{BatchEmbedContents, geminiEmbeddings{batch: true}},
	{EmbedContent, geminiEmbeddings{}},
}

// OfOperation finds the codec of an operation, and the operations by which a provider
// can be asked for the same in other dialects, in the order in which they are tried.
// The codec is nil where the operation is in one dialect alone.
func OfOperation(op Operation) (codec Codec, others []Operation) {
	for _, e := range embedders {
		if e.op == op {
			codec = e.codec
		} else {
			others = append(others, e.op)
		}
	}
	if codec != nil {
		return codec, others
	}
	if codec = Of(op.Generates()); codec == nil {
		return nil, nil
	}
	others = nil
	for _, n := range Names() {
		others = append(others, n.Generation())
	}
	return codec, others
}

// unstreamed is what of a codec embeddings do not have.
type unstreamed struct{}

func (unstreamed) NewReader() Reader         { return unstreamed{} }
func (unstreamed) NewWriter(*Request) Writer { return unstreamed{} }

// Read refuses every event.
func (unstreamed) Read(dst []Event, _ []byte) ([]Event, error) {
	return dst, &Malformed{"stream", "embeddings are not streamed"}
}

// Write writes nothing.
func (unstreamed) Write(dst []byte, _ *Event) []byte { return dst }

// openAIEmbeddings is the codec of OpenAI's embeddings
// (platform.openai.com/docs/api-reference/embeddings).
type openAIEmbeddings struct{ unstreamed }

func (openAIEmbeddings) ReadRequest(body []byte, model string, _ bool) (*Request, error) {
	o, err := readObject(body, "body")
	if err != nil {
		return nil, err
	}
	e := &Embed{}
	r := &Request{Model: model, Embed: e}
	delete(o, "model")
	input := o.raw("input")
	switch {
	case isString(input):
		e.Inputs = make([]string, 1)
		err = json.Unmarshal(input, &e.Inputs[0])
	case first(input) == '[':
		var list []json.RawMessage
		if err = json.Unmarshal(input, &list); err == nil && len(list) > 0 && !isString(list[0]) {
			return nil, &Impossible{"input", "tokens mean something to one provider's models alone; send text"}
		}
		if err == nil {
			err = json.Unmarshal(input, &e.Inputs)
		}
	}
	if err != nil || len(e.Inputs) == 0 {
		return nil, &Malformed{"input", "must be a text or an array of texts"}
	}
	var form string
	for key, to := range map[string]any{"dimensions": &e.Dimensions, "user": &r.User, "encoding_format": &form} {
		if _, err := o.take(key, to); err != nil {
			return nil, err
		}
	}
	switch form {
	case "", "float":
	case "base64":
		e.Base64 = true
	default:
		return nil, &Malformed{"encoding_format", "must be float or base64"}
	}
	r.loseAll(o.rest(""))
	return r, nil
}

func (openAIEmbeddings) WriteRequest(r *Request) ([]byte, error) {
	e := r.Embed
	r.loseFields(map[string]bool{"taskType": e.Task != "", "title": e.Title != ""})
	return encode(struct {
		Model      string   `json:"model"`
		Input      []string `json:"input"`
		Dimensions int64    `json:"dimensions,omitempty"`
		User       string   `json:"user,omitempty"`
	}{r.Model, e.Inputs, e.Dimensions, r.User})
}

func (openAIEmbeddings) ReadAnswer(body []byte) (*Answer, error) {
	var v struct {
		Model string
		Data  []struct {
			Index     int
			Embedding json.RawMessage
		}
		Usage *struct {
			Input *int64 `json:"prompt_tokens"`
		}
	}
	if json.Unmarshal(body, &v) != nil || v.Data == nil {
		return nil, &Malformed{"body", "is not a list of embeddings"}
	}
	a := &Answer{Model: v.Model, Usage: noUsage, Vectors: make(Vectors, len(v.Data))}
	for _, d := range v.Data {
		if d.Index < 0 || d.Index >= len(v.Data) || a.Vectors[d.Index] != nil {
			return nil, &Malformed{"data.index", "is not that of an input"}
		}
		var err error
		if a.Vectors[d.Index], err = readVector(d.Embedding); err != nil {
			return nil, err
		}
	}
	if v.Usage != nil && v.Usage.Input != nil {
		a.Usage.Input, a.HasUsage = *v.Usage.Input, true
	}
	return a, nil
}

func (openAIEmbeddings) WriteAnswer(a *Answer, r *Request) ([]byte, error) {
	b := []byte(`{"object":"list","data":[`)
	for i, v := range a.Vectors {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"object":"embedding","index":`...)
		b = append(strconv.AppendInt(b, int64(i), 10), `,"embedding":`...)
		if r.Embed != nil && r.Embed.Base64 {
			b = appendPacked(b, v)
		} else {
			b = appendVector(b, v)
		}
		b = append(b, '}')
	}
	name := a.Model
	if name == "" && r != nil { // not every provider says it
		name = r.Model
	}
	model, err := encode(name)
	if err != nil {
		return nil, err
	}
	b = append(append(b, `],"model":`...), model...)
	n := max(a.Usage.Input, 0)
	return fmt.Appendf(b, `,"usage":{"prompt_tokens":%d,"total_tokens":%d}}`, n, n), nil
}

// readVector reads numbers, or base64 of float32.
func readVector(raw json.RawMessage) ([]float64, error) {
	if !isString(raw) {
		v := []float64{}
		if json.Unmarshal(raw, &v) != nil {
			return nil, &Malformed{"embedding", "is not an array of numbers"}
		}
		return v, nil
	}
	var packed []byte // encoding/json reads base64 into bytes
	if json.Unmarshal(raw, &packed) != nil || len(packed)%4 != 0 {
		return nil, &Malformed{"embedding", "is not base64 of numbers"}
	}
	v := make([]float64, 0, len(packed)/4)
	for ; len(packed) > 0; packed = packed[4:] {
		f := float64(math.Float32frombits(binary.LittleEndian.Uint32(packed)))
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, &Malformed{"embedding", "holds what is no number"}
		}
		v = append(v, f)
	}
	return v, nil
}

// appendVector writes numbers in the fewest digits that say them.
func appendVector(b []byte, v []float64) []byte {
	b = append(b, '[')
	for i, f := range v {
		if i > 0 {
			b = append(b, ',')
		}
		bits := 64
		if float64(float32(f)) == f {
			bits = 32
		}
		b = strconv.AppendFloat(b, f, 'g', -1, bits)
	}
	return append(b, ']')
}

func appendPacked(b []byte, v []float64) []byte {
	packed := make([]byte, 0, 4*len(v))
	for _, f := range v {
		packed = binary.LittleEndian.AppendUint32(packed, math.Float32bits(float32(f)))
	}
	b = append(b, '"')
	b = base64.StdEncoding.AppendEncode(b, packed)
	return append(b, '"')
}
