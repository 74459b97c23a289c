package provider

import (
	"net/http"

	"plumbline/gateway/dialect"
)

func init() {
	register(Kind{Name: "anthropic", Title: "Anthropic", Vendor: "anthropic", BaseURL: "https://api.anthropic.com/v1",
		Speaks: map[dialect.Operation]Path{dialect.MessagesCreate: {At: "/messages"}, dialect.MessagesCount: {At: "/messages/count_tokens"}},
		// The version of the API that codecs are written for; a caller's own goes before.
		Header:    http.Header{"Anthropic-Version": {"2023-06-01"}},
		Authorize: inHeader("X-Api-Key")})
}

// inHeader sends the credential as it is in a header of its own.
func inHeader(name string) func(*http.Request, []byte, string) error {
	return func(req *http.Request, _ []byte, credential string) error {
		req.Header[name] = []string{credential}
		return nil
	}
}
