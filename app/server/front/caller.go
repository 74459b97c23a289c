// Package front is what stands between net/http and its connections: it refuses requests
// whose framing two servers could read in two ways, and says in the caller's dialect what
// net/http refuses in words of its own.
package front

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"plumbline/gateway"
)

// caller stands between net/http and one connection of HTTP/1.1. It hands over one
// request at a time, refuses what its framing refuses, and says in the caller's dialect
// what net/http says in plain text of a head that it does not take, before any handler
// has it. A handler's answer passes as it is: whether one has the request is known from
// net/http's own order of calls, which sets the time for a head, then reads it, and sets
// the time for the whole request when it took it.
//
// It costs a comparison for each write, and for each read what framing says.
type caller struct {
	conn    net.Conn // beneath
	answers func(gateway.Unread) []byte

	framing framing // of whoever reads; net/http reads from one place at a time
	surplus []byte  // read, and of the request after the one that net/http has
	doomed  *flaw

	stage stage // of the connection's own goroutine, until a handler has the request
	wrote bool  // since a handler has it
}

type stage uint8

const (
	idle    stage = iota // an answer is done
	waiting              // for the first bytes of a request
	heading              // its head is being read
	handed               // a handler has it
)

// done says that the answer is out and the connection kept (http.StateIdle).
func (c *caller) done() {
	if !c.framing.http2 {
		c.stage, c.wrote = idle, false
	}
}

// timed says that net/http has set a time for reading.
func (c *caller) timed() {
	if c.stage < handed {
		c.stage++
	}
}

func (c *caller) read(p []byte, from io.Reader) (int, error) {
	if c.doomed != nil {
		return c.refuse()
	}
	var n int
	var err error
	if len(c.surplus) > 0 {
		n = copy(p, c.surplus)
		if c.surplus = c.surplus[n:]; len(c.surplus) == 0 {
			c.surplus = nil
		}
	} else if n, err = from.Read(p); err != nil && n == 0 {
		if c.stage == heading && c.framing.begun() && errors.Is(err, os.ErrDeadlineExceeded) {
			c.say(http.StatusRequestTimeout, "head_timeout", "the request's head did not come in time; send it again, faster")
		}
		return 0, err
	}
	took, wrong := c.framing.follow(p[:n])
	if c.framing.http2 && !c.wrote { // before net/http knows; then many read and write
		c.stage, c.wrote = handed, true
	}
	if took < n && wrong == nil {
		c.surplus = append(bytes.Clone(p[took:n]), c.surplus...)
	}
	if c.doomed = wrong; wrong != nil && took == 0 {
		return c.refuse()
	}
	return took, err
}

// refuse ends the connection for a flaw of its framing. In a body a handler has the
// request, and says so itself.
func (c *caller) refuse() (int, error) {
	if c.stage == handed {
		return 0, c.doomed
	}
	if c.stage != idle {
		c.say(http.StatusBadRequest, c.doomed.code, c.doomed.message)
		c.stage = idle
	}
	return 0, io.EOF
}

const (
	plainHead = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
	unexpects = "HTTP/1.1 417 Expectation Failed\r\nConnection: close\r\nDate: "
)

// refusals are net/http's words, and what is said in their place. A status alone is for
// words that are not here.
var refusals = map[string]flaw{
	"400":                               {"request_malformed", "the request's head is no valid HTTP/1.1; check its request line, its headers and its Content-Length"},
	"400: missing required Host header": {"host_missing", "the request has no header Host; send it"},
	"400: malformed Host header":        {"host_malformed", "the header Host is no host; send the name that the gateway is called by"},
	"400: invalid header name":          {"header_malformed", "a header's name has characters that none may have"},
	"400: invalid header value":         {"header_malformed", "a header's value has control characters; send it without"},
	"417":                               {"expectation_unsupported", "the header Expect may only say 100-continue"},
	"431":                               {"headers_too_large", fmt.Sprintf("the request's path and headers are larger than %d KiB", gateway.MaxHeaders>>10)},
	"501":                               {"transfer_coding_unsupported", "the request's Transfer-Encoding is not chunked alone; send it so, or send Content-Length"},
	"505":                               {"version_unsupported", "the request's HTTP version is not served; use HTTP/1.1 or HTTP/2"},
}

