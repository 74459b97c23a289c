package dialect

// responsesWriter writes the events of a response. Its clients hold it to an order:
// an item is added before its parts, a part before its text; a text comes whole once
// more when it ends, then its part, then its item; the response comes whole last.
type responsesWriter struct {
	r       *Request
	head    map[string]any
	id      string
	seq     int
	begun   bool
	items   []*openItem
	parts   map[int]*openPart
	stop    StopReason
	counted *Event
	ended   bool
}

type openItem struct {
	at   int
	item responsesItem
	open int // parts of a message that did not end
	done bool
}

type openPart struct {
	of     *openItem
	part   Part // its text is what came
	at     int  // in a message's content
	some   bool // the summary's part was added
	custom bool
	done   bool
}

func (responses) NewWriter(r *Request) Writer {
	return &responsesWriter{r: r, head: r.head(), parts: map[int]*openPart{}}
}

// outEvent is an event; pointers are fields that one of its type has even when they
// are empty.
type outEvent struct {
	Type      string         `json:"type"`
	Seq       int            `json:"sequence_number"`
	Response  map[string]any `json:"response,omitempty"`
	Output    *int           `json:"output_index,omitempty"`
	Item      *responsesItem `json:"item,omitempty"`
	ItemID    string         `json:"item_id,omitempty"`
	Content   *int           `json:"content_index,omitempty"`
	Summary   *int           `json:"summary_index,omitempty"`
	Part      any            `json:"part,omitempty"`
	Delta     *string        `json:"delta,omitempty"`
	Text      *string        `json:"text,omitempty"`
	Refusal   *string        `json:"refusal,omitempty"`
	Name      string         `json:"name,omitempty"`
	Arguments *string        `json:"arguments,omitempty"`
	Input     *string        `json:"input,omitempty"`
	Logprobs  *[]any         `json:"logprobs,omitempty"`
}

func (w *responsesWriter) Write(dst []byte, e *Event) []byte {
	if w.ended || e.Choice > 0 {
		return dst
	}
	if !w.begun {
		dst = w.start(dst, e)
	}
	switch e.Kind {
	case PartBegan:
		if w.parts[e.Index] == nil {
			dst = w.begin(dst, e)
		}
	case Delta:
		if p := w.parts[e.Index]; p != nil && !p.done {
			dst = w.delta(dst, p, e)
		}
	case PartEnded:
		if p := w.parts[e.Index]; p != nil && !p.done {
			dst = w.endPart(dst, p)
		}
	case Stopped:
		w.stop = e.Stop
	case Counted:
		kept := *e
		w.counted = &kept
	case Failed:
		w.ended = true
		w.head["error"] = map[string]string{"code": e.Class, "message": e.Message}
		return w.whole(w.close(dst), "failed", "failed", nil)
	case Ended:
		w.ended = true
		dst = w.close(dst)
		declined := false
		for _, p := range w.parts {
			declined = declined || p.part.Kind == Declined
		}
		status, why := responsesEnd(w.stop, declined)
		return w.whole(dst, status, status, why)
	}
	return dst
}

// start opens the response, with the event that says its id or without.
func (w *responsesWriter) start(dst []byte, e *Event) []byte {
	w.begun = true
	w.id = responseID(e.ID)
	w.head["id"], w.head["created_at"], w.head["model"] = w.id, e.Created, e.Model
	if e.Model == "" {
		w.head["model"] = w.r.Model
	}
	dst = w.whole(dst, "created", "in_progress", nil)
	return w.whole(dst, "in_progress", "in_progress", nil)
}

// whole writes an event that holds the response as it is now.
func (w *responsesWriter) whole(dst []byte, name, status string, why any) []byte {
	output := []responsesItem{}
	for _, it := range w.items {
		output = append(output, it.item)
	}
	w.head["status"], w.head["incomplete_details"], w.head["output"] = status, why, output
	if w.counted != nil {
		w.head["usage"] = responsesUsageOf(w.counted.Usage)
	}
	return w.event(dst, outEvent{Type: "response." + name, Response: w.head})
}

func (w *responsesWriter) event(dst []byte, e outEvent) []byte {
	e.Seq = w.seq
	w.seq++
	return frame(dst, e.Type, e)
}

// add opens an item.
func (w *responsesWriter) add(dst []byte, it responsesItem) ([]byte, *openItem) {
	if n := len(w.items); n > 0 && w.items[n-1].open == 0 {
		dst = w.endItem(dst, w.items[n-1])
	}
	it.ID, it.Status = itemID(it.Type, w.id, len(w.items)), "in_progress"
	o := &openItem{at: len(w.items), item: it}
	w.items = append(w.items, o)
	shown := it
	return w.event(dst, outEvent{Type: "response.output_item.added", Output: &o.at, Item: &shown}), o
}

