package wiretest

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strconv"
	"strings"
)

// Picture is what images are answered with: one pixel, as base64.
const Picture = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="

// upload is a form that was sent.
type upload struct {
	fields map[string]string
	files  map[string][]int // sizes in bytes, by the field's name without []
}

func (c *call) upload() (*upload, *Answer) {
	kind, params, err := mime.ParseMediaType(c.header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		return nil, c.fail(400, "Invalid Content-Type; expected multipart/form-data.")
	}
	u := &upload{map[string]string{}, map[string][]int{}}
	for in := multipart.NewReader(bytes.NewReader(c.body), params["boundary"]); ; {
		p, err := in.NextPart()
		if err == io.EOF {
			return u, nil
		}
		if err != nil {
			return nil, c.fail(400, "Could not parse multipart form.")
		}
		b, err := io.ReadAll(p)
		if err != nil {
			return nil, c.fail(400, "Could not parse multipart form.")
		}
		name := strings.TrimSuffix(p.FormName(), "[]")
		if p.FileName() == "" {
			u.fields[name] = string(b)
		} else {
			u.files[name] = append(u.files[name], len(b))
		}
	}
}

// images answers a prompt with pictures.
func (c *call) images() *Answer {
	body, err := decode(c.body)
	if err != nil {
		return c.fail(400, "We could not parse the JSON body of your request.")
	}
	if a := c.unknown(body, "background model moderation n output_compression output_format partial_images prompt quality response_format size stream style user"); a != nil {
		return a
	}
	return c.pictures("image_generation", body.at("prompt").text(), body.at("n").number(), body.at("partial_images").number(), body.at("stream").truth(), 0)
}

// imageEdits answers pictures and a prompt with pictures.
func (c *call) imageEdits() *Answer {
	u, failure := c.upload()
	if failure != nil {
		return failure
	}
	if len(u.files["image"]) == 0 {
		return c.fail(400, "Missing required parameter: 'image'.")
	}
	n, _ := strconv.ParseInt(u.fields["n"], 10, 64)
	partial, _ := strconv.ParseInt(u.fields["partial_images"], 10, 64)
	return c.pictures("image_edit", u.fields["prompt"], n, partial, u.fields["stream"] == "true", len(u.files["image"])+len(u.files["mask"]))
}

// imageVariations answers a picture with others.
func (c *call) imageVariations() *Answer {
	u, failure := c.upload()
	if failure != nil {
		return failure
	}
	n, _ := strconv.ParseInt(u.fields["n"], 10, 64)
	return c.pictures("image_variation", "", n, 0, false, len(u.files["image"]))
}

func (c *call) pictures(kind, prompt string, n, partial int64, stream bool, seen int) *Answer {
	n = max(n, 1)
	in := tokens(prompt)
	use := func(pictures int64) object {
		text, picture, out := in, int64(85*seen), 272*pictures
		return object{"input_tokens", text + picture, "input_tokens_details", object{"text_tokens", text, "image_tokens", picture}, "output_tokens", out, "total_tokens", text + picture + out}
	}
	about := object{"created_at", created, "size", "1024x1024", "quality", "low", "background", "opaque", "output_format", "png"}
	if stream {
		var frames [][]byte
		for i := range partial {
			frames = append(frames, named(kind+".partial_image", append(object{"type", kind + ".partial_image", "partial_image_index", i, "b64_json", Picture}, about...)))
		}
		for range n {
			frames = append(frames, named(kind+".completed", append(object{"type", kind + ".completed", "b64_json", Picture, "usage", use(1)}, about...)))
		}
		return c.events(frames)
	}
	made := list{}
	for range n {
		made = append(made, object{"b64_json", Picture})
	}
	return c.whole(object{"created", created, "data", made, "usage", use(n)})
}

// heard is what a recording is said to hold: its size.
func heard(u *upload) string {
	size := 0
	for _, n := range u.files["file"] {
		size += n
	}
	return fmt.Sprintf("I hear %d bytes.", size)
}

// transcription writes a recording down.
func (c *call) transcription() *Answer {
	u, failure := c.upload()
	if failure != nil {
		return failure
	}
	if len(u.files["file"]) != 1 {
		return c.fail(400, "Missing required parameter: 'file'.")
	}
	text := heard(u)
	usage := object{"type", "tokens", "input_tokens", 14, "input_token_details", object{"text_tokens", 4, "audio_tokens", 10}, "output_tokens", 6, "total_tokens", 20}
	if u.fields["stream"] != "true" {
		return c.whole(object{"text", text, "usage", usage})
	}
	var frames [][]byte
	for _, word := range strings.SplitAfter(text, " ") {
		frames = append(frames, data(object{"type", "transcript.text.delta", "delta", word}))
	}
	frames = append(frames, data(object{"type", "transcript.text.done", "text", text, "usage", usage}))
	return c.events(frames)
}

// speech speaks a text: its bytes turned over.
func (c *call) speech() *Answer {
	body, err := decode(c.body)
	if err != nil {
		return c.fail(400, "We could not parse the JSON body of your request.")
	}
	if a := c.unknown(body, "input instructions model response_format speed stream_format voice"); a != nil {
		return a
	}
	text := body.at("input").text()
	sound := []byte(text)
	for i := range sound {
		sound[i] = ^sound[i]
	}
	if body.at("stream_format").text() != "sse" {
		a := c.whole(object{})
		a.Body = sound
		a.Header.Set("Content-Type", "audio/mpeg")
		return a
	}
	var frames [][]byte
	for i := 0; i < len(sound); i += 8 {
		frames = append(frames, data(object{"type", "speech.audio.delta", "audio", base64.StdEncoding.EncodeToString(sound[i:min(i+8, len(sound))])}))
	}
	in, out := tokens(text), int64(len(text))
	frames = append(frames, data(object{"type", "speech.audio.done", "usage", object{"input_tokens", in, "output_tokens", out, "total_tokens", in + out}}))
	return c.events(frames)
}
