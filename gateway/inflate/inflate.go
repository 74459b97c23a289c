// Package inflate reads bodies that a caller compressed. It is bounded: what stands
// in memory does not depend on the body, and a stream that grows as no text does is
// broken off.
package inflate

import (
	"bufio"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"strings"
)

// Accepted are the content codings that are read, as Accept-Encoding lists them.
const Accepted = "gzip, deflate"

var (
	// ErrUnknown: the coding is none that is read.
	ErrUnknown = errors.New("the content coding is none of " + Accepted)
	// ErrBomb: the body grows by more than text can.
	ErrBomb = errors.New("the body inflates to more than a hundred times its size")
	// ErrMalformed: the body is not in the coding that its header names.
	ErrMalformed = errors.New("the body is not in its content coding")
)

// MaxRatio is how many times its size a body may inflate to, once it is larger than
// Free bytes. DEFLATE reaches 1,032; JSON with base64 or prose in it 3 to 30.
const (
	MaxRatio = 100
	Free     = 1 << 20
)

// Identity reports whether the values of a Content-Encoding header name no coding.
func Identity(codings []string) bool {
	for _, c := range codings {
		if c = strings.TrimSpace(c); c != "" && !strings.EqualFold(c, "identity") {
			return false
		}
	}
	return true
}

// Reader inflates r, which is in the coding that the values of a Content-Encoding
// header name. Exactly one is taken: a body compressed twice is ErrUnknown.
func Reader(r io.Reader, codings []string) (io.Reader, error) {
	if len(codings) != 1 {
		return nil, ErrUnknown
	}
	in := &counted{r: r}
	// flate reads byte by byte from what has no ReadByte; and what it would buffer by
	// itself is not counted.
	from := bufio.NewReaderSize(in, 8<<10)
	switch strings.ToLower(strings.TrimSpace(codings[0])) {
	case "gzip", "x-gzip": // RFC 9110 section 8.4.1.3
		z, err := gzip.NewReader(from)
		if err != nil {
			return nil, in.say(err)
		}
		return &reader{z: z, in: in}, nil
	case "deflate": // zlib's format, RFC 9110 section 8.4.1.2
		z, err := zlib.NewReader(from)
		if err != nil {
			return nil, in.say(err)
		}
		return &reader{z: z, in: in, after: from}, nil
	}
	return nil, ErrUnknown
}

// counted is the compressed side: how much came, and how it failed.
type counted struct {
	r   io.Reader
	n   int64
	err error
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}

// say tells a broken connection from a broken body.
func (c *counted) say(err error) error {
	if c.err != nil {
		return c.err
	}
	return errors.Join(ErrMalformed, err)
}

type reader struct {
	z     io.Reader
	in    *counted
	after *bufio.Reader // what may not follow; nil where the format says it
	n     int64
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.z.Read(p)
	if r.n += int64(n); r.n > Free && r.n > MaxRatio*r.in.n {
		return 0, ErrBomb
	}
	switch {
	case err == nil:
		return n, nil
	case !errors.Is(err, io.EOF):
		return n, r.in.say(err)
	}
	if r.after != nil {
		if _, err := r.after.ReadByte(); err == nil {
			return n, ErrMalformed
		}
	}
	return n, io.EOF
}
