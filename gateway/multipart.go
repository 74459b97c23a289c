package gateway

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"unicode/utf8"

	"plumbline/gateway/peek"
)

// form is what was found in a multipart body. Its files stay in the body.
type form struct {
	boundary string
	texts    map[string][]byte // of a person, perhaps changed by a guard
	says     map[string]string // what the stages ask for besides: see askedFields
	named    bool              // it has a field that names the model
}

const (
	mostFormParts = 64
	longestField  = 1 << 20   // bytes
	longestKept   = 128 << 10 // bytes, of what is kept in memory until the answer; no prompt of a picture may be as long
)

// guardedFields of a form are texts of a person.
var guardedFields = map[string]bool{"prompt": true}

// askedFields are those that a price, a hold or a record needs.
var askedFields = map[string]bool{"n": true, "size": true, "quality": true, "user": true, "safety_identifier": true}

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
	x.peeked.MaxTokens = -1
	x.form = &form{boundary: params["boundary"], texts: map[string][]byte{}, says: map[string]string{}}
	seen := map[string]bool{}
	defer x.readFormCount()
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
		case len(body) > longestKept && (name == "model" || guardedFields[name] || askedFields[name]):
			return malformedForm("has a field `" + name + "` of more than 128 KiB")
		case !utf8.Valid(body):
			return refuse(http.StatusBadRequest, "body_not_utf8", "a field of the form is not UTF-8")
		case name == "model":
			if x.form.named = true; !x.call.inPath { // there the path says it
				x.asked = string(body)
			}
		case name == "stream":
			x.stream = string(body) == "true"
		case guardedFields[name]:
			x.form.texts[name] = body
		case askedFields[name]:
			x.form.says[name] = string(body)
		}
		return nil
	})
}

// readFormCount takes the number of answers over. What is no number is the provider's
// to refuse.
func (x *exchange) readFormCount() {
	x.peeked.Choices = min(max(peek.Loosely([]byte(x.form.says["n"])), 1), peek.MaxAnswers)
}

// formUser is the app's user as the form names it.
func (x *exchange) formUser() string {
	if x.form == nil {
		return ""
	}
	if id := x.form.says["safety_identifier"]; id != "" {
		return id
	}
	return x.form.says["user"]
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
	if err == nil && !x.form.named {
		err = w.WriteField("model", x.target)
	}
	if err == nil {
		err = w.Close()
	}
	return b.Bytes(), err
}
