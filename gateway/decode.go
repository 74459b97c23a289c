package gateway

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode"

	"plumbline/gateway/dialect"
	"plumbline/gateway/peek"
)

// decode reads the body once and finds what the later stages need.
func (g *Gateway) decode(x *exchange) error {
	if v := x.named.retries; len(v) > 0 {
		if n, err := strconv.ParseUint(v[0], 10, 16); err == nil {
			x.ev.ClientRetry = uint32(n)
		}
	} else if x.call.api == &bedrockAPI {
		x.ev.ClientRetry = amazonRetry(x.r.Header)
	}
	x.attribute()
	if x.call.op == dialect.ResponseGet && x.r.URL.RawQuery != "" {
		x.stream = x.r.URL.Query().Get("stream") == "true"
		x.ev.Stream = x.stream
	}
	if !x.call.body {
		return nil
	}
	if !x.call.takesForm() && x.call.op != dialect.FileCreate && !isJSON(x.named.kind) {
		return refuse(http.StatusUnsupportedMediaType, "body_not_json", "send JSON, with Content-Type: application/json")
	}
	if err := g.readBody(x); err != nil {
		return err
	}
	if x.call.op == dialect.FileCreate {
		return g.readUpload(x)
	}
	if x.call.takesForm() {
		if err := x.readForm(); err != nil {
			return err
		}
	} else if err := x.peeked.Request(x.body, x.call.grammar); err != nil {
		var bad *peek.Error
		errors.As(err, &bad)
		return refuse(http.StatusBadRequest, bad.Code, bad.Error())
	}
	if x.call.lasts() {
		return g.decodeBatch(x)
	}
	p := &x.peeked
	if x.call.op == dialect.Moderations && !p.HasModel && namesNone(x.body) {
		x.asked = moderator
	}
	if !x.call.inPath && x.asked == "" && (!p.HasModel || p.Model.Start == p.Model.End) {
		return refuse(http.StatusBadRequest, "model_missing", "name a model").about("model")
	}
	var ok bool
	if x.model, ok = x.modelName(); !ok {
		return refuse(http.StatusBadRequest, "model_malformed", "a model's name has at most 128 printable characters").about("model")
	}
	x.stream = x.stream || p.Stream
	x.ev.ModelAsked, x.ev.Stream = x.model, x.stream
	if x.stream && x.call.answersWhole() {
		return refuse(http.StatusBadRequest, "stream_unsupported", "variations of images and translations of sound are answered whole; leave out `stream`").about("stream")
	}
	if x.call.op == dialect.ChatCompletions && p.HasInput && !p.HasMessages {
		return refuse(http.StatusBadRequest, "body_of_responses", "this body is one of the Responses API; send it to /v1/responses, or send `messages`").about("input")
	}
	return nil
}

// moderator is the model of a moderation that names none. The clients' examples name none,
// and OpenAI takes this one (platform.openai.com/docs/api-reference/moderations/create).
const moderator = "omni-moderation-latest"

// namesNone reports that a body has no model at all. One that is no text stays in what is
// sent, so that it is not taken for none.
func namesNone(body []byte) bool {
	var named struct {
		Model json.RawMessage `json:"model"`
	}
	return json.Unmarshal(body, &named) == nil && named.Model == nil
}

// maxName is the longest name of a model in bytes.
const maxName = 128

// modelName avoids a copy when the name is a route's. A name with escapes (some
// encoders write / as \/) goes out without them: what was checked is what is sent.
func (x *exchange) modelName() (string, bool) {
	b := x.body[x.peeked.Model.Start:x.peeked.Model.End]
	if x.asked != "" || x.form != nil {
		b = []byte(x.asked)
	} else if x.peeked.Model.Escaped {
		if len(b) > 6*maxName {
			return "", false
		}
		b = peek.Unescape(nil, b)
	}
	if r, ok := x.org.routes[string(b)]; ok {
		return r.Name, true
	}
	return printable(b)
}

// printable gives a name that may be recorded.
func printable(b []byte) (string, bool) {
	if len(b) > maxName {
		return "", false
	}
	name := string(b)
	ascii := true
	for _, c := range b {
		ascii = ascii && c >= ' ' && c <= '~'
	}
	if ascii {
		return name, true
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return "", false
		}
	}
	return name, true
}

// isJSON: a client that names no type is taken at its word's absence.
func isJSON(contentType []string) bool {
	if len(contentType) == 0 || contentType[0] == "application/json" || contentType[0] == "" {
		return true
	}
	kind, params, err := mime.ParseMediaType(contentType[0])
	if charset, ok := params["charset"]; err != nil || ok && !strings.EqualFold(charset, "utf-8") {
		return false
	}
	return kind == "application/json" || strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json")
}
