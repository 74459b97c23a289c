// Package guardrail finds personal data, secrets and signs of prompt injection in
// text, whole or streamed. What a guard says is a pure function of the whole text
// of a channel: never of where a chunk was cut or when it came.
//
// Text is read word by word in one pass; only words that carry a sign of a
// candidate (a digit, an @, a run of dashes, a trigger noun) are looked at. A
// word ends at white space, a quote, a bracket, a comma or the like.
package guardrail

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sort"
	"sync"

	"plumbline/gateway/event"
	"plumbline/inventory"
)

// The guards. Their names are in records and profiles.
const (
	PII       = "pii"
	Secrets   = "secrets"
	Injection = "injection"
)

// version of the detectors, in every verdict.
const version = "1"

// Indexes into guards.
const (
	guardPII = iota
	guardSecrets
	guardInjection
)

// Guard is one of the guards, in what people and profiles may say of it.
type Guard struct {
	Name    string
	What    string   // it finds, in words for pages
	Classes []string // of what it finds
	Modes   []inventory.GuardMode
}

var anyMode = []inventory.GuardMode{inventory.Monitor, inventory.Redact, inventory.Block}

var guards = []Guard{
	{PII, "structured personal data: e-mail, payment card (Luhn), IBAN (mod 97), US social security number, IP address", []string{"card", "email", "iban", "ip", "ssn"}, anyMode},
	{Secrets, "keys of AI and cloud providers, tokens and private key blocks, by their form", secretClasses(), anyMode},
	{Injection, "a heuristic for prompt injection: known phrasings, neither complete nor free of false alarms", []string{"override", "extraction", "jailbreak"}, []inventory.GuardMode{inventory.Monitor, inventory.Block}},
}

// Guards lists the guards.
func Guards() []Guard { return slices.Clone(guards) }

// Names lists their names.
func Names() []string {
	var out []string
	for _, g := range guards {
		out = append(out, g.Name)
	}
	return out
}

// MaxText is how much text of one request or whole answer is read where a profile does
// not say, in bytes: all of the largest body and of the largest answer that the gateway
// takes unless it is told otherwise.
const MaxText = 32 << 20

// Profile is a compiled guard profile.
type Profile struct {
	ID             string
	MaxText        int64 // bytes that are read; of more nothing is
	prompt, answer sync.Pool
	hasP, hasA     bool
}

// setting is one guard in one direction.
type setting struct {
	guard    int
	mode     inventory.GuardMode
	failOpen bool
	classes  map[string]bool // nil: all
}

// Compile checks a profile and prepares it.
func Compile(p inventory.GuardProfile) (*Profile, error) {
	var prompt, answer []setting
	seen := map[string]bool{}
	for i, s := range p.Guards {
		c, err := compileSetting(s)
		if err == nil && seen[s.Guard] {
			err = errors.New("is there twice")
		}
		if err != nil {
			return nil, fmt.Errorf("guards[%d] %q: %w", i, s.Guard, err)
		}
		seen[s.Guard] = true
		if s.Prompt == nil || *s.Prompt {
			prompt = append(prompt, c)
		}
		if s.Answer == nil || *s.Answer {
			answer = append(answer, c)
		}
	}
	if p.MaxText < 0 {
		return nil, fmt.Errorf("max_text %d is no number of bytes; leave it out for %d", p.MaxText, MaxText)
	}
	out := &Profile{ID: string(p.ID), MaxText: cmp.Or(p.MaxText, MaxText), hasP: len(prompt) > 0, hasA: len(answer) > 0}
	out.prompt.New = func() any { return newInspector(prompt, &out.prompt) }
	out.answer.New = func() any { return newInspector(answer, &out.answer) }
	return out, nil
}

func compileSetting(s inventory.GuardSetting) (setting, error) {
	g := slices.IndexFunc(guards, func(g Guard) bool { return g.Name == s.Guard })
	if g < 0 {
		return setting{}, fmt.Errorf("no such guard; there are %v", Names())
	}
	if !slices.Contains(guards[g].Modes, s.Mode) {
		return setting{}, fmt.Errorf("mode %q is none of %v", s.Mode, guards[g].Modes)
	}
	if s.OnFailure != "" && s.OnFailure != "open" && s.OnFailure != "closed" {
		return setting{}, fmt.Errorf("on_failure %q is neither closed nor open", s.OnFailure)
	}
	out := setting{guard: g, mode: s.Mode, failOpen: s.OnFailure == "open"}
	for _, c := range s.Classes {
		if !slices.Contains(guards[g].Classes, c) {
			return setting{}, fmt.Errorf("class %q is none of %v", c, guards[g].Classes)
		}
		if out.classes == nil {
			out.classes = map[string]bool{}
		}
		out.classes[c] = true
	}
	return out, nil
}

// Prompt is an inspector for one request; Release it.
func (p *Profile) Prompt() *Inspector { return p.prompt.Get().(*Inspector) }

// Answer is an inspector for one answer; Release it.
func (p *Profile) Answer() *Inspector { return p.answer.Get().(*Inspector) }

