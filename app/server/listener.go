package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"plumbline/app/server/front"
	"plumbline/gateway"
)

// Listen opens the configured address.
func (s *Server) Listen() (net.Listener, error) {
	l, err := net.Listen("tcp", s.Config.Listen)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("listen on %s: another program has this port; stop it, or set listen to another", s.Config.Listen)
		}
		return nil, fmt.Errorf("listen on %s: %w", s.Config.Listen, err)
	}
	return l, nil
}

const (
	idleTime  = 2 * time.Minute // how long a connection waits for its next request
	writeMore = time.Minute     // how long an answer may take beyond its exchange
)

// listener makes the HTTP server. HTTP/1.1 and HTTP/2 are served, the latter also
// without TLS to those who begin with it (RFC 9113 section 3.3). The gateway's own limit
// of a head is a quarter of net/http's; what lies between reaches it, and what is larger
// is refused in front.
func (s *Server) listener() (*http.Server, error) {
	c := s.Config
	srv := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: front.HeadTime, ReadTimeout: c.BodyTimeout, WriteTimeout: c.Timeout + writeMore, IdleTimeout: idleTime,
		MaxHeaderBytes: 4 * gateway.MaxHeaders, Protocols: &http.Protocols{}, ConnState: front.Settled, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetHTTP2(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	if c.TLSCert != "" {
		pair := &keyPair{cert: c.TLSCert, key: c.TLSKey}
		if _, err := pair.get(nil); err != nil {
			return nil, err
		}
		srv.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.get, NextProtos: []string{"h2", "http/1.1"}}
	}
	return srv, nil
}

// accept serves until the server is shut down.
func (s *Server) accept(srv *http.Server, l net.Listener) error {
	if srv.TLSConfig != nil {
		return srv.Serve(front.Secure(l, srv.TLSConfig.Clone(), s.Gateway.Unread))
	}
	return srv.Serve(front.Plain(l, s.Gateway.Unread))
}

// keyPair is the server's certificate. It is read again when its file changes, so that
// renewing it needs no restart; a pair that cannot be read leaves the one before.
type keyPair struct {
	cert, key string

	mu      sync.Mutex
	current *tls.Certificate
	changed time.Time // when the file of current was written
}

func (p *keyPair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	info, err := os.Stat(p.cert)
	if err == nil && p.current != nil && info.ModTime().Equal(p.changed) {
		return p.current, nil
	}
	if err == nil {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(p.cert, p.key); err == nil {
			p.current, p.changed = &pair, info.ModTime()
			return p.current, nil
		}
	}
	if p.current == nil {
		return nil, fmt.Errorf("read the certificate of tls_cert and tls_key: %w", err)
	}
	return p.current, nil
}

// unhurried ends the time for reading a request once it is read: what is read after
// that is only whether the caller is still there, and a page may take longer to make.
func unhurried(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			http.NewResponseController(w).SetReadDeadline(time.Time{})
		} else {
			r.Body = &arriving{r.Body, http.NewResponseController(w)}
		}
		h.ServeHTTP(w, r)
	})
}

// arriving is a body whose end ends the time for reading it.
type arriving struct {
	io.ReadCloser
	of *http.ResponseController
}

func (a *arriving) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if err == io.EOF {
		a.of.SetReadDeadline(time.Time{})
	}
	return n, err
}
