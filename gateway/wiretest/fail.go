package wiretest

import (
	"net/http"
	"strconv"
	"strings"
)

type vendor string

const (
	openai    vendor = "openai"
	azure     vendor = "azure"
	anthropic vendor = "anthropic"
	google    vendor = "google"
	bedrock   vendor = "bedrock"
)

// authorised tells whether the vendor's header carries the key. OpenAI's shape is
// spoken by many, so its key may come as Azure's does.
func (c *call) authorised() bool {
	h := c.header
	bearer := strings.TrimPrefix(h.Get("Authorization"), "Bearer ")
	switch c.vendor {
	case anthropic:
		return h.Get("X-Api-Key") == Key || bearer == Key
	case google:
		return h.Get("X-Goog-Api-Key") == Key || bearer == Key || strings.Contains("&"+c.query+"&", "&key="+Key+"&")
	case bedrock:
		return bearer == Key
	case azure:
		return h.Get("Api-Key") == Key || bearer == Key
	}
	return bearer == Key
}

// asked is the error that a word of the request asks for; nil for none.
func (c *call) asked() *Answer {
	if n, err := strconv.Atoi(c.after("status-")); err == nil {
		return c.fail(n, "")
	}
	for _, kind := range []string{"once-", "final-"} {
		rest := c.after(kind)
		number, _, _ := strings.Cut(rest, "-")
		n, err := strconv.Atoi(number)
		if err != nil || !c.first(kind+rest) {
			continue
		}
		a := c.fail(n, "")
		if kind == "final-" {
			a.Header.Set("X-Should-Retry", "false")
		}
		return a
	}
	return nil
}

// vendorWords are how vendors name a status.
var vendorWords = map[int]struct {
	openaiType, openaiCode string
	anthropic              string
	google                 string
	message                string
}{
	400: {"invalid_request_error", "", "invalid_request_error", "INVALID_ARGUMENT", "The request is not valid."},
	401: {"invalid_request_error", "invalid_api_key", "authentication_error", "UNAUTHENTICATED", "The API key is not valid."},
	403: {"invalid_request_error", "", "permission_error", "PERMISSION_DENIED", "The key may not do this."},
	404: {"invalid_request_error", "model_not_found", "not_found_error", "NOT_FOUND", "The model does not exist."},
	413: {"invalid_request_error", "", "request_too_large", "INVALID_ARGUMENT", "The request is too large."},
	429: {"requests", "rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED", "The rate limit is reached."},
	500: {"server_error", "", "api_error", "INTERNAL", "The server had an error."},
	503: {"server_error", "", "overloaded_error", "UNAVAILABLE", "The server is overloaded."},
	529: {"server_error", "", "overloaded_error", "UNAVAILABLE", "Overloaded"},
}

// bedrockWords are how Bedrock names a status, in a header.
var bedrockWords = map[int]string{400: "ValidationException", 403: "AccessDeniedException", 404: "ResourceNotFoundException", 408: "ModelTimeoutException", 424: "ModelErrorException",
	429: "ThrottlingException", 500: "InternalServerException", 503: "ServiceUnavailableException"}

// fail is an error in the vendor's shape. message "" takes the usual one.
func (c *call) fail(status int, message string) *Answer { return c.failCode(status, message, "") }

func (c *call) failCode(status int, message, code string) *Answer {
	w, ok := vendorWords[status]
	if !ok {
		w = vendorWords[500]
	}
	if message == "" {
		message = w.message
	}
	if code == "" {
		code = w.openaiCode
	}
	var body object
	switch c.vendor {
	case anthropic:
		body = anthropicError(w.anthropic, message, "req_"+c.id)
	case google:
		body = object{"error", object{"code", status, "message", message, "status", w.google}}
	case bedrock:
		body = object{"message", message}
	case azure:
		body = object{"error", object{"message", message, "type", w.openaiType, "param", nil, "code", orNull(code)}}
		if status == http.StatusUnauthorized || status == http.StatusNotFound { // those come from before the model
			body = object{"error", object{"code", strconv.Itoa(status), "message", message}}
		}
	default:
		body = object{"error", object{"message", message, "type", w.openaiType, "param", nil, "code", orNull(code)}}
	}
	a := c.whole(body)
	a.Status = status
	if c.vendor == bedrock {
		if status == http.StatusUnauthorized { // there is no such
			a.Status = http.StatusForbidden
		}
		a.Header.Set("X-Amzn-Errortype", bedrockWords[a.Status]+":http://internal.amazon.com/coral/com.amazon.bedrock/")
	}
	if status == http.StatusTooManyRequests {
		a.Header.Set("Retry-After", "1")
		if c.vendor == openai {
			a.Header.Set("Retry-After-Ms", "20")
		}
	}
	return a
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// whole is an answer of one JSON body.
func (c *call) whole(body any) *Answer {
	return &Answer{Status: http.StatusOK, Header: c.head("application/json"), Body: encode(body)}
}

// events is an answer of server-sent events, or of AWS's.
func (c *call) events(frames [][]byte) *Answer {
	kind := "text/event-stream; charset=utf-8"
	switch c.vendor {
	case google:
		kind = "text/event-stream"
	case bedrock:
		kind = "application/vnd.amazon.eventstream"
	}
	return &Answer{Status: http.StatusOK, Header: c.head(kind), Events: frames}
}

// head is the head of every answer of the vendor.
func (c *call) head(kind string) http.Header {
	h := http.Header{"Content-Type": {kind}}
	switch c.vendor {
	case openai:
		h.Set("X-Request-Id", "req_"+c.id)
		h.Set("Openai-Version", "2020-10-01")
		h.Set("Openai-Processing-Ms", "12")
		h.Set("X-Ratelimit-Limit-Requests", "500")
		h.Set("X-Ratelimit-Remaining-Requests", "499")
		h.Set("X-Ratelimit-Reset-Requests", "120ms")
	case azure:
		h.Set("Apim-Request-Id", c.id)
		h.Set("X-Ms-Region", "West Europe")
	case anthropic:
		h.Set("Request-Id", "req_"+c.id)
		h.Set("Anthropic-Organization-Id", "11111111-2222-3333-4444-555555555555")
		h.Set("Anthropic-Ratelimit-Requests-Limit", "50")
		h.Set("Anthropic-Ratelimit-Requests-Remaining", "49")
		h.Set("Anthropic-Ratelimit-Requests-Reset", "2026-01-01T00:00:01Z")
	case bedrock:
		h.Set("X-Amzn-Requestid", "req_"+c.id)
	case google:
		h.Set("Vary", "Origin")
		h.Set("Server", "scaffolding on HTTPServer2")
	}
	return h
}

// unknown refuses a field at the top of a strict server's body.
func (c *call) unknown(body node, known string) *Answer {
	if !c.server.Strict {
		return nil
	}
	members, _ := body.v.(map[string]any)
	for name := range members {
		if strings.Contains(" "+known+" ", " "+name+" ") {
			continue
		}
		switch c.vendor {
		case anthropic:
			return c.fail(400, name+": Extra inputs are not permitted")
		case bedrock:
			return c.fail(400, "The model returned the following errors: extraneous key ["+name+"] is not permitted")
		case google:
			return c.fail(400, `Invalid JSON payload received. Unknown name "`+name+`": Cannot find field.`)
		}
		return c.failCode(400, "Unknown parameter: '"+name+"'.", "unknown_parameter")
	}
	return nil
}
