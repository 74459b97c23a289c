package gateway

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
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
	r     *bufio.Reader
	lines []byte // what is read where there is no r
	raw   []byte // of the frame read last, through its blank line
	data  int    // where its data field begins
}

// next reads a frame. data is its data field, which begins at f.data in f.raw;
// nil for a comment. A field of several lines is put into one. io.EOF is the clean
// end; a frame without its blank line is io.ErrUnexpectedEOF.
func (f *frames) next() (data []byte, err error) {
	f.raw = f.raw[:0]
	from, to, lines := -1, -1, 0
	for {
		start := len(f.raw)
		if err := f.line(); err != nil {
			return nil, err
		}
		line := bytes.TrimRight(f.raw[start:], "\r\n")
		if len(line) == 0 {
			if start == 0 {
				f.raw = f.raw[:0] // a blank line before a frame
				continue
			}
			break
		}
		if value, ok := dataField(line); ok {
			to = start + len(line)
			from = to - len(value)
			lines++
		}
	}
	switch lines {
	case 0:
		return nil, nil
	case 1:
		f.data = from
		return f.raw[from:to], nil
	}
	return f.join(), nil
}

// more reports whether a whole frame waits to be read: what was sent is not held back
// for the rest of one that may be long in coming.
func (f *frames) more() bool {
	waiting, err := f.r.Peek(f.r.Buffered())
	return err == nil && (bytes.Contains(waiting, []byte("\n\n")) || bytes.Contains(waiting, []byte("\n\r\n")))
}

// line reads one line to the end of raw.
func (f *frames) line() error {
	if f.r == nil {
		n := bytes.IndexByte(f.lines, '\n') + 1
		if n == 0 {
			return io.EOF
		}
		f.raw, f.lines = append(f.raw, f.lines[:n]...), f.lines[n:]
		return nil
	}
	for {
		part, err := f.r.ReadSlice('\n')
		f.raw = append(f.raw, part...)
		switch {
		case len(f.raw) > maxFrame:
			return errFrame
		case err == nil:
			return nil
		case err == bufio.ErrBufferFull:
		case err == io.EOF && len(bytes.TrimSpace(f.raw)) > 0:
			return io.ErrUnexpectedEOF
		default:
			return err
		}
	}
}

// dataOf is the data field of a frame of one data line.
func dataOf(raw []byte) []byte {
	for line := range bytes.Lines(raw) {
		if value, ok := dataField(bytes.TrimRight(line, "\r\n")); ok {
			return value
		}
	}
	return nil
}

// dataField gives the value of a data line.
func dataField(line []byte) ([]byte, bool) {
	value, ok := bytes.CutPrefix(line, []byte("data:"))
	if !ok {
		return nil, string(line) == "data"
	}
	return bytes.TrimPrefix(value, []byte(" ")), true
}

// join writes the frame anew with its data lines in one. A line's end in JSON is
// white space, so a space says the same.
func (f *frames) join() []byte {
	var other, data []byte
	for line := range bytes.Lines(f.raw) {
		value, ok := dataField(bytes.TrimRight(line, "\r\n"))
		switch {
		case !ok && len(bytes.TrimRight(line, "\r\n")) > 0:
			other = append(other, line...)
		case ok && data == nil:
			data = append([]byte{}, value...)
		case ok:
			data = append(append(data, ' '), value...)
		}
	}
	f.raw = append(append(f.raw[:0], other...), "data: "...)
	f.data = len(f.raw)
	f.raw = append(append(f.raw, data...), "\n\n"...)
	return f.raw[f.data : f.data+len(data)]
}

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

// keepAlive sends a comment whenever nothing was sent for a while, so that nothing
// between here and the caller takes a thinking model for a dead connection.
type keepAlive struct {
	mu    sync.Mutex // held while anything is written
	s     *streamer
	every time.Duration
	timer *time.Timer
	last  uint64 // bytes out when it looked last
	over  bool
}

func (s *streamer) keepAlive() *keepAlive {
	k := &keepAlive{s: s, every: s.g.c.KeepAlive}
	k.mu.Lock()
	k.timer = time.AfterFunc(k.every, k.look)
	k.mu.Unlock()
	return k
}

func (k *keepAlive) look() {
	defer k.s.g.survive()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.over || k.s.gone || k.s.x.array {
		return
	}
	if x := k.s.x; x.bytesOut == k.last {
		if k.s.emit([]byte(":\n\n")) == nil && !k.s.gone {
			x.flush()
		}
	}
	k.last = k.s.x.bytesOut
	k.timer.Reset(k.every)
}

// step takes in what was read, while no comment is written.
func (k *keepAlive) step(f *frames, data []byte, err error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.s.step(f, data, err)
}

// end waits for a comment that is being sent, and lets none follow.
func (k *keepAlive) end() {
	k.timer.Stop()
	k.mu.Lock()
	k.over = true
	k.mu.Unlock()
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
	f := &frames{r: bufio.NewReaderSize(resp.Body, 8<<10)}
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
	x.takeUsage()
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
		s.whole, s.finished = true, x.call.api != &geminiAPI
	}
	if x.call.grammar == peek.Responses {
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
