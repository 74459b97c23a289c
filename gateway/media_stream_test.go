package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"plumbline/gateway/event"
	"plumbline/gateway/spill"
	"plumbline/gateway/wiretest"
	"plumbline/inventory"
)

// partsOf reads the form that a provider got.
func partsOf(t *testing.T, h http.Header, body []byte) (out []formPart) {
	t.Helper()
	_, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	for in := multipart.NewReader(bytes.NewReader(body), params["boundary"]); ; {
		p, err := in.NextPart()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(p)
		out = append(out, formPart{p.FormName(), p.FileName(), string(b)})
	}
}

// Pictures and a mask reach the provider as they are, with the words that guards let
// through, and what comes back is billed as pictures.
func TestEditsAndVariations(t *testing.T) {
	var head http.Header
	answer := `{"created":1,"data":[{"b64_json":"aGVsbG8="},{"b64_json":"aGVsbG8="}]}`
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		head = q.Header
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, answer)
	})
	r.org().Routes["art"] = &inventory.Route{Model: "art", Provider: "up", Target: "dall-e-2"}
	routes(r, "gpt-image-1.5")
	picture := strings.Repeat("\x89PNG\r\n--jane@example.com", 60_000) // more than 1 MiB
	resp, got := r.sendForm("/v1/images/edits", []formPart{{"image[]", "a.png", picture}, {"image[]", "b.png", "b"}, {"mask", "m.png", "m"},
		{"prompt", "", "a hat for jane@example.com"}, {"model", "", "art"}, {"n", "", "2"}, {"size", "", "512x512"}, {"user", "", "u-1"}})
	want := []formPart{{"image[]", "a.png", picture}, {"image[]", "b.png", "b"}, {"mask", "m.png", "m"},
		{"prompt", "", "a hat for [EMAIL]"}, {"model", "", "dall-e-2"}, {"n", "", "2"}, {"size", "", "512x512"}, {"user", "", "u-1"}}
	if diff := cmp.Diff(want, partsOf(t, head, r.body), cmp.AllowUnexported(formPart{})); diff != "" || resp.StatusCode != 200 || got != answer {
		t.Fatalf("%.2000s %d %s", diff, resp.StatusCode, got)
	}
	e := r.rec.last()
	if e.Usage.Images != 2 || e.Usage.Form != "512x512 standard" || e.Charge != 36_000_000 || e.Held < e.Charge || e.End != event.EndComplete || e.Endpoint != "images.edits" {
		t.Errorf("two at 1.8 cents: %+v", e)
	}
	if in := r.rec.events[0]; in.Prompt[0].Hits != 1 || in.Prompt[0].Reason != "media_unread" || in.Pseudonym == [16]byte{} {
		t.Errorf("%+v", in)
	}

	answer = `{"created":1,"data":[{"b64_json":"aGVsbG8="}],"usage":{"input_tokens":300,"input_tokens_details":{"text_tokens":100,"image_tokens":200},"output_tokens":1000,"output_tokens_details":{"image_tokens":900,"text_tokens":100}}}`
	if resp, got := r.sendForm("/v1/images/edits", []formPart{{"image", "a.png", "a"}, {"prompt", "", "a hat"}, {"model", "", "gpt-image-1.5"}}); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, got)
	}
	// 100 at 5, 200 at 8, 900 at 32 and 100 at 10 dollars a million.
	if e := r.rec.last(); e.Source != event.UsageProvider || e.Charge != 500_000+1_600_000+28_800_000+1_000_000 || e.Held < e.Charge {
		t.Errorf("%+v", e)
	}

	answer = `{"created":1,"data":[{"url":"https://a.example/x.png"}]}`
	if resp, got := r.sendForm("/v1/images/variations", []formPart{{"image", "a.png", "a"}, {"model", "", "art"}}); resp.StatusCode != 200 || got != answer {
		t.Fatalf("%d %s", resp.StatusCode, got)
	}
	if e := r.rec.last(); e.Usage.Images != 1 || e.Charge != 20_000_000 || e.Endpoint != "images.variations" || e.AnswerGuard[0].State != event.NotRun {
		t.Errorf("%+v", e)
	}
}

