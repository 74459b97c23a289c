package provider

import (
	"net/http"

	"plumbline/gateway/dialect"
	"plumbline/gateway/provider/credential"
)

func init() {
	register(Kind{Name: "anthropic", Title: "Anthropic", Vendor: "anthropic", BaseURL: "https://api.anthropic.com/v1",
		Speaks: map[dialect.Operation]Path{dialect.MessagesCreate: {At: "/messages"}, dialect.MessagesCount: {At: "/messages/count_tokens"},
			dialect.MessageBatchCreate: {At: "/messages/batches"}, dialect.MessageBatchGet: {At: "/messages/batches/{id}"}, dialect.MessageBatchDelete: {At: "/messages/batches/{id}"},
			dialect.MessageBatchCancel: {At: "/messages/batches/{id}/cancel"}, dialect.MessageBatchResults: {At: "/messages/batches/{id}/results"}},
		// The version of the API that codecs are written for; a caller's own goes before.
		Header:    http.Header{"Anthropic-Version": {"2023-06-01"}},
		Authorize: inHeader("X-Api-Key")})
}

// inHeader sends the key as it is in a header of its own. A token that a cloud issued
// to the gateway's own identity goes as bearer, whatever the provider's keys go as.
func inHeader(name string) func(*http.Request, []byte, credential.Key) error {
	return func(req *http.Request, _ []byte, key credential.Key) error {
		if key.Issued() {
			req.Header["Authorization"] = key.Bearer()
			return nil
		}
		req.Header[name] = key.Plain()
		return nil
	}
}
