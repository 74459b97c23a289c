package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"plumbline/gateway/event"
	"plumbline/gateway/provider"
	"plumbline/gateway/spill"
)

// maxAnswer is the largest answer that is not streamed, in bytes.
const maxAnswer = 32 << 20

// firstAnswer is how much of an answer is read before it is known to be a large one.
const firstAnswer = spill.Small

// wholeAnswer is an answer that is not streamed, while it is worked on. A large one goes
// the way of large requests: it is in a file while the provider sends it and the caller
// takes it, and in memory, of which there is a bounded amount for the whole process, only
// while guards read it and it is written in another dialect.
type wholeAnswer struct {
	body   []byte
	kept   *spill.Body // nil: the answer is small
	unload func()
}

// readWhole reads an answer into x.buf.
func (g *Gateway) readWhole(ctx context.Context, x *exchange, from io.Reader) (a wholeAnswer, err error) {
	x.buf, err = readAll(x.buf[:0], from, firstAnswer)
	if errors.Is(err, errTooLarge) {
		a.kept, err = g.c.Bodies.Read(io.MultiReader(bytes.NewReader(x.buf), from), nil, maxAnswer)
		x.buf = keep(x.buf)
		if err == nil {
			x.buf, a.unload, err = a.kept.Load(ctx, loadTimes)
		}
	}
	g.waited(x)
	if a.body = x.buf; err == nil {
		return a, nil
	}
	a.close(x)
	return a, g.unreadWhole(x, err)
}

// unreadWhole says why an answer could not be read to its end. What the gateway itself
// has no room for was made and is billed: it is charged at its hold.
func (g *Gateway) unreadWhole(x *exchange, err error) error {
	switch {
	case errors.Is(err, spill.ErrTooLarge):
		x.ev.End, x.ev.UpstreamErr = event.EndUpstreamError, "bad_answer"
		x.ev.Usage, x.ev.Source = x.most, event.UsageEstimated
		return refuse(http.StatusBadGateway, "upstream_bad_answer", fmt.Sprintf("the provider %s answered with more than %s; ask for less, or for a stream", x.ev.Provider, size(maxAnswer)))
	case ownFault(err):
		x.ev.End, x.ev.Usage, x.ev.Source = event.EndAborted, x.most, event.UsageEstimated
		return unkept(err)
	}
	return g.brokeOff(x, err)
}

// giveWhole sends the caller what became of the answer. A large one is let go from
// memory first.
func (g *Gateway) giveWhole(x *exchange, a *wholeAnswer, body []byte, resp *provider.Response, status int, kind []string) error {
	if a.kept != nil && a.kept.Spilled() {
		if len(body) != len(a.body) || &body[0] != &a.body[0] {
			changed, err := g.c.Bodies.Put(body)
			if err != nil {
				x.ev.End = event.EndAborted
				return unkept(err)
			}
			a.kept.Close()
			a.kept = changed
		}
		body = nil
		a.drop(x)
	}
	if err := x.durable(); err != nil {
		return err
	}
	n := int64(len(body))
	if body == nil && a.kept != nil {
		n = a.kept.Len()
	}
	h := x.w.Header()
	copyHeader(h, resp.Header)
	h["Content-Type"] = kind
	x.length[0] = strconv.FormatInt(n, 10)
	h["Content-Length"] = x.length[:]
	x.facts(h)
	x.ev.FirstByte = g.c.Since(x.start).Microseconds()
	x.head(status)
	x.ev.End, x.done = event.EndComplete, true
	if body != nil || a.kept == nil {
		if !x.write(body) {
			x.ev.End = event.EndClientGone
		}
		return nil
	}
	return x.giveFile(a.kept)
}

// giveFile sends an answer from its file. A file that cannot be read to its end breaks
// the connection: the caller has the head, and must not take a part for the whole.
func (x *exchange) giveFile(kept *spill.Body) error {
	r, err := kept.Open()
	if err != nil {
		x.ev.End, x.abort = event.EndAborted, true
		return unkept(err)
	}
	defer r.Close()
	if err := eachPiece(r, func(piece []byte) bool {
		if !x.write(piece) {
			x.ev.End = event.EndClientGone
		}
		return x.ev.End != event.EndClientGone
	}); err != nil {
		x.ev.End, x.abort = event.EndAborted, true
		return unkept(err)
	}
	return nil
}

// drop lets go of the bytes, and of all that refers to them.
func (a *wholeAnswer) drop(x *exchange) {
	if a.unload == nil {
		return
	}
	x.buf, a.body = nil, nil
	x.chunk.Release()
	if x.answers != nil {
		x.answers.Forget()
	}
	clear(x.edits)
	x.edits, x.scratch = x.edits[:0], keep(x.scratch)
	a.unload()
	a.unload = nil
}

// close ends what is kept of the answer.
func (a *wholeAnswer) close(x *exchange) {
	a.drop(x)
	if a.kept != nil {
		a.kept.Close()
		a.kept = nil
	}
}
