package peek

import (
	"encoding/binary"
	"math/bits"
)

// str reads a string whose opening quote is at i. Where there is neither an escape
// nor an error its callers need only plain.
func (p *Body) str(i int) (Span, int, error) {
	s := Span{Start: i + 1}
	for at := i + 1; ; {
		at = plain(p.b, at)
		switch {
		case at == len(p.b):
			return s, at, p.bad(i, "a string has no end")
		case p.b[at] == '"':
			s.End = at
			return s, at + 1, nil
		case p.b[at] == '\\':
			size, ok := escape(p.b[at:])
			if !ok {
				return s, at, p.bad(at, "there is no such escape")
			}
			s.Escaped = true
			at += size
		default:
			return s, at, p.bad(at, "a string holds a control character")
		}
	}
}

// plain passes over a string's bytes, sixteen at a time, to the first that ends it,
// begins an escape or is a control character.
func plain(b []byte, at int) int {
	for ; len(b)-at >= 16; at += 16 {
		w := b[at : at+16]
		first, second := stops(binary.LittleEndian.Uint64(w)), stops(binary.LittleEndian.Uint64(w[8:]))
		switch {
		case first != 0:
			return at + bits.TrailingZeros64(first)>>3
		case second != 0:
			return at + 8 + bits.TrailingZeros64(second)>>3
		}
	}
	if len(b)-at >= 8 {
		if found := stops(binary.LittleEndian.Uint64(b[at:])); found != 0 {
			return at + bits.TrailingZeros64(found)>>3
		}
		at += 8
	}
	for at < len(b) && b[at] >= 0x20 && b[at] != '"' && b[at] != '\\' {
		at++
	}
	return at
}

// stops has the high bit of each byte of v that is below 0x20, a quote or a backslash.
// A borrow can set it for others too, but only behind one that is. With bit 1 turned
// over a quote is 0x20, and what is below 0x20 stays there; what is not of ASCII has
// its own high bit and is none.
func stops(v uint64) uint64 {
	low, escape := (v^(ones*('"'^0x20)))-ones*0x21, (v^(ones*'\\'))-ones
	return (low | escape) &^ v & (ones * 0x80)
}

const ones = 0x0101010101010101

// escape gives the length of the escape at the start of b.
func escape(b []byte) (int, bool) {
	if len(b) < 2 {
		return 0, false
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, true
	case 'u':
		if len(b) < 6 {
			return 0, false
		}
		for _, c := range b[2:6] {
			if hex(c) < 0 {
				return 0, false
			}
		}
		return 6, true
	}
	return 0, false
}

func hex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
