package dialect

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEmbedRequest(t *testing.T) {
	for _, c := range []struct {
		name, body string
		from, to   Operation
		lost       []string
		want       string
	}{
		{"one text", `{"model":"a","input":"hi","dimensions":8,"user":"u","encoding_format":"base64"}`, Embeddings, EmbedContent, []string{"user"},
			`{"content":{"parts":[{"text":"hi"}]},"outputDimensionality":8}`},
		{"several texts", `{"model":"a","input":["hi","ho"]}`, Embeddings, BatchEmbedContents, nil,
			`{"requests":[{"model":"models/m","content":{"parts":[{"text":"hi"}]}},{"model":"models/m","content":{"parts":[{"text":"ho"}]}}]}`},
		{"from Gemini", `{"model":"models/a","content":{"parts":[{"text":"hi "},{"text":"ho"}]},"taskType":"RETRIEVAL_QUERY","outputDimensionality":8}`, EmbedContent, Embeddings, []string{"taskType"},
			`{"model":"m","input":["hi ho"],"dimensions":8}`},
		{"many from Gemini", `{"requests":[{"model":"models/a","content":{"parts":[{"text":"hi"}]},"title":"t"},{"model":"models/a","content":{"parts":[{"text":"ho"}]},"title":"t"}]}`, BatchEmbedContents, Embeddings, []string{"title"},
			`{"model":"m","input":["hi","ho"]}`},
	} {
		from, _ := OfOperation(c.from)
		to, _ := OfOperation(c.to)
		r, err := from.ReadRequest([]byte(c.body), "m", false)
		if err != nil {
			t.Fatal(c.name, err)
		}
		got, err := to.WriteRequest(r)
		if err != nil {
			t.Fatal(c.name, err)
		}
		if diff := cmp.Diff(c.want, string(got)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		if diff := cmp.Diff(c.lost, r.Lost); diff != "" {
			t.Errorf("%s: lost %s", c.name, diff)
		}
	}
}

func TestEmbedRefused(t *testing.T) {
	for _, c := range []struct {
		name, body string
		from, to   Operation
		want       string
	}{
		{"tokens", `{"input":[1,2]}`, Embeddings, EmbedContent, "input"},
		{"lists of tokens", `{"input":[[1,2]]}`, Embeddings, EmbedContent, "input"},
		{"several where one goes", `{"input":["a","b"]}`, Embeddings, EmbedContent, "input"},
		{"an image", `{"content":{"parts":[{"inlineData":{"data":"AA=="}}]}}`, EmbedContent, Embeddings, "content.parts"},
		{"each in its way", `{"requests":[{"content":{"parts":[{"text":"a"}]},"taskType":"A"},{"content":{"parts":[{"text":"b"}]},"taskType":"B"}]}`, BatchEmbedContents, Embeddings, "requests.1"},
		{"each with its model", `{"requests":[{"model":"a","content":{"parts":[{"text":"a"}]}},{"model":"b","content":{"parts":[{"text":"b"}]}}]}`, BatchEmbedContents, Embeddings, "requests.1.model"},
	} {
		from, _ := OfOperation(c.from)
		to, _ := OfOperation(c.to)
		r, err := from.ReadRequest([]byte(c.body), "m", false)
		if err == nil {
			_, err = to.WriteRequest(r)
		}
		var impossible *Impossible
		if !errors.As(err, &impossible) || impossible.Field != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for _, body := range []string{`{}`, `{"input":5}`, `{"input":[]}`, `{"input":"a","encoding_format":"hex"}`} {
		var malformed *Malformed
		if _, err := (openAIEmbeddings{}).ReadRequest([]byte(body), "m", false); !errors.As(err, &malformed) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// Vectors are the same numbers in every dialect, as base64 too.
func TestEmbedAnswer(t *testing.T) {
	const packed = "AACAPwAAAL/NzMw9" // 1, -0.5, 0.1 as float32
	for _, c := range []struct {
		name, body string
		from, to   Operation
		base64     bool
		want       string
	}{
		{"Gemini's for OpenAI", `{"embedding":{"values":[1,-0.5,0.1]},"usageMetadata":{"promptTokenCount":3}}`, EmbedContent, Embeddings, false,
			`{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1,-0.5,0.1]}],"model":"m","usage":{"prompt_tokens":3,"total_tokens":3}}`},
		{"packed", `{"embeddings":[{"values":[1,-0.5,0.1]}]}`, BatchEmbedContents, Embeddings, true,
			`{"object":"list","data":[{"object":"embedding","index":0,"embedding":"` + packed + `"}],"model":"m","usage":{"prompt_tokens":0,"total_tokens":0}}`},
		{"OpenAI's for Gemini, out of order", `{"model":"served","data":[{"index":1,"embedding":[0.25]},{"index":0,"embedding":"` + packed + `"}],"usage":{"prompt_tokens":4}}`, Embeddings, BatchEmbedContents, false,
			`{"embeddings":[{"values":[1,-0.5,0.1]},{"values":[0.25]}],"usageMetadata":{"promptTokenCount":4,"totalTokenCount":4}}`},
	} {
		from, _ := OfOperation(c.from)
		to, _ := OfOperation(c.to)
		a, err := from.ReadAnswer([]byte(c.body))
		if err != nil {
			t.Fatal(c.name, err)
		}
		got, err := to.WriteAnswer(a, &Request{Model: "m", Embed: &Embed{Base64: c.base64}})
		if err != nil {
			t.Fatal(c.name, err)
		}
		if diff := cmp.Diff(c.want, string(got)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		if !json.Valid(got) {
			t.Errorf("%s: %s", c.name, got)
		}
	}
	for _, body := range []string{`{}`, `{"data":[{"index":1,"embedding":[1]}]}`, `{"data":[{"index":0,"embedding":"AAA="}]}`, `{"data":[{"index":0,"embedding":"AADAfw=="}]}`, `{"data":[{"index":0,"embedding":["a"]}]}`} {
		if _, err := (openAIEmbeddings{}).ReadAnswer([]byte(body)); err == nil {
			t.Errorf("%s was read", body)
		}
	}
}

// A second round trip changes nothing, and nothing panics.
func FuzzEmbed(f *testing.F) {
	for _, s := range []string{`{"input":["a"]}`, `{"content":{"parts":[{"text":"a"}]}}`, `{"requests":[{"content":{"parts":[{"text":"a"}]}}]}`, `{"data":[{"index":0,"embedding":"AACAPw=="}]}`, `{"embedding":{"values":[1e300,0.1]}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, e := range embedders {
			if r, err := e.codec.ReadRequest(b, "m", false); err == nil {
				once, err := e.codec.WriteRequest(r)
				if err != nil {
					continue
				}
				if r, err = e.codec.ReadRequest(once, "m", false); err != nil {
					t.Fatalf("%s is not read: %v", once, err)
				}
				if twice, _ := e.codec.WriteRequest(r); string(once) != string(twice) {
					t.Fatalf("%s\n%s", once, twice)
				}
			}
			if a, err := e.codec.ReadAnswer(b); err == nil {
				once, err := e.codec.WriteAnswer(a, &Request{Model: "m"})
				if err != nil {
					continue
				}
				if a, err = e.codec.ReadAnswer(once); err != nil {
					t.Fatalf("%s is not read: %v", once, err)
				}
				if twice, _ := e.codec.WriteAnswer(a, &Request{Model: "m"}); string(once) != string(twice) {
					t.Fatalf("%s\n%s", once, twice)
				}
			}
		}
	})
}
