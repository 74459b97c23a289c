package provider

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"plumbline/gateway/provider/credential"
	"plumbline/inventory"
)

// server is a provider that is called by HTTP below a base URL.
type server struct {
	kind      *Kind
	base      url.URL
	transport http.RoundTripper
}

func (k *Kind) server(p *inventory.Provider, transport http.RoundTripper) (Provider, error) {
	u, err := k.base(p)
	if err != nil {
		return nil, err
	}
	return &server{kind: k, base: *u, transport: transport}, nil
}

// base is the URL that the provider's paths are below.
func (k *Kind) base(p *inventory.Provider) (*url.URL, error) {
	base := p.BaseURL
	if base == "" {
		base = k.BaseURL
	}
	u, err := url.Parse(strings.TrimRight(base, "/"))
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, errors.New("base_url must be an http or https URL such as https://api.openai.com/v1")
	case u.User != nil:
		return nil, errors.New("base_url holds a user name or a password; a secret has a place of its own")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("base_url has a query or a fragment, which no call would carry; leave out what stands from ? or # on")
	}
	ends := ""
	for _, path := range k.Speaks {
		if len(path.At) > len(ends) && strings.HasSuffix(u.Path, path.At) {
			ends = path.At
		}
	}
	if ends != "" {
		return nil, fmt.Errorf("base_url ends in %s, which the gateway adds itself; leave it out", ends)
	}
	return u, nil
}

// Host is where a provider's calls go, as scheme://host or scheme://host:port, in one
// spelling; empty for a kind that calls nobody.
func Host(p *inventory.Provider) (string, error) {
	k, err := KindOf(p.Kind)
	if err != nil || k.Simulated {
		return "", err
	}
	u, err := k.base(p)
	if err != nil {
		return "", err
	}
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	scheme := strings.ToLower(u.Scheme)
	if port == "" || scheme == "https" && port == "443" || scheme == "http" && port == "80" {
		return scheme + "://" + host, nil
	}
	return scheme + "://" + host + ":" + port, nil
}

var (
	jsonType   = []string{"application/json"}
	userAgent  = []string{"plumbline"}
	acceptJSON = []string{"application/json"}
	acceptAny  = []string{"*/*"}
	acceptSSE  = []string{"text/event-stream"}
)

// Send forwards of the caller's headers what r.Header has: what the upstream gets is
// said here. The caller never says where a call or a credential goes.
func (s *server) Send(ctx context.Context, r *Request) (*Response, error) {
	u := s.base
	path, query, _ := strings.Cut(r.Path, "?")
	if escaped := u.EscapedPath() + path; strings.Contains(path, "%") {
		plain, err := url.PathUnescape(escaped)
		if err != nil {
			return nil, err
		}
		u.Path, u.RawPath = plain, escaped
	} else {
		u.Path += path
	}
	u.RawQuery = query
	accept := acceptJSON
	if r.Stream {
		accept = acceptSSE
	}
	header := http.Header{"Content-Type": jsonType, "Accept": accept, "User-Agent": userAgent, "X-Request-Id": {r.ID}}
	if r.Type != "" {
		header["Content-Type"] = []string{r.Type}
		header["Accept"] = acceptAny
	}
	for name, v := range s.kind.Header {
		header[name] = v
	}
	for name, v := range r.Header {
		header[name] = v
	}
	if r.Hops != nil {
		header["X-Plumbline-Hops"] = r.Hops
	}
	if bearer := r.Key.Bearer(); bearer != nil && s.kind.Authorize == nil {
		header["Authorization"] = bearer
	}
	open, size := r.open()
	body, err := open()
	if err != nil {
		return nil, err
	}
	method := r.Method
	if method == "" {
		method = http.MethodPost
	}
	if size == 0 {
		body, open = http.NoBody, func() (io.ReadCloser, error) { return http.NoBody, nil }
		delete(header, "Content-Type")
	}
	req := (&http.Request{
		Method: method, URL: &u, Host: u.Host, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: body, ContentLength: size, GetBody: open,
	}).WithContext(ctx)
	if s.kind.Authorize != nil && r.Key != (credential.Key{}) {
		text, release, err := r.Bytes(ctx)
		if err == nil {
			err = s.kind.Authorize(req, text, r.Key)
			release()
		}
		if err != nil {
			body.Close()
			return nil, err
		}
	}
	resp, err := s.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if s.kind.Events != nil {
		switch kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";"); kind {
		case "application/vnd.amazon.eventstream":
			resp.Body = s.kind.Events(resp.Body)
			resp.Header.Set("Content-Type", "text/event-stream")
		case "text/event-stream": // what would come as such was not made here
			resp.Header.Del("Content-Type")
		}
	}
	return &Response{resp.StatusCode, resp.Header, resp.Body}, nil
}