// Inspector gathers what the guards of one direction found in an exchange.
type Inspector struct {
	settings []setting
	byGuard  [3]*setting // by index into guards
	found    []finding   // by setting
	pool     *sync.Pool
	whole    scan
	streams  []*Stream
	out      []byte
	holds    bool // a guard redacts or blocks
	media    bool // there was something that no guard reads
}

type finding struct {
	hits    uint32
	classes []string
	ran     bool
	notRun  string
	at      uint64
}

func newInspector(settings []setting, pool *sync.Pool) *Inspector {
	i := &Inspector{settings: settings, found: make([]finding, len(settings)), pool: pool}
	for n := range settings {
		i.byGuard[settings[n].guard] = &settings[n]
		i.holds = i.holds || settings[n].mode != inventory.Monitor
	}
	return i
}

// What an inspector holds on to for the next text at most.
const (
	mostKept    = 256 << 10 // bytes of a text
	mostMatches = 1 << 10
)

// Forget lets go of a large text that Text gave out, and of the many places where it
// found something.
func (i *Inspector) Forget() {
	if cap(i.out) > mostKept {
		i.out = nil
	}
	if cap(i.whole.matches) > mostMatches {
		i.whole.matches = nil
	}
}

// Release gives the inspector back; nothing of it may be used afterwards.
func (i *Inspector) Release() {
	i.Forget()
	for n := range i.found {
		i.found[n] = finding{classes: i.found[n].classes[:0]}
	}
	i.closeStreams()
	i.media = false
	i.pool.Put(i)
}

// Idle reports that no guard is set for this direction.
func (i *Inspector) Idle() bool { return len(i.settings) == 0 }

// Holds reports whether a stream may be held back: a guard redacts or blocks.
func (i *Inspector) Holds() bool { return i.holds }

// Text inspects one whole text. When a redacting guard hit, out is the text with
// placeholders and changed is true; out is valid until the next call.
func (i *Inspector) Text(text []byte) (out []byte, changed bool) {
	if i.Idle() {
		return text, false
	}
	s := &i.whole
	s.reset(i)
	s.text = text
	s.run(true)
	s.text = nil
	if !s.redacts {
		return text, false
	}
	i.out = redact(i.out[:0], text, 0, s.matches, 0, len(text))
	return i.out, true
}

// NotRun notes that the guards could not look, and why (a code). It reports
// whether the exchange may go on: every guard that would act fails open.
func (i *Inspector) NotRun(reason string) bool {
	on := true
	for n := range i.found {
		i.found[n].notRun = reason
		on = on && (i.settings[n].failOpen || i.settings[n].mode == inventory.Monitor)
	}
	return on
}

// Blocked is the class that a blocking guard hit.
func (i *Inspector) Blocked() (guard, class string, ok bool) {
	for n, f := range i.found {
		if i.settings[n].mode == inventory.Block && f.hits > 0 {
			return guards[i.settings[n].guard].Name, f.classes[0], true
		}
	}
	return "", "", false
}

// ReleasedAt notes how many bytes of the answer were out when it was blocked.
func (i *Inspector) ReleasedAt(bytes uint64) {
	for n := range i.found {
		if i.settings[n].mode == inventory.Block && i.found[n].hits > 0 {
			i.found[n].at = bytes
		}
	}
}

// Unread notes that images, sounds, files or what reads like one came with the text.
// No guard reads them, and every verdict says so.
func (i *Inspector) Unread() { i.media = true }

// Verdicts appends one verdict for each guard of the direction.
func (i *Inspector) Verdicts(dst []event.Verdict) []event.Verdict {
	for n := range i.settings {
		s, f := &i.settings[n], &i.found[n]
		v := event.Verdict{Guard: guards[s.guard].Name, Version: version, Blocking: s.mode != inventory.Monitor, Hits: f.hits, At: f.at}
		switch {
		case f.notRun != "":
			v.State, v.Reason, v.FailOpen = event.NotRun, f.notRun, s.failOpen || s.mode == inventory.Monitor
		case f.hits > 0:
			v.State = event.Hit
			v.Action = actions[s.mode]
			v.Classes = append([]string(nil), f.classes...)
			sort.Strings(v.Classes)
		case f.ran:
			v.State = event.Clear
		default:
			v.State, v.Reason = event.NotRun, "no_text"
		}
		if i.media && f.notRun == "" {
			v.Reason = "media_unread"
		}
		dst = append(dst, v)
	}
	return dst
}

var actions = map[inventory.GuardMode]event.Action{inventory.Monitor: event.ActionMonitored, inventory.Redact: event.ActionRedacted, inventory.Block: event.ActionBlocked}

// mode says what follows from a match; "" where no guard looks for it.
func (i *Inspector) mode(guard int, class string) inventory.GuardMode {
	s := i.byGuard[guard]
	if s == nil || s.classes != nil && !s.classes[class] {
		return ""
	}
	return s.mode
}

// count notes a match.
func (i *Inspector) count(guard int, class string) {
	for n := range i.settings {
		if &i.settings[n] != i.byGuard[guard] {
			continue
		}
		i.found[n].hits++
		if !slices.Contains(i.found[n].classes, class) {
			i.found[n].classes = append(i.found[n].classes, class)
		}
	}
}

func (i *Inspector) ran() {
	for n := range i.found {
		i.found[n].ran = true
	}
}
