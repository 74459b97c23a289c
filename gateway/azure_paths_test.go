package gateway

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plumbline/inventory"
)

// TestAzuresOlderPaths: what Azure's clients make of an api-version. The model is the
// path's, whatever else the body says, and the body that goes out names the checked one.
func TestAzuresOlderPaths(t *testing.T) {
	var sent []string
	r := newRig(t, func(http.ResponseWriter, *http.Request) {})
	r.up.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		model := ""
		if strings.HasPrefix(q.Header.Get("Content-Type"), "multipart/") {
			if err := q.ParseMultipartForm(1 << 20); err != nil {
				t.Error(err)
			}
			model = strings.Join(q.MultipartForm.Value["model"], " and ")
		} else {
			body, _ := io.ReadAll(q.Body)
			model = string(body)
		}
		sent = append(sent, q.URL.String()+" "+model)
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasSuffix(q.URL.Path, "/speech"):
			w.Header().Set("Content-Type", "audio/mpeg")
			fmt.Fprint(w, "ID3")
		case strings.HasSuffix(q.URL.Path, "/responses"):
			fmt.Fprint(w, `{"id":"resp_1","object":"response","status":"completed","output":[],"usage":{"input_tokens":1,"output_tokens":1}}`)
		case strings.Contains(q.URL.Path, "/images/"):
			fmt.Fprint(w, `{"created":1,"data":[{"b64_json":"aGk="}]}`)
		default:
			fmt.Fprint(w, `{"text":"hello","usage":{"type":"duration","seconds":1}}`)
		}
	})
	for name, target := range map[string]string{"ears": "whisper-1", "voice": "tts-1", "brush": "gpt-image-1", "mind": "gpt-4o-mini"} {
		r.org().Routes[name] = &inventory.Route{Model: name, Provider: "up", Target: target}
	}
	r.use()
	const at, version = "/azure/openai/deployments/", "?api-version=2025-03-01-preview"
	sound, picture := formPart{"file", "x.mp3", "x"}, formPart{"image", "x.png", "x"}
	for _, c := range []struct {
		path  string
		body  string
		parts []formPart
		want  string
	}{
		{at + "ears/audio/transcriptions", "", []formPart{sound}, "/v1/audio/transcriptions whisper-1"},
		{at + "ears/audio/transcriptions", "", []formPart{{"model", "", "gpt-4o"}, sound}, "/v1/audio/transcriptions whisper-1"},
		{at + "ears/audio/translations", "", []formPart{sound}, "/v1/audio/translations whisper-1"},
		{at + "brush/images/edits", "", []formPart{{"prompt", "", "a cat"}, picture}, "/v1/images/edits gpt-image-1"},
		{at + "brush/images/generations", `{"prompt":"a cat"}`, nil, `/v1/images/generations {"model":"gpt-image-1","prompt":"a cat"}`},
		{at + "voice/audio/speech", `{"model":"gpt-4o","input":"hello"}`, nil, `/v1/audio/speech {"model":"tts-1","input":"hello"}`},
		{"/azure/openai/responses", `{"model":"mind","input":"hello"}`, nil, `/v1/responses {"model":"gpt-4o-mini","input":"hello"}`},
	} {
		sent = nil
		var resp *http.Response
		var answer string
		if c.parts != nil {
			resp, answer = r.sendForm(c.path+version, c.parts)
		} else {
			resp, answer = r.send(http.MethodPost, c.path+version, testKey, c.body)
		}
		if diff := cmp.Diff([]string{c.want}, sent); diff != "" || resp.StatusCode != 200 {
			t.Errorf("%s: %d %s %s", c.path, resp.StatusCode, answer, diff)
		}
	}
}
