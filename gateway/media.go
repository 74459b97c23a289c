package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"plumbline/gateway/dialect"
	"plumbline/gateway/event"
	"plumbline/gateway/provider"
)

// Images and sound. Guards read the text that goes in and the text that comes out;
// of pictures and sound itself no guard reads anything, and their verdicts say so.

// makesMedia reports that the answer is a picture or a sound.
func (e *endpoint) makesMedia() bool {
	return e.op == dialect.ImagesGenerate || e.op == dialect.Speech
}

// takesForm reports that the body is a form with a file in it.
func (e *endpoint) takesForm() bool {
	return e.op == dialect.Transcribe || e.op == dialect.TranslateSound
}

// spoken is how many characters of a request shall be spoken. The body was read
// before, so it is JSON; a field of another type is the provider's to refuse.
func (x *exchange) spoken() int64 {
	var asked struct{ Input string }
	json.Unmarshal(x.body, &asked)
	return int64(utf8.RuneCountInString(asked.Input))
}

// mostMedia is the usage that is held for, beside tokens.
func (x *exchange) mostMedia(u *event.Usage) {
	switch x.call.op {
	case dialect.ImagesGenerate:
		u.Images = x.peeked.Choices
	case dialect.Speech:
		u.Characters = x.spoken()
	case dialect.Transcribe, dialect.TranslateSound:
		u.Seconds = int64(x.peeked.MediaBytes)/leastPerSecond + 1
	}
}

// What sound takes: the least bytes of a second of speech in a form that vendors take,
// which is what is held for; the bytes of a second at the usual 128 kbit/s, by which it is
// counted where the vendor does not say; and audio tokens for each character that is
// spoken, at 15 characters and 21 tokens a second.
const (
	leastPerSecond = 1000
	usualPerSecond = 16000
)

func spokenTokens(characters int64) int64 { return (characters*7 + 4) / 5 }

// bodyType is the type of a body that is not JSON.
func (x *exchange) bodyType() string {
	if x.form == nil {
		return ""
	}
	return "multipart/form-data; boundary=" + x.form.boundary
}

// countMedia completes usage by what follows from the request and the answer alone.
func (x *exchange) countMedia() {
	if x.ev.End != event.EndComplete && x.ev.End != event.EndClientGone && x.ev.End != event.EndBlocked {
		return
	}
	u := &x.ev.Usage
	switch x.call.op {
	case dialect.ImagesGenerate:
		u.Images, u.Form = int64(x.images), x.most.Form
		if u.Output > 0 && u.ImageOut == 0 {
			u.ImageOut = u.Output
		}
	case dialect.Speech:
		u.Characters = x.most.Characters
		u.Output = spokenTokens(u.Characters)
		u.AudioOut = u.Output
	case dialect.Transcribe, dialect.TranslateSound:
		if x.ev.Source != event.UsageProvider {
			u.Seconds = int64(x.peeked.MediaBytes)/usualPerSecond + 1
			u.Input = 0
		}
	}
}

// sound gives an answer on that is no JSON: bytes as they come, to their end. Guards
// that look at answers did not run, for there is no text.
func (g *Gateway) sound(x *exchange, resp *provider.Response) error {
	if x.answers != nil {
		x.answers.NotRun("media")
	}
	if err := x.durable(); err != nil {
		return err
	}
	h := x.w.Header()
	copyHeader(h, resp.Header)
	if kind := resp.Header["Content-Type"]; len(kind) > 0 {
		h["Content-Type"] = kind
	}
	began := g.c.Since(x.start)
	defer func() { x.upstreamT += g.c.Since(x.start) - began }()
	x.ev.End = event.EndComplete
	if cap(x.buf) < firstRead {
		x.buf = make([]byte, 0, firstRead)
	}
	for {
		n, err := resp.Body.Read(x.buf[:firstRead])
		if n > 0 && x.ev.End == event.EndComplete {
			if !x.wrote {
				x.facts(h)
				x.ev.FirstByte = g.c.Since(x.start).Microseconds()
				x.head(http.StatusOK)
			}
			if !x.write(x.buf[:n]) {
				x.ev.End = event.EndClientGone // what is made is billed, so it is read to its end
			}
			x.flush()
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			x.ev.End, x.ev.UpstreamErr = event.EndCut, provider.ClassOf(err)
			r := refuse(http.StatusBadGateway, "upstream_cut", fmt.Sprintf("the provider %s broke off its answer", x.ev.Provider)).because(err)
			x.abort = x.wrote // a cut answer must not look whole
			return r
		}
	}
	if !x.wrote {
		x.ev.End, x.ev.UpstreamErr = event.EndUpstreamError, "bad_answer"
		return refuse(http.StatusBadGateway, "upstream_bad_answer", fmt.Sprintf("the provider %s answered with nothing", x.ev.Provider))
	}
	x.done = true
	return nil
}

// form is what was found in a multipart body. Its files stay in the body.
type form struct {
	boundary string
	texts    map[string][]byte // of a person, perhaps changed by a guard
}