// translate gives what is said in the place of net/http's own refusal; false for what is
// none.
func (c *caller) translate(p []byte) (status int, says flaw, ok bool) {
	var words string
	switch c.stage {
	case heading:
		head, _, is := bytes.Cut(p, []byte(plainHead))
		line, http1 := bytes.CutPrefix(head, []byte("HTTP/1.1 "))
		if !is || !http1 || len(line) < 3 || line[0] != '4' && line[0] != '5' {
			return 0, flaw{}, false
		}
		words = string(line[:3])
		if _, text, more := bytes.Cut(line, []byte(": ")); more {
			words += ": " + string(text)
		}
	case handed: // of a request that net/http took, and gave to no handler
		if c.wrote || !bytes.HasPrefix(p, []byte(unexpects)) || bytes.Count(p, []byte("\n")) != 5 || !bytes.HasSuffix(p, []byte("\r\nContent-Length: 0\r\n\r\n")) {
			return 0, flaw{}, false
		}
		words = "417"
	default:
		return 0, flaw{}, false
	}
	if says, ok = refusals[words]; !ok {
		says, ok = refusals[words[:3]]
	}
	if _, err := fmt.Sscan(words[:3], &status); err != nil {
		return 0, flaw{}, false
	}
	return status, says, ok
}

func (c *caller) write(p []byte, to io.Writer) (int, error) {
	if c.stage == handed && c.wrote { // nearly always
		return to.Write(p)
	}
	status, says, ok := c.translate(p)
	if c.stage == handed {
		c.wrote = true
	}
	if !ok || !c.say(status, says.code, says.message) {
		return to.Write(p)
	}
	return len(p), nil
}

// HeadTime is how long a handshake and a request's head may take to arrive.
const HeadTime = 10 * time.Second

// linger is how long the rest of a refused request is read, so that the answer is not
// lost with the connection, and restOf how many bytes of it.
const (
	linger = 500 * time.Millisecond
	restOf = 1 << 20
)

// say answers in the dialect of the newest request line that was readable, and ends the
// writing side. It is false for a request that is not the gateway's.
func (c *caller) say(status int, code, message string) bool {
	u := gateway.Unread{Address: c.conn.RemoteAddr().String(), Status: status, Code: code, Message: message}
	u.Method, u.Path = c.asked()
	ours := u.Path == ""
	for _, prefix := range gateway.Prefixes() {
		ours = ours || strings.HasPrefix(u.Path, prefix)
	}
	var text []byte
	if ours {
		text = c.answers(u)
	} else {
		text = fmt.Appendf(nil, "HTTP/1.1 %d %s%s%d %s: %s", status, http.StatusText(status), plainHead, status, http.StatusText(status), message)
	}
	c.conn.SetDeadline(time.Now().Add(linger))
	if _, err := c.conn.Write(text); err != nil {
		return true
	}
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	io.CopyN(io.Discard, c.conn, restOf)
	return true
}

// asked gives method and path of the request line.
func (c *caller) asked() (method, path string) {
	method, target := c.framing.asked()
	if _, rest, ok := strings.Cut(target, "://"); ok && !strings.HasPrefix(target, "/") {
		_, path, _ = strings.Cut(rest, "/")
		target = "/" + path
	}
	path, _, _ = strings.Cut(target, "?")
	return method, path
}

// plain is a caller without TLS. What *net.TCPConn has besides (ReadFrom, CloseWrite) net/http
// finds here too.
type plain struct {
	*net.TCPConn
	caller
}

func (p *plain) Read(b []byte) (int, error)  { return p.read(b, p.TCPConn) }
func (p *plain) Write(b []byte) (int, error) { return p.write(b, p.TCPConn) }
func (p *plain) SetReadDeadline(t time.Time) error {
	p.timed()
	return p.TCPConn.SetReadDeadline(t)
}

