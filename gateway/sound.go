package gateway

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"

	"plumbline/gateway/event"
	"plumbline/gateway/provider"
)

// sound gives an answer on that is no JSON: bytes as they come, to their end.
func (g *Gateway) sound(x *exchange, resp *provider.Response) error {
	if err := x.durable(); err != nil {
		return err
	}
	h := x.w.Header()
	copyHeader(h, resp.Header)
	if kind := resp.Header["Content-Type"]; len(kind) > 0 {
		h["Content-Type"] = kind
	}
	began := g.c.Since(x.start)
	defer func() { x.upstreamT += g.c.Since(x.start) - began }()
	x.ev.End = event.EndComplete
	if cap(x.buf) < firstRead {
		x.buf = make([]byte, 0, firstRead)
	}
	for {
		n, err := resp.Body.Read(x.buf[:firstRead])
		if n > 0 && x.ev.End == event.EndComplete {
			if !x.wrote {
				x.facts(h)
				x.ev.FirstByte = g.c.Since(x.start).Microseconds()
				x.head(http.StatusOK)
			}
			if !x.write(x.buf[:n]) {
				x.ev.End = event.EndClientGone // what is made is billed, so it is read to its end
			}
			x.flush()
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			x.abort = x.wrote // a cut answer must not look whole
			return g.brokeOff(x, err)
		}
	}
	if !x.wrote {
		x.ev.End, x.ev.UpstreamErr = event.EndUpstreamError, "bad_answer"
		return refuse(http.StatusBadGateway, "upstream_bad_answer", fmt.Sprintf("the provider %s answered with nothing", x.ev.Provider))
	}
	x.done = true
	return nil
}

// writtenDown gives a transcript on that is no JSON: text, or subtitles.
func (g *Gateway) writtenDown(x *exchange, resp *provider.Response, a *wholeAnswer) error {
	body := a.body
	x.textOut = int64(len(body))
	if x.answers != nil && !x.answers.Idle() {
		if int64(len(body)) > x.profile.MaxText {
			if err := x.answerTooLarge(); err != nil {
				return err
			}
		} else if out, changed := x.answers.Text(body); changed {
			body = bytes.Clone(out)
		}
		if guard, class, hit := x.answers.Blocked(); hit {
			x.ev.End = event.EndBlocked
			return refuse(http.StatusBadRequest, "guard_blocked", fmt.Sprintf("the guard %q found %s in the answer, so it is not given out (request %s)", guard, class, x.idHdr[0]))
		}
	}
	kind := resp.Header["Content-Type"]
	if len(kind) == 0 {
		kind = []string{"text/plain; charset=utf-8"}
	}
	return g.giveWhole(x, a, body, resp, http.StatusOK, kind)
}

// isText reports whether an answer's type says that it is plain text of some form.
func isText(contentType []string) bool {
	if len(contentType) == 0 {
		return false
	}
	kind := contentType[0]
	return strings.HasPrefix(kind, "text/") && !strings.HasPrefix(kind, "text/html") || strings.HasPrefix(kind, "application/x-subrip")
}
