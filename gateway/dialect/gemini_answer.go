package dialect

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"plumbline/gateway/event"
)

// geminiStop reads a reason. A call of tools ends with STOP like any other answer.
func geminiStop(reason string, calls bool) StopReason {
	switch reason {
	case "STOP":
		if calls {
			return StopTool
		}
		return StopEnd
	case "MAX_TOKENS":
		return StopLength
	case "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION":
		return StopFilter
	case "CONTINUATION":
		return StopPause
	}
	return StopUnknown
}

func geminiReason(s StopReason) string {
	switch s {
	case StopLength:
		return "MAX_TOKENS"
	case StopFilter, StopDeclined:
		return "SAFETY"
	}
	return "STOP"
}

// geminiCounts is usage as the API writes it: the prompt with what came from a cache,
// the answer without thoughts. Zeros are left out there.
type geminiCounts struct {
	Prompt   *int64 `json:"promptTokenCount,omitempty"`
	Answer   *int64 `json:"candidatesTokenCount,omitempty"`
	Thoughts *int64 `json:"thoughtsTokenCount,omitempty"`
	Cached   *int64 `json:"cachedContentTokenCount,omitempty"`
	Tools    *int64 `json:"toolUsePromptTokenCount,omitempty"`
	Total    *int64 `json:"totalTokenCount,omitempty"`
}

func (c *geminiCounts) usage() event.Usage {
	u := noUsage
	count := func(n *int64) int64 {
		if n == nil {
			return 0
		}
		return max(*n, 0)
	}
	if c.Prompt != nil {
		u.Input = count(c.Prompt) + count(c.Tools)
	}
	if c.Cached != nil {
		u.CacheRead = count(c.Cached)
	}
	if c.Thoughts != nil {
		u.Reasoning = count(c.Thoughts)
	}
	switch {
	case c.Answer != nil || c.Thoughts != nil:
		u.Output = count(c.Answer) + count(c.Thoughts)
	case c.Prompt != nil && c.Total != nil:
		u.Output = max(count(c.Total)-u.Input, 0)
	}
	return u
}

func geminiUsage(u event.Usage) *geminiCounts {
	c := &geminiCounts{}
	known := func(n int64) *int64 {
		if n < 0 {
			return nil
		}
		return &n
	}
	c.Prompt, c.Thoughts, c.Cached = known(u.Input), known(u.Reasoning), known(u.CacheRead)
	if u.Output >= 0 {
		c.Answer = known(max(u.Output-max(u.Reasoning, 0), 0))
	}
	if u.Input >= 0 && u.Output >= 0 {
		c.Total = known(u.Input + max(u.Output, u.Reasoning))
	}
	return c
}

// geminiReply is an answer, or one event of a streamed one, as it is read.
type geminiReply struct {
	at        int // which of a stream
	id, model string
	created   int64
	usage     *event.Usage
	blocked   bool // the prompt was refused
	failed    object
	list      []geminiCandidate
	lost      []string
}

type geminiCandidate struct {
	index  int
	parts  []Part
	reason string
}

// read reads a reply. Calls without an id get one of the reply's id and their place:
// elsewhere it is what results are told apart by.
func (g *geminiReply) read(body []byte) error {
	o, err := geminiObject(body, "body")
	if err != nil {
		return err
	}
	if raw := o.raw("error"); raw != nil {
		g.failed, err = readObject(raw, "error")
		return err
	}
	g.id, g.model = o.text("responseId"), o.text("modelVersion")
	if at, err := time.Parse(time.RFC3339, o.text("createTime")); err == nil {
		g.created = max(at.Unix(), 0)
	}
	if raw := o.raw("usageMetadata"); raw != nil {
		m, err := geminiObject(raw, "usageMetadata")
		if err != nil {
			return err
		}
		u, err := readGeminiCounts(m)
		if err != nil {
			return err
		}
		g.usage = &u
	}
	if raw := o.raw("promptFeedback"); raw != nil {
		f, err := geminiObject(raw, "promptFeedback")
		if err != nil {
			return err
		}
		g.blocked = f.text("blockReason") != ""
	}
	raw := o.raw("candidates")
	if raw == nil {
		return nil
	}
	list, err := readList(raw, "candidates")
	if err != nil {
		return err
	}
	for i, raw := range list {
		if err := g.candidate(raw, i); err != nil {
			return err
		}
	}
	return nil
}

