package dialect

import "strings"

// What a Messages body may hold depends on the model: from one release to the next
// the provider began to refuse fields that it took before. A model that is not named
// like one of Anthropic's gets what was always there: its provider speaks the dialect
// alone.

// release is a model's generation, 4.6 as 406; 0 when the name tells none.
type release int

// releaseOf reads the generation from a model's name: claude-3-7-sonnet-20250219,
// claude-sonnet-4-20250514, us.anthropic.claude-opus-4-6-v1, claude-opus-4-1@20250805.
func releaseOf(model string) release {
	_, name, ok := strings.Cut(strings.ToLower(model), "claude-")
	if !ok {
		return 0
	}
	major, minor := -1, 0
	for _, word := range strings.FieldsFunc(name, func(c rune) bool { return c == '-' || c == '@' || c == ':' || c == '.' }) {
		n, small := 0, len(word) <= 2
		for _, c := range word {
			if c < '0' || c > '9' {
				small = false
			}
			n = n*10 + int(c-'0')
		}
		if !small && major >= 0 {
			break // a date or a family: what follows is no minor number
		}
		if small && major >= 0 {
			minor = n
			break
		}
		if small {
			major = n
		}
	}
	if major < 0 {
		return 0
	}
	return release(major*100 + minor)
}

// The releases at which the provider's rules changed.
const (
	thinks   release = 307 // takes thinking, with a budget
	oneSided release = 401 // refuses temperature and top_p together
	adapts   release = 406 // decides itself how long to think, and takes an effort
	unsteady release = 407 // refuses temperature, top_p, top_k and budgets
	heeds    release = 408 // takes system turns in the middle of a conversation
	unstill  release = 500 // cannot be told not to think
)

func (m release) sampling() bool { return m < unsteady }
func (m release) adaptive() bool { return m >= adapts }
func (m release) thinks() bool   { return m == 0 || m >= thinks }
func (m release) silent() bool   { return m != 0 && m >= thinks && m < unstill }

// budgets are what efforts amount to for models that want a number.
var budgets = map[string]int64{"minimal": 1024, "low": 1024, "medium": 4096, "high": 16384, "xhigh": 32768}

// leastBudget is the least that the provider takes.
const leastBudget = 1024

// messagesWishes writes what bears on thinking, sampling and the answer's form. While
// a model thinks it takes neither sampling wishes nor a tool that it must call; of
// the two the caller's choice of tools stays.
func (r *Request) messagesWishes(w *messagesRequest) {
	m := releaseOf(r.Model)
	if r.Format.Kind == FormatJSON {
		r.lose("response_format") // the prompt asks for JSON too: OpenAI refuses it otherwise
	}
	var config outputConfig
	if r.Format.Kind == FormatSchema {
		config.Format = &outputFormat{"json_schema", closed(r.Format.Schema)}
	}
	forced := r.Choice.Mode == ChoiceRequired || r.Choice.Mode == ChoiceNamed
	w.Thinking, config.Effort = r.messagesThinking(m, w.MaxTokens, forced)
	if config != (outputConfig{}) {
		w.OutputConfig = &config
	}
	thinks := w.Thinking != nil && w.Thinking.Type != "disabled"

	if r.Temperature != nil {
		t := *r.Temperature
		switch {
		case !m.sampling() && t != 1, thinks && t != 1:
			r.lose("temperature")
		case t > 1: // OpenAI's goes up to 2
			r.lose("temperature")
			t = 1
			fallthrough
		case m.sampling() && !thinks:
			w.Temperature = &t
		}
	}
	if r.TopP != nil && *r.TopP != 1 {
		if !m.sampling() || thinks && *r.TopP < 0.95 || m >= oneSided && w.Temperature != nil {
			r.lose("top_p")
		} else {
			w.TopP = r.TopP
		}
	}
	if r.TopK != nil {
		if !m.sampling() || thinks {
			r.lose("top_k")
		} else {
			w.TopK = r.TopK
		}
	}
}

// messagesThinking turns an effort or a budget into what the model takes.
func (r *Request) messagesThinking(m release, most int64, forced bool) (*thinking, string) {
	want := r.Reasoning
	off := want.Budget != nil && *want.Budget == 0 || want.Effort == "none"
	if off {
		if m.silent() || m == 0 {
			return &thinking{Type: "disabled"}, ""
		}
		if m >= unstill {
			r.lose("reasoning")
		}
		return nil, ""
	}
	if want == (Reasoning{}) {
		return nil, ""
	}
	if !m.thinks() || forced {
		r.lose("reasoning")
		return nil, ""
	}
	if m.adaptive() && (want.Budget == nil || !m.sampling()) {
		t := &thinking{Type: "adaptive", Display: "omitted"}
		if want.Show {
			t.Display = "summarized"
		}
		effort := r.effort()
		if effort == "minimal" {
			effort = "low"
		}
		return t, effort
	}
	budget := budgets[want.Effort]
	if want.Budget != nil {
		budget = *want.Budget
	}
	if budget < 0 { // Gemini's word for what the model thinks right
		budget = budgets["medium"]
	}
	if most/2 < budget && want.Budget == nil {
		budget = most / 2 // thoughts count towards the limit, and an answer shall be left
	}
	if budget < leastBudget || budget >= most || r.thoughtless() {
		if want.Effort != "" || want.Budget != nil {
			r.lose("reasoning")
		}
		return nil, ""
	}
	t := &thinking{Type: "enabled", Budget: budget}
	if !want.Show {
		t.Display = "omitted"
	}
	return t, ""
}

// thoughtless reports whether the model is in the middle of calling tools without
// signed thoughts before the calls, as when another provider's model made them. With
// a budget the provider then refuses to think on.
func (r *Request) thoughtless() bool {
	for i := len(r.Turns) - 1; i >= 0; i-- {
		t := r.Turns[i]
		if t.Role != Assistant {
			results := len(t.Parts) > 0
			for _, p := range t.Parts {
				results = results && p.Kind == ToolResult
			}
			if !results {
				return false
			}
			continue
		}
		return len(t.Parts) == 0 || t.Parts[0].Kind != Thought || t.Parts[0].Origin != Messages
	}
	return false
}
