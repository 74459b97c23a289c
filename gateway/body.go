package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"plumbline/gateway/inflate"
	"plumbline/gateway/spill"
)

// MaxBody is the largest request body in bytes when Config says none: what Anthropic
// takes, with images and documents in base64.
const MaxBody = 32 << 20

// loadTimes is what an exchange takes of memory while its body is loaded, in sizes of
// the body: the body itself, as it goes out, and what stands between them when another
// dialect is written.
const loadTimes = 3

// firstRead is what is set aside for a body before it is seen, at most.
const firstRead = 32 << 10

// readBody reads the whole body, inflated. A large one goes to a file and is loaded
// from there until it is let go by sealBody: the caller may be slow in sending it, and
// the provider in answering it. The server's deadline for reading ends with it; what is
// read from the connection later is only whether the caller is still there.
func (g *Gateway) readBody(x *exchange) error {
	r, codings := x.r, x.named.codings
	if r.ContentLength > g.c.MaxBody {
		return g.tooLarge()
	}
	from, plain := io.Reader(r.Body), inflate.Identity(codings)
	var err error
	if !plain {
		if from, err = inflate.Reader(&limited{r.Body, g.c.MaxBody}, codings); err != nil {
			return g.unread(x, err)
		}
	}
	if plain && r.ContentLength >= 0 && r.ContentLength < firstRead {
		x.lent = spill.Lend(int(r.ContentLength) + 1) // with room to see the end
		x.body, err = readAll(x.lent.Memory(), from, firstRead)
	} else if x.kept, err = g.c.Bodies.Read(from, make([]byte, 0, firstRead), g.c.MaxBody); err == nil {
		if d, ok := x.w.(interface{ SetReadDeadline(time.Time) error }); ok {
			err = d.SetReadDeadline(time.Time{})
		}
		x.ev.BytesIn = uint64(x.kept.Len())
		return errors.Join(err, x.loadBody())
	}
	if err != nil {
		return g.unread(x, err)
	}
	if d, ok := x.w.(interface{ SetReadDeadline(time.Time) error }); ok {
		err = d.SetReadDeadline(time.Time{})
	}
	x.ev.BytesIn = uint64(len(x.body))
	return err
}

// loadBody brings a large body into memory, unless it is there.
func (x *exchange) loadBody() error {
	if x.kept == nil || x.body != nil {
		return nil
	}
	var err error
	if x.body, x.unload, err = x.kept.Load(x.r.Context(), loadTimes); err != nil {
		return unkept(err)
	}
	return nil
}

// sealBody lets a large body go from memory, with what was made of it. What goes out is
// kept in a file, from which providers are sent it.
func (g *Gateway) sealBody(x *exchange) error {
	if x.kept == nil || !x.kept.Spilled() || x.body == nil {
		return nil
	}
	x.forgetOut()
	if len(x.out) > 0 && len(x.out) == len(x.body) && &x.out[0] == &x.body[0] {
		x.sealed = x.kept
	} else {
		var err error
		if x.sealed, err = g.c.Bodies.Put(x.out); err != nil {
			return unkept(err)
		}
	}
	if err := g.sealRedactions(x); err != nil {
		return err
	}
	x.scratch = keep(x.scratch)
	x.dropBody()
	return nil
}

// dropBody lets go of the bytes.
func (x *exchange) dropBody() {
	x.body, x.out = nil, nil
	x.peeked.Release()
	if x.prompt != nil {
		x.prompt.Forget()
	}
	if x.neutral != nil {
		x.neutral.Abridge()
	}
	if x.lot != nil {
		x.lot.lines = nil
	}
	if x.upload != nil {
		x.upload.file = nil
	}
	if x.unload != nil {
		x.unload()
		x.unload = nil
	}
	x.lent.Release()
}

// forgetRequest lets go of the request once something was given out: nobody is sent it
// again. A provider that is not done with reading it holds it by itself.
func (x *exchange) forgetRequest() {
	x.sent.Body = nil
	x.dropBody()
}

func (x *exchange) forgetOut() {
	if x.sealed != nil && x.sealed != x.kept {
		x.sealed.Close()
	}
	x.sealed = nil
}

// closeBody ends what an exchange keeps. Providers read on what they were sent.
func (x *exchange) closeBody() {
	x.forgetOut()
	x.dropBody()
	if x.redacted != nil {
		x.redacted.Close()
		x.redacted = nil
	}
	if x.kept != nil {
		x.kept.Close()
		x.kept = nil
	}
}

// limited gives an error, not an end, after n bytes.
type limited struct {
	r io.Reader
	n int64
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.n -= int64(n); l.n < 0 {
		return 0, spill.ErrTooLarge
	}
	return n, err
}

func (g *Gateway) tooLarge() *refusal {
	return refuse(http.StatusRequestEntityTooLarge, "body_too_large", fmt.Sprintf("the body is larger than %s; send less in one request", size(g.c.MaxBody)))
}

// size is a number of bytes as people read it.
func size(n int64) string {
	if n%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}

// unread says why a body could not be read.
func (g *Gateway) unread(x *exchange, err error) error {
	switch {
	case errors.Is(err, spill.ErrTooLarge), errors.Is(err, errTooLarge):
		return g.tooLarge()
	case errors.Is(err, inflate.ErrBomb):
		return refuse(http.StatusRequestEntityTooLarge, "body_bomb", "the body inflates to more than a hundred times its size; send it without Content-Encoding")
	case errors.Is(err, inflate.ErrUnknown):
		x.w.Header().Set("Accept-Encoding", inflate.Accepted)
		return refuse(http.StatusUnsupportedMediaType, "body_encoded", "send the body without Content-Encoding, or with one of "+inflate.Accepted)
	case errors.Is(err, inflate.ErrMalformed):
		return refuse(http.StatusBadRequest, "body_malformed", "the body is not in the coding that Content-Encoding names")
	case ownFault(err):
		return unkept(err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refuse(http.StatusRequestTimeout, "body_timeout", "the body did not come in time; send it again, faster")
	}
	return refuse(http.StatusBadRequest, "body_unread", "the body could not be read to its end").because(err)
}

// ownFault reports whether the gateway itself could not keep or load something.
func ownFault(err error) bool {
	var disk *spill.DiskError
	return errors.Is(err, spill.ErrBusy) || errors.Is(err, spill.ErrDamaged) || errors.As(err, &disk)
}

// unkept says why a large body could not be kept or loaded.
func unkept(err error) *refusal {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return refuse(http.StatusBadRequest, "body_unread", "the caller went away").because(err)
	}
	if errors.Is(err, spill.ErrBusy) {
		return refuse(http.StatusServiceUnavailable, "busy", "the gateway has no room for another large body; send the request again").retryAfter(2)
	}
	return refuse(http.StatusServiceUnavailable, "body_unkept", "the gateway cannot keep a body of this size at the moment; its log has the cause").retryAfter(10).because(err)
}

var errTooLarge = errors.New("too large")

func readAll(b []byte, r io.Reader, limit int) ([]byte, error) {
	if r == nil {
		return b, nil
	}
	if cap(b) == 0 {
		b = make([]byte, 0, 8<<10)
	}
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):min(cap(b), limit+1)])
		b = b[:len(b)+n]
		if len(b) > limit {
			return b, errTooLarge
		}
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}

// eachPiece reads r to its end, or until f has enough.
func eachPiece(r io.Reader, f func([]byte) bool) error {
	piece := make([]byte, firstRead)
	for {
		n, err := r.Read(piece)
		if n > 0 && !f(piece[:n]) || err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
