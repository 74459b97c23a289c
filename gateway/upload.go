package gateway

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"unicode/utf8"

	"plumbline/gateway/peek"
)

// What a file is for.
const (
	purposeBatch   = "batch"        // the input of a batch: requests, which guards read
	purposeResults = "batch_output" // the results of one: answers, which guards read
)

// fileUpload is a file that is sent in a form.
type fileUpload struct {
	purpose string
	file    []byte // of a batch's input, which x.edits are of; nil of others, which stay in the body, and while the body is not loaded
}

// readUpload reads the form of a file. Of a batch's input it finds the requests.
func (g *Gateway) readUpload(x *exchange) error {
	kind, params, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" {
		return refuse(http.StatusUnsupportedMediaType, "body_not_form", "send a form, with Content-Type: multipart/form-data")
	}
	x.form = &form{boundary: params["boundary"]}
	x.upload = &fileUpload{}
	files, seen := 0, map[string]bool{}
	if err := x.form.each(x.body, func(p *multipart.Part) error {
		name := p.FormName()
		if seen[name] || len(seen) == mostFormParts {
			return malformedForm("has a field twice, or too many")
		}
		seen[name] = true
		if p.FileName() != "" {
			files++
			if name != "file" {
				return malformedForm("has a file in another field than `file`")
			}
			n, err := io.Copy(io.Discard, p)
			x.peeked.Media++
			x.peeked.MediaBytes += int(n)
			return err
		}
		value, err := io.ReadAll(io.LimitReader(p, longestField+1))
		switch {
		case err != nil:
			return err
		case len(value) > longestField || !utf8.Valid(value):
			return malformedForm("has a field that is too long, or not UTF-8")
		case name == "purpose":
			x.upload.purpose = string(value)
		case name == "model":
			x.asked = string(value)
		}
		return nil
	}); err != nil {
		return err
	}
	if files != 1 || x.upload.purpose == "" {
		return malformedForm("wants a `file` and a `purpose`")
	}
	if x.upload.purpose == purposeBatch {
		return x.readRequests()
	}
	if x.asked == "" {
		if x.asked = x.anyModel(); x.asked == "" {
			return refuse(http.StatusNotFound, operationUnsupported, "no model that this key may ask for is at a provider that keeps files; these kinds of provider do: "+speakersOf(x.call.op)).about("model")
		}
	}
	return x.asks(x.asked)
}

// readRequests takes the file out of the form.
func (x *exchange) readRequests() error {
	u := x.upload
	if err := x.form.each(x.body, func(p *multipart.Part) (err error) {
		if p.FileName() != "" {
			u.file, err = readAll(make([]byte, 0, len(x.body)), p, len(x.body)) // the form is hardly more
		}
		return err
	}); err != nil {
		return err
	}
	x.peeked.Media, x.peeked.MediaBytes = 0, 0
	x.lot = &lot{}
	if err := x.lot.readFile(u.file, &x.chunk); err != nil {
		return err
	}
	return x.asks(x.lot.models[0].model)
}

// asks notes the model that a call is for.
func (x *exchange) asks(model string) error {
	name, ok := printable([]byte(model))
	if !ok {
		return refuse(http.StatusBadRequest, "model_malformed", "a model's name has at most 128 printable characters").about("model")
	}
	if r, ok := x.org.routes[name]; ok {
		name = r.Name
	}
	x.model, x.ev.ModelAsked = name, name
	return nil
}

// anyModel is what a file is for that names no model: the first by name of those that
// the key may ask for, and of which a target keeps files that may take the call. A file
// does not name one, and most organisations have one such provider. Where no target may
// take it, it is the first that keeps files, so that the refusal says why.
func (x *exchange) anyModel() string {
	taking, keeping := "", ""
	for name, r := range x.org.routes {
		if !mayAsk(x.key, r) {
			continue
		}
		if f := x.routed(r, true); r.Takes(&f, x) && (taking == "" || name < taking) {
			taking = name
		}
		if t := r.First(); t != nil && x.Cannot(t) == "" && (keeping == "" || name < keeping) {
			keeping = name
		}
	}
	return cmp.Or(taking, keeping)
}

// readRequestTexts lets the guards look at every request of a lot. Of other files they
// read nothing, and their verdicts say so.
func (x *exchange) readRequestTexts() (err error) {
	switch {
	case x.lot == nil:
	case x.upload != nil:
		x.edits, err = x.lot.inspect(x, x.upload.file)
	default:
		x.edits, err = x.lot.inspect(x, x.body)
	}
	return err
}

// writeUpload writes the form anew: the requests with the model as its provider names
// it, and without what guards took out. The field `model` is the gateway's.
func (x *exchange) writeUpload() ([]byte, error) {
	u := x.upload
	var b bytes.Buffer
	b.Grow(len(x.body) + len(x.body)/8 + 64)
	w := multipart.NewWriter(&b)
	if err := w.SetBoundary(x.form.boundary); err != nil {
		return nil, malformedForm("has a boundary that is none")
	}
	err := x.form.each(x.body, func(p *multipart.Part) error {
		if p.FormName() == "model" && p.FileName() == "" {
			return nil
		}
		out, err := w.CreatePart(p.Header)
		if err != nil {
			return err
		}
		if p.FileName() == "" || x.lot == nil {
			_, err = io.Copy(out, p)
			return err
		}
		x.edits = inOrder(x.lot.named(x.target, x.edits))
		text := peek.Splice(nil, u.file, x.edits)
		if bytes.Contains(text, []byte("\r\n--"+x.form.boundary)) {
			return fmt.Errorf("the form's boundary stands in its file")
		}
		_, err = out.Write(text)
		return err
	})
	if err == nil {
		err = w.Close()
	}
	return b.Bytes(), err
}

// inOrder puts many edits into the order that Splice needs.
func inOrder(edits []peek.Edit) []peek.Edit {
	slices.SortFunc(edits, func(a, b peek.Edit) int { return cmp.Compare(a.Start, b.Start) })
	return edits
}
