// Package provider sends calls upstream. A provider kind is one file that adds
// itself to the table here.
package provider

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"syscall"
	"time"

	"plumbline/gateway/dialect"
	"plumbline/gateway/provider/credential"
	"plumbline/gateway/spill"
	"plumbline/inventory"
)

// Request is one attempt of an exchange.
type Request struct {
	Operation dialect.Operation
	Method    string // POST when empty
	Model     string // at the provider
	Path      string // below the base URL, with its query
	Body      []byte
	Borrowed  bool        // Body's memory is the caller's again once Send returned; else nobody writes to it any more
	Spilled   *spill.Body // in place of Body when it is large; nil else
	Stream    bool
	ID        string         // x-request-id of the exchange
	Hops      []string       // the value of x-plumbline-hops, or nil
	Type      string         // of the body; JSON when empty
	Header    http.Header    // of the caller's, what the dialect lets through; may be nil
	Key       credential.Key // to sign in with; the zero Key where none is needed
}

// Bytes gives the body, for as long as release was not called.
func (r *Request) Bytes(ctx context.Context) (body []byte, release func(), err error) {
	if r.Spilled == nil {
		return r.Body, func() {}, nil
	}
	return r.Spilled.Load(ctx, 1)
}

// open gives what reads the body, any number of times and when r is the caller's again
// (GetBody), and its size in bytes. What stands in memory net/http knows as such: it
// sends the head and a small body at once, and not one after the other.
func (r *Request) open() (open func() (io.ReadCloser, error), size int64) {
	if r.Spilled != nil {
		return r.Spilled.Open, r.Spilled.Len()
	}
	body := r.Body
	if r.Borrowed { // a transport may read when the call is over
		body = bytes.Clone(body)
	}
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }, int64(len(body))
}

// Response is what came back. Body is never nil and must be closed.
type Response struct {
	Status int
	Header http.Header
	Body   io.ReadCloser
}

// Provider is an upstream. Send returns once the head of the answer is there. It keeps r
// not beyond that, nor the bytes of r.Body where they are borrowed.
type Provider interface {
	Send(ctx context.Context, r *Request) (*Response, error)
}

// Kind is a kind of provider: what it speaks, where, and how it is signed in to.
type Kind struct {
	Name      string
	Title     string // as people read it; Name when empty
	Simulated bool   // built in; said wherever it shows
	Vendor    string // of prices, when the declaration names none
	BaseURL   string // when the declaration names none; "" for a kind that needs one
	NeedsURL  bool

	// Speaks are the operations that the provider has. What an app asks for in
	// another dialect is translated into the first of these that generates.
	Speaks map[dialect.Operation]Path
	// NoStreamUsage: it refuses to be asked for usage in streams of chat completions.
	NoStreamUsage bool
	// NewerLimit: in chat completions it wants max_completion_tokens.
	NewerLimit bool

	// Events reads a stream that is none of server-sent events as one; nil where there
	// is no such.
	Events    func(body io.ReadCloser) io.ReadCloser
	Header    http.Header                                                    // sent with each call
	Authorize func(req *http.Request, body []byte, key credential.Key) error // of a call that has a key; nil: Authorization: Bearer
	New       func(p *inventory.Provider, transport http.RoundTripper) (Provider, error)
}

// KeepsResponses reports whether the provider keeps responses, and their items, so that
// a later call can name them.
func (k *Kind) KeepsResponses() bool {
	_, ok := k.Speaks[dialect.ResponseGet]
	return ok
}

// Path says where an operation is found below the base URL. {model} stands for the
// escaped name of the model, {id} for that of a response, a file or a batch which the gateway puts in.
type Path struct {
	At     string
	Stream string // where streamed calls go; "" for the same
	// Body is what the provider wants otherwise in the body than its dialect says; nil
	// for nothing.
	Body func(body []byte, model string, stream bool) ([]byte, error)
}

// Of is the path of a call.
func (p Path) Of(model string, stream bool) string {
	at := p.At
	if stream && p.Stream != "" {
		at = p.Stream
	}
	before, after, ok := strings.Cut(at, "{model}")
	if !ok {
		return at
	}
	return before + url.PathEscape(model) + after
}

// NamesModel reports whether the path says the model, so that the body need not.
func (p Path) NamesModel() bool { return strings.Contains(p.At, "{model}") }

var kinds = map[string]Kind{}

func register(k Kind) {
	if k.Title == "" {
		k.Title = k.Name
	}
	if k.New == nil {
		k.New = k.server
	}
	k.NeedsURL = k.BaseURL == "" && !k.Simulated
	kinds[k.Name] = k
}

// KindOf finds a kind.
func KindOf(name string) (Kind, error) {
	k, ok := kinds[name]
	if !ok {
		return Kind{}, fmt.Errorf("provider kind %q is none of %v", name, Kinds())
	}
	return k, nil
}

// Kinds lists the kinds' names.
func Kinds() []string {
	var out []string
	for name := range kinds {
		out = append(out, name)
	}
	sort.Strings(out)
	return out
}

// Transport is the shared transport to providers.
func Transport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          2048,
		MaxIdleConnsPerHost:   1024,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   5 * time.Second,
		ExpectContinueTimeout: time.Second,
		DisableCompression:    true,
		// A stream that waits holds both; larger bodies pass them by.
		WriteBufferSize: 2 << 10,
		ReadBufferSize:  2 << 10,
	}
}

// LogText is what of a failure may be logged: what the network says.
// An error that quotes what an upstream sent is named by its class alone.
func LogText(err error) string {
	var (
		netErr   *net.OpError
		dns      *net.DNSError
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
	)
	for _, known := range []error{context.DeadlineExceeded, context.Canceled, io.ErrUnexpectedEOF, io.EOF} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	switch {
	case errors.As(err, &netErr):
		return netErr.Error()
	case errors.As(err, &dns):
		return dns.Error()
	case errors.As(err, &unknown):
		return unknown.Error()
	case errors.As(err, &hostname):
		return hostname.Error()
	case errors.As(err, &invalid):
		return invalid.Error()
	}
	return fmt.Sprintf("%s (%T)", ClassOf(err), err)
}

// ClassOf puts a failure into a class that may be recorded.
func ClassOf(err error) string {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.Is(err, context.Canceled):
		return "aborted"
	}
	return "failed"
}
