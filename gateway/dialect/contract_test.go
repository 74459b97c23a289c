package dialect

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/dialects.md anew")

// mainDialects are those of which every ordered pair is held to the contract.
var mainDialects = []Name{Chat, Responses, Messages, Gemini, Converse}

// A side is what passes between two dialects: a request from the caller's into the
// provider's, an answer or a stream from the provider's into the caller's.
type side string

const (
	requests side = "request"
	answers  side = "answer"
	streams  side = "stream"
)

// compactJSON is JSON in one spelling; what is none stays as it is.
func compactJSON(raw []byte) string {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return string(raw)
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// outcome is what became of one thing on its way.
type outcome struct {
	ok     bool
	unsaid bool     // whom it comes from has no words for it
	diff   string   // what came out differently
	lost   []string // what was named as lost
	err    error
}

// sameTurns are turns as any API may group them: one side speaks until the other
// does, and text is one where nothing stands between.
func sameTurns(turns []Turn) (out []Turn) {
	for _, t := range turns {
		parts := sameParts(t.Parts)
		if n := len(out); n > 0 && out[n-1].Role == t.Role {
			out[n-1].Parts = append(out[n-1].Parts, parts...)
			continue
		}
		out = append(out, Turn{Role: t.Role, Parts: parts})
	}
	return out
}

// sameParts leaves out what each API gives of its own: ids of thoughts, white space in
// arguments, a signature that says there is none, and whose a signature is that a
// caller only keeps.
func sameParts(parts []Part) (out []Part) {
	for _, p := range parts {
		switch p.Kind {
		case ToolCall:
			p.Text = compactJSON([]byte(p.Text))
		case Thought:
			p.ID = ""
		}
		if _, rest, ok := strings.Cut(p.Signature, ":"+wrapSignature); ok && strings.HasPrefix(p.Signature, wrapped) {
			p.Signature = rest
		}
		if p.Signature == unsigned {
			p.Signature = ""
		}
		p.Origin = ""
		out = append(out, p)
	}
	return out
}

func (o *outcome) compare(want, got any) {
	o.diff = cmp.Diff(want, got)
	o.ok = o.diff == ""
}

// passRequest sends a request from a caller of one dialect to a provider of another.
func passRequest(n *Request, look func(*Request) any, caller, provider Name) (o outcome) {
	n.Model, n.Stream, n.StreamUsage = "m", false, true
	body, err := Of(caller).WriteRequest(n)
	if err != nil {
		return outcome{err: err, unsaid: true}
	}
	asked, err := Of(caller).ReadRequest(body, "m", false)
	if err != nil {
		return outcome{err: err}
	}
	if look == nil {
		look = func(*Request) any { return nil }
	}
	said := []any{look(n), sameTurns(n.Turns)}
	o.compare(said, []any{look(asked), sameTurns(asked.Turns)})
	if o.unsaid = !o.ok; o.unsaid {
		return o
	}
	if body, err = Of(provider).WriteRequest(asked); err != nil {
		return outcome{err: err}
	}
	got, err := Of(provider).ReadRequest(body, "m", false)
	if err != nil {
		return outcome{err: err}
	}
	o.lost = append(append([]string{}, n.Lost...), asked.Lost...)
	o.compare(said, []any{look(got), sameTurns(got.Turns)})
	return o
}

func sameAnswer(a *Answer, usage bool) any {
	u := a.Usage
	var parts []Part
	var stop StopReason
	for _, c := range a.Choices {
		parts, stop = append(parts, sameParts(c.Parts)...), c.Stop
	}
	if !usage { // some APIs always say it
		return []any{parts, stop}
	}
	for _, n := range []*int64{&u.CacheRead, &u.CacheWrite, &u.Reasoning} { // fields that an API has always are zero when unknown
		*n = max(*n, 0)
	}
	return []any{parts, stop, u}
}

// passAnswer sends an answer from a provider to a caller.
func passAnswer(a *Answer, caller, provider Name) (o outcome) {
	r := &Request{Model: "m", StreamUsage: true, Tools: []Tool{weatherTool}}
	a.ID, a.Model = "x", "m"
	body, err := Of(provider).WriteAnswer(a, r)
	if err != nil {
		return outcome{err: err}
	}
	said, err := Of(provider).ReadAnswer(body)
	if err != nil {
		return outcome{err: err}
	}
	if body, err = Of(caller).WriteAnswer(said, r); err != nil {
		return outcome{err: err}
	}
	got, err := Of(caller).ReadAnswer(body)
	if err != nil {
		return outcome{err: err}
	}
	o.lost = append(append([]string{}, a.Lost...), said.Lost...)
	o.passed(a, said, got)
	return o
}

// passed compares an answer with what the provider could say of it, and that with
// what the caller got.
func (o *outcome) passed(a, said, got *Answer) {
	o.compare(sameAnswer(a, a.HasUsage), sameAnswer(said, a.HasUsage))
	if o.unsaid = !o.ok; !o.unsaid {
		o.compare(sameAnswer(a, a.HasUsage), sameAnswer(got, a.HasUsage))
	}
}

// streamOf is an answer as events, its texts in pieces.
func streamOf(a *Answer) []Event {
	out := []Event{{Kind: Started, ID: "x", Model: "m"}}
	for i, p := range a.Choices[0].Parts {
		head := p
		head.Text, head.Signature = "", ""
		out = append(out, Event{Kind: PartBegan, Index: i, Part: head})
		for _, piece := range []string{p.Text[:len(p.Text)/2], p.Text[len(p.Text)/2:]} {
			out = append(out, Event{Kind: Delta, Index: i, Text: strings.ToValidUTF8(piece, "")})
		}
		if p.Signature != "" {
			out = append(out, Event{Kind: Delta, Index: i, Signature: p.Signature})
		}
		out = append(out, Event{Kind: PartEnded, Index: i})
	}
	out = append(out, Event{Kind: Stopped, Stop: a.Choices[0].Stop})
	if a.HasUsage {
		out = append(out, Event{Kind: Counted, Usage: a.Usage})
	}
	return append(out, Event{Kind: Ended})
}

// through writes events in a dialect and reads them again.
func through(n Name, in []Event) ([]Event, error) {
	var frames []byte
	w := Of(n).NewWriter(&Request{Model: "m", StreamUsage: true, Tools: []Tool{weatherTool}})
	for i := range in {
		frames = w.Write(frames, &in[i])
	}
	var out []Event
	r := Of(n).NewReader()
	for _, data := range append(dataOf(frames), nil) {
		var err error
		if out, err = r.Read(out, data); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// folded puts events together as a client does.
func folded(in []Event) (*Answer, error) {
	a := &Answer{Choices: make([]Candidate, 1), Usage: noUsage}
	c := &a.Choices[0]
	ended := false
	at := map[int]int{}
	for _, e := range in {
		switch e.Kind {
		case PartBegan:
			at[e.Index] = len(c.Parts)
			c.Parts = append(c.Parts, e.Part)
		case Delta:
			i, ok := at[e.Index]
			if !ok {
				return nil, fmt.Errorf("text of part %d, which did not begin", e.Index)
			}
			c.Parts[i].Text += e.Text
			c.Parts[i].Signature += e.Signature
		case Stopped:
			c.Stop = e.Stop
		case Counted:
			a.Usage, a.HasUsage = e.Usage, true
		case Ended:
			ended = true
		case Failed:
			return nil, fmt.Errorf("%s", e.Class)
		}
	}
	if !ended {
		return nil, fmt.Errorf("the stream has no end")
	}
	return a, nil
}

// passStream sends a stream from a provider to a caller.
func passStream(a *Answer, caller, provider Name) (o outcome) {
	said, err := through(provider, streamOf(a))
	if err != nil {
		return outcome{err: err}
	}
	whole, err := folded(said)
	if err != nil {
		return outcome{err: err}
	}
	heard, err := through(caller, said)
	if err != nil {
		return outcome{err: err}
	}
	got, err := folded(heard)
	if err != nil {
		return outcome{err: err}
	}
	o.passed(a, whole, got)
	return o
}

// passError reads a stream that breaks off with the provider's error: the caller's
// own is the gateway's to write.
func passError(wrong string, provider Name) (o outcome) {
	got, err := Of(provider).NewReader().Read(nil, []byte(wrong))
	if err != nil {
		return outcome{err: err}
	}
	o.compare([]EventKind{Failed}, []EventKind{got[len(got)-1].Kind})
	return o
}

// TestContract sends everything between every two dialects. What does not come out
// as it went in stands in the table of limits with its reason, or the test fails; so
// it does when something in that table works after all.
func TestContract(t *testing.T) {
	used := map[int]bool{}
	cells := map[string]string{}
	notes := []string{}
	hold := func(s side, name string, caller, provider Name, o outcome) {
		key, from := cell(s, name, caller, provider), provider
		if s == requests {
			from = caller
		}
		if u := (unsayable{s, name, from}); o.unsaid != unsaid[u] {
			t.Errorf("%s can say %s of %s: %v, and the table says otherwise\n%v%s", from, s, name, !o.unsaid, o.err, o.diff)
		}
		if o.unsaid {
			cells[key] = "–"
			return
		}
		for i, l := range limits {
			if l.side != s || l.name != name || l.caller != "" && l.caller != caller || l.provider != "" && l.provider != provider {
				continue
			}
			if o.ok {
				t.Errorf("%s works, and is listed as a limit", key)
			}
			used[i] = true
			n := 0
			for n < len(notes) && notes[n] != l.why {
				n++
			}
			if n == len(notes) {
				notes = append(notes, l.why)
			}
			cells[key] = fmt.Sprint(n + 1)
			if o.err == nil && len(o.lost) == 0 && !l.alike {
				t.Errorf("%s is lost in silence: %s", key, o.diff)
			}
			return
		}
		if !o.ok {
			t.Errorf("%s does not pass: %v, lost %q\n%s", key, o.err, o.lost, o.diff)
		}
		cells[key] = "✓"
	}
	for _, c := range contract {
		for _, caller := range mainDialects {
			for _, provider := range mainDialects {
				if caller == provider {
					continue
				}
				if c.request != nil {
					hold(requests, c.name, caller, provider, passRequest(c.request(caller), c.look, caller, provider))
				}
				if c.answer != nil {
					hold(answers, c.name, caller, provider, passAnswer(c.answer(provider), caller, provider))
					hold(streams, c.name, caller, provider, passStream(c.answer(provider), caller, provider))
				}
				if c.wrong != nil {
					hold(streams, c.name, caller, provider, passError(c.wrong[provider], provider))
				}
			}
		}
	}
	for i, l := range limits {
		if !used[i] {
			t.Errorf("the limit of %s %s, %s to %s is of nothing that is tried", l.side, l.name, l.caller, l.provider)
		}
	}
	const doc = "../../docs/dialects.md"
	got := matrix(cells, notes)
	if *update {
		if err := os.WriteFile(doc, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("docs/dialects.md is not what the codecs do; go test ./gateway/dialect -run Contract -update writes it\n%s", diff)
	}
}

func cell(s side, name string, caller, provider Name) string {
	return fmt.Sprintf("%s of %s, %s to %s", s, name, caller, provider)
}

// matrix writes the document.
func matrix(cells map[string]string, notes []string) []byte {
	var b bytes.Buffer
	b.WriteString(`# Dialects

An app speaks one of these dialects, and the provider behind the model that it asks
for may speak another. Between equals the bytes pass. Between others every call goes
through one neutral exchange; this page says what of it arrives. It is written by the
test that tries each of these (` + "`go test ./gateway/dialect -run Contract -update`" + `).

✓ arrives as it was; – the dialect that it comes from has no words for it; a number
names what does not arrive, and why. What does not arrive is either refused with a
400 that names the field, or named in the answer's header
` + "`x-plumbline-not-carried`" + ` and in the exchange's record.
`)
	for _, s := range []side{requests, answers, streams} {
		title := map[side]string{requests: "Requests, from the app to the provider", answers: "Answers, from the provider to the app", streams: "Streamed answers, from the provider to the app"}[s]
		fmt.Fprintf(&b, "\n## %s\n\n| app → provider |", title)
		var names []string
		for _, c := range contract {
			if s == requests && c.request != nil || s == answers && c.answer != nil || s == streams && (c.answer != nil || c.wrong != nil) {
				names = append(names, c.name)
				fmt.Fprintf(&b, " %s |", c.name)
			}
		}
		fmt.Fprintf(&b, "\n|---|%s\n", strings.Repeat(":-:|", len(names)))
		for _, caller := range mainDialects {
			for _, provider := range mainDialects {
				if caller == provider {
					continue
				}
				fmt.Fprintf(&b, "| %s → %s |", caller, provider)
				for _, name := range names {
					fmt.Fprintf(&b, " %s |", cells[cell(s, name, caller, provider)])
				}
				b.WriteString("\n")
			}
		}
	}
	b.WriteString("\n## What does not arrive\n\n")
	for i, why := range notes {
		fmt.Fprintf(&b, "%d. %s\n", i+1, why)
	}
	return b.Bytes()
}