func readGeminiCounts(m object) (event.Usage, error) {
	var c geminiCounts
	for _, f := range []struct {
		key string
		to  **int64
	}{{"promptTokenCount", &c.Prompt}, {"candidatesTokenCount", &c.Answer}, {"thoughtsTokenCount", &c.Thoughts},
		{"cachedContentTokenCount", &c.Cached}, {"toolUsePromptTokenCount", &c.Tools}, {"totalTokenCount", &c.Total}} {
		n, err := m.takeInt(f.key)
		if err != nil {
			return noUsage, within("usageMetadata", err)
		}
		*f.to = n
	}
	return c.usage(), nil
}

func (g *geminiReply) candidate(raw json.RawMessage, i int) error {
	field := fmt.Sprintf("candidates.%d", i)
	c, err := geminiObject(raw, field)
	if err != nil {
		return err
	}
	index, err := c.takeInt("index")
	if err != nil {
		return within(field, err)
	}
	out := geminiCandidate{reason: c.text("finishReason")}
	if index != nil && *index >= 0 && *index < 1<<16 {
		out.index = int(*index)
	}
	if raw := c.raw("content"); raw != nil {
		content, err := geminiObject(raw, field+".content")
		if err != nil {
			return err
		}
		if raw := content.raw("parts"); raw != nil {
			list, err := readList(raw, field+".content.parts")
			if err != nil {
				return err
			}
			for k, raw := range list {
				p, ok, err := g.part(raw, fmt.Sprintf("%s.content.parts.%d", field, k))
				if err != nil {
					return err
				}
				if ok && (p.Kind != Text || p.Text != "" || p.Signature != "") {
					out.parts = append(out.parts, p)
				}
			}
		}
	}
	for _, left := range c.rest("candidates.") {
		switch left { // measures of the answer, and no part of it
		case "candidates.safetyRatings", "candidates.tokenCount", "candidates.finishMessage", "candidates.avgLogprobs":
		default:
			g.lost = append(g.lost, left)
		}
	}
	g.list = append(g.list, out)
	return nil
}

func (g *geminiReply) part(raw json.RawMessage, at string) (Part, bool, error) {
	o, err := geminiObject(raw, at)
	if err != nil {
		return Part{}, false, err
	}
	for _, hosted := range []string{"executableCode", "codeExecutionResult", "toolCall", "toolResponse"} {
		if o.raw(hosted) != nil {
			g.lost = append(g.lost, "candidates.content.parts."+hosted)
			return Part{}, false, nil
		}
	}
	turns := geminiTurns{r: &Request{}, names: map[string]string{}}
	if call := o["functionCall"]; first(call) == '{' && members(call) != nil {
		ms := members(call)
		named := false
		for _, m := range ms {
			named = named || m.key == "id" && isString(m.value) && string(m.value) != `""`
		}
		if !named {
			id, _ := encode(g.callID(at, call))
			kept := ms[:0]
			for _, m := range ms {
				if m.key != "id" {
					kept = append(kept, m)
				}
			}
			o["functionCall"] = joined(append(kept, member{"id", id}))
		}
	}
	p, err := turns.part(o, at)
	return p, err == nil, err
}

// callID makes an id for a call out of where it stands and what it says.
func (g *geminiReply) callID(at string, call []byte) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\x00%d\x00%s\x00", g.id, g.at, at)
	h.Write(call)
	return fmt.Sprintf("call_%016x", h.Sum64())
}

