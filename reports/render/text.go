package render

import "strings"

// Span is a run of text in one manner. Its text is taken as it is: nothing in it
// is markup, so names that people typed can stand in it.
type Span struct {
	Text   string   `json:"text,omitempty"`
	Style  string   `json:"style,omitempty"` // strong, emphasis, code, muted, missing
	Cite   []string `json:"cite,omitempty"`  // evidence ids
	Ref    string   `json:"ref,omitempty"`   // key of a part, heading or control
	URL    string   `json:"url,omitempty"`
	Status Status   `json:"status,omitempty"` // drawn as icon and word
}

// Text is a run of spans.
type Text []Span

// T joins strings, spans and texts into a text.
func T(parts ...any) Text {
	var out Text
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			if p != "" {
				out = append(out, Span{Text: p})
			}
		case Span:
			out = append(out, p)
		case Text:
			out = append(out, p...)
		default:
			panic("render: T takes strings, spans and texts")
		}
	}
	return out
}

// Strong is text in medium weight.
func Strong(s string) Span { return Span{Text: s, Style: "strong"} }

// Emphasis is text in italic.
func Emphasis(s string) Span { return Span{Text: s, Style: "emphasis"} }

// Code is an id or a command, in monospace.
func Code(s string) Span { return Span{Text: s, Style: "code"} }

// Muted is text in grey.
func Muted(s string) Span { return Span{Text: s, Style: "muted"} }

// Cite cites evidence by ids of the document's index.
func Cite(ids ...string) Span { return Span{Cite: ids} }

// Ref links to a part, heading or control. An empty text prints "section n".
func Ref(key, text string) Span { return Span{Ref: key, Text: text} }

// Link is a web address.
func Link(url string) Span { return Span{Text: url, URL: url} }

// Chip is a status as icon and word.
func Chip(s Status) Span { return Span{Status: s} }

// NotProvided stands where a required field is empty.
func NotProvided(owner string) Text {
	return Text{{Text: "NOT PROVIDED", Style: "missing"}, {Text: ", owner: " + owner}}
}

// String is the text as readers of plain text see it.
func (t Text) String() string {
	var b strings.Builder
	for _, s := range t {
		b.WriteString(s.plain())
	}
	return b.String()
}

func (s Span) plain() string {
	switch {
	case len(s.Cite) > 0:
		return "[" + strings.Join(s.Cite, ", ") + "]"
	case s.Status != "":
		return s.Status.Word()
	}
	return s.Text
}

// Status is the state of something that was assessed or compared. No state rests
// on colour alone: each has its own icon and its word.
type Status string

// The statuses.
const (
	Satisfied     Status = "satisfied"
	Partial       Status = "partially_satisfied"
	NotSatisfied  Status = "not_satisfied"
	NoEvidence    Status = "no_evidence"
	NotApplicable Status = "not_applicable"
	NotYet        Status = "not_yet_applicable"
	Agrees        Status = "agrees"
	Differs       Status = "differs"
	Undeclared    Status = "not_declared"
	Unobserved    Status = "not_observed"
)

var statusWords = map[Status]string{
	Satisfied: "Satisfied", Partial: "Partially satisfied", NotSatisfied: "Not satisfied", NoEvidence: "No evidence",
	NotApplicable: "Not applicable", NotYet: "Not yet applicable", Agrees: "Agrees", Differs: "Differs",
	Undeclared: "Not declared", Unobserved: "Not observed",
}

// Word is the status in words. A status that this version does not know is shown
// as it is written, never as a pass.
func (s Status) Word() string {
	if w, ok := statusWords[s]; ok {
		return w
	}
	return "Unknown: " + string(s)
}
