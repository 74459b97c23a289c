package peek

import (
	"bytes"
	"unicode/utf8"
)

// Like reads the events of a stream, most of which differ from the one before in
// nothing but their one text: what was found there is then what is found here, and
// stands where it stood. The zero value has read no event yet. What it says is what
// Body.Answer says.
type Like struct {
	grammar       Grammar
	before, after []byte // what stands around the text, with its quotes
	after0        int    // of the bytes behind the text, those before the closing brace
	text          Span
}

// Answer is p.Answer(b, of), where p is always the same. Of p the caller may change
// the texts, and read something else into it. same: but for the text this event says
// nothing that the one before did not say.
func (l *Like) Answer(p *Body, b []byte, of Grammar) (same bool, err error) {
	if p.like == l && l.grammar == of {
		from, to := len(l.before), len(b)-len(l.after)
		if from < to && bytes.Equal(b[:from], l.before) && bytes.Equal(b[to:], l.after) && sound(b, from, to) {
			text := l.text
			text.Start, text.End, text.Escaped = from, to, false
			p.Text, p.b, p.End = append(p.Text[:0], text), b, to+l.after0
			return true, nil
		}
	}
	if err := p.Answer(b, of); err != nil {
		return false, err
	}
	if isPattern(p) {
		l.learn(p, b, of)
	}
	return false, nil
}

// Forget lets go of the stream, and keeps the memory that the next will need.
func (l *Like) Forget() {
	*l = Like{before: l.before[:0], after: l.after[:0]}
}

// sound reports whether the text b[from:to] reads like any other: it has neither
// escapes nor errors, and is none that could be taken for a file.
func sound(b []byte, from, to int) bool {
	return plain(b[:to], from) == to && utf8.Valid(b[from:to]) && !opaque(b[from:to])
}

// isPattern reports whether nothing that was found depends on the text, but where the
// text ends, and nothing has to be done about the event but to look at its text.
func isPattern(p *Body) bool {
	if len(p.Text) != 1 || len(p.Finished) > 0 || len(p.Logprobs) > 0 || len(p.Kept) > 0 || p.HasUsage || p.Failed || p.Ended || p.NoChoices || p.Media > 0 || p.Items > 0 || p.Searched > 0 {
		return false
	}
	at := p.Text[0].Start
	if len(p.b)-(p.Text[0].End-at) > mostAround {
		return false
	}
	return p.Model.End < at && p.ID.End < at && p.User.End < at && p.Previous.End < at && p.StreamOptions.End < at && p.UsageFlag.End < at
}

// mostAround is how much may stand around a text that is compared, in bytes.
const mostAround = 8 << 10

func (l *Like) learn(p *Body, b []byte, of Grammar) {
	l.text = p.Text[0]
	l.before, l.after = append(l.before[:0], b[:l.text.Start]...), append(l.after[:0], b[l.text.End:]...)
	l.grammar, l.after0, p.like = of, p.End-l.text.End, l
}
