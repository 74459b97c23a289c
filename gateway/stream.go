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

// held is a frame that waits until the guards have decided its text.
type held struct {
	raw      []byte
	base     int // offset of data in raw
	parts    []part
	logprobs []peek.Span
}

type part struct {
	span     peek.Span // in data
	channel  *guardrail.Stream
	from, to int // of the channel's text
}

// streamer gives a streamed answer on, frame by frame.
type streamer struct {
	g         *Gateway
	x         *exchange
	queue     []held
	channels  map[int]*channel
	repeats   repeats
	gone      bool // the caller is
	over      bool // there is nothing more to read
	finished  bool // the stream's last event was seen; nothing after it is given on
	whole     bool // an answer that ends with its connection has come to its end
	through   *interpreter
	unguarded bool // a guard broke and fails open
}

type channel struct {
	stream *guardrail.Stream
	size   int
}

// afterDone is how long the upstream may take to end its answer after [DONE]; an
// answer that was read to its end leaves a connection that can be used again.
const afterDone = time.Second

// stream forwards frames as they come. With a redacting or blocking guard whole
// frames wait, byte for byte, while a candidate is open in their text.
func (g *Gateway) stream(x *exchange, resp *provider.Response, cancel context.CancelFunc) error {
	if err := x.durable(); err != nil {
		return err
	}
	h := x.w.Header()
	copyHeader(h, resp.Header)
	h["Content-Type"], h["Cache-Control"], h["X-Accel-Buffering"] = sseHeader, noCache, noBuffering
	if x.array {
		h["Content-Type"] = jsonHeader
	}
	s := &streamer{g: g, x: x, channels: map[int]*channel{}, through: x.interpreter()}
	f := &frames{r: bufio.NewReaderSize(resp.Body, 8<<10), most: x.mostFrame()}
	defer g.waited(x)
	// A caller who hangs up ends the reading after a while, also when the upstream
	// says nothing any more.
	forget := context.AfterFunc(x.r.Context(), func() { g.linger(resp.Body, g.c.Hangup) })
	defer forget()
	var timer *time.Timer
	alive := s.keepAlive()
	defer alive.end()
	for !s.over {
		data, err := f.next()
		if err := alive.step(f, data, err); err != nil {
			return err
		}
		if timer == nil && s.finished {
			timer = g.linger(resp.Body, afterDone)
			defer timer.Stop()
		}
	}
	return nil
}

// step takes in what was read: a frame, or the end.
func (s *streamer) step(f *frames, data []byte, err error) error {
	x := s.x
	if s.finished { // nothing after the last event is given on
		if err != nil {
			s.end()
		}
		return nil
	}
	if err == io.EOF {
		if err = s.closed(); err == nil {
			s.end()
			return nil
		}
	}
	if !s.gone && x.r.Context().Err() != nil {
		s.gone = true
	}
	if err != nil {
		return s.cut(err)
	}
	if err := s.frame(f, data); err != nil {
		return err
	}
	if x.wrote && !s.gone && (s.finished || !f.more()) { // flushing would write the head
		x.flush()
	}
	return nil
}

// closed is asked when the connection ended cleanly: whether the answer did too.
func (s *streamer) closed() error {
	if s.through != nil {
		run, err := s.through.take(nil)
		if err != nil {
			return err
		}
		if err := s.interpreted(run); err != nil {
			return err
		}
		s.whole = s.through.ended
	}
	if !s.whole {
		return io.ErrUnexpectedEOF
	}
	return s.settled()
}

// settled lets everything go that waits for a decision.
func (s *streamer) settled() error {
	if s.x.answers == nil || s.unguarded {
		return nil
	}
	return s.inspect(nil, nil)
}

// frame takes one frame of the provider's in and lets go what may go.
func (s *streamer) frame(f *frames, data []byte) error {
	x := s.x
	if data == nil {
		return s.emit(f.raw)
	}
	if string(bytes.TrimSpace(data)) == "[DONE]" {
		if s.finished = true; s.through != nil {
			return s.interpret(data)
		}
		if err := s.settled(); err != nil {
			return err
		}
		return s.emit(f.raw)
	}
	if err := x.chunk.Answer(data, x.carriage.grammar); err != nil {
		s.ended(event.EndUpstreamError, "bad_answer")
		return refuse(http.StatusBadGateway, "upstream_bad_answer", fmt.Sprintf("the provider %s sent an event that is not JSON", x.ev.Provider)).because(err)
	}
	if x.chunk.Failed {
		s.ended(event.EndUpstreamError, "in_answer")
		return upstreamFailed(x)
	}
	x.buf = append(x.buf[:0], data...)
	x.takeImages()
	s.g.pin(x, data)
	if s.through != nil {
		return s.interpret(data)
	}
	if x.chunk.NoChoices && x.chunk.HasUsage && !x.peeked.IncludeUsage {
		return nil // asked for by the gateway, not by the caller
	}
	return s.give(f, data)
}

// interpret turns an event of the provider's into the caller's frames.
func (s *streamer) interpret(data []byte) error {
	run, err := s.through.take(data)
	if err != nil {
		s.ended(event.EndUpstreamError, "bad_answer")
		return refuse(http.StatusBadGateway, "upstream_bad_answer", fmt.Sprintf("the provider %s sent an event that its API does not say", s.x.ev.Provider)).because(err)
	}
	s.finished = s.finished || s.through.ended
	return s.interpreted(run)
}