// A large form goes to another deployment with its picture and what guards changed.
func TestLargeFormFailsOver(t *testing.T) {
	var bodies []string
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		b, _ := io.ReadAll(q.Body)
		bodies = append(bodies, string(b))
		if len(bodies) == 1 {
			w.WriteHeader(503)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"created":1,"data":[{"b64_json":"aGVsbG8="}]}`)
	}))
	defer up.Close()
	r := newRig(t, answerPlain)
	for _, id := range []inventory.ProviderID{"a", "b"} {
		r.org().Providers[id] = &inventory.Provider{ID: id, Kind: "openai", BaseURL: up.URL + "/v1", CredentialRef: "env:UP"}
	}
	r.org().Routes["art"] = &inventory.Route{Model: "art", Targets: []inventory.Target{{Provider: "a", Model: "dall-e-2"}, {Provider: "b", Model: "gpt-image-1"}}, MaxAttempts: 2}
	r.use()
	picture := strings.Repeat("pixels ", 300_000)
	resp, got := r.sendForm("/v1/images/edits", []formPart{{"image", "a.png", picture}, {"prompt", "", "for jane@example.com"}, {"model", "", "art"}})
	if resp.StatusCode != 200 || len(bodies) != 2 {
		t.Fatalf("%d %s after %d tries", resp.StatusCode, got, len(bodies))
	}
	if b := bodies[1]; !strings.Contains(b, picture) || !strings.Contains(b, "for [EMAIL]") || !strings.Contains(b, "gpt-image-1") || strings.Contains(b, "jane@") {
		t.Errorf("the second got %d bytes", len(b))
	}
}

// wired is a rig whose provider is a wiretest server.
func wired(t *testing.T, models ...string) (*rig, *wiretest.Server) {
	up := wiretest.Start()
	t.Cleanup(up.Close)
	r := newRig(t, answerPlain)
	r.org().Providers["up"] = &inventory.Provider{ID: "up", Kind: "openai", BaseURL: up.URL + "/v1", CredentialRef: "env:WIRE"}
	r.env["env:WIRE"] = wiretest.Key
	routes(r, models...)
	return r, up
}

// Pictures arrive event by event, byte for byte, and each is billed as its event says.
func TestStreamedImages(t *testing.T) {
	r, up := wired(t, "gpt-image-1")
	var sent []byte
	up.Write = func(w http.ResponseWriter, _ *http.Request, a *wiretest.Answer) {
		sent = bytes.Join(a.Events, nil)
		wiretest.Send(w, a)
	}
	for _, c := range []struct {
		name   string
		ask    func() (*http.Response, string)
		images int64
		charge int64 // nano-dollars
	}{
		{"one", func() (*http.Response, string) {
			return r.send(http.MethodPost, "/v1/images/generations", testKey, `{"model":"gpt-image-1","prompt":"a cat","stream":true,"partial_images":2}`)
		}, 1, 2*5_000 + 272*40_000},
		{"two", func() (*http.Response, string) {
			return r.send(http.MethodPost, "/v1/images/generations", testKey, `{"model":"gpt-image-1","prompt":"a cat","stream":true,"n":2}`)
		}, 2, 2 * (2*5_000 + 272*40_000)},
		{"an edit", func() (*http.Response, string) {
			return r.sendForm("/v1/images/edits", []formPart{{"image", "a.png", "a"}, {"prompt", "", "a cat"}, {"model", "", "gpt-image-1"}, {"stream", "", "true"}, {"partial_images", "", "1"}})
		}, 1, 2*5_000 + 85*10_000 + 272*40_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := len(r.rec.events)
			resp, got := c.ask()
			r.rec.wait(t, before+2)
			if resp.StatusCode != 200 || got != string(sent) || !isEvents(resp.Header["Content-Type"]) {
				t.Fatalf("%d %s", resp.StatusCode, got)
			}
			e := r.rec.last()
			if e.Usage.Images != c.images || e.Source != event.UsageProvider || int64(e.Charge) != c.charge || e.Held < e.Charge || e.End != event.EndComplete || !e.Stream {
				t.Errorf("%+v", e)
			}
			if v := e.AnswerGuard[0]; v.State != event.NotRun {
				t.Errorf("%+v", v)
			}
		})
	}
	t.Run("cut", func(t *testing.T) {
		up.Write = sendUntil(1, 40, true)
		before := len(r.rec.events)
		resp, got := r.send(http.MethodPost, "/v1/images/generations", testKey, `{"model":"gpt-image-1","prompt":"a cat","stream":true,"partial_images":2}`)
		r.rec.wait(t, before+2)
		e := r.rec.last()
		if resp.StatusCode != 200 || strings.Contains(got, "completed") || !strings.Contains(got, "upstream_cut") || e.End != event.EndCut || e.Source != event.UsageEstimated || e.Charge != e.Held {
			t.Errorf("%d %s %+v", resp.StatusCode, got, e)
		}
	})
	t.Run("larger than other events may be", func(t *testing.T) {
		up.Write = func(w http.ResponseWriter, _ *http.Request, a *wiretest.Answer) {
			for i := range a.Events {
				a.Events[i] = bytes.Replace(a.Events[i], []byte(wiretest.Picture), bytes.Repeat([]byte("AAAA"), maxFrame/3), 1)
			}
			sent = bytes.Join(a.Events, nil)
			wiretest.Send(w, a)
		}
		if resp, got := r.send(http.MethodPost, "/v1/images/generations", testKey, `{"model":"gpt-image-1","prompt":"a cat","stream":true}`); resp.StatusCode != 200 || got != string(sent) {
			t.Errorf("%d, %d bytes", resp.StatusCode, len(got))
		}
	})
}

// Pictures that come at the same time, each to a caller who takes its time: what of them
// stands in memory follows from what may be loaded, and not from how many come. The bound
// is that of large requests.
func TestStreamedImagesAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("gigabytes of pictures")
	}
	const streams, size, loaded = 24, 16 << 20, 48 << 20
	const bound = 2*(loaded+64<<20) + 64<<20
	look, peak := watchHeap()
	var coming, taken sync.WaitGroup
	coming.Add(streams)
	taken.Add(streams)
	piece := strings.Repeat("QUJD", 16<<10)
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		io.Copy(io.Discard, q.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"")
		for n := 0; n < size; n += len(piece) {
			io.WriteString(w, piece)
			look()
		}
		coming.Done()
		coming.Wait() // all but the end of each is there
		io.WriteString(w, "\",\"size\":\"1024x1024\",\"quality\":\"low\",\"usage\":{\"input_tokens\":2,\"output_tokens\":272,\"total_tokens\":274}}\n\n")
	}))
	defer up.Close()
	r := newRig(t, answerPlain)
	r.keep(spill.Config{Loaded: loaded, Wait: 1 << 40})
	r.org().OrgBudgets = []*inventory.Budget{}
	r.org().Providers["up"] = &inventory.Provider{ID: "up", Kind: "openai", BaseURL: up.URL + "/v1", CredentialRef: "env:UP"}
	routes(r, "gpt-image-1")
	var all sync.WaitGroup
	for range streams {
		all.Go(func() {
			req, _ := http.NewRequest(http.MethodPost, r.srv.URL+"/v1/images/generations", strings.NewReader(`{"model":"gpt-image-1","prompt":"a cat","stream":true}`))
			req.Header.Set("Authorization", "Bearer "+testKey)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Error(err)
				coming.Done()
				taken.Done()
				return
			}
			defer resp.Body.Close()
			buf := make([]byte, 32<<10)
			n, err := io.ReadAtLeast(resp.Body, buf, 1)
			taken.Done()
			taken.Wait() // nobody takes the rest before all have begun
			for err == nil {
				var more int
				more, err = resp.Body.Read(buf)
				n += more
				look()
			}
			if err != io.EOF || n < size {
				t.Errorf("%d bytes: %v", n, err)
			}
		})
	}
	all.Wait()
	t.Logf("at most %d MiB of %d MiB sent, bound %d MiB", peak.Load()>>20, streams*size>>20, bound>>20)
	if peak.Load() > bound {
		t.Errorf("%d MiB in memory, bound %d MiB", peak.Load()>>20, bound>>20)
	}
	r.srv.Close()
	r.rec.mu.Lock()
	defer r.rec.mu.Unlock()
	for _, e := range r.rec.events {
		if e.Kind != event.Outcome {
			continue
		}
		if e.End != event.EndComplete || e.Source != event.UsageProvider || e.Usage.Output != 272 {
			t.Errorf("%+v", e)
		}
	}
	if u := r.g.c.Bodies.Usage(); u != (spill.Usage{}) {
		t.Errorf("%+v is still taken", u)
	}
}

// With no room for a long event its stream ends with an error, and what was made is
// charged at its hold.
func TestStreamedImageWithoutRoom(t *testing.T) {
	for _, c := range []struct {
		name  string
		store spill.Config
		code  string
	}{
		{"on disk", spill.Config{Disk: 1 << 20}, "busy"},
		{"in memory", spill.Config{Loaded: 8 << 20, Wait: 100 * time.Millisecond}, "busy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, up := wired(t, "gpt-image-1")
			store := r.keep(c.store)
			if c.store.Loaded > 0 { // another takes all of it
				other, err := store.Put(make([]byte, c.store.Loaded))
				if err != nil {
					t.Fatal(err)
				}
				defer other.Close()
				_, release, err := other.Load(t.Context(), 1)
				if err != nil {
					t.Fatal(err)
				}
				defer release()
			}
			up.Write = func(w http.ResponseWriter, _ *http.Request, a *wiretest.Answer) {
				for i := range a.Events {
					a.Events[i] = bytes.Replace(a.Events[i], []byte(wiretest.Picture), bytes.Repeat([]byte("AAAA"), 1<<20), 1)
				}
				wiretest.Send(w, a)
			}
			_, got := r.send(http.MethodPost, "/v1/images/generations", testKey, `{"model":"gpt-image-1","prompt":"a cat","stream":true}`)
			r.rec.wait(t, 2)
			e := r.rec.last()
			if !strings.Contains(got, c.code) || strings.Contains(got, "AAAA") || e.End != event.EndAborted || e.Source != event.UsageEstimated || e.Charge != e.Held {
				t.Errorf("%.300s %+v", got, e)
			}
		})
	}
}

// A transcript reads the same however it was cut, what guards take out is out of its
// pieces, of its end, and of the tokens that say it once more, and is counted once.
func TestStreamedTranscripts(t *testing.T) {
	var script []string
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, s := range script {
			io.WriteString(w, s)
			w.(http.Flusher).Flush()
		}
	})
	routes(r, "gpt-4o-transcribe")
	words := []string{"Mail anna@example.com ", "4111 1111 1111 1111", " 219-09-9999", "füße “", "plain words. ", "4111 1111 ", "\n"}
	rapid.Check(t, func(rt *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 1, 6).Draw(rt, "text"), "")
		profile := r.g.view.Load().orgs["acme"].profiles["default"].Answer()
		clean, _ := profile.Text([]byte(text))
		want, hits := string(clean), profile.Verdicts(nil)[0].Hits
		profile.Release()
		script = nil
		for runes := []rune(text); len(runes) > 0; {
			n := rapid.IntRange(1, min(len(runes), 12)).Draw(rt, "cut")
			delta, _ := json.Marshal(string(runes[:n]))
			script = append(script, fmt.Sprintf(`data: {"type":"transcript.text.delta","delta":%s,"logprobs":[{"token":%s,"logprob":-0.1}]}`+"\n\n", delta, delta))
			runes = runes[n:]
		}
		all, _ := json.Marshal(text)
		script = append(script, fmt.Sprintf(`data: {"type":"transcript.text.done","text":%s,"logprobs":[{"token":%s}],"usage":{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":4,"audio_tokens":10},"output_tokens":6,"total_tokens":20}}`+"\n\n", all, all))
		before := len(r.rec.events)
		resp, answer := upload(t, r, map[string]string{"model": "gpt-4o-transcribe", "stream": "true"}, []byte("ID3"))
		r.rec.wait(t, before+2)
		var pieces, whole string
		for _, f := range strings.Split(strings.TrimSpace(answer), "\n\n") {
			var e struct{ Type, Delta, Text string }
			if err := json.Unmarshal([]byte(strings.TrimPrefix(f, "data: ")), &e); err != nil {
				rt.Fatalf("%q: %v", f, err)
			}
			pieces += e.Delta
			whole += e.Text
		}
		if resp.StatusCode != 200 || pieces != want || whole != want {
			rt.Fatalf("pieces %q, whole %q, want %q\n%s", pieces, whole, want, answer)
		}
		for _, secret := range []string{"@", "4111 1111 1111", "219-09"} {
			if !strings.Contains(want, secret) && strings.Contains(answer, secret) {
				rt.Fatalf("%q is in %s", secret, answer)
			}
		}
		e := r.rec.last()
		// 4 and 10 tokens in at 2.5 and 6 dollars a million, 6 out at 10.
		if e.AnswerGuard[0].Hits != hits || e.Source != event.UsageProvider || e.Charge != 4*2_500+10*6_000+6*10_000 || e.Held < e.Charge || e.End != event.EndComplete {
			rt.Fatalf("%d hits, want %d: %+v", e.AnswerGuard[0].Hits, hits, e)
		}
	})
	t.Run("blocked", func(t *testing.T) {
		script = []string{`data: {"type":"transcript.text.delta","delta":"The key is AKIAIOSF"}` + "\n\n", `data: {"type":"transcript.text.delta","delta":"ODNN7EXAMPLE now"}` + "\n\n", `data: {"type":"transcript.text.done","text":"The key is AKIAIOSFODNN7EXAMPLE now"}` + "\n\n"}
		if _, answer := upload(t, r, map[string]string{"model": "gpt-4o-transcribe", "stream": "true"}, []byte("ID3")); strings.Contains(answer, "AKIA") || strings.Contains(answer, "text.done") || !strings.Contains(answer, "guard_blocked") {
			t.Error(answer)
		}
	})
	t.Run("cut", func(t *testing.T) {
		script = script[:1]
		if _, answer := upload(t, r, map[string]string{"model": "gpt-4o-transcribe", "stream": "true"}, []byte("ID3")); !strings.Contains(answer, "upstream_cut") {
			t.Error(answer)
		}
	})
	t.Run("words of a whole one", func(t *testing.T) {
		r.up.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"text":"Pay 4111 1111 1111 1111","words":[{"word":"4111"},{"word":"1111"}],"segments":[{"id":0,"text":"Pay 4111 1111 1111 1111","tokens":[50364,1]}],"usage":{"type":"duration","seconds":2}}`)
		})
		want := `{"text":"Pay [CARD]","words":null,"segments":[{"id":0,"text":"Pay [CARD]","tokens":null}],"usage":{"type":"duration","seconds":2}}`
		if _, answer := upload(t, r, map[string]string{"model": "gpt-4o-transcribe"}, []byte("ID3")); answer != want {
			t.Error(answer)
		}
	})
}

// Speech comes as it is made, as events with their usage or as plain sound.
func TestStreamedSpeech(t *testing.T) {
	r, up := wired(t, "gpt-4o-mini-tts")
	var sent []byte
	up.Write = func(w http.ResponseWriter, _ *http.Request, a *wiretest.Answer) {
		sent = bytes.Join(a.Events, nil)
		wiretest.Send(w, a)
	}
	resp, got := r.send(http.MethodPost, "/v1/audio/speech", testKey, `{"model":"gpt-4o-mini-tts","voice":"alloy","input":"Good morning, everybody","stream_format":"sse"}`)
	r.rec.wait(t, 2)
	e := r.rec.last()
	// 6 tokens in at 0.6 dollars a million, 23 out at 12.
	if resp.StatusCode != 200 || got != string(sent) || !e.Stream || e.Source != event.UsageProvider || e.Charge != 6*600+23*12_000 || e.Held < e.Charge || e.AnswerGuard[0].Reason != "media" {
		t.Errorf("%d %s %+v", resp.StatusCode, got, e)
	}
	heard := make(chan struct{})
	r.up.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "audio/mpeg")
		io.WriteString(w, "first")
		w.(http.Flusher).Flush()
		<-heard // nothing more until the first piece has arrived
		io.WriteString(w, "second")
	})
	r.org().Providers["plain"] = &inventory.Provider{ID: "plain", Kind: "openai", BaseURL: r.up.URL + "/v1", CredentialRef: "env:UP"}
	r.org().Routes["tts-1"] = &inventory.Route{Model: "tts-1", Provider: "plain"}
	r.use()
	req, _ := http.NewRequest(http.MethodPost, r.srv.URL+"/v1/audio/speech", strings.NewReader(`{"model":"tts-1","voice":"alloy","input":"Good morning"}`))
	req.Header.Set("Authorization", "Bearer "+testKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	piece := make([]byte, 5)
	if _, err := io.ReadFull(resp.Body, piece); err != nil || string(piece) != "first" {
		t.Fatalf("%q %v", piece, err)
	}
	close(heard)
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "second" {
		t.Errorf("%q %v", rest, err)
	}
}

// What an API or a provider cannot do is refused in plain words, and nobody is asked.
func TestMediaThatCannotBe(t *testing.T) {
	r := newRig(t, func(http.ResponseWriter, *http.Request) { t.Error("the provider was asked") })
	r.org().Providers["g"] = &inventory.Provider{ID: "g", Kind: "gemini", BaseURL: r.up.URL, CredentialRef: "env:UP"}
	r.org().Routes["gemini-2.5-flash"] = &inventory.Route{Model: "gemini-2.5-flash", Provider: "g"}
	routes(r, "dall-e-2", "whisper-1")
	for _, c := range []struct {
		path   string
		parts  []formPart
		status int
		code   string
	}{
		{"/v1/images/variations", []formPart{{"image", "a.png", "a"}, {"model", "", "dall-e-2"}, {"stream", "", "true"}}, 400, "stream_unsupported"},
		{"/v1/audio/translations", []formPart{{"file", "a.mp3", "a"}, {"model", "", "whisper-1"}, {"stream", "", "true"}}, 400, "stream_unsupported"},
		{"/v1/images/edits", []formPart{{"image", "a.png", "a"}, {"prompt", "", "x"}, {"model", "", "gemini-2.5-flash"}}, 404, "operation_unsupported"},
		{"/v1/images/edits", []formPart{{"image", "a.png", "a"}, {"prompt", "", "x"}}, 400, "model_missing"},
		{"/v1/images/edits", []formPart{{"image", "a.png", "a"}, {"prompt", "", "x"}, {"prompt", "", "y"}, {"model", "", "dall-e-2"}}, 400, "body_duplicate_key"},
		{"/v1/images/edits", []formPart{{"image", "a.png", "a"}, {"prompt", "", strings.Repeat("x", longestKept+1)}, {"model", "", "dall-e-2"}}, 400, "body_malformed"},
		{"/v1/images/edits", []formPart{{"image", "a.png", "a"}, {"other", "", strings.Repeat("x", longestField+1)}, {"model", "", "dall-e-2"}}, 400, "body_malformed"},
	} {
		if resp, answer := r.sendForm(c.path, c.parts); resp.StatusCode != c.status || code(answer) != c.code {
			t.Errorf("%s: %d %s, want %s", c.path, resp.StatusCode, answer, c.code)
		}
	}
}
