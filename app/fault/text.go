package fault

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// What people enter is shown on every page and printed in documents, so it has an end,
// in characters.
const (
	MaxLine = 200    // names, owners, titles
	MaxText = 10_000 // purposes, reasons and other running text
	MaxList = 200    // entries of a list
)

// Line adds what keeps a text from standing on one line: more than MaxLine characters,
// breaks and other controls, and signs that turn the direction of what stands after
// them, by which a name can pass for another.
func (f *Fields) Line(field, text string) {
	f.signs(field, text, MaxLine, func(c rune) bool { return unicode.IsControl(c) || turns(c) })
}

// Lines is Line for every entry of a list, of MaxList entries at most.
func (f *Fields) Lines(field string, list []string) {
	if len(list) > MaxList {
		f.Add(field, "has %d entries; at most %d", len(list), MaxList)
	}
	for _, text := range list {
		f.Line(field, text)
	}
}

// Text adds what keeps running text from being one: more than MaxText characters, and
// controls but tabs and line breaks.
func (f *Fields) Text(field, text string) {
	f.signs(field, text, MaxText, func(c rune) bool { return unicode.IsControl(c) && !strings.ContainsRune("\t\r\n", c) })
}

func (f *Fields) signs(field, text string, longest int, refused func(rune) bool) {
	if !utf8.ValidString(text) {
		f.Add(field, "is not UTF-8")
		return
	}
	if n := utf8.RuneCountInString(text); n > longest {
		f.Add(field, "has %d characters; at most %d", n, longest)
		return
	}
	for _, c := range text {
		if refused(c) {
			f.Add(field, "leave out the sign U+%04X, which cannot be seen", c)
			return
		}
	}
}

// turns reports whether a sign overrides or embeds a direction of writing. The marks
// that Arabic and Hebrew need within a line are none of them.
func turns(c rune) bool { return c >= 0x202A && c <= 0x202E || c >= 0x2066 && c <= 0x2069 }
