package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"plumbline/gateway/event"
	"plumbline/gateway/peek"
	"plumbline/gateway/provider"
)

// streamer gives a streamed answer on, frame by frame.
type streamer struct {
	g         *Gateway
	x         *exchange
	in        frames
	holdback  holdback
	like      peek.Like // of the provider's events
	repeats   repeats
	left      <-chan struct{} // closed when the caller hung up
	gone      bool            // it was
	over      bool            // there is nothing more to read
	finished  bool            // the stream's last event was seen; nothing after it is given on
	whole     bool            // an answer that ends with its connection has come to its end
	through   *interpreter
	unguarded bool // a guard broke and fails open
	alive     *keepAlive
	forget    func() bool // that the caller may hang up
	lost      error       // why a long event could not be given to its end
}

// streamer is one for the answer to this exchange, with memory that was used before.
func (x *exchange) streamer(g *Gateway, body io.Reader) *streamer {
	s := x.streams
	if s == nil {
		s = &streamer{}
		x.streams = s
	}
	s.g, s.x, s.in.r, s.in.most, s.holdback.in = g, x, body, x.mostFrame(), x.answers
	s.in.store, s.in.ctx = g.c.Bodies, context.Background() // what the provider is still sending is read for its usage
	s.left, s.through = x.r.Context().Done(), x.interpreter()
	return s
}

// reset lets go of the exchange.
func (s *streamer) reset() {
	s.in.drop()
	in, holdback, like := s.in.buf, s.holdback, s.like
	holdback.reset()
	like.Forget()
	if cap(in) > frameRoom {
		in = nil
	}
	*s = streamer{}
	s.in.buf, s.holdback, s.like = in[:0], holdback, like
}

// afterDone is how long the upstream may take to end its answer after [DONE]; an
// answer that was read to its end leaves a connection that can be used again.
const afterDone = time.Second

// stream forwards frames as they come. With a redacting or blocking guard whole
// frames wait, byte for byte, while a candidate is open in their text. What it needs on
// the stack is kept for as long as the stream lasts, so it needs little.
func (g *Gateway) stream(x *exchange, resp *provider.Response) error {
	if err := x.durable(); err != nil {
		return err
	}
	s := g.begin(x, resp)
	defer s.end()
	for !s.over {
		data, err := s.in.next()
		if err := s.alive.step(data, err); err != nil {
			return err
		}
	}
	return nil
}

// begin makes everything ready for an answer.
//
//go:noinline
func (g *Gateway) begin(x *exchange, resp *provider.Response) *streamer {
	h := x.w.Header()
	copyHeader(h, resp.Header)
	h["Content-Type"], h["Cache-Control"], h["X-Accel-Buffering"] = sseHeader, noCache, noBuffering
	switch {
	case x.array:
		h["Content-Type"] = jsonHeader
	case x.binary:
		h["Content-Type"] = amazonHeader
	}
	s := x.streamer(g, resp.Body)
	// A caller who hangs up ends the reading after a while, also when the upstream
	// says nothing any more.
	s.forget = context.AfterFunc(x.r.Context(), func() { g.linger(resp.Body, g.c.Hangup) })
	s.alive = s.keepAlive(resp.Body)
	return s
}

// end lets go of everything, however the stream ended.
//
//go:noinline
func (s *streamer) end() {
	s.alive.end()
	s.forget()
	s.g.waited(s.x)
	s.reset()
}

// step takes in what was read: a frame, or the end.
func (s *streamer) step(data []byte, err error) error {
	x := s.x
	if s.finished { // nothing after the last event is given on
		if err != nil {
			s.complete()
		}
		return nil
	}
	if err == io.EOF {
		if err = s.closed(); err == nil {
			s.complete()
			return nil
		}
	}
	select {
	case <-s.left:
		s.gone = true
	default:
	}
	if err != nil {
		return s.cut(err)
	}
	if err := s.frame(data); err != nil {
		return err
	}
	if s.lost != nil {
		x.ev.End = event.EndAborted
		return s.lost
	}
	if x.wrote && !s.gone && (s.finished || !s.in.more()) { // flushing would write the head
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
	return s.inspect((*holdback).endAll)
}

// frame takes one frame of the provider's in and lets go what may go.
func (s *streamer) frame(data []byte) error {
	x := s.x
	switch {
	case data == nil:
		s.pass(&s.in)
		return nil
	case isDone(data):
		if s.finished = true; s.through != nil {
			return s.interpret(data)
		}
		return s.last(s.in.raw)
	}
	same, err := s.like.Answer(&x.chunk, data, x.carriage.grammar)
	if same && s.through == nil {
		return s.text(&s.in, data)
	}
	if err != nil {
		s.ended(event.EndUpstreamError, "bad_answer")
		return refuse(http.StatusBadGateway, "upstream_bad_answer", fmt.Sprintf("the provider %s sent an event that is not JSON", x.ev.Provider)).because(err)
	}
	if x.chunk.Failed {
		s.ended(event.EndUpstreamError, "in_answer")
		return upstreamFailed(x)
	}
	x.takeImages(data)
	s.g.pin(x, data)
	if s.through != nil {
		return s.interpret(data)
	}
	if x.chunk.NoChoices && x.chunk.HasUsage && !x.peeked.IncludeUsage {
		return nil // asked for by the gateway, not by the caller
	}
	return s.give(&s.in, data)
}

// last gives the frame that ends the stream.
func (s *streamer) last(raw []byte) error {
	if err := s.settled(); err != nil {
		return err
	}
	s.emit(raw)
	return nil
}

func isDone(data []byte) bool { return string(bytes.TrimSpace(data)) == "[DONE]" }

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
		if isDone(data) {
			return s.last(f.raw)
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
		x.tells(nil)
	}
	return s.text(f, data)
}

