package provider

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"plumbline/inventory"
)

// A provider that has HTTP/2 is called by it, streams included.
func TestHTTP2Upstream(t *testing.T) {
	proto := make(chan string, 2)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proto <- r.Proto
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: 1\n\n")
		w.(http.Flusher).Flush()
		io.WriteString(w, "data: [DONE]\n\n")
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	transport := Transport()
	transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	defer transport.CloseIdleConnections()
	p, err := openAIKind(t).New(&inventory.Provider{BaseURL: srv.URL}, transport)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		resp, err := p.Send(t.Context(), &Request{Path: "/chat/completions", Body: []byte("{}"), Stream: true})
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if got := <-proto; err != nil || got != "HTTP/2.0" || string(b) != "data: 1\n\ndata: [DONE]\n\n" {
			t.Errorf("%s %q %v", got, b, err)
		}
	}
}
