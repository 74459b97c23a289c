package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// maxFrame is the largest server-sent event that is read, in bytes.
const maxFrame = 4 << 20

var errFrame = errors.New("an event is larger than any may be")

// frames reads server-sent events one by one, with all their bytes.
type frames struct {
	r     *bufio.Reader
	lines []byte // what is read where there is no r
	raw   []byte // of the frame read last, through its blank line
	data  int    // where its data field begins
	most  int    // bytes of a frame; maxFrame when zero
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
		case len(f.raw) > max(f.most, maxFrame):
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
