// Package ident makes the 128-bit ids that exchanges, records and changes carry.
package ident

import (
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// ID is 48 bits of milliseconds since 1970 (big endian) followed by 80 random
// bits, so ids sort by time and no leaf hash that covers one can be guessed.
type ID [16]byte

// TextLen is the length of an ID in text: 26 characters of lower-case base32hex.
const TextLen = 26

// alphabet is base32hex's in lower case: it keeps the order of the bytes in the order
// of the text.
const alphabet = "0123456789abcdefghijklmnopqrstuv"

var encoding = base32.NewEncoding(alphabet).WithPadding(base32.NoPadding)

// ErrMalformed is returned for a text that is not an ID.
var ErrMalformed = errors.New("malformed id")

// New makes an ID at the given time from 10 bytes of random.
// It returns the error of random.
func New(now time.Time, random io.Reader) (ID, error) {
	var id ID
	err := id.Set(now, random)
	return id, err
}

// Set is New in place, for an ID that has its place already: it allocates
// nothing. After an error the ID is zero.
func (id *ID) Set(now time.Time, random io.Reader) error {
	binary.BigEndian.PutUint64(id[:8], uint64(now.UnixMilli())<<16)
	if _, err := io.ReadFull(random, id[6:]); err != nil {
		*id = ID{}
		return fmt.Errorf("read random: %w", err)
	}
	return nil
}

// Time is the millisecond at which the ID was made.
func (id ID) Time() time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(id[:8]) >> 16)).UTC()
}

// IsZero reports whether the ID was never set.
func (id ID) IsZero() bool { return id == ID{} }

// String is the lower-case text of the ID.
func (id ID) String() string {
	var text [TextLen]byte
	return string(id.AppendText(text[:0]))
}

// AppendText appends the text of the ID to dst without allocating.
func (id ID) AppendText(dst []byte) []byte {
	var text [TextLen]byte
	for n := range 3 { // five bytes are eight letters
		b := id[5*n : 5*n+5 : 5*n+5]
		v := uint64(b[0])<<32 | uint64(binary.BigEndian.Uint32(b[1:]))
		t := (*[8]byte)(text[8*n:])
		t[0], t[1], t[2], t[3] = alphabet[v>>35], alphabet[v>>30&31], alphabet[v>>25&31], alphabet[v>>20&31]
		t[4], t[5], t[6], t[7] = alphabet[v>>15&31], alphabet[v>>10&31], alphabet[v>>5&31], alphabet[v&31]
	}
	text[24], text[25] = alphabet[id[15]>>3], alphabet[id[15]<<2&31]
	return append(dst, text[:]...)
}

// MarshalText implements encoding.TextMarshaler.
func (id ID) MarshalText() ([]byte, error) { return id.AppendText(nil), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *ID) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// Parse reads the text of an ID. It returns ErrMalformed for anything that
// String would not have written.
func Parse(text string) (ID, error) {
	if len(text) != TextLen {
		return ID{}, ErrMalformed
	}
	var id ID
	if n, err := encoding.Decode(id[:], []byte(text)); err != nil || n != len(id) {
		return ID{}, ErrMalformed
	}
	if id.String() != text {
		return ID{}, ErrMalformed
	}
	return id, nil
}
