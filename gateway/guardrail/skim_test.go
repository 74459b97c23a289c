package guardrail

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// What skim passes over are whole words without a sign of a candidate, and it stops
// where a word begins.
func TestSkimPassesCleanWordsAlone(t *testing.T) {
	words := rapid.OneOf(rapid.StringMatching(`[a-z]{1,9}[ ,.]`), rapid.StringMatching(`[a-z]{1,3}[0-9@-][a-z]{0,3} `), rapid.StringMatching(`[a-z]{50,300}`),
		rapid.SampledFrom([]string{"Ignore ", "instructions ", "rules", "prompts: ", " ", "\"", "jailbreak\n", "é", "— "}))
	rapid.Check(t, func(t *rapid.T) {
		var text []byte
		for range rapid.IntRange(0, 60).Draw(t, "words") {
			text = append(text, words.Draw(t, "word")...)
		}
		from := 0
		if n := bytes.IndexByte(text, ' '); n >= 0 && rapid.Bool().Draw(t, "between words") {
			from = n
		}
		final := rapid.Bool().Draw(t, "final")
		to := skim(text, from, final)
		ends := func(i int) bool { return class[text[i]]&(isSpace|isBreak) != 0 }
		switch {
		case to < from || to > len(text):
			t.Fatalf("went from %d to %d of %d", from, to, len(text))
		case to > from && to < len(text) && (ends(to) || !ends(to-1)):
			t.Fatalf("stopped at %d, where no word begins", to)
		case to > from && to == len(text) && !final && !ends(to-1):
			t.Fatal("passed over a word that may go on")
		}
		for i := from; i < to; {
			j, bits := i, uint8(0)
			for j < to && !ends(j) {
				bits |= class[text[j]]
				j++
			}
			if bits&(isDigit|isAt|isDash) != 0 || j-i >= longWord || j > i && injection(text[:i], text[i:j]) != "" {
				t.Fatalf("passed over %q", text[i:j])
			}
			i = j + 1
		}
	})
}

// In plain text nothing stops it but the end, which is not worth a block.
func TestSkimPassesPlainText(t *testing.T) {
	text := bytes.Repeat([]byte("The quick brown fox; she leaps (high) over a lazy dog, “again”. "), 20)
	if got := skim(text, 0, true); got < len(text)-worthwhile {
		t.Errorf("stopped at %d of %d", got, len(text))
	}
}
