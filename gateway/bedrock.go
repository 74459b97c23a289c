package gateway

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"

	"plumbline/gateway/provider"
	"plumbline/gateway/provider/eventstream"
)

var bedrockAPI = api{name: "bedrock", failure: bedrockFailure, event: bedrockEvent, kind: bedrockKind, status: bedrockStatus, binary: true}

// Headers of AWS's clients and APIs.
const (
	amazonID      = "X-Amzn-Requestid"
	amazonError   = "X-Amzn-Errortype"
	amazonAttempt = "Amz-Sdk-Request"
)

var amazonHeader = []string{"application/vnd.amazon.eventstream"}

// signedByAWS reports whether a call has a signature of version 4, in its header or in
// its query.
func signedByAWS(r *http.Request) bool {
	v := r.Header["Authorization"]
	return len(v) > 0 && strings.HasPrefix(v[0], "AWS4-") || strings.Contains(r.URL.RawQuery, "X-Amz-Signature=")
}

// invokesModel reports whether a path is one of InvokeModel's.
func invokesModel(path string) bool {
	for _, end := range []string{"/invoke", "/invoke-with-response-stream", "/async-invoke", "/invoke-with-bidirectional-stream"} {
		if strings.HasSuffix(path, end) {
			return true
		}
	}
	return false
}

// amazonRetry is how many tries of AWS's client came before this one: attempt=2; max=3.
func amazonRetry(h http.Header) uint32 {
	v := h[amazonAttempt]
	if len(v) == 0 {
		return 0
	}
	attempt, _, _ := strings.Cut(strings.TrimPrefix(v[0], "attempt="), ";")
	n, err := strconv.ParseUint(attempt, 10, 16)
	if err != nil || n == 0 {
		return 0
	}
	return uint32(n - 1)
}

// bedrockKind names an error as Converse does, or else as AWS's other APIs
// (docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html).
func bedrockKind(r *refusal) string {
	switch {
	case r.code == "unknown_endpoint":
		return "UnknownOperationException"
	case r.noRetry && r.status == http.StatusTooManyRequests:
		return "ServiceQuotaExceededException"
	}
	switch r.status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return "AccessDeniedException"
	case http.StatusNotFound:
		return "ResourceNotFoundException"
	case http.StatusRequestTimeout:
		return "RequestTimeoutException"
	case http.StatusFailedDependency: // as Bedrock says that a model failed
		return "ModelErrorException"
	case http.StatusTooManyRequests:
		return "ThrottlingException"
	case http.StatusServiceUnavailable:
		return "ServiceUnavailableException"
	case http.StatusGatewayTimeout:
		return "ModelTimeoutException"
	}
	if r.status < 500 {
		return "ValidationException"
	}
	return "InternalServerException"
}

// bedrockStatus is 400 where a quota is spent, as AWS has it: its clients try every 429
// again and know no x-should-retry.
func bedrockStatus(r *refusal) int {
	if r.noRetry && r.status == http.StatusTooManyRequests {
		return http.StatusBadRequest
	}
	return r.status
}

func bedrockFailure(dst []byte, r *refusal, _ string) []byte {
	dst = field(dst, `{"message":"`, r.message)
	return append(field(dst, `,"code":"`, r.code), '}')
}

// bedrockEvent is an exception of a stream, of those that ConverseStream has.
func bedrockEvent(dst []byte, r *refusal, id string, _ int) []byte {
	kind := "internalServerException"
	switch {
	case r.status == http.StatusTooManyRequests:
		kind = "throttlingException"
	case r.status == http.StatusServiceUnavailable:
		kind = "serviceUnavailableException"
	case r.status < 500:
		kind = "validationException"
	case r.status != http.StatusInternalServerError:
		kind = "modelStreamErrorException"
	}
	dst = append(append(append(dst, `data: {"`...), kind...), `":`...)
	return append(bedrockFailure(dst, r, id), "}\n\n"...)
}

// message sends a frame as a message of AWS's binary event stream. A comment is none:
// the framing has no place for one.
func (x *exchange) message(frame []byte) bool {
	m, ok := appendMessage(x.framed[:0], frame)
	if !ok {
		return true
	}
	x.framed = m
	x.framesOut++
	return x.write(m)
}

// appendMessage writes a frame of Converse, {"type":payload}, as a message: with the
// headers that it came with, or else with those that AWS writes. It is false for a
// frame that is no event.
func appendMessage(dst, frame []byte) ([]byte, bool) {
	var headers []byte
	for line := range bytes.Lines(frame) {
		if v, ok := bytes.CutPrefix(line, []byte(provider.HeadersField)); ok {
			headers, _ = base64.StdEncoding.AppendDecode(nil, bytes.TrimRight(v, "\r\n"))
		}
	}
	kind, payload, ok := typed(bytes.TrimSpace(dataOf(frame)))
	switch {
	case !ok:
		return dst, false
	case headers != nil:
		return eventstream.AppendRaw(dst, headers, payload), true
	case strings.HasSuffix(kind, "Exception"):
		return eventstream.Append(dst, payload, ":exception-type", kind, ":content-type", "application/json", ":message-type", "exception"), true
	}
	return eventstream.Append(dst, payload, ":event-type", kind, ":content-type", "application/json", ":message-type", "event"), true
}

// typed takes an object of one key apart, as frames of Converse are written here.
func typed(data []byte) (kind string, payload []byte, ok bool) {
	rest, ok := bytes.CutPrefix(data, []byte(`{"`))
	if !ok || !bytes.HasSuffix(rest, []byte("}")) {
		return "", nil, false
	}
	name, rest, ok := bytes.Cut(rest[:len(rest)-1], []byte(`":`))
	return string(name), rest, ok
}