func (w *responsesWriter) begin(dst []byte, e *Event) []byte {
	p := &openPart{part: e.Part}
	p.part.Text = ""
	empty := ""
	switch e.Part.Kind {
	case Text, Declined:
		n := len(w.items)
		if n == 0 || w.items[n-1].item.Content == nil || w.items[n-1].done {
			dst, p.of = w.add(dst, responsesItem{Type: "message", Role: "assistant", Content: &[]outputText{}})
		} else {
			p.of = w.items[n-1]
		}
		content := outputOf(p.part.Kind, "")
		p.at = len(*p.of.item.Content)
		both := append(append([]outputText{}, *p.of.item.Content...), content)
		p.of.item.Content = &both
		p.of.open++
		dst = w.event(dst, outEvent{Type: "response.content_part.added", Output: &p.of.at, ItemID: p.of.item.ID, Content: &p.at, Part: content})
	case Thought:
		dst, p.of = w.add(dst, responsesItem{Type: "reasoning", Summary: &[]summaryText{}})
		p.of.open++
	case ToolCall:
		if wrap(&p.part, Responses) != "" {
			signed := Part{Kind: Thought, Signature: p.part.Signature, Origin: p.part.Origin}
			dst, p.of = w.add(dst, responsesItem{Type: "reasoning", Summary: &[]summaryText{}})
			dst = w.endPart(dst, &openPart{of: p.of, part: signed})
		}
		if p.custom = w.r.custom(p.part.Name); p.custom {
			dst, p.of = w.add(dst, responsesItem{Type: "custom_tool_call", CallID: p.part.ID, Name: p.part.Name, Input: &empty})
		} else {
			dst, p.of = w.add(dst, responsesItem{Type: "function_call", CallID: p.part.ID, Name: p.part.Name, Arguments: &empty})
		}
		p.of.open++
	default:
		return dst
	}
	w.parts[e.Index] = p
	return dst
}

func (w *responsesWriter) delta(dst []byte, p *openPart, e *Event) []byte {
	if e.Signature != "" {
		p.part.Signature = e.Signature
	}
	if e.Text == "" {
		return dst
	}
	p.part.Text += e.Text
	out := outEvent{Output: &p.of.at, ItemID: p.of.item.ID, Delta: &e.Text}
	switch p.part.Kind {
	case Text:
		out.Type, out.Content, out.Logprobs = "response.output_text.delta", &p.at, &[]any{}
	case Declined:
		out.Type, out.Content = "response.refusal.delta", &p.at
	case Thought:
		if !p.some {
			p.some = true
			dst = w.event(dst, outEvent{Type: "response.reasoning_summary_part.added", Output: &p.of.at, ItemID: p.of.item.ID, Summary: &p.at, Part: summaryText{"summary_text", ""}})
		}
		out.Type, out.Summary = "response.reasoning_summary_text.delta", &p.at
	case ToolCall:
		if p.custom { // the input is known when the arguments around it are whole
			return dst
		}
		out.Type = "response.function_call_arguments.delta"
	}
	return w.event(dst, out)
}

// endPart says a part's text once more, and ends its item where it is alone in it.
func (w *responsesWriter) endPart(dst []byte, p *openPart) []byte {
	p.done = true
	p.of.open = max(p.of.open-1, 0)
	it, text := &p.of.item, p.part.Text
	out := outEvent{Output: &p.of.at, ItemID: it.ID}
	switch p.part.Kind {
	case Text, Declined:
		content := outputOf(p.part.Kind, text)
		(*it.Content)[p.at] = content
		done := out
		done.Content = &p.at
		if p.part.Kind == Text {
			done.Type, done.Text, done.Logprobs = "response.output_text.done", &text, &[]any{}
		} else {
			done.Type, done.Refusal = "response.refusal.done", &text
		}
		dst = w.event(dst, done)
		out.Type, out.Content, out.Part = "response.content_part.done", &p.at, content
		if dst = w.event(dst, out); p.of.open > 0 || p.of.at == len(w.items)-1 {
			return dst // more of the message may come
		}
	case Thought:
		if p.some {
			part := summaryText{"summary_text", text}
			it.Summary = &[]summaryText{part}
			done := out
			done.Type, done.Summary, done.Text = "response.reasoning_summary_text.done", &p.at, &text
			dst = w.event(dst, done)
			out.Type, out.Summary, out.Part = "response.reasoning_summary_part.done", &p.at, part
			dst = w.event(dst, out)
		}
		it.Encrypted = wrap(&p.part, Responses)
	case ToolCall:
		dst = w.endCall(dst, p, out)
	}
	return w.endItem(dst, p.of)
}

func (w *responsesWriter) endCall(dst []byte, p *openPart, out outEvent) []byte {
	text := p.part.Text
	if !p.custom {
		p.of.item.Arguments = &text
		out.Type, out.Name, out.Arguments = "response.function_call_arguments.done", p.part.Name, &text
		return w.event(dst, out)
	}
	if text = customInput(text); text != "" {
		piece := out
		piece.Type, piece.Delta = "response.custom_tool_call_input.delta", &text
		dst = w.event(dst, piece)
	}
	p.of.item.Input = &text
	out.Type, out.Input = "response.custom_tool_call_input.done", &text
	return w.event(dst, out)
}

func (w *responsesWriter) endItem(dst []byte, o *openItem) []byte {
	if o.done {
		return dst
	}
	o.done = true
	if o.item.Status = "completed"; w.stop == StopLength && o.at == len(w.items)-1 {
		o.item.Status = "incomplete"
	}
	return w.event(dst, outEvent{Type: "response.output_item.done", Output: &o.at, Item: &o.item})
}

// close ends what is open, in the order in which it began.
func (w *responsesWriter) close(dst []byte) []byte {
	for n := 0; len(w.parts) > 0 && n < len(w.items); n++ {
		for i := 0; i <= w.last(); i++ {
			if p := w.parts[i]; p != nil && p.of.at == n && !p.done {
				dst = w.endPart(dst, p)
			}
		}
		dst = w.endItem(dst, w.items[n])
	}
	return dst
}

// last is the index of the last part.
func (w *responsesWriter) last() int {
	last := -1
	for i := range w.parts {
		last = max(last, i)
	}
	return last
}
