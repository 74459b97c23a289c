package gateway

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plumbline/gateway/event"
	"plumbline/inventory"
)

func routes(r *rig, models ...string) {
	for _, m := range models {
		r.org().Routes[m] = &inventory.Route{Model: m, Provider: "up"}
	}
	r.use()
}

func TestImages(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"created":1,"data":[{"b64_json":"aGVsbG8=","revised_prompt":"a cat, as asked by jane@example.com"},{"b64_json":"aGVsbG8="}]}`)
	})
	routes(r, "dall-e-3", "gpt-image-1")
	resp, answer := r.send(http.MethodPost, "/v1/images/generations", testKey, `{"model":"dall-e-3","prompt":"a cat for jane@example.com","n":2,"size":"1024x1024","quality":"hd"}`)
	if resp.StatusCode != 200 || strings.Contains(answer, "jane@") || !strings.Contains(answer, "aGVsbG8=") || bytes.Contains(r.body, []byte("jane@")) {
		t.Fatalf("%d %s; upstream got %s", resp.StatusCode, answer, r.body)
	}
	e := r.rec.last()
	if e.Usage.Images != 2 || e.Usage.Form != "1024x1024 hd" || e.Charge != 160_000_000 || e.Held < e.Charge || e.End != event.EndComplete {
		t.Errorf("two images at 8 cents: %+v", e)
	}
}

func TestSpeech(t *testing.T) {
	sound := bytes.Repeat([]byte{0xff, 0x00, '\n', '{'}, 40_000)
	broken := false
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "audio/mpeg")
		w.Write(sound[:100_000])
		if broken {
			panic(http.ErrAbortHandler)
		}
		w.Write(sound[100_000:])
	})
	routes(r, "tts-1")
	const ask = `{"model":"tts-1","voice":"alloy","input":"Good morning, Zoë."}`
	resp, answer := r.send(http.MethodPost, "/v1/audio/speech", testKey, ask)
	if resp.StatusCode != 200 || answer != string(sound) || resp.Header.Get("Content-Type") != "audio/mpeg" {
		t.Fatalf("%d %s, %d bytes", resp.StatusCode, resp.Header, len(answer))
	}
	r.rec.wait(t, 2)
	e := r.rec.last()
	if e.Usage.Characters != 18 || e.Charge != 270_000 || e.Source != event.UsageCounted || e.Held < e.Charge || e.BytesOut != uint64(len(sound)) || e.AnswerGuard[0].State != event.NotRun {
		t.Errorf("18 characters at 15 dollars a million: %+v", e)
	}
	broken = true
	if _, answer := r.send(http.MethodPost, "/v1/audio/speech", testKey, ask); !strings.Contains(answer, "<") || len(answer) >= len(sound) {
		t.Errorf("a cut answer looks whole")
	}
	r.rec.wait(t, 4)
	if e := r.rec.last(); e.End != event.EndCut {
		t.Errorf("%+v", e)
	}
}

// part of a form; with a file's name it is a file.
type formPart struct{ name, file, body string }

func upload(t *testing.T, r *rig, fields map[string]string, file []byte) (*http.Response, string) {
	t.Helper()
	parts := []formPart{{"file", "speech.mp3", string(file)}}
	for _, k := range sortedKeys(fields) {
		parts = append(parts, formPart{k, "", fields[k]})
	}
	return r.sendForm("/v1/audio/transcriptions", parts)
}

func (r *rig) sendForm(path string, parts []formPart) (*http.Response, string) {
	r.t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		if p.file == "" {
			w.WriteField(p.name, p.body)
			continue
		}
		f, _ := w.CreateFormFile(p.name, p.file)
		io.WriteString(f, p.body)
	}
	w.Close()
	req, _ := http.NewRequest(http.MethodPost, r.srv.URL+path, &b)
	req.Header.Set("Authorization", "Bearer "+testKey)
	req.Header.Set("Content-Type", w.FormDataContentType())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		answer = append(answer, "<"+err.Error()+">"...)
	}
	return resp, string(answer)
}

func TestTranscription(t *testing.T) {
	got := map[string]string{}
	r := newRig(t, func(http.ResponseWriter, *http.Request) {})
	r.up.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if err := q.ParseMultipartForm(1 << 20); err != nil {
			t.Error(err)
		}
		for k, v := range q.MultipartForm.Value {
			got[k] = v[0]
		}
		f, _ := q.MultipartForm.File["file"][0].Open()
		b, _ := io.ReadAll(f)
		got["file"] = fmt.Sprint(len(b))
		if q.FormValue("response_format") == "text" {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			fmt.Fprint(w, "Call jane@example.com\n")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"text":"Call jane@example.com","usage":{"type":"duration","seconds":7.2}}`)
	})
	r.org().Routes["ears"] = &inventory.Route{Model: "ears", Provider: "up", Target: "whisper-1"}
	r.use()
	file := bytes.Repeat([]byte("ID3 jane@example.com "), 2000)
	resp, answer := upload(t, r, map[string]string{"model": "ears", "prompt": "for bob@example.com"}, file)
	want := map[string]string{"model": "whisper-1", "prompt": "for [EMAIL]", "file": "42000"}
	if diff := cmp.Diff(want, got); diff != "" || resp.StatusCode != 200 || !strings.Contains(answer, "Call [EMAIL]") {
		t.Fatalf("%s %d %s", diff, resp.StatusCode, answer)
	}
	r.rec.wait(t, 2)
	if e := r.rec.last(); e.Usage.Seconds != 8 || e.Source != event.UsageProvider || e.Charge != 800_000 || e.Held < e.Charge {
		t.Errorf("8 seconds at 36 cents an hour: %+v", e)
	}
	if resp, answer := upload(t, r, map[string]string{"model": "ears", "response_format": "text"}, file); resp.StatusCode != 200 || answer != "Call [EMAIL]\n" {
		t.Errorf("%d %q", resp.StatusCode, answer)
	}
	for _, c := range []struct {
		name   string
		fields map[string]string
		code   string
	}{
		{"no model", map[string]string{"prompt": "x"}, "model_missing"},
		{"no UTF-8", map[string]string{"model": "ears", "prompt": "\xff"}, "body_not_utf8"},
	} {
		if resp, answer := upload(t, r, c.fields, file); resp.StatusCode != 400 || code(answer) != c.code {
			t.Errorf("%s: %d %s", c.name, resp.StatusCode, answer)
		}
	}
	if resp, answer := r.send(http.MethodPost, "/v1/audio/transcriptions", testKey, `{"model":"ears"}`); resp.StatusCode != 415 || code(answer) != "body_not_form" {
		t.Errorf("JSON: %d %s", resp.StatusCode, answer)
	}
}

