package guardrail

import (
	"bytes"
	"slices"
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
	for c := 0x80; c < 0x100; c++ {
		t[c] = isBreak // nothing that is looked for has them: quotes, dashes, other scripts
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

// longTrigger is the longest word that the injection heuristic looks at.
const longTrigger = 16

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
	block   int  // inside a private key block: how far it may still go
	again   bool // the text was looked at before, and its hits are counted
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
		if s.block > 0 {
			end, done := keyBlockEnd(text[i:], s.block, final)
			s.extend(s.base + i + end)
			i += end
			s.block -= end
			if done {
				s.block = 0
				continue
			}
			break
		}
		if !s.tail {
			if i = skim(text, i, final); i == len(text) {
				break
			}
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
		if bits&(isDigit|isAt|isDash) == 0 && !triggerStart[text[i]] {
			i = j // nearly every word: no sign of a candidate
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
// needed to decide. What stands first in the word is hit first; the rest of the
// word is then looked at as a word of its own.
func (s *scan) word(i, j int, bits uint8, cut, final bool) (next int, more bool) {
	if bits&(isDigit|isAt) == 0 {
		if triggerStart[s.text[i]] && j-i <= longTrigger && s.in.byGuard[guardInjection] != nil {
			if class := injection(s.text[:i], s.text[i:j]); class != "" {
				s.hit(guardInjection, class, i, j)
			}
		}
		if bits&isDash == 0 {
			return j, false
		}
	}
	if bits&isDash != 0 && bytes.HasSuffix(s.text[i:j], []byte(keyBegin)) {
		if begin := j - len(keyBegin); begin > i {
			j, cut = begin, false // what is glued to its front comes first
		} else {
			return s.keyBlock(i, final)
		}
	}
	if bits&(isDigit|isAt) == 0 {
		return j, false
	}
	m, more := s.first(i, j, bits, final)
	if more {
		return 0, true
	}
	if m.class == "" {
		return s.windowEnd(i, j, cut), false
	}
	if s.hit(m.guard, m.class, m.from, m.to) != "" {
		s.tail = cut && m.to == j && m.guard == guardSecrets
	}
	return m.to, false
}

// match is what was found in s.text[from:to].
type match struct {
	guard    int
	class    string
	from, to int
}

// first finds what begins first in the word s.text[i:j].
func (s *scan) first(i, j int, bits uint8, final bool) (m match, more bool) {
	text := s.text
	m.from = j
	if s.in.byGuard[guardPII] != nil && bits&isAt != 0 {
		if from, to := email(text[i:j]); to > from {
			m = match{guardPII, "email", i + from, i + to}
		}
	}
	if bits&isDigit == 0 {
		return m, false
	}
	if s.in.byGuard[guardSecrets] != nil && j-i >= 16 && bits&(isLetter|isUnder) != 0 {
		if class, from, to := secret(text, i, j); class != "" && from < m.from {
			m = match{guardSecrets, class, from, to}
		}
	}
	if s.in.byGuard[guardPII] == nil {
		return m, false
	}
	colons := bits&isColon != 0 && bytes.Count(text[i:j], []byte{':'}) >= 2
	for k := i; k < m.from; k++ {
		if c := text[k]; !alnum(c) && !(colons && c == ':' && k+1 < j && text[k+1] == ':') {
			continue
		}
		class, end, more := number(text, k, j, colons, final)
		if more {
			return m, true
		}
		if end > 0 {
			return match{guardPII, class, k, end}, false
		}
		if escape := k == i && k+1 < j && escaped(text, k+1); escape {
			continue // the letter of an escape is no part of what follows it
		}
		for k+1 < m.from && alnum(text[k+1]) {
			k++
		}
	}
	return m, false
}

// number finds a number that begins at text[k], in a word that ends at j.
func number(text []byte, k, j int, colons, final bool) (class string, end int, more bool) {
	c := text[k]
	if digit(c) {
		if end = ssn(text, k, j); end > 0 {
			return "ssn", end, false
		}
	}
	if digit(c) || colons {
		if end = ip(text, k, j, colons); end > 0 {
			return "ip", end, false
		}
	}
	switch {
	case digit(c):
		if at(text, k-1) == '.' && digit(at(text, k-2)) {
			return "", 0, false // decimals
		}
		end, more = card(text, k, final)
		return "card", end, more
	case upper(c) && j-k >= 4 && upper(text[k+1]) && digit(text[k+2]) && digit(text[k+3]):
		end, more = iban(text, k, final)
		return "iban", end, more
	}
	return "", 0, false
}

// windowEnd is where the next look begins. A word that was cut because it is long
// is looked at again from its last separator on, so that nothing is cut in two
// where there is one.
func (s *scan) windowEnd(i, j int, cut bool) int {
	if cut {
		for k := j - 1; k > i+longWord/2; k-- {
			if c := s.text[k]; !localByte(c) && c != '@' {
				return k + 1
			}
		}
	}
	return j
}

// keyBlock looks at "-----BEGIN" at s.text[i:].
func (s *scan) keyBlock(i int, final bool) (next int, more bool) {
	begin, more := keyBlockBegin(s.text[i:], final)
	if more {
		return 0, true
	}
	if begin == 0 {
		return i + len(keyBegin), false
	}
	if s.hit(guardSecrets, "private_key", i, i+begin) != "" {
		s.block = keyBlockMax
	}
	return i + begin, false
}

func (s *scan) hit(guard int, class string, from, to int) inventory.GuardMode {
	mode := s.in.mode(guard, class)
	if mode != "" && !s.again {
		s.in.count(guard, class)
	}
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
	dst, at := slices.Grow(dst, to-from), from
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
	given  int // before it nothing is asked for any more
	closed bool
}

// Stream opens a channel. It belongs to the inspector.
func (i *Inspector) Stream() *Stream {
	n := len(i.streams)
	if n == cap(i.streams) {
		i.streams = append(i.streams, nil)
	}
	if i.streams = i.streams[:n+1]; i.streams[n] == nil {
		i.streams[n] = &Stream{}
	}
	st := i.streams[n]
	st.s.in = i
	return st
}

// What of an inspector's channels the next answer goes on with.
const (
	keptStreams = 16
	keptText    = 16 << 10 // bytes of each
)

// closeStreams lets go of the channels, and keeps what memory the next will need.
func (i *Inspector) closeStreams() {
	if len(i.streams) > keptStreams {
		i.streams = nil
	}
	for _, st := range i.streams {
		text := st.s.text
		if cap(text) > keptText {
			text = nil
		}
		clear(st.s.matches)
		*st = Stream{s: scan{text: text[:0], matches: st.s.matches[:0]}}
	}
	i.streams = i.streams[:0]
}

// Again opens a channel for a text that was looked at before, whole or in pieces.
// The same is found in it, and nothing is counted twice.
func (i *Inspector) Again() *Stream {
	st := i.Stream()
	st.s.again = true
	return st
}

// lookBack is how much decided text stays, for what is decided by what stands
// before it.
const lookBack = 4096

// Push adds text.
func (st *Stream) Push(delta []byte) {
	s := &st.s
	s.text = append(s.text, delta...)
	s.run(false)
	if drop := min(s.pos, st.given) - s.base - lookBack; drop > 64<<10 {
		s.text = append(s.text[:0], s.text[drop:]...)
		s.base += drop
	}
}

// Given says that no piece that begins before offset will be asked for, so that
// its text need not be kept.
func (st *Stream) Given(offset int) { st.given = max(st.given, offset) }

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
	for i := len(st.s.matches) - 1; i >= 0; i-- { // in order, and asked for near the end
		m := &st.s.matches[i]
		if m.End <= from {
			return false
		}
		if m.Start < to {
			return true
		}
	}
	return false
}

// Append appends [from, to) of the channel with matches replaced. It must be
// decided and not be given up by Given.
func (st *Stream) Append(dst []byte, from, to int) []byte {
	return redact(dst, st.s.text, st.s.base, st.s.matches, from, to)
}
