package provider

import (
	"encoding/json"
	"fmt"
	"io"

	"plumbline/gateway/dialect"
	"plumbline/gateway/provider/eventstream"
)

// Anthropic's models on AWS Bedrock, in Anthropic's own dialect
// (docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html).
// The base URL names the region: https://bedrock-runtime.eu-central-1.amazonaws.com
func init() {
	register(Kind{Name: "bedrock-anthropic", Title: "AWS Bedrock: Anthropic (base URL with the region)", Vendor: "bedrock",
		Authorize: signedForBedrock,
		Speaks: map[dialect.Operation]Path{dialect.MessagesCreate: {
			At: "/model/{model}/invoke", Stream: "/model/{model}/invoke-with-response-stream",
			Body: func(body []byte, _ string, _ bool) ([]byte, error) {
				return withFields(body, `"anthropic_version":"bedrock-2023-05-31"`, "model", "stream", "anthropic_version")
			},
		}},
		Events: func(body io.ReadCloser) io.ReadCloser {
			return &awsEvents{body: body, in: eventstream.NewReader(body), frame: anthropicFrame}
		}})
}

// awsEvents reads AWS's binary event stream as server-sent events.
type awsEvents struct {
	body  io.ReadCloser
	in    *eventstream.Reader
	frame func(event string, m *eventstream.Message) ([]byte, error)
	out   []byte
	err   error
}

func (a *awsEvents) Read(p []byte) (int, error) {
	for len(a.out) == 0 {
		if a.err != nil {
			return 0, a.err
		}
		m, err := a.in.Next()
		if err != nil {
			a.err = err
			continue
		}
		event, exception := m.Kind()
		if exception != "" {
			a.out = failureFrame(exception, m.Payload)
			continue
		}
		if a.out, a.err = a.frame(event, m); a.err != nil {
			a.out = nil
		}
	}
	n := copy(p, a.out)
	a.out = a.out[n:]
	return n, nil
}

func (a *awsEvents) Close() error { return a.body.Close() }

// failureFrame tells of an exception as every dialect here reads a failure: an object
// with an error.
func failureFrame(exception string, payload []byte) []byte {
	var said struct{ Message string }
	if json.Unmarshal(payload, &said) != nil || said.Message == "" {
		said.Message = exception
	}
	b, err := json.Marshal(map[string]any{"type": "error", "error": map[string]string{"type": exception, "message": said.Message}})
	if err != nil {
		return []byte("event: error\ndata: {\"type\":\"error\",\"error\":{}}\n\n")
	}
	return fmt.Appendf(nil, "event: error\ndata: %s\n\n", b)
}

// notJSON stands for an event that is none. Who reads it refuses it as such.
var notJSON = []byte("data: {\n\n")

// anthropicFrame unwraps an event of Anthropic's from a chunk.
func anthropicFrame(event string, m *eventstream.Message) ([]byte, error) {
	if event != "chunk" {
		return nil, nil
	}
	var chunk struct{ Bytes []byte }
	var kind struct{ Type string }
	if err := json.Unmarshal(m.Payload, &chunk); err != nil || len(chunk.Bytes) == 0 {
		return notJSON, nil
	}
	if err := json.Unmarshal(chunk.Bytes, &kind); err != nil {
		return notJSON, nil
	}
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", kind.Type, chunk.Bytes), nil
}