// text takes in what x.chunk found to be text in a frame.
func (s *streamer) text(f *frames, data []byte) error {
	x := s.x
	if x.call.grammar == peek.Responses || x.call.grammar == peek.Media {
		s.repeats.mark(x, data)
	}
	for _, span := range x.chunk.Text {
		if !span.Again {
			x.textOut += int64(span.End - span.Start)
		}
	}
	if x.answers == nil || x.answers.Idle() || s.unguarded {
		s.pass(f)
		return nil
	}
	if err := s.look(f, data); err != nil || !s.finished {
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

// look has the guards look at a frame, and lets go what is decided.
func (s *streamer) look(f *frames, data []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = s.broken(p)
		}
	}()
	if s.holdback.take(f.raw, f.data, data, &s.x.chunk) {
		s.pass(f)
		return nil
	}
	return s.release()
}

// inspect lets go what is decided once the texts are changed.
func (s *streamer) inspect(change func(*holdback)) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = s.broken(p)
		}
	}()
	change(&s.holdback)
	return s.release()
}

// release lets go what is decided.
func (s *streamer) release() error {
	h := &s.holdback
	for raw, ok := h.next(); ok; raw, ok = h.next() {
		h.given()
		if s.in.isLong(raw) {
			s.pass(&s.in)
		} else {
			s.emit(raw)
		}
	}
	if _, _, hit := h.in.Blocked(); hit || h.blocked() {
		return s.block()
	}
	h.keep()
	return nil
}

// broken: the guards failed. Where they fail open, what waits for them is given.
func (s *streamer) broken(cause any) error {
	if err := s.g.guardFailed(s.x, s.x.answers, cause); err != nil {
		s.x.ev.End = event.EndAborted
		return err
	}
	s.unguarded = true
	if s.holdback.at != nil {
		s.emit(s.holdback.at)
	}
	for _, e := range s.holdback.queue[s.holdback.first:] {
		s.emit(e.raw)
	}
	return nil
}

// emit gives a frame out, unless the caller is gone.
func (s *streamer) emit(raw []byte) {
	x := s.x
	if s.gone {
		return
	}
	s.head()
	if !x.frame(raw) {
		s.gone = true
	}
}

// head sends the head, unless it is out.
func (s *streamer) head() {
	if x := s.x; !x.wrote {
		x.facts(x.w.Header())
		x.ev.FirstByte = s.g.c.Since(x.start).Microseconds()
		x.head(http.StatusOK)
		x.forgetRequest()
	}
}

func (s *streamer) block() error {
	x := s.x
	guard, class, _ := x.answers.Blocked()
	x.answers.ReleasedAt(x.bytesOut)
	x.ev.End = event.EndBlocked
	return refuse(http.StatusBadRequest, "guard_blocked", fmt.Sprintf("the guard %q found %s in the answer, so it ends here (request %s)", guard, class, x.idHdr[0]))
}

func (s *streamer) complete() {
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
		if err := s.inspect((*holdback).endAll); err != nil && !s.gone {
			return err
		}
	}
	if s.gone {
		s.over, x.done = true, true
		x.ev.End = event.EndClientGone
		return nil
	}
	s.partial()
	if ownFault(err) { // what there is no room for was made, and is billed
		x.ev.End = event.EndAborted
		x.ev.Usage, x.ev.Source = x.most, event.UsageEstimated
		return unkept(err)
	}
	return s.g.brokeOff(x, err)
}
