package gateway

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
)

// Unread is a request of which the server did not take the head, so that it came to no
// handler.
type Unread struct {
	Method, Path  string // of its request line; empty where that was none
	Address       string // of the caller
	Status        int
	Code, Message string // as every refusal's: one is stable, the other a sentence
}

// Unread refuses such a request as any that cannot be identified: on record before it is
// given, counted, with an id, and in the dialect of its path, or OpenAI's where it has
// none. It gives the whole answer, as HTTP/1.1 with the connection's end.
func (g *Gateway) Unread(u Unread) []byte {
	g.inFlight.Add(1)
	defer g.inFlight.Add(-1)
	w := &written{header: http.Header{}}
	x := g.pool.Get().(*exchange)
	x.begin(g, w, &http.Request{Method: u.Method, URL: &url.URL{Path: u.Path}, Header: http.Header{}, RemoteAddr: u.Address})
	defer func() {
		x.reset()
		g.pool.Put(x)
	}()
	g.turnAway(x, &u)
	w.header.Set("Connection", "close")
	w.header.Set("Date", g.c.Now().UTC().Format(http.TimeFormat))
	var text bytes.Buffer
	fmt.Fprintf(&text, "HTTP/1.1 %d %s\r\n", w.status, http.StatusText(w.status))
	w.header.Write(&text)
	text.WriteString("\r\n")
	text.Write(w.body)
	return text.Bytes()
}

func (g *Gateway) turnAway(x *exchange, u *Unread) {
	defer g.settle(x)
	if x.nameless {
		g.fail(x, refuse(http.StatusServiceUnavailable, "no_randomness", "the gateway cannot name this call, so it does not send it").retryAfter(2))
		return
	}
	if g.locate(x) != nil { // what is wrong with the path too is not said
		x.w.Header().Del("Allow")
	}
	g.fail(x, refuse(u.Status, u.Code, u.Message))
}

// written is an answer that is made for a connection.
type written struct {
	header http.Header
	status int
	body   []byte
}

func (w *written) Header() http.Header { return w.header }

func (w *written) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *written) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.body = append(w.body, p...)
	return len(p), nil
}
