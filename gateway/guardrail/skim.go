package guardrail

import "math/bits"

// What skim has to know of a byte, each fact in a field of its own so that 16 bytes
// can be added up in one word: twice the sum so far, plus the next byte's facts.
const (
	endsWord   = 0  // white space, or isBreak
	isSign     = 16 // a digit, @ or a dash
	isTrigger  = 32 // a trigger noun may begin with it
	isSecond   = 48 // and have it in the second place
	field      = 1<<16 - 1
	shortNoun  = 5  // bytes of the shortest trigger noun
	blockBytes = 64 // a block's facts are four words, the first byte in the highest bit
	worthwhile = 24 // below so many bytes a block costs more than it saves
)

var facts = func() (t [256]uint64) {
	for c := range t {
		if class[c]&(isSpace|isBreak) != 0 {
			t[c] |= 1 << endsWord
		}
		if class[c]&(isDigit|isAt|isDash) != 0 {
			t[c] |= 1 << isSign
		}
		if triggerStart[c] {
			t[c] |= 1 << isTrigger
		}
	}
	for _, c := range []byte("nruaNRUA") { // instructions, prompt, rules, guidelines, jailbreak
		t[c] |= 1 << isSecond
	}
	return t
}()

// skim passes over words in which there is no sign of a candidate, and gives the
// start of the first that has to be looked at, or of the last while it may go on.
// text[i] begins a word or stands between two. It says nothing that reading word by
// word would not, but has no branch that depends on where words end: those are what
// costs time in plain text.
func skim(text []byte, i int, final bool) int {
	word, open := i, uint64(1)<<(blockBytes-1) // where a word began; the highest bit: it is the block's first byte that can begin one
	for k := i; k < len(text); k += blockBytes {
		var padded [blockBytes]byte
		block := text[k:]
		if len(block) < blockBytes {
			if len(block) < worthwhile {
				return word
			}
			n := copy(padded[:], block)
			for ; n < blockBytes; n++ {
				padded[n] = 'x' // the last word goes on
			}
			if final {
				padded[len(block)] = ' '
			}
			block = padded[:]
		}
		ends, signs, triggers, seconds := masks((*[blockBytes]byte)(block))
		starts := ^ends & (ends>>1 | open)
		nouns := starts & triggers & (seconds<<1 | 1)
		for n := 2; n < shortNoun; n++ {
			nouns &^= ends << n
		}
		if found := signs | nouns; found != 0 {
			before := ends &^ (^uint64(0) >> bits.LeadingZeros64(found))
			if before == 0 {
				return word
			}
			return k + blockBytes - bits.TrailingZeros64(before)
		}
		if ends == 0 {
			return word // a long word; where it is cut counts from its start
		}
		word = k + blockBytes - bits.TrailingZeros64(ends)
		open = ends << (blockBytes - 1)
	}
	return min(word, len(text))
}

// masks gives a block's facts, each byte's at the bit of its place.
func masks(block *[blockBytes]byte) (ends, signs, triggers, seconds uint64) {
	for k := 0; k < blockBytes; k += 16 {
		b := (*[16]byte)(block[k:])
		var w uint64
		w = 2*w + facts[b[0]]
		w = 2*w + facts[b[1]]
		w = 2*w + facts[b[2]]
		w = 2*w + facts[b[3]]
		w = 2*w + facts[b[4]]
		w = 2*w + facts[b[5]]
		w = 2*w + facts[b[6]]
		w = 2*w + facts[b[7]]
		w = 2*w + facts[b[8]]
		w = 2*w + facts[b[9]]
		w = 2*w + facts[b[10]]
		w = 2*w + facts[b[11]]
		w = 2*w + facts[b[12]]
		w = 2*w + facts[b[13]]
		w = 2*w + facts[b[14]]
		w = 2*w + facts[b[15]]
		ends = ends<<16 | w>>endsWord&field
		signs = signs<<16 | w>>isSign&field
		triggers = triggers<<16 | w>>isTrigger&field
		seconds = seconds<<16 | w>>isSecond
	}
	return ends, signs, triggers, seconds
}