func (s *streamer) interpreted(run []byte) error {
	return eachFrame(run, func(f *frames, data []byte) error {
		if string(data) == "[DONE]" {
			if err := s.settled(); err != nil {
				return err
			}
			return s.emit(f.raw)
		}
		if err := s.x.chunk.Answer(data, s.x.call.grammar); err != nil {
			return err
		}
		return s.give(f, data)
	})
}

// give takes in a frame in the caller's dialect, which x.chunk has read.
func (s *streamer) give(f *frames, data []byte) error {
	x := s.x
	if s.through == nil && x.chunk.Ended {
		s.whole, s.finished = true, x.endsStream()
	}
	if x.call.grammar == peek.Responses || x.call.grammar == peek.Media {
		s.repeats.mark(x, data)
	}
	for _, span := range x.chunk.Text {
		if !span.Again {
			x.textOut += int64(span.End - span.Start)
		}
	}
	if x.answers == nil || x.answers.Idle() || s.unguarded {
		return s.emit(f.raw)
	}
	if err := s.inspect(f, data); err != nil || !s.finished {
		return err
	}
	return s.settled()
}

// ended notes how the upstream broke the stream: a failure before anything was
// given out, or a cut after.
func (s *streamer) ended(end event.End, class string) {
	if s.x.textOut > 0 || s.x.bytesOut > 0 {
		end = event.EndCut
		s.partial()
	}
	s.x.ev.End, s.x.ev.UpstreamErr = end, class
}

// partial labels usage that was given before the stream broke.
func (s *streamer) partial() {
	if s.x.ev.Source != event.UsageUnknown {
		s.x.ev.Source = event.UsagePartial
	}
}

// inspect takes a frame's text in and lets go what is decided; without a frame it
// ends all texts.
func (s *streamer) inspect(f *frames, data []byte) (err error) {
	queued := false
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if err = s.g.guardFailed(s.x, s.x.answers, p); err != nil {
			s.x.ev.End = event.EndAborted
			return
		}
		s.unguarded = true
		for _, h := range s.queue {
			err = errors.Join(err, s.emit(h.raw))
		}
		if s.queue = nil; !queued && f != nil {
			err = errors.Join(err, s.emit(f.raw))
		}
	}()
	if f == nil {
		return s.release(true)
	}
	h := held{base: f.data}
	for _, span := range s.x.chunk.Text {
		if span.Again && !s.x.answers.Holds() {
			continue
		}
		h.parts = append(h.parts, s.push(span, data[span.Start:span.End]))
	}
	s.finish()
	if !s.x.answers.Holds() {
		for _, p := range h.parts {
			p.channel.Given(p.to)
		}
		return s.emit(f.raw)
	}
	h.raw, h.logprobs = append([]byte(nil), f.raw...), append([]peek.Span(nil), s.x.chunk.Logprobs...)
	s.queue = append(s.queue, h)
	queued = true
	return s.release(false)
}

func (s *streamer) push(span peek.Span, text []byte) part {
	c := s.channels[span.Channel]
	switch {
	case span.Again:
		c = &channel{stream: s.x.answers.Again()}
	case c == nil || span.Whole:
		c = &channel{stream: s.x.answers.Stream()}
	}
	whole := span.Whole || span.Again
	if !whole {
		s.channels[span.Channel] = c
	}
	if span.Escaped {
		s.x.scratch = peek.Unescape(s.x.scratch[:0], text)
		text = s.x.scratch
	}
	c.stream.Push(text)
	c.size += len(text)
	if whole {
		c.stream.Close()
	}
	return part{span, c.stream, c.size - len(text), c.size}
}

// finish ends the texts of choices that say that they ended, so that the last word
// of one does not hold back the others.
func (s *streamer) finish() {
	for _, choice := range s.x.chunk.Finished {
		for id, c := range s.channels {
			if id>>8 == choice {
				c.stream.Close()
				delete(s.channels, id)
			}
		}
	}
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
		for _, p := range h.parts {
			p.channel.Given(p.to)
		}
		s.queue = s.queue[1:]
	}
	if _, _, hit := s.x.answers.Blocked(); hit {
		return s.block()
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
			edits = withoutLogprobs(edits, h.logprobs, p.span.Choice(), h.base)
		}
	}
	if edits == nil {
		return h.raw
	}
	return peek.Splice(nil, h.raw, sorted(edits))
}

func (s *streamer) emit(raw []byte) error {
	x := s.x
	if s.gone {
		return nil
	}
	if !x.wrote {
		x.facts(x.w.Header())
		x.ev.FirstByte = s.g.c.Since(x.start).Microseconds()
		x.head(http.StatusOK)
	}
	if !x.frame(raw) {
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

func (s *streamer) end() {
	s.over, s.x.done = true, true
	if s.x.array && !s.gone {
		if s.x.framesOut == 0 {
			s.x.write([]byte("["))
		}
		s.x.write([]byte("]"))
		s.x.flush()
	}
	s.x.ev.End = event.EndComplete
	if s.gone {
		s.x.ev.End = event.EndClientGone
	}
}

// cut: what was held is safe to give only where it is decided; the caller gets an
// error event and no [DONE].
func (s *streamer) cut(err error) error {
	x := s.x
	if x.answers != nil && !s.unguarded {
		if err := s.inspect(nil, nil); err != nil && !s.gone {
			return err
		}
	}
	if s.gone {
		s.over, x.done = true, true
		x.ev.End = event.EndClientGone
		return nil
	}
	s.partial()
	x.ev.End, x.ev.UpstreamErr = event.EndCut, provider.ClassOf(err)
	return refuse(http.StatusBadGateway, "upstream_cut", fmt.Sprintf("the provider %s broke off its answer", x.ev.Provider)).because(err)
}