const (
	mostFormParts = 64
	longestField  = 1 << 20 // bytes
)

// guardedFields of a form are texts of a person.
var guardedFields = map[string]bool{"prompt": true}

func malformedForm(what string) error {
	return refuse(http.StatusBadRequest, "body_malformed", "the form "+what)
}

// readForm reads a multipart body for what the stages need: the model, whether it is
// streamed, and the texts.
func (x *exchange) readForm() error {
	kind, params, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" {
		return refuse(http.StatusUnsupportedMediaType, "body_not_form", "send a form, with Content-Type: multipart/form-data")
	}
	x.form = &form{boundary: params["boundary"], texts: map[string][]byte{}}
	seen := map[string]bool{}
	return x.form.each(x.body, func(p *multipart.Part) error {
		name := p.FormName()
		if seen[name] && !strings.HasSuffix(name, "[]") {
			return refuse(http.StatusBadRequest, "body_duplicate_key", "a field of the form is there twice")
		}
		if seen[name] = true; len(seen) > mostFormParts {
			return malformedForm("has more than 64 parts")
		}
		if p.FileName() != "" {
			n, err := io.Copy(io.Discard, p)
			x.peeked.Media++
			x.peeked.MediaBytes += int(n)
			return err
		}
		body, err := io.ReadAll(io.LimitReader(p, longestField+1))
		switch {
		case err != nil:
			return err
		case len(body) > longestField:
			return malformedForm("has a field of more than 1 MiB that is no file")
		case !utf8.Valid(body):
			return refuse(http.StatusBadRequest, "body_not_utf8", "a field of the form is not UTF-8")
		case name == "model":
			x.asked = string(body)
		case name == "stream":
			x.stream = string(body) == "true"
		case guardedFields[name]:
			x.form.texts[name] = body
		}
		return nil
	})
}

// each calls f for every part.
func (m *form) each(body []byte, f func(*multipart.Part) error) error {
	in := multipart.NewReader(bytes.NewReader(body), m.boundary)
	for {
		p, err := in.NextRawPart()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = f(p)
		}
		var r *refusal
		if errors.As(err, &r) {
			return err
		}
		if err != nil {
			return malformedForm("has no end, or a part without a head")
		}
	}
}

// readFormTexts lets the guards look at the texts of a form and change them.
func (x *exchange) readFormTexts() {
	for name, text := range x.form.texts {
		if out, changed := x.prompt.Text(text); changed {
			x.form.texts[name] = bytes.Clone(out)
		}
	}
}

// writeForm writes the form anew, with the checked model; the boundary stays.
func (x *exchange) writeForm() ([]byte, error) {
	var b bytes.Buffer
	b.Grow(len(x.body) + 64)
	w := multipart.NewWriter(&b)
	if err := w.SetBoundary(x.form.boundary); err != nil {
		return nil, malformedForm("has a boundary that is none")
	}
	err := x.form.each(x.body, func(p *multipart.Part) error {
		out, err := w.CreatePart(p.Header)
		if err != nil {
			return err
		}
		from := io.Reader(p)
		if text, ok := x.form.texts[p.FormName()]; ok && p.FileName() == "" {
			from = bytes.NewReader(text)
		} else if p.FormName() == "model" && p.FileName() == "" {
			from = strings.NewReader(x.target)
		}
		_, err = io.Copy(out, from)
		return err
	})
	if err == nil {
		err = w.Close()
	}
	return b.Bytes(), err
}

// writtenDown gives a transcript on that is no JSON: text, or subtitles.
func (g *Gateway) writtenDown(x *exchange, resp *provider.Response, body []byte) error {
	x.textOut = int64(len(body))
	if x.answers != nil && !x.answers.Idle() {
		if out, changed := x.answers.Text(body); changed {
			body = bytes.Clone(out)
		}
		if guard, class, hit := x.answers.Blocked(); hit {
			x.ev.End = event.EndBlocked
			return refuse(http.StatusBadRequest, "guard_blocked", fmt.Sprintf("the guard %q found %s in the answer, so it is not given out (request %s)", guard, class, x.idHdr[0]))
		}
	}
	if err := x.durable(); err != nil {
		return err
	}
	h := x.w.Header()
	copyHeader(h, resp.Header)
	h["Content-Type"] = []string{"text/plain; charset=utf-8"}
	if kind := resp.Header["Content-Type"]; len(kind) > 0 {
		h["Content-Type"] = kind
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	x.facts(h)
	x.ev.FirstByte = g.c.Since(x.start).Microseconds()
	x.head(http.StatusOK)
	if x.ev.End = event.EndComplete; !x.write(body) {
		x.ev.End = event.EndClientGone
	}
	x.done = true
	return nil
}

// isText reports whether an answer's type says that it is plain text of some form.
func isText(contentType []string) bool {
	if len(contentType) == 0 {
		return false
	}
	kind := contentType[0]
	return strings.HasPrefix(kind, "text/") && !strings.HasPrefix(kind, "text/html") || strings.HasPrefix(kind, "application/x-subrip")
}