// secure is a caller with TLS whose handshake is done.
type secure struct {
	*tls.Conn
	caller
}

func (s *secure) Read(b []byte) (int, error)  { return s.read(b, s.Conn) }
func (s *secure) Write(b []byte) (int, error) { return s.write(b, s.Conn) }
func (s *secure) SetReadDeadline(t time.Time) error {
	s.timed()
	return s.Conn.SetReadDeadline(t)
}

// Settled tells a caller of net/http's that its answer is out; it is the ConnState of a
// server on Plain or Secure.
func Settled(conn net.Conn, to http.ConnState) {
	if to != http.StateIdle {
		return
	}
	switch c := conn.(type) {
	case *plain:
		c.done()
	case *secure:
		c.done()
	}
}

// Plain gives a listener whose connections are callers; answers makes the whole answer to
// a request that no handler gets. The server's ConnState has to be Settled.
func Plain(l net.Listener, answers func(gateway.Unread) []byte) net.Listener {
	return &callers{l, answers}
}

// callers is a listener whose connections are callers.
type callers struct {
	net.Listener
	answers func(gateway.Unread) []byte
}

func (l *callers) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok && err == nil {
		return &plain{tcp, caller{conn: tcp, answers: l.answers, stage: waiting}}, nil
	}
	return conn, err
}

// secureCallers is a listener with TLS. Handshakes are done here, beside each other,
// because net/http looks for *tls.Conn: HTTP/2 gets it, and HTTP/1.1 a caller.
type secureCallers struct {
	net.Listener
	config  *tls.Config
	answers func(gateway.Unread) []byte

	ready chan accepted
	ctx   context.Context // until Close
	end   context.CancelFunc
	all   sync.WaitGroup
}

type accepted struct {
	conn net.Conn
	err  error
}

// Secure gives a listener whose connections have TLS and are callers. Closing it ends
// handshakes that are under way.
func Secure(l net.Listener, config *tls.Config, answers func(gateway.Unread) []byte) net.Listener {
	s := &secureCallers{Listener: l, config: config, answers: answers, ready: make(chan accepted)}
	s.ctx, s.end = context.WithCancel(context.Background())
	s.all.Go(s.run)
	return s
}

func (l *secureCallers) run() {
	for {
		conn, err := l.Listener.Accept()
		if err == nil {
			l.all.Go(func() { l.shake(conn) })
		} else if !l.give(accepted{err: err}) || errors.Is(err, net.ErrClosed) {
			return
		}
	}
}

// give waits until net/http takes it, which it does at its own pace after an error.
func (l *secureCallers) give(a accepted) bool {
	select {
	case l.ready <- a:
		return true
	case <-l.ctx.Done():
		return false
	}
}

func (l *secureCallers) shake(raw net.Conn) {
	conn := tls.Server(raw, l.config)
	conn.SetDeadline(time.Now().Add(HeadTime))
	if err := conn.HandshakeContext(l.ctx); err != nil {
		var record tls.RecordHeaderError
		if errors.As(err, &record) && record.Conn != nil && speaksHTTP(record.RecordHeader) {
			c := caller{conn: raw, answers: l.answers}
			c.say(http.StatusBadRequest, "tls_required", "the gateway is called with TLS here; use https")
		}
		raw.Close()
		return
	}
	conn.SetDeadline(time.Time{})
	var out net.Conn = conn
	if conn.ConnectionState().NegotiatedProtocol != "h2" {
		out = &secure{conn, caller{conn: conn, answers: l.answers, stage: waiting}}
	}
	if !l.give(accepted{conn: out}) {
		raw.Close()
	}
}

func speaksHTTP(record [5]byte) bool {
	switch string(record[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH":
		return true
	}
	return false
}

func (l *secureCallers) Accept() (net.Conn, error) {
	select {
	case a := <-l.ready:
		return a.conn, a.err
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close ends the handshakes too.
func (l *secureCallers) Close() error {
	l.end()
	err := l.Listener.Close()
	l.all.Wait()
	return err
}