func TestFormsRunThroughEveryStage(t *testing.T) {
	reached := false
	r := newRig(t, func(http.ResponseWriter, *http.Request) { reached = true })
	routes(r, "whisper-1")
	tried := 0
	for _, p := range r.g.Paths() {
		_, path, _ := strings.Cut(p, " ")
		path = strings.Replace(path, "*", "whisper-1", 1)
		if to, _ := r.g.router.find(path); !to[0].takesForm() {
			continue
		}
		tried++
		for _, c := range []struct {
			status int
			code   string
			do     func()
		}{
			{403, "system_suspended", func() { r.org().Systems["SYS-001"].Suspended = &inventory.Suspension{} }},
			{403, "model_not_allowed", func() {
				r.org().Systems["SYS-001"].Suspended = nil
				r.snap.Keys["k1"].Models = []string{"other"}
			}},
			{400, "guard_blocked", func() { r.snap.Keys["k1"].Models = nil }},
			{503, "ledger_unavailable", func() { r.rec.down = true }},
		} {
			c.do()
			r.use()
			parts := []formPart{{"model", "", "whisper-1"}, {"image", "x.png", "x"}, {"file", "x.mp3", "x"}}
			if c.code == "guard_blocked" {
				parts = append(parts, formPart{"prompt", "", "with AKIAIOSFODNN7EXAMPLE"})
			}
			if resp, answer := r.sendForm(path, parts); resp.StatusCode != c.status || code(answer) != c.code {
				t.Errorf("%s: %d %s, want %s", path, resp.StatusCode, answer, c.code)
			}
		}
		r.rec.down = false
	}
	if reached || tried < 12 {
		t.Errorf("the provider was reached: %v; %d forms", reached, tried)
	}
}