func (gemini) ReadAnswer(body []byte) (*Answer, error) {
	var g geminiReply
	if err := g.read(body); err != nil {
		return nil, err
	}
	if g.failed != nil {
		return nil, &Malformed{"error", "stands in the place of an answer"}
	}
	a := &Answer{ID: g.id, Model: g.model, Created: g.created, Usage: noUsage}
	if g.usage != nil {
		a.Usage, a.HasUsage = *g.usage, g.usage.Input >= 0 || g.usage.Output >= 0
	}
	for _, c := range g.list {
		parts, calls := mergeThoughts(c.parts)
		a.Choices = append(a.Choices, Candidate{Parts: parts, Stop: geminiStop(c.reason, calls)})
	}
	if len(a.Choices) == 0 {
		if !g.blocked {
			return nil, &Malformed{"candidates", "are missing"}
		}
		a.Choices = []Candidate{{Stop: StopFilter}}
	}
	for _, f := range g.lost {
		a.lose(f)
	}
	return a, nil
}

// mergeThoughts makes one of the pieces of a thought, up to where it is signed, and says
// whether there are calls.
func mergeThoughts(parts []Part) (out []Part, calls bool) {
	for _, p := range parts {
		calls = calls || p.Kind == ToolCall
		if n := len(out); n > 0 && p.Kind == Thought && out[n-1].Kind == Thought && out[n-1].Signature == "" && out[n-1].Sealed == "" && p.Sealed == "" {
			p.Text = out[n-1].Text + p.Text
			out = out[:n-1]
		}
		out = append(out, p)
	}
	return out, calls
}

// geminiAnswer is an answer as it is written, or one event of a streamed one.
type geminiAnswer struct {
	Candidates []geminiChoiceOut `json:"candidates"`
	Usage      *geminiCounts     `json:"usageMetadata,omitempty"`
	Model      string            `json:"modelVersion,omitempty"`
	ID         string            `json:"responseId,omitempty"`
}

type geminiChoiceOut struct {
	Content geminiContent `json:"content"`
	Reason  string        `json:"finishReason,omitempty"`
	Index   int           `json:"index"`
}

func (gemini) WriteAnswer(a *Answer, r *Request) ([]byte, error) {
	w := geminiAnswer{Candidates: []geminiChoiceOut{}, Model: a.Model, ID: a.ID}
	if w.Model == "" {
		w.Model = r.Model
	}
	if a.HasUsage {
		w.Usage = geminiUsage(a.Usage)
	}
	for i, c := range a.Choices {
		out := geminiChoiceOut{Content: geminiContent{"model", []geminiPart{}}, Reason: geminiReason(c.Stop), Index: i}
		for k := range c.Parts {
			p, ok := geminiAnswerPart(&c.Parts[k])
			if !ok {
				a.lose("content")
				continue
			}
			out.Content.Parts = append(out.Content.Parts, p)
		}
		if len(out.Content.Parts) == 0 { // Google's client takes an answer without parts for none
			out.Content.Parts = []geminiPart{{Text: new(string)}}
		}
		w.Candidates = append(w.Candidates, out)
	}
	return encode(w)
}

// geminiAnswerPart writes a part of an answer; false when no part can hold it.
func geminiAnswerPart(p *Part) (geminiPart, bool) {
	out := geminiPart{Signature: wrapBytes(p, Gemini)}
	switch p.Kind {
	case Text, Declined, Thought:
		out.Text, out.Thought = &p.Text, p.Kind == Thought
	case ToolCall:
		out.Call = &geminiCall{p.ID, p.Name, new(Request).arguments(p.Text)}
	case Image, Audio, File:
		if p.Media.Data == "" || p.Media.Type == "" {
			return out, false
		}
		out.Inline = &geminiBlob{p.Media.Type, p.Media.Data}
	default:
		return out, false
	}
	return out, true
}

// geminiStatus is a failure's class in Google's words.
func geminiStatus(class string) (code int, status string) {
	for _, s := range []struct {
		code   int
		status string
		in     string
	}{{400, "INVALID_ARGUMENT", "invalid"}, {429, "RESOURCE_EXHAUSTED", "rate_limit"}, {429, "RESOURCE_EXHAUSTED", "exhausted"}, {503, "UNAVAILABLE", "overloaded"}, {503, "UNAVAILABLE", "unavailable"}, {504, "DEADLINE_EXCEEDED", "timeout"}} {
		if strings.Contains(strings.ToLower(class), s.in) {
			return s.code, s.status
		}
	}
	return 500, "INTERNAL"
}
