package gateway

import (
	"io"
	"net/http"
	"testing"

	"plumbline/app/money"
	"plumbline/gateway/event"
)

// Every answer that a call asks for is held for, in whatever notation it does so.
func TestEveryAnswerIsHeldFor(t *testing.T) {
	const each = 1000 * 600 // of gpt-4o-mini's output, in nano-dollars
	for _, c := range []struct {
		name, path, body string
		want             money.Nano // without the input, which is under each
	}{
		{"one", "completions", `"prompt":"a"`, 1},
		{"a list of prompts", "completions", `"prompt":["a","b","c"]`, 3},
		{"lists of tokens", "completions", `"prompt":[[1,2],[3]],"n":2`, 4},
		{"the best of ten", "completions", `"prompt":"a","best_of":10`, 10},
		{"a number in a string", "chat/completions", `"messages":[],"n":"7"`, 7},
		{"a limit in a string", "chat/completions", `"messages":[],"max_completion_tokens":"5000"`, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, answerPlain)
			resp, answer := r.send("POST", "/v1/"+c.path, testKey, `{"model":"gpt-4o-mini","max_tokens":1000,`+c.body+`}`)
			if resp.StatusCode != 200 {
				t.Fatalf("%d %s", resp.StatusCode, answer)
			}
			if held := r.rec.events[0].Holds[0].Amount; held/each != c.want {
				t.Errorf("held %v, which is for %d, want %d", held, held/each, c.want)
			}
		})
	}
}

// A provider that says it used what no call can is not believed: its answer is counted.
func TestAbsurdUsageIsCounted(t *testing.T) {
	for _, body := range []string{ask("gpt-4o-mini", "x"), streamed} {
		r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
			const usage = `"usage":{"prompt_tokens":999999999999999999,"completion_tokens":999999999999999999}`
			if body == streamed {
				w.Header().Set("Content-Type", "text/event-stream")
				io.WriteString(w, `data: {"choices":[{"index":0,"delta":{"content":"eight b "}}]}`+"\n\ndata: {\"choices\":[],"+usage+"}\n\ndata: [DONE]\n\n")
				return
			}
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"choices":[{"index":0,"message":{"content":"eight b "}}],`+usage+`}`)
		})
		if resp, answer := r.post(body); resp.StatusCode != 200 {
			t.Fatalf("%d %s", resp.StatusCode, answer)
		}
		r.rec.wait(t, 2)
		if e := r.rec.last(); e.Source != event.UsageCounted || e.Usage.Output != 2 || e.Charge <= 0 || e.Charge > e.Held {
			t.Errorf("%v %+v, charged %v of %v", e.Source, e.Usage, e.Charge, e.Held)
		}
	}
}
