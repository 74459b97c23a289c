package provider

import (
	"encoding/base64"
	"encoding/json"
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

// HeadersField is the field of a frame that holds, in base64, the headers of the message
// that it was made of. Who reads server-sent events passes over a field that it does not
// know; a caller of the same API gets the message back as it was.
const HeadersField = "headers: "

// converseFrame puts an event under its type, which stands in a header.
func converseFrame(event string, m *eventstream.Message) ([]byte, error) {
	if event == "initial-response" {
		return nil, nil
	}
	if !json.Valid(m.Payload) || !isName(event) {
		return notJSON, nil
	}
	out := append(make([]byte, 0, 64+2*len(m.Raw)+len(event)+len(m.Payload)), HeadersField...)
	out = append(base64.StdEncoding.AppendEncode(out, m.Raw), "\ndata: {\""...)
	out = append(append(out, event...), `":`...)
	for _, c := range m.Payload {
		if c == '\n' || c == '\r' { // white space, for it is not in a string; it would end the line
			c = ' '
		}
		out = append(out, c)
	}
	return append(out, "}\n\n"...), nil
}

// isName reports whether a text can be a key as it is.
func isName(s string) bool {
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return s != ""
}
