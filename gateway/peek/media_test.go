package peek

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// mediaSeeds are an answer or an event of each kind.
var mediaSeeds = []string{
	`{"created":1,"data":[{"b64_json":"aGk=","revised_prompt":"a cat"},{"url":"https://a.example"}],"usage":{"input_tokens":300,"input_tokens_details":{"text_tokens":100,"image_tokens":200,"cached_tokens":50},"output_tokens":1000,"output_tokens_details":{"image_tokens":900,"text_tokens":100}}}`,
	`{"svg_usage":{"model":"m","input_tokens":5,"output_tokens":6,"reasoning_tokens":1},"data":[{}],"usage":{"input_tokens":1,"output_tokens":2}}`,
	`{"type":"image_generation.partial_image","partial_image_index":0,"b64_json":"aGk="}`,
	`{"type":"image_edit.completed","b64_json":"aGk=","usage":{"input_tokens":1,"output_tokens":2,"input_tokens_details":{"image_tokens":1}}}`,
	`{"type":"transcript.text.delta","delta":"Hi ","logprobs":[{"token":"Hi"}]}`,
	`{"type":"transcript.text.segment","id":"s","speaker":"A","text":"Hi all"}`,
	`{"type":"transcript.text.done","text":"Hi all","logprobs":null,"usage":{"type":"tokens","input_tokens":14,"input_token_details":{"audio_tokens":10},"output_tokens":6}}`,
	`{"text":"Hi all","words":[{"word":"Hi"}],"segments":[{"id":0,"text":"Hi all","tokens":[1,2]}],"usage":{"type":"duration","seconds":7.2}}`,
	`{"type":"speech.audio.delta","audio":"aGk="}`,
	`{"type":"speech.audio.done","usage":{"input_tokens":3,"output_tokens":4}}`,
	`{"error":{"message":"x"}}`,
}

func TestMediaAnswers(t *testing.T) {
	type found struct {
		Text     []string
		Again    int // texts that may have come before
		Twice    int // places that say a text once more
		Items    int
		Ended    bool
		Failed   bool
		HasUsage bool
		Usage    Usage
	}
	none := noUsage
	use := func(in, out int64) Usage { u := none; u.Input, u.Output = in, out; return u }
	pictures, edit, heard, lasted := use(300, 1000), use(1, 2), use(14, 6), none
	pictures.ImageIn, pictures.ImageOut, pictures.CacheRead = 200, 900, 50
	edit.ImageIn, heard.AudioIn, lasted.Seconds = 1, 10, 8
	want := []found{
		{Text: []string{"a cat"}, Items: 2, HasUsage: true, Usage: pictures},
		{Items: 1, HasUsage: true, Usage: use(6, 8)},
		{Usage: none},
		{Items: 1, Ended: true, HasUsage: true, Usage: edit},
		{Text: []string{"Hi "}, Twice: 1, Usage: none},
		{Text: []string{"Hi all"}, Again: 1, Usage: none},
		{Text: []string{"Hi all"}, Again: 1, Ended: true, HasUsage: true, Usage: heard},
		{Text: []string{"Hi all", "Hi all"}, Again: 2, Twice: 2, HasUsage: true, Usage: lasted},
		{Usage: none},
		{Ended: true, HasUsage: true, Usage: use(3, 4)},
		{Failed: true, Usage: none},
	}
	for i, body := range mediaSeeds {
		var p Body
		if err := p.Answer([]byte(body), Media); err != nil {
			t.Fatal(err)
		}
		got := found{textsOf(&p, []byte(body)), 0, len(p.Logprobs), p.Items, p.Ended, p.Failed, p.HasUsage, p.Usage}
		for _, s := range p.Text {
			if s.Again {
				got.Again++
			}
		}
		if diff := cmp.Diff(want[i], got); diff != "" {
			t.Errorf("%s\n%s", body, diff)
		}
	}
}

func TestMediaRequests(t *testing.T) {
	for body, streamed := range map[string]bool{
		`{"model":"m","input":"Hi","instructions":"softly","stream_format":"sse"}`:   true,
		`{"model":"m","input":"Hi","instructions":"softly","stream_format":"audio"}`: false,
		`{"model":"m","prompt":"Hi","suffix":"softly","stream":true}`:                true,
	} {
		var p Body
		if err := p.Request([]byte(body), Media); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"Hi", "softly"}, textsOf(&p, []byte(body))); diff != "" || p.Stream != streamed || !p.HasModel {
			t.Errorf("%s: %s %+v", body, diff, p)
		}
	}
}

func FuzzMedia(f *testing.F) { fuzzGrammar(f, Media, mediaSeeds...) }
