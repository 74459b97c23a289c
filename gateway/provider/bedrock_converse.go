package provider

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"plumbline/gateway/dialect"
	"plumbline/gateway/provider/eventstream"
)

// All models on AWS Bedrock that hold conversations, in Bedrock's own dialect
// (docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html). The base
// URL names the region: https://bedrock-runtime.eu-central-1.amazonaws.com
func init() {
	register(Kind{Name: "bedrock", Title: "AWS Bedrock (base URL with the region)", Vendor: "bedrock",
		Authorize: signedForBedrock,
		Speaks:    map[dialect.Operation]Path{dialect.ConverseCreate: {At: "/model/{model}/converse", Stream: "/model/{model}/converse-stream"}},
		Events: func(body io.ReadCloser) io.ReadCloser {
			return &awsEvents{body: body, in: eventstream.NewReader(body), frame: converseFrame}
		}})
}

var errNoEvent = errors.New("bedrock: an event is not JSON")

// converseFrame puts an event under its type, which stands in a header.
func converseFrame(event string, payload []byte) ([]byte, error) {
	if event == "initial-response" {
		return nil, nil
	}
	if !json.Valid(payload) {
		return nil, errNoEvent
	}
	return fmt.Appendf(nil, "data: {%q:%s}\n\n", event, payload), nil
}
