package gateway

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"

	"plumbline/gateway/spill"
)

// Of server-sent events, in bytes.
const (
	maxFrame  = 4 << 20 // the largest that is read, unless it is a picture
	frameRoom = 1 << 10 // what is read at once; room for larger ones is made, and given back
	burstRoom = 4 << 10 // of a stream that once sent more than that at once
)

var errFrame = errors.New("an event is larger than any may be")

// frames reads server-sent events one by one, with all their bytes.
type frames struct {
	r      io.Reader // nil: there is no more than buf
	buf    []byte
	at     int    // where in buf the next frame begins
	raw    []byte // the frame read last, through its blank line; holds until the next
	data   int    // where its data field begins
	failed error  // what r said with the last bytes it gave
	joined []byte
	most   int  // bytes of a frame; maxFrame when zero
	bursts bool // a read filled all the room there was

	store *spill.Store // of long frames; nil: all are held in memory
	short int          // bytes of a frame that is not long; longFrame when zero
	ctx   context.Context
	long  long
}

// next reads a frame. data is its data field, which begins at f.data in f.raw;
// nil for a comment. A field of several lines is put into one. io.EOF is the clean
// end; a frame without its blank line is io.ErrUnexpectedEOF.
func (f *frames) next() (data []byte, err error) {
	f.drop()
	from, to, lines := -1, -1, 0
	for start := 0; ; { // of a line, from where the frame begins
		end, err := f.line(start)
		if err == errLong {
			return f.readLong()
		}
		if err != nil {
			return nil, err
		}
		line := bytes.TrimRight(f.buf[f.at+start:f.at+end], "\r\n")
		switch value, ok := dataField(line); {
		case ok:
			to = start + len(line)
			from = to - len(value)
			lines++
		case len(line) == 0 && start == 0: // a blank line before a frame
			f.at += end
			continue
		case len(line) == 0:
			f.raw = f.buf[f.at : f.at+end]
			f.at += end
			return f.field(from, to, lines)
		}
		start = end
	}
}

func (f *frames) field(from, to, lines int) ([]byte, error) {
	switch {
	case len(f.raw) > max(f.most, maxFrame):
		return nil, errFrame
	case lines == 0:
		return nil, nil
	case lines == 1:
		f.data = from
		return f.raw[from:to], nil
	}
	return f.join(), nil
}

// more reports whether a whole frame waits to be read: what was sent is not held back
// for the rest of one that may be long in coming.
func (f *frames) more() bool {
	waiting := f.buf[f.at:]
	return bytes.Contains(waiting, []byte("\n\n")) || bytes.Contains(waiting, []byte("\n\r\n"))
}

// line gives the end of the line that begins at start, both from where the frame
// begins.
func (f *frames) line(start int) (end int, err error) {
	for seen := start; ; {
		waiting := f.buf[f.at:]
		if n := bytes.IndexByte(waiting[seen:], '\n'); n >= 0 {
			return seen + n + 1, nil
		}
		seen = len(waiting)
		if f.store != nil && seen > cmp.Or(f.short, longFrame) {
			return 0, errLong
		}
		if err := f.fill(); err != nil {
			if err == io.EOF && len(bytes.TrimSpace(f.buf[f.at:])) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
}

// fill waits for more bytes.
func (f *frames) fill() error {
	if len(f.buf)-f.at > max(f.most, maxFrame) {
		return errFrame
	}
	if f.r != nil && f.failed == nil {
		f.makeRoom()
	}
	return f.read()
}

// read reads into the room that there is.
func (f *frames) read() error {
	if f.r == nil {
		return io.EOF
	}
	if f.failed != nil {
		return f.failed
	}
	for range 100 {
		n, err := f.r.Read(f.buf[len(f.buf):cap(f.buf)])
		f.buf, f.failed = f.buf[:len(f.buf)+n], err
		f.bursts = f.bursts || len(f.buf) == cap(f.buf)
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

func (f *frames) makeRoom() {
	waiting, room := f.buf[f.at:], frameRoom
	if f.bursts {
		room = burstRoom
	}
	switch {
	case len(waiting) < room/2 && cap(f.buf) != room:
		f.buf = make([]byte, 0, room)
	case len(waiting) == cap(f.buf):
		f.buf = make([]byte, 0, 2*cap(f.buf))
	default:
		f.buf = f.buf[:0]
	}
	f.buf, f.at = append(f.buf, waiting...), 0
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
	f.joined = append(append(f.joined[:0], other...), "data: "...)
	f.data = len(f.joined)
	f.joined = append(append(f.joined, data...), "\n\n"...)
	f.raw = f.joined
	return f.raw[f.data : f.data+len(data)]
}
