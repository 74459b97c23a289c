package dialect

// geminiReader reads a stream of replies. It has no last event: it is whole when every
// choice said why it stopped, or the prompt was refused, and the connection ended
// cleanly.
type geminiReader struct {
	started bool
	ended   bool
	choices map[int]*geminiOpen
	replies int
}

// geminiOpen is a choice of a stream.
type geminiOpen struct {
	parts int
	open  bool
	kind  PartKind
	calls bool
	done  bool
}

func (gemini) NewReader() Reader { return &geminiReader{choices: map[int]*geminiOpen{}} }

func (r *geminiReader) Read(dst []Event, data []byte) ([]Event, error) {
	if r.ended {
		return dst, nil
	}
	if data == nil {
		return r.end(dst), nil
	}
	r.replies++
	g := &geminiReply{at: r.replies}
	if err := g.read(data); err != nil {
		return dst, err
	}
	if g.failed != nil {
		return append(dst, Event{Kind: Failed, Class: g.failed.text("status"), Message: g.failed.text("message")}), nil
	}
	if !r.started {
		r.started = true
		dst = append(dst, Event{Kind: Started, ID: g.id, Model: g.model, Created: g.created})
	}
	for i := range g.list {
		dst = r.candidate(dst, &g.list[i])
	}
	if g.blocked && len(g.list) == 0 {
		c := r.choice(0)
		if !c.done {
			c.done = true
			dst = append(c.close(dst, 0), Event{Kind: Stopped, Stop: StopFilter})
		}
	}
	if g.usage != nil && (g.usage.Input >= 0 || g.usage.Output >= 0) {
		dst = append(dst, Event{Kind: Counted, Usage: *g.usage})
	}
	return dst, nil
}

func (r *geminiReader) end(dst []Event) []Event {
	if len(r.choices) == 0 {
		return dst
	}
	for _, c := range r.choices {
		if !c.done {
			return dst
		}
	}
	r.ended = true
	return append(dst, Event{Kind: Ended})
}

func (r *geminiReader) choice(n int) *geminiOpen {
	c := r.choices[n]
	if c == nil {
		c = &geminiOpen{}
		r.choices[n] = c
	}
	return c
}

func (r *geminiReader) candidate(dst []Event, in *geminiCandidate) []Event {
	c := r.choice(in.index)
	if c.done {
		return dst
	}
	for i := range in.parts {
		dst = c.take(dst, in.index, &in.parts[i])
	}
	if in.reason == "" || in.reason == "FINISH_REASON_UNSPECIFIED" {
		return dst
	}
	c.done = true
	return append(c.close(dst, in.index), Event{Kind: Stopped, Choice: in.index, Stop: geminiStop(in.reason, c.calls)})
}

func (c *geminiOpen) close(dst []Event, choice int) []Event {
	if !c.open {
		return dst
	}
	c.open = false
	return append(dst, Event{Kind: PartEnded, Choice: choice, Index: c.parts - 1})
}

// take gives the events of a part: texts go on where the last one ended, everything
// else comes whole.
func (c *geminiOpen) take(dst []Event, choice int, p *Part) []Event {
	text := p.Text
	if p.Kind != Text && p.Kind != Thought {
		dst = c.close(dst, choice)
		c.calls = c.calls || p.Kind == ToolCall
		whole := *p
		whole.Text = ""
		dst = append(dst, Event{Kind: PartBegan, Choice: choice, Index: c.parts, Part: whole})
		if text != "" {
			dst = append(dst, Event{Kind: Delta, Choice: choice, Index: c.parts, Text: text})
		}
		c.parts++
		return append(dst, Event{Kind: PartEnded, Choice: choice, Index: c.parts - 1})
	}
	if text == "" && p.Signature == "" {
		return dst
	}
	if !c.open || c.kind != p.Kind {
		dst = c.close(dst, choice)
		origin := p.Origin
		if origin == "" {
			origin = Gemini
		}
		dst = append(dst, Event{Kind: PartBegan, Choice: choice, Index: c.parts, Part: Part{Kind: p.Kind, Origin: origin}})
		c.open, c.kind = true, p.Kind
		c.parts++
	}
	return append(dst, Event{Kind: Delta, Choice: choice, Index: c.parts - 1, Text: text, Signature: p.Signature})
}

