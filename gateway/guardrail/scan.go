package guardrail

import (
	"strings"

	"plumbline/inventory"
)

// class bits of a byte, or-ed over a word.
const (
	isSpace  = 1 << iota // ends a word
	isBreak              // ends a word too: quote, bracket, comma …
	isDigit              //
	isAt                 //
	isDash               //
	isColon              //
	isLetter             //
	isUnder              //
)

var class = classes()

func classes() (t [256]uint8) {
	for _, c := range []byte(" \t\r\n\v\f") {
		t[c] = isSpace
	}
	for _, c := range []byte("\"'`,;<>()[]{}|\\=&?*#!") {
		t[c] = isBreak
	}
	for c := '0'; c <= '9'; c++ {
		t[c] = isDigit
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = isLetter, isLetter
	}
	t['@'], t['-'], t[':'], t['_'] = isAt, isDash, isColon, isUnder
	return t
}

// longWord is where a word without an end is cut. The cut counts from the word's
// start, so it does not depend on chunks.
const longWord = 256

// Match is a piece of text that a guard acts on, in absolute offsets. A match
// that goes on in what has not come yet has grown when it is asked for again.
type Match struct {
	Start, End int
	Class      string
}

// scan reads a channel's text in one pass. text[i] has the absolute offset
// base+i.
type scan struct {
	in      *Inspector
	text    []byte
	base    int
	pos     int // absolute; all before it is decided
	matches []Match
	redacts bool
	blocked bool
	tail    bool // the last match covers the rest of its word, which was cut
	block   bool // inside a private key block
}

func (s *scan) reset(in *Inspector) {
	*s = scan{in: in, matches: s.matches[:0], text: s.text[:0]}
}

// run decides as much as can be: all of it when final.
func (s *scan) run(final bool) {
	s.in.ran()
	text := s.text
	i := s.pos - s.base
	for i < len(text) && !s.blocked {
		if s.block {
			end, done := keyBlockEnd(text[i:], final)
			s.extend(s.base + i + end)
			i += end
			if !done {
				break
			}
			s.block = false
			continue
		}
		if class[text[i]]&(isSpace|isBreak) != 0 {
			i++
			s.tail = false
			continue
		}
		j, bits := i, uint8(0)
		for j < len(text) && j-i < longWord {
			c := class[text[j]]
			if c&(isSpace|isBreak) != 0 {
				break
			}
			bits |= c
			j++
		}
		cut := j-i == longWord
		if j == len(text) && !final && !cut {
			break // the word may go on
		}
		if s.tail {
			s.extend(s.base + j)
			s.tail = cut
			i = j
			continue
		}
		end, more := s.word(i, j, bits, cut, final)
		if more {
			break
		}
		i = end
	}
	s.pos = s.base + i
	if s.blocked {
		s.pos = s.matches[len(s.matches)-1].Start
	}
}

// word looks at text[i:j]. It returns where to go on, or that more text is
// needed to decide.
func (s *scan) word(i, j int, bits uint8, cut, final bool) (next int, more bool) {
	w := s.text[i:j]
	if bits&(isDigit|isAt|isDash|isColon) == 0 {
		if s.in.byGuard[2] != nil && len(w) <= 16 {
			if class := injection(s.text[:i], w); class != "" {
				s.hit(2, class, i, j)
			}
		}
		return j, false
	}
	if bits&isDash != 0 && len(w) >= 5 && w[0] == '-' && strings.HasPrefix(string(w[:5]), "-----") {
		begin, more := keyBlockBegin(s.text[i:], final)
		if more {
			return 0, true
		}
		if begin > 0 {
			if s.hit(1, "private_key", i, i+begin) != "" {
				s.block = true
				return i + begin, false
			}
			return i + begin, false
		}
	}
	if bits&isAt != 0 {
		if from, to := email(w); to > from {
			s.hit(0, "email", i+from, i+to)
			return j, false
		}
	}
	if bits&isDigit == 0 && bits&isColon == 0 {
		return j, false
	}
	if len(w) >= 16 && bits&(isLetter|isUnder) != 0 {
		if class, from, to := secret(w); class != "" {
			s.hit(1, class, i+from, i+to)
			s.tail = cut && to == len(w)
			return j, false
		}
	}
	if c := trim(w); len(c) > 0 {
		if class, from, to := single(w); class != "" {
			s.hit(0, class, i+from, i+to)
			return j, false
		}
	}
	end, class, more := grouped(s.text, i, j, final)
	if more {
		return 0, true
	}
	if class != "" {
		s.hit(0, class, i, end)
		return end, false
	}
	return j, false
}

func (s *scan) hit(guard int, class string, from, to int) inventory.GuardMode {
	mode := s.in.hit(guard, class)
	switch mode {
	case inventory.Redact:
		s.redacts = true
	case inventory.Block:
		s.blocked = true
	default:
		return ""
	}
	s.matches = append(s.matches, Match{s.base + from, s.base + to, class})
	return mode
}

func (s *scan) extend(to int) {
	if n := len(s.matches); n > 0 {
		s.matches[n-1].End = max(s.matches[n-1].End, to)
	}
}

// redact appends text[from:to] with matches replaced. A match's placeholder
// stands where it starts; what of it reaches beyond the piece is left out there.
func redact(dst, text []byte, base int, matches []Match, from, to int) []byte {
	at := from
	for _, m := range matches {
		if m.End <= at || m.Start >= to {
			continue
		}
		if m.Start >= at {
			dst = append(dst, text[at-base:m.Start-base]...)
			dst = append(append(append(dst, '['), strings.ToUpper(m.Class)...), ']')
		}
		at = min(m.End, to)
	}
	return append(dst, text[at-base:to-base]...)
}

// Stream inspects one channel of a streamed answer.
type Stream struct {
	s      scan
	closed bool
}

// Stream opens a channel. It belongs to the inspector.
func (i *Inspector) Stream() *Stream {
	st := &Stream{}
	st.s.in = i
	i.streams = append(i.streams, st)
	return st
}

// Push adds text.
func (st *Stream) Push(delta []byte) {
	s := &st.s
	s.text = append(s.text, delta...)
	s.run(false)
	// What is decided stays only as far as a look back may need it.
	if drop := s.pos - s.base - 4096; drop > 64<<10 {
		s.text = append(s.text[:0], s.text[drop:]...)
		s.base += drop
	}
}

// Close ends the text; all of it is decided then.
func (st *Stream) Close() {
	if !st.closed {
		st.closed = true
		st.s.run(true)
	}
}

// Decided is the offset before which no match can change any more; while a
// blocking guard hit, where the hit starts.
func (st *Stream) Decided() int { return st.s.pos }

// Blocked reports that a blocking guard hit.
func (st *Stream) Blocked() bool { return st.s.blocked }

// Touched reports whether a match reaches into [from, to).
func (st *Stream) Touched(from, to int) bool {
	for _, m := range st.s.matches {
		if m.Start < to && m.End > from {
			return true
		}
	}
	return false
}

// Append appends [from, to) of the channel with matches replaced. It must be
// decided, and pieces must be asked for in order.
func (st *Stream) Append(dst []byte, from, to int) []byte {
	return redact(dst, st.s.text, st.s.base, st.s.matches, from, to)
}
