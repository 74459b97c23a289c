// Package jsonl reads files of lines that are JSON objects, as the inputs and results
// of batches are: a line at a time, and of a line where its values stand, so that what
// nobody here knows passes byte for byte.
package jsonl

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// ErrTooLong is given for a line that is longer than the reader takes.
var ErrTooLong = errors.New("a line is too long")

// Reader gives the lines of a file. Empty ones are passed over.
type Reader struct {
	in     *bufio.Reader
	most   int
	line   []byte
	number int
}

// NewReader reads lines of at most so many bytes each.
func NewReader(r io.Reader, most int) *Reader {
	return &Reader{in: bufio.NewReaderSize(r, 32<<10), most: most}
}

// Next gives the next line without the break at its end. It holds until the next call.
// After the last one the error is io.EOF; ErrTooLong and what reading gave are final.
func (r *Reader) Next() ([]byte, error) {
	for {
		r.line = r.line[:0]
		for {
			part, err := r.in.ReadSlice('\n')
			if len(r.line)+len(part) > r.most+1 {
				return nil, ErrTooLong
			}
			r.line = append(r.line, part...)
			if err == bufio.ErrBufferFull {
				continue
			}
			if err != nil && (err != io.EOF || len(r.line) == 0) {
				return nil, err
			}
			break
		}
		r.number++
		if line := bytes.TrimSpace(r.line); len(line) > 0 {
			return line, nil
		}
	}
}

// Number is that of the line that Next gave last, from 1.
func (r *Reader) Number() int { return r.number }

// Span is where a value stands.
type Span struct{ Start, End int }

// Of is the value in what it was found in.
func (s Span) Of(b []byte) []byte { return b[s.Start:s.End] }

// In is the span in what b was cut from at start.
func (s Span) In(start int) Span { return Span{s.Start + start, s.End + start} }

// Empty reports that there is no value.
func (s Span) Empty() bool { return s.Start == s.End }

// Fields gives the values of some keys of an object, in the order of the keys; an empty
// span for one that is not there. It is an error when object is none, is not UTF-8, or
// has a key twice: two readers could understand two things.
func Fields(object []byte, keys ...string) ([]Span, error) {
	if !utf8.Valid(object) {
		return nil, errors.New("it is not UTF-8")
	}
	out := make([]Span, len(keys))
	dec := json.NewDecoder(bytes.NewReader(object))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("it is no JSON object")
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		key, ok := t.(string)
		if err != nil || !ok {
			return nil, errors.New("it is no JSON object")
		}
		if seen[key] {
			return nil, errors.New("it has a key twice")
		}
		seen[key] = true
		at, err := next(dec)
		if err != nil {
			return nil, err
		}
		for i := range keys {
			if keys[i] == key {
				out[i] = at
			}
		}
	}
	return out, ended(dec)
}

// Elements calls f for each value of a list.
func Elements(list []byte, f func(Span) error) error {
	dec := json.NewDecoder(bytes.NewReader(list))
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return errors.New("it is no list")
	}
	for dec.More() {
		at, err := next(dec)
		if err == nil {
			err = f(at)
		}
		if err != nil {
			return err
		}
	}
	return ended(dec)
}

// next reads a value whole.
func next(dec *json.Decoder) (Span, error) {
	var value json.RawMessage
	if err := dec.Decode(&value); err != nil {
		return Span{}, errors.New("it holds a value that is no JSON")
	}
	end := int(dec.InputOffset())
	return Span{end - len(value), end}, nil
}

// ended reads the closing delimiter, behind which nothing may stand.
func ended(dec *json.Decoder) error {
	if _, err := dec.Token(); err != nil {
		return errors.New("it has no end")
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("something stands behind it")
	}
	return nil
}

// Text is the value of a JSON string; false for another value.
func Text(value []byte) (string, bool) {
	var s string
	if len(value) == 0 || value[0] != '"' || json.Unmarshal(value, &s) != nil {
		return "", false
	}
	return s, true
}

// LineError says which line is wrong, and how.
type LineError struct {
	Line int // from 1
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Err) }
func (e *LineError) Unwrap() error { return e.Err }
