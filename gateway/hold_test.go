package gateway

import (
	"testing"

	"plumbline/app/money"
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
