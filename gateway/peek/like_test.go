package peek

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzLike: after whatever event, what is read with its help of the next is what is
// read without. b is the event before with another text, cut from it by place.
func FuzzLike(f *testing.F) {
	for _, s := range []string{
		`{"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"The "},"finish_reason":null}]}`,
		`{"choices":[{"delta":{"tool_calls":[{"index":1,"function":{"arguments":"{\"a\""}}]},"index":2}]}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}`,
		`{"type":"content_block_start","index":1,"content_block":{"type":"document","source":{"type":"text","data":"plain words"}}}`,
		`{"type":"response.output_text.delta","output_index":1,"content_index":2,"delta":"hi","logprobs":[]}`,
		`{"candidates":[{"content":{"parts":[{"text":"Hi"}],"role":"model"}}],"modelVersion":"g"}`,
		`{"contentBlockDelta":{"contentBlockIndex":0,"delta":{"text":"Hi"}}}`,
	} {
		for _, text := range []string{"claim ", "", `w\u00f6rds`, "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=", "\"}", "data:;base64,QUJD", "\xff"} {
			for g := range grammarCount {
				f.Add([]byte(s), text, uint8(g))
			}
		}
	}
	f.Fuzz(func(t *testing.T, first []byte, text string, of uint8) {
		g := Grammar(of) % grammarCount
		var p, want Body
		var l Like
		if _, err := l.Answer(&p, first, g); err != nil || len(p.Text) == 0 {
			return
		}
		at := p.Text[0]
		second := append(append(append([]byte(nil), first[:at.Start]...), text...), first[at.End:]...)
		// What a caller may do with what it was given.
		p.Text[0] = Span{Whole: true}
		want.Answer(first, g)
		for i, b := range [][]byte{second, first, second, first} {
			if i == 3 {
				p.Answer([]byte(`{"choices":[],"usage":{"prompt_tokens":3}}`), OpenAI)
			}
			before := want
			same, got := l.Answer(&p, b, g)
			err := want.Answer(b, g)
			if same {
				texts := len(before.Text)
				before.Text, before.End = want.Text, want.End
				if i == 3 || texts != 1 || !cmp.Equal(before, want, cmpopts.IgnoreUnexported(Body{}), cmpopts.EquateEmpty()) {
					t.Fatalf("%q is not the same as %q", b, first)
				}
			}
			if diff := cmp.Diff(err, got); diff != "" {
				t.Fatalf("%s\n%q", diff, b)
			}
			if err != nil {
				continue
			}
			if diff := cmp.Diff(want, p, cmpopts.IgnoreUnexported(Body{}), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("%s\n%q after %q", diff, b, first)
			}
		}
	})
}