// geminiWriter writes a stream of replies. Texts go out as they come; calls when they
// are whole, for the API has no halves of them.
type geminiWriter struct {
	r     *Request
	id    string
	model string
	usage *geminiCounts
	parts map[[2]int]*Part // that are open, by choice and index
	stops []geminiChoiceOut
}

func (gemini) NewWriter(r *Request) Writer {
	return &geminiWriter{r: r, model: r.Model, parts: map[[2]int]*Part{}}
}

func (w *geminiWriter) Write(dst []byte, e *Event) []byte {
	at := [2]int{e.Choice, e.Index}
	switch e.Kind {
	case Started:
		w.id = e.ID
		if e.Model != "" {
			w.model = e.Model
		}
	case PartBegan:
		p := e.Part
		text, sign := p.Text, p.Signature
		w.parts[at] = &p
		if waits(&p) {
			return dst
		}
		p.Text, p.Signature = "", ""
		return w.delta(dst, e.Choice, &p, text, sign)
	case Delta:
		p := w.parts[at]
		switch {
		case p == nil:
			return dst
		case waits(p):
			p.Text += e.Text
			if e.Signature != "" {
				p.Signature = e.Signature
			}
			return dst
		}
		return w.delta(dst, e.Choice, p, e.Text, e.Signature)
	case PartEnded:
		p := w.parts[at]
		delete(w.parts, at)
		if p != nil && waits(p) {
			return w.whole(dst, e.Choice, p)
		}
	case Stopped:
		w.stops = append(w.stops, geminiChoiceOut{Reason: geminiReason(e.Stop), Index: e.Choice})
	case Counted:
		w.usage = geminiUsage(e.Usage)
	case Failed:
		code, status := geminiStatus(e.Class)
		return data(dst, struct {
			Error geminiError `json:"error"`
		}{geminiError{code, e.Message, status}})
	case Ended:
		return w.end(dst)
	}
	return dst
}

type geminiError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Status  string `json:"status"`
}

// waits reports whether a part goes out when it is whole.
func waits(p *Part) bool {
	return p.Kind != Text && p.Kind != Declined && (p.Kind != Thought || p.Sealed != "")
}

func (w *geminiWriter) delta(dst []byte, choice int, p *Part, text, sign string) []byte {
	if text == "" && sign == "" {
		return dst
	}
	piece := Part{Kind: p.Kind, Text: text, Signature: sign, Origin: p.Origin}
	return w.whole(dst, choice, &piece)
}

func (w *geminiWriter) whole(dst []byte, choice int, p *Part) []byte {
	part, ok := geminiAnswerPart(p)
	if !ok {
		return dst
	}
	return w.chunk(dst, geminiChoiceOut{Content: geminiContent{"model", []geminiPart{part}}, Index: choice})
}

func (w *geminiWriter) chunk(dst []byte, c ...geminiChoiceOut) []byte {
	return data(dst, geminiAnswer{Candidates: c, Model: w.model, ID: w.id})
}

// end writes calls that nobody ended, and why each choice stopped. Google's client
// forgets an answer of which an event has no parts, so that the last has one.
func (w *geminiWriter) end(dst []byte) []byte {
	for len(w.parts) > 0 {
		var next [2]int
		found := false
		for at := range w.parts {
			if !found || at[0] < next[0] || at[0] == next[0] && at[1] < next[1] {
				next, found = at, true
			}
		}
		dst = w.Write(dst, &Event{Kind: PartEnded, Choice: next[0], Index: next[1]})
	}
	if len(w.stops) == 0 {
		w.stops = []geminiChoiceOut{{Reason: geminiReason(StopUnknown)}}
	}
	for i := range w.stops {
		w.stops[i].Content = geminiContent{"model", []geminiPart{{Text: new(string)}}}
	}
	return data(dst, geminiAnswer{Candidates: w.stops, Usage: w.usage, Model: w.model, ID: w.id})
}

// data appends a server-sent event without a name.
func data(dst []byte, v any) []byte {
	b, err := encode(v)
	if err != nil { // nothing that is written here can fail to be JSON
		return dst
	}
	return append(append(append(dst, "data: "...), b...), '\n', '\n')
}
