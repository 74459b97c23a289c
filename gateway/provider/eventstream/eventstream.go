// Package eventstream reads and writes the binary framing in which AWS streams
// (application/vnd.amazon.eventstream): prelude, headers, payload, each held by a
// CRC-32 of IEEE.
package eventstream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// MaxMessage is the largest message that is read, in bytes. AWS allows payloads of 24
// MiB; what models stream is a few KiB.
const MaxMessage = 4 << 20

// ErrMalformed says that bytes are no event stream.
var ErrMalformed = errors.New("eventstream: malformed")

// Message is one message. Only headers that are text are kept: the others do not say
// what a message is.
type Message struct {
	Headers map[string]string
	Raw     []byte // all headers, as they came; valid until the next call of Next
	Payload []byte // valid until the next call of Next
}

// Kind is what a message is: the event's name, or "" and the name of the exception.
func (m *Message) Kind() (event, exception string) {
	switch m.Headers[":message-type"] {
	case "exception":
		return "", m.Headers[":exception-type"]
	case "error":
		return "", m.Headers[":error-code"]
	}
	return m.Headers[":event-type"], ""
}

const (
	preludeSize = 12
	crcSize     = 4
	maxHeaders  = 128 << 10
)

// Reader reads messages.
type Reader struct {
	r   io.Reader
	buf []byte
}

// NewReader reads from r.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// Next reads a message. io.EOF is the clean end, io.ErrUnexpectedEOF an end within a
// message.
func (d *Reader) Next() (*Message, error) {
	var prelude [preludeSize]byte
	if _, err := io.ReadFull(d.r, prelude[:]); err != nil {
		return nil, err
	}
	total, headers := binary.BigEndian.Uint32(prelude[:]), binary.BigEndian.Uint32(prelude[4:])
	switch {
	case crc32.ChecksumIEEE(prelude[:8]) != binary.BigEndian.Uint32(prelude[8:]):
		return nil, fmt.Errorf("%w: the prelude's checksum", ErrMalformed)
	case total < preludeSize+crcSize || total > MaxMessage || headers > maxHeaders || headers > total-preludeSize-crcSize:
		return nil, fmt.Errorf("%w: a message of %d bytes with %d of headers", ErrMalformed, total, headers)
	}
	if cap(d.buf) < int(total) {
		d.buf = make([]byte, total)
	}
	b := d.buf[:total]
	copy(b, prelude[:])
	if _, err := io.ReadFull(d.r, b[preludeSize:]); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	end := total - crcSize
	if crc32.ChecksumIEEE(b[:end]) != binary.BigEndian.Uint32(b[end:]) {
		return nil, fmt.Errorf("%w: a message's checksum", ErrMalformed)
	}
	m := &Message{Raw: b[preludeSize : preludeSize+headers], Payload: b[preludeSize+headers : end]}
	var err error
	m.Headers, err = readHeaders(m.Raw)
	return m, err
}

// The types of header values, and the sizes of those that have one.
const (
	typeBytes  = 6
	typeString = 7
)

var sizes = map[byte]int{0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}

func readHeaders(b []byte) (map[string]string, error) {
	out := map[string]string{}
	for len(b) > 0 {
		n := int(b[0])
		if n == 0 || len(b) < 2+n {
			return nil, fmt.Errorf("%w: a header's name", ErrMalformed)
		}
		name, kind := string(b[1:1+n]), b[1+n]
		b = b[2+n:]
		size, ok := sizes[kind]
		if kind == typeBytes || kind == typeString {
			if ok = len(b) >= 2; ok {
				size = int(binary.BigEndian.Uint16(b))
				b = b[2:]
			}
		}
		if !ok || len(b) < size {
			return nil, fmt.Errorf("%w: a header's value", ErrMalformed)
		}
		if kind == typeString {
			out[name] = string(b[:size])
		}
		b = b[size:]
	}
	return out, nil
}

// Append writes a message with text headers, in the order given as name, value.
func Append(dst, payload []byte, headers ...string) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, preludeSize)...)
	for i := 0; i+1 < len(headers); i += 2 {
		dst = append(dst, byte(len(headers[i])))
		dst = append(dst, headers[i]...)
		dst = append(dst, typeString)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(headers[i+1])))
		dst = append(dst, headers[i+1]...)
	}
	return seal(dst, start, payload)
}

// AppendRaw writes a message with the headers of one that was read: with its payload
// too, the same bytes.
func AppendRaw(dst, headers, payload []byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, preludeSize)...)
	return seal(append(dst, headers...), start, payload)
}

// seal ends a message of which the headers are written.
func seal(dst []byte, start int, payload []byte) []byte {
	size := len(dst) - start - preludeSize
	dst = append(dst, payload...)
	prelude := dst[start:]
	binary.BigEndian.PutUint32(prelude, uint32(len(dst)-start+crcSize))
	binary.BigEndian.PutUint32(prelude[4:], uint32(size))
	binary.BigEndian.PutUint32(prelude[8:], crc32.ChecksumIEEE(prelude[:8]))
	return binary.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(dst[start:]))
}
