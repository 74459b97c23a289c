package gateway

import (
	"bytes"
	"errors"
	"io"

	"plumbline/gateway/spill"
)

// longFrame is the size in bytes above which an event that is not there in one read goes the way of large bodies: into
// a file while the provider sends it, into memory, of which there is a bounded amount for
// the whole process, while it is looked at, and out of the file while the caller takes it.
const longFrame = 256 << 10

// errLong: what is waiting is not a whole frame, and longer than one may be in memory.
var errLong = errors.New("an event is long")

// long is the frame that was read last, if it is a long one.
type long struct {
	kept   *spill.Body
	unload func()
}

// readLong reads a frame whose beginning waits in buf. Errors are those of next, and of
// the store.
func (f *frames) readLong() (data []byte, err error) {
	if f.long.kept, err = f.store.Write(f.toEnd); err != nil {
		return nil, err
	}
	if f.raw, f.long.unload, err = f.long.kept.Load(f.ctx, loadTimes); err != nil {
		return nil, err
	}
	whole := frames{buf: f.raw, most: f.most}
	data, err = whole.next()
	f.raw, f.data = whole.raw, whole.data
	return data, err
}

// toEnd writes a frame from its beginning through its blank line.
func (f *frames) toEnd(w io.Writer) error {
	end, size, said := frameEnd{blank: true}, 0, false
	for {
		waiting := f.buf[f.at:]
		n, done := end.in(waiting)
		if size += n; size > max(f.most, maxFrame) {
			return errFrame
		}
		if _, err := w.Write(waiting[:n]); err != nil {
			return err
		}
		if f.at += n; done {
			return nil
		}
		said = said || len(bytes.TrimSpace(waiting)) > 0
		f.buf, f.at = f.buf[:0], 0
		if err := f.read(); err == io.EOF && said {
			return io.ErrUnexpectedEOF
		} else if err != nil {
			return err
		}
	}
}

// frameEnd looks for the blank line that ends a frame, in pieces of a stream.
type frameEnd struct {
	begun bool // a line that is not blank was seen
	blank bool // nothing stands so far in the line where the next piece begins
}

// in gives where in the next piece the frame ends, or its length.
func (e *frameEnd) in(piece []byte) (n int, done bool) {
	for n < len(piece) {
		line, _, ends := bytes.Cut(piece[n:], []byte("\n"))
		n += len(line)
		e.blank = e.blank && len(bytes.TrimRight(line, "\r")) == 0
		e.begun = e.begun || !e.blank
		if !ends {
			break
		}
		if n++; e.blank && e.begun {
			return n, true
		}
		e.blank = true
	}
	return n, false
}

// unload lets a long frame go from memory; its file stays.
func (f *frames) unload() {
	if f.long.unload != nil {
		f.long.unload()
		f.long.unload, f.raw = nil, nil
	}
}

// drop lets go of a long frame.
func (f *frames) drop() {
	f.unload()
	if f.long.kept != nil {
		f.long.kept.Close()
		f.long.kept = nil
	}
}

// isLong reports whether raw is the long frame that was read last, as it came.
func (f *frames) isLong(raw []byte) bool {
	return f.long.unload != nil && len(raw) == len(f.raw) && len(raw) > 0 && &raw[0] == &f.raw[0]
}

// pass gives out the frame that was read last, as it came: a long one from its file, so
// that a caller who is slow in taking it holds no memory. A file that cannot be read to
// its end breaks the connection.
func (s *streamer) pass(f *frames) {
	x := s.x
	if f.long.unload == nil || x.array || x.binary || s.gone {
		s.emit(f.raw)
		return
	}
	s.head()
	x.chunk.Release()
	f.unload()
	x.framesOut++
	r, err := f.long.kept.Open()
	if err == nil {
		defer r.Close()
		err = eachPiece(r, func(piece []byte) bool {
			s.gone = !x.write(piece)
			return !s.gone
		})
	}
	if err != nil {
		s.lost, x.abort = unkept(err), true
	}
}
