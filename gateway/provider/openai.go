package provider

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"plumbline/inventory"
)

func init() {
	register(Kind{Name: "openai", Vendor: "openai", NeedsURL: true, New: newOpenAI})
}

// openAI is any server that speaks OpenAI's API below a base URL.
type openAI struct {
	base      url.URL
	auth      []string
	transport http.RoundTripper
}

func newOpenAI(p *inventory.Provider, transport http.RoundTripper) (Provider, error) {
	u, err := url.Parse(strings.TrimRight(p.BaseURL, "/"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("base_url must be an http or https URL such as https://api.openai.com/v1")
	}
	o := &openAI{base: *u, transport: transport}
	if p.Credential != "" {
		o.auth = []string{"Bearer " + p.Credential}
	}
	return o, nil
}

var (
	jsonType   = []string{"application/json"}
	userAgent  = []string{"plumbline"}
	acceptJSON = []string{"application/json"}
	acceptSSE  = []string{"text/event-stream"}
)

// Send forwards nothing of the caller's headers: what the upstream gets is said
// here.
func (o *openAI) Send(ctx context.Context, r *Request) (*Response, error) {
	u := o.base
	u.Path += r.Endpoint
	accept := acceptJSON
	if r.Stream {
		accept = acceptSSE
	}
	header := http.Header{"Content-Type": jsonType, "Accept": accept, "User-Agent": userAgent, "X-Request-Id": {r.ID}}
	if o.auth != nil {
		header["Authorization"] = o.auth
	}
	body := r.Body // r is the caller's again when this returns
	req := (&http.Request{
		Method: http.MethodPost, URL: &u, Host: u.Host, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil },
	}).WithContext(ctx)
	resp, err := o.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	return &Response{resp.StatusCode, resp.Header, resp.Body}, nil
}
