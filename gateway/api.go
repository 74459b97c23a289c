package gateway

import (
	"encoding/json"
	"strconv"
	"time"

	"plumbline/gateway/peek"
)

// api is a vendor's way to say what is not a model's answer: errors, and the list
// of models.
type api struct {
	name    string // in records
	failure func(dst []byte, r *refusal, id string) []byte
	event   func(dst []byte, r *refusal, id string, number int) []byte // an error as an event of a stream
	models  func(dst []byte, list []listed, single bool) []byte
	kind    func(r *refusal) string // of an error, for AWS's header of errors; nil for none
	status  func(r *refusal) int    // of an error; nil for the refusal's own
	binary  bool                    // streams go in AWS's binary framing
}

// listed is a model in a list.
type listed struct {
	name, owner string
	since       int64 // seconds since 1970
}

var (
	openAIAPI    = api{name: "openai", failure: openAIFailure, event: openAIEvent, models: openAIModels}
	responsesAPI = api{name: "openai", failure: openAIFailure, event: responsesEvent, models: openAIModels}
	anthropicAPI = api{name: "anthropic", failure: anthropicFailure, event: anthropicEvent, models: anthropicModels}
	geminiAPI    = api{name: "gemini", failure: geminiFailure, event: geminiEvent, models: geminiModels}
)

// says reports whether a provider's error is in the words of the API. A cloud that has
// another's models says some errors in its own.
func (a *api) says(body []byte) bool {
	var e struct {
		Type           string
		Error, Message json.RawMessage
	}
	if json.Unmarshal(body, &e) != nil {
		return false
	}
	switch a {
	case &anthropicAPI:
		return e.Type == "error" && e.Error != nil
	case &bedrockAPI:
		return e.Message != nil
	}
	return e.Error != nil
}

func field(dst []byte, before, text string) []byte {
	dst = append(dst, before...)
	dst = peek.Escape(dst, []byte(text))
	return append(dst, '"')
}

// openAIFailure: https://platform.openai.com/docs/guides/error-codes
func openAIFailure(dst []byte, r *refusal, _ string) []byte {
	dst = field(dst, `{"error":{"message":"`, r.message)
	dst = field(dst, `,"type":"`, r.kind)
	if r.param == "" {
		dst = append(dst, `,"param":null`...)
	} else {
		dst = field(dst, `,"param":"`, r.param)
	}
	dst = field(dst, `,"code":"`, r.code)
	return append(dst, "}}"...)
}

func openAIEvent(dst []byte, r *refusal, id string, _ int) []byte {
	return append(openAIFailure(append(dst, "data: "...), r, id), "\n\n"...)
}

func responsesEvent(dst []byte, r *refusal, _ string, number int) []byte {
	dst = field(dst, "event: error\ndata: {\"type\":\"error\",\"code\":\"", r.code)
	dst = field(dst, `,"message":"`, r.message)
	dst = append(dst, `,"param":null,"sequence_number":`...)
	dst = strconv.AppendInt(dst, int64(number), 10)
	return append(dst, "}\n\n"...)
}

func openAIModels(dst []byte, list []listed, single bool) []byte {
	one := func(m listed) {
		dst = field(dst, `{"id":"`, m.name)
		dst = append(dst, `,"object":"model","created":`...)
		dst = strconv.AppendInt(dst, m.since, 10)
		dst = append(field(dst, `,"owned_by":"`, m.owner), '}')
	}
	if single {
		one(list[0])
		return dst
	}
	dst = append(dst, `{"object":"list","data":[`...)
	for i, m := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		one(m)
	}
	return append(dst, "]}"...)
}

// anthropicTypes: https://docs.anthropic.com/en/api/errors
var anthropicTypes = map[int]string{400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error", 404: "not_found_error",
	413: "request_too_large", 429: "rate_limit_error", 503: "overloaded_error", 504: "timeout_error", 529: "overloaded_error"}

func anthropicFailure(dst []byte, r *refusal, id string) []byte {
	kind, ok := anthropicTypes[r.status]
	switch {
	case ok:
	case r.status < 500:
		kind = "invalid_request_error"
	default:
		kind = "api_error"
	}
	dst = field(dst, `{"type":"error","error":{"type":"`, kind)
	dst = field(dst, `,"message":"`, r.message)
	dst = field(dst, `,"code":"`, r.code)
	return append(field(dst, `},"request_id":"`, id), '}')
}

func anthropicEvent(dst []byte, r *refusal, id string, _ int) []byte {
	return append(anthropicFailure(append(dst, "event: error\ndata: "...), r, id), "\n\n"...)
}

func anthropicModels(dst []byte, list []listed, single bool) []byte {
	one := func(m listed) {
		dst = field(dst, `{"type":"model","id":"`, m.name)
		dst = field(dst, `,"display_name":"`, m.name)
		dst = append(field(dst, `,"created_at":"`, unixTime(m.since)), '}')
	}
	if single {
		one(list[0])
		return dst
	}
	dst = append(dst, `{"data":[`...)
	for i, m := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		one(m)
	}
	dst = append(dst, `],"has_more":false`...)
	if len(list) == 0 {
		return append(dst, `,"first_id":null,"last_id":null}`...)
	}
	dst = field(dst, `,"first_id":"`, list[0].name)
	return append(field(dst, `,"last_id":"`, list[len(list)-1].name), '}')
}

// geminiStatus: google.rpc.Code by HTTP status, https://cloud.google.com/apis/design/errors
var geminiStatus = map[int]string{400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ABORTED", 429: "RESOURCE_EXHAUSTED",
	500: "INTERNAL", 501: "UNIMPLEMENTED", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}

func geminiFailure(dst []byte, r *refusal, _ string) []byte {
	status, ok := geminiStatus[r.status]
	switch {
	case ok:
	case r.status < 500:
		status = "INVALID_ARGUMENT"
	default:
		status = "UNAVAILABLE"
	}
	dst = append(dst, `{"error":{"code":`...)
	dst = strconv.AppendInt(dst, int64(r.status), 10)
	dst = field(dst, `,"message":"`, r.message)
	dst = field(dst, `,"status":"`, status)
	dst = field(dst, `,"details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","domain":"plumbline","reason":"`, r.code)
	return append(dst, "}]}}"...)
}

func geminiEvent(dst []byte, r *refusal, id string, _ int) []byte {
	return append(geminiFailure(append(dst, "data: "...), r, id), "\n\n"...)
}

func unixTime(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(time.RFC3339) }

func geminiModels(dst []byte, list []listed, single bool) []byte {
	one := func(m listed) {
		dst = field(dst, `{"name":"models/`, m.name)
		dst = field(dst, `,"displayName":"`, m.name)
		dst = append(dst, `,"supportedGenerationMethods":["generateContent","streamGenerateContent","countTokens","embedContent"]}`...)
	}
	if single {
		one(list[0])
		return dst
	}
	dst = append(dst, `{"models":[`...)
	for i, m := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		one(m)
	}
	return append(dst, "]}"...)
}
