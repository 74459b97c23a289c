package gateway

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"

	"plumbline/gateway/event"
	"plumbline/gateway/guardrail"
	"plumbline/gateway/peek"
	"plumbline/inventory"
)

// profileOf is the guard profile of a system: its own, else the one required for
// its risk class, else the one called default.
func profileOf(o *orgView, s *inventory.System) *guardrail.Profile {
	if s != nil && s.Profile != "" {
		if p := o.profiles[s.Profile]; p != nil {
			return p
		}
	}
	if s != nil {
		if p := o.required[s.RiskClass]; p != nil {
			return p
		}
	}
	return o.profiles["default"]
}

// inspectPrompt runs the guards over every text of the request, then asks policy
// again with what was found.
func (g *Gateway) inspectPrompt(x *exchange) error {
	if x.profile = profileOf(x.org, x.system); x.profile != nil {
		x.prompt = x.profile.Prompt()
		err := g.readPrompt(x)
		x.ev.Prompt = x.prompt.Verdicts(x.ev.Prompt[:0])
		if err != nil {
			return err
		}
		if guard, class, hit := x.prompt.Blocked(); hit {
			return refuse(http.StatusBadRequest, "guard_blocked", fmt.Sprintf("the guard %q found %s in the request; take it out and send it again (request %s)", guard, class, x.idHdr[0]))
		}
		x.input.Found, x.input.Inspected = foundClasses(x.ev.Prompt)
	}
	if x.route.ByClasses() {
		if err := x.choose(false); err != nil {
			return err
		}
		x.placed(x.system)
	}
	x.input.Phase = "after"
	return g.askPolicy(x)
}

func (g *Gateway) readPrompt(x *exchange) (err error) {
	defer func() {
		if p := recover(); p != nil {
			x.edits = x.edits[:0]
			err = g.guardFailed(x, x.prompt, p)
		}
	}()
	if x.peeked.Media > 0 || x.peeked.Sealed {
		x.prompt.Unread()
	}
	if x.lot != nil {
		return x.readRequestTexts()
	}
	if x.tooMuch(x.peeked.Text, x.form) {
		return tooMuchText(x.prompt, http.StatusRequestEntityTooLarge, fmt.Sprintf("the request holds more text than its guards read (%s), and one of them fails closed; send less in one request", size(x.profile.MaxText)))
	}
	if x.form != nil {
		x.readFormTexts()
	}
	for _, s := range x.peeked.Text {
		raw := x.body[s.Start:s.End]
		text := raw
		if s.Escaped {
			x.scratch = peek.Unescape(x.scratch[:0], raw)
			text = x.scratch
		}
		if out, changed := x.prompt.Text(text); changed && s.Kept {
			return refuse(http.StatusBadRequest, "guard_blocked", fmt.Sprintf("the request holds a thought that the provider signed, and in it what a guard takes out; a signed thought cannot be changed, so begin the conversation anew (request %s)", x.idHdr[0]))
		} else if changed {
			x.edits = append(x.edits, peek.Edit{Start: s.Start, End: s.End, With: peek.Escape(nil, out)})
		}
	}
	return nil
}

// tooMuch reports whether there is more text than guards read, of spans and of a form
// or nil.
func (x *exchange) tooMuch(spans []peek.Span, f *form) bool {
	var n int64
	for _, s := range spans {
		n += int64(s.End - s.Start)
	}
	if f != nil {
		for _, text := range f.texts {
			n += int64(len(text))
		}
	}
	return n > x.profile.MaxText
}

// tooMuchText: a text that is not read is one at which no guard looked. It returns nil
// when every guard that would act fails open.
func tooMuchText(in *guardrail.Inspector, status int, message string) error {
	if in.Idle() || in.NotRun("too_large") {
		return nil
	}
	return refuse(status, "text_too_large", message)
}

// answerTooLarge is tooMuchText of a whole answer.
func (x *exchange) answerTooLarge() error {
	err := tooMuchText(x.answers, http.StatusBadGateway, fmt.Sprintf("the answer holds more text than its guards read (%s), and one of them fails closed; ask for less, or for a stream", size(x.profile.MaxText)))
	if err != nil {
		x.ev.End = event.EndBlocked
	}
	return err
}

// guardFailed: a guard that breaks is a guard that did not run. It returns nil when
// every guard that would act fails open.
func (g *Gateway) guardFailed(x *exchange, in *guardrail.Inspector, cause any) error {
	g.c.Log.Error("guard failed", "request", x.idHdr[0], "cause", panicText(cause))
	if in.NotRun("failed") {
		return nil
	}
	return refuse(http.StatusServiceUnavailable, "guard_failed", "a guard could not look at this exchange, and it fails closed")
}

// panicText is what of a panic may be logged: its value could quote a text.
func panicText(p any) string {
	if err, ok := p.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T", p)
}

// foundClasses are the data classes that leave with the prompt, and whether guards
// looked for any: what nobody looked for is unknown, not absent.
func foundClasses(verdicts []event.Verdict) (found string, inspected bool) {
	var classes []string
	for i := range verdicts {
		inspected = inspected || verdicts[i].State == event.Clear || verdicts[i].State == event.Hit
		// What a redacting guard took out does not leave.
		if verdicts[i].Action != event.ActionRedacted {
			classes = append(classes, verdicts[i].Classes...)
		}
	}
	if len(classes) == 0 {
		return "", inspected
	}
	slices.Sort(classes)
	return strings.Join(slices.Compact(classes), ","), inspected
}
