package gateway

import (
	"fmt"
	"net/http"
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
		for id, p := range o.Profiles {
			if slices.Contains(p.Tiers, s.RiskClass) && o.profiles[id] != nil {
				return o.profiles[id]
			}
		}
	}
	return o.profiles["default"]
}

// inspectPrompt runs the guards over every text of the request, then asks policy
// again with what was found.
func (g *Gateway) inspectPrompt(x *exchange) (err error) {
	if x.profile = profileOf(x.org, x.system); x.profile == nil {
		return nil
	}
	x.prompt = x.profile.Prompt()
	defer func() {
		// A guard that breaks is a guard that did not run.
		if p := recover(); p != nil {
			g.c.Log.Error("guard failed", "request", x.idHdr[0], "cause", fmt.Sprint(p))
			if x.prompt.NotRun("failed") {
				err = nil
			} else {
				err = refuse(http.StatusServiceUnavailable, "guard_failed", "a guard could not look at this request, and it fails closed")
			}
			x.ev.Prompt = x.prompt.Verdicts(x.ev.Prompt[:0])
		}
	}()
	for _, s := range x.peeked.Text {
		raw := x.body[s.Start:s.End]
		text := raw
		if s.Escaped {
			x.scratch = peek.Unescape(x.scratch[:0], raw)
			text = x.scratch
		}
		if out, changed := x.prompt.Text(text); changed {
			x.edits = append(x.edits, peek.Edit{Start: s.Start, End: s.End, With: peek.Escape(nil, out)})
		}
	}
	x.ev.Prompt = x.prompt.Verdicts(x.ev.Prompt[:0])
	if guard, class, hit := x.prompt.Blocked(); hit {
		return refuse(http.StatusBadRequest, "guard_blocked", fmt.Sprintf("the guard %q found %s in the request; take it out and send it again (request %s)", guard, class, x.idHdr[0]))
	}
	if found := foundClasses(x.ev.Prompt); found != x.input.Found {
		x.input.Found = found
	}
	x.input.Phase = "after"
	return g.askPolicy(x)
}

func foundClasses(verdicts []event.Verdict) string {
	var classes []string
	for i := range verdicts {
		// What a redacting guard took out does not leave.
		if verdicts[i].Action != event.ActionRedacted {
			classes = append(classes, verdicts[i].Classes...)
		}
	}
	if len(classes) == 0 {
		return ""
	}
	slices.Sort(classes)
	return strings.Join(slices.Compact(classes), ",")
}
