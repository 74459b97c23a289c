package gateway

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"plumbline/gateway/event"
	"plumbline/gateway/guardrail"
	"plumbline/gateway/peek"
	"plumbline/gateway/provider"
)

// maxFrame is the largest server-sent event that is read, in bytes.
const maxFrame = 4 << 20

var errFrame = errors.New("an event is larger than 4 MiB")

// frames reads server-sent events one by one, with all their bytes.
type frames struct {
	r   *bufio.Reader
	raw []byte // of the frame read last, through its blank line
}

// next reads a frame. data is its data field, in raw; nil for a comment. io.EOF
// is the clean end; a frame without its blank line is io.ErrUnexpectedEOF.
func (f *frames) next() (data []byte, err error) {
	f.raw = f.raw[:0]
	from, to := -1, -1
	for {
		start := len(f.raw)
		for {
			part, err := f.r.ReadSlice('\n')
			f.raw = append(f.raw, part...)
			if len(f.raw) > maxFrame {
				return nil, errFrame
			}
			if err == nil {
				break
			}
			if err == bufio.ErrBufferFull {
				continue
			}
			if err == io.EOF && len(bytes.TrimSpace(f.raw)) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		line := bytes.TrimRight(f.raw[start:], "\r\n")
		if len(line) == 0 {
			if start == 0 {
				f.raw = f.raw[:0] // a blank line before a frame
				continue
			}
			if from < 0 {
				return nil, nil
			}
			return f.raw[from:to], nil
		}
		if value, ok := bytes.CutPrefix(line, []byte("data:")); ok && from < 0 {
			value = bytes.TrimPrefix(value, []byte(" "))
			to = start + len(line)
			from = to - len(value)
		}
	}
}

// held is a frame that waits until the guards have decided its text.
type held struct {
	raw   []byte
	base  int // offset of data in raw
	parts []part
}

type part struct {
	span     peek.Span // in data
	channel  *guardrail.Stream
	from, to int // of the channel's text
}

// streamer gives a streamed answer on, frame by frame.
type streamer struct {
	g        *Gateway
	x        *exchange
	queue    []held
	channels map[int]*channel
	gone     bool
	finished bool // [DONE] was seen
}

type channel struct {
	stream *guardrail.Stream
	size   int
}

// stream forwards frames as they come. With a redacting or blocking guard whole
// frames wait, byte for byte, while a candidate is open in their text.
func (g *Gateway) stream(x *exchange, resp *provider.Response, cancel context.CancelFunc) error {
	if err := x.durable(); err != nil {
		return err
	}
	h := x.w.Header()
	copyHeader(h, resp.Header)
	h["Content-Type"], h["Cache-Control"], h["X-Accel-Buffering"] = sseHeader, noCache, noBuffering
	s := &streamer{g: g, x: x, channels: map[int]*channel{}}
	f := &frames{r: bufio.NewReaderSize(resp.Body, 8<<10)}
	began := g.c.Now()
	defer func() { x.upstreamT += g.c.Now().Sub(began) }()
	var timer *time.Timer
	for {
		data, err := f.next()
		if err == io.EOF {
			if s.finished {
				return s.end()
			}
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return s.cut(err)
		}
		if err := s.frame(f.raw, data); err != nil {
			return err
		}
		if !s.gone && x.r.Context().Err() != nil {
			s.gone = true
		}
		if s.gone && timer == nil {
			timer = linger(resp.Body, g.c.Hangup)
			defer timer.Stop()
		}
		if f.r.Buffered() == 0 && !s.gone {
			x.flush()
		}
	}
}

// frame takes one frame in and lets go what may go.
func (s *streamer) frame(raw, data []byte) error {
	x := s.x
	if data == nil {
		return s.emit(raw)
	}
	if string(data) == "[DONE]" {
		s.finished = true
		if err := s.release(true); err != nil {
			return err
		}
		return s.emit(raw)
	}
	if err := x.chunk.Answer(data); err != nil {
		x.ev.End, x.ev.UpstreamErr = event.EndUpstreamError, "bad_answer"
		return refuse(http.StatusBadGateway, "upstream_bad_answer", fmt.Sprintf("the provider %s sent an event that is not JSON", x.ev.Provider)).because(err)
	}
	x.buf = append(x.buf[:0], data...)
	x.takeUsage()
	if x.chunk.NoChoices && x.chunk.HasUsage && !x.peeked.IncludeUsage {
		return nil // asked for by the gateway, not by the caller
	}
	for _, span := range x.chunk.Text {
		x.textOut += int64(span.End - span.Start)
	}
	if x.answers == nil || x.answers.Idle() {
		return s.emit(raw)
	}
	h := held{base: bytes.Index(raw, data)}
	for _, span := range x.chunk.Text {
		c := s.channels[span.Channel]
		if c == nil {
			c = &channel{stream: x.answers.Stream()}
			s.channels[span.Channel] = c
		}
		text := data[span.Start:span.End]
		if span.Escaped {
			x.scratch = peek.Unescape(x.scratch[:0], text)
			text = x.scratch
		}
		c.stream.Push(text)
		h.parts = append(h.parts, part{span, c.stream, c.size, c.size + len(text)})
		c.size += len(text)
	}
	if !x.answers.Holds() {
		return s.emit(raw)
	}
	h.raw = append([]byte(nil), raw...)
	s.queue = append(s.queue, h)
	return s.release(false)
}

// release emits from the head of the queue what is decided.
func (s *streamer) release(all bool) error {
	if all {
		for _, c := range s.channels {
			c.stream.Close()
		}
	}
	for len(s.queue) > 0 {
		h := &s.queue[0]
		for _, p := range h.parts {
			if p.channel.Decided() >= p.to {
				continue
			}
			if p.channel.Blocked() {
				return s.block()
			}
			return nil
		}
		if err := s.emit(s.rewrite(h)); err != nil {
			return err
		}
		s.queue = s.queue[1:]
	}
	for _, c := range s.channels {
		if c.stream.Blocked() {
			return s.block()
		}
	}
	return nil
}

// rewrite gives a frame's bytes, untouched when no match reaches into it.
func (s *streamer) rewrite(h *held) []byte {
	var edits []peek.Edit
	for _, p := range h.parts {
		if p.channel.Touched(p.from, p.to) {
			text := p.channel.Append(nil, p.from, p.to)
			edits = append(edits, peek.Edit{Start: h.base + p.span.Start, End: h.base + p.span.End, With: peek.Escape(nil, text)})
		}
	}
	if edits == nil {
		return h.raw
	}
	return peek.Splice(nil, h.raw, edits)
}

func (s *streamer) emit(raw []byte) error {
	x := s.x
	if s.gone {
		return nil
	}
	if !x.wrote {
		x.ev.FirstByte = s.g.c.Now().Sub(x.start).Microseconds()
		x.head(http.StatusOK)
	}
	if !x.write(raw) {
		s.gone = true
	}
	return nil
}

func (s *streamer) block() error {
	x := s.x
	guard, class, _ := x.answers.Blocked()
	x.answers.ReleasedAt(x.bytesOut)
	x.ev.End = event.EndBlocked
	return refuse(http.StatusBadRequest, "guard_blocked", fmt.Sprintf("the guard %q found %s in the answer, so it ends here (request %s)", guard, class, x.idHdr[0]))
}

func (s *streamer) end() error {
	s.x.done = true
	s.x.ev.End = event.EndComplete
	if s.gone {
		s.x.ev.End = event.EndClientGone
	}
	return nil
}

// cut: what was held is safe to give only where it is decided; the caller gets an
// error event and no [DONE].
func (s *streamer) cut(err error) error {
	x := s.x
	if s.gone {
		x.done = true
		x.ev.End = event.EndClientGone
		return nil
	}
	if relErr := s.release(true); relErr != nil {
		return relErr
	}
	x.ev.End, x.ev.UpstreamErr = event.EndCut, provider.ClassOf(err)
	if x.ev.Source != event.UsageUnknown {
		x.ev.Source = event.UsagePartial
	}
	return refuse(http.StatusBadGateway, "upstream_cut", fmt.Sprintf("the provider %s broke off its answer", x.ev.Provider)).because(err)
}
