package web

import (
	"fmt"
	"strings"
	"time"

	"plumbline/assessments/projection"
	"plumbline/gateway/event"
)

// stageRow is one stage of the pipeline and what came of it.
type stageRow struct {
	Name, Said string
	Tone, Icon string
}

// The stages, as the gateway runs them. "settle and record" runs for every
// exchange.
var stageNames = []string{"identify", "decode", "admit", "decide", "inspect prompt", "hold", "commit intent", "forward", "settle and record"}

// stoppedIn is the stage that gives each code of a refusal. A record holds the
// code and not the stage; what is not here is shown without one.
var stoppedIn = map[string]string{
	"unknown_endpoint": "identify", "method_not_allowed": "identify", "websocket_unsupported": "identify", "register_stale": "identify", "key_missing": "identify", "signature_unsupported": "identify", "key_unknown": "identify", "key_revoked": "identify", "key_expired": "identify", "draining": "identify", "no_randomness": "identify",
	"headers_too_large": "identify", "header_underscore": "identify", "header_repeated": "identify", "hop_limit": "identify",
	"body_encoded": "decode", "body_unread": "decode", "body_too_large": "decode", "busy": "decode", "model_missing": "decode", "stream_unsupported": "decode", "batch_invalid": "decode", "batch_empty": "decode", "batch_line_invalid": "decode", "batch_mixed": "decode", "model_malformed": "decode",
	"system_unregistered": "admit", "system_retired": "admit", "system_suspended": "admit", "system_prohibited": "admit", "approval_expired": "admit", "system_unapproved": "admit", "system_not_in_use": "admit",
	"model_not_allowed": "admit", "model_not_found": "admit", "provider_unavailable": "admit", "operation_unsupported": "admit", "response_not_found": "admit", "previous_response_not_found": "admit", "item_not_found": "admit", "responses_unavailable": "admit", "file_not_found": "admit", "batch_not_found": "admit", "batch_open": "admit", "response_open": "admit", "kept_elsewhere": "admit", "kept_unavailable": "admit", "rate_limited": "admit", "concurrency_limited": "admit",
	"policy_broken": "decide", "policy_denied": "decide", "guard_blocked": "inspect prompt", "guard_failed": "inspect prompt", "text_too_large": "inspect prompt",
	"model_unpriced": "hold", "budget_exceeded": "hold", "not_carried": "commit intent", "body_invalid": "commit intent", "ledger_unavailable": "commit intent", "route_changed": "forward", "provider_credential_unavailable": "forward", "region_not_allowed": "admit", "no_target": "admit",
}

func stageOf(code string) string {
	if s := stoppedIn[code]; s != "" || !strings.HasPrefix(code, "body_") {
		return s
	}
	return "decode"
}

// stages tells the way of an exchange from its records.
func (p *exchangePane) stages() []stageRow {
	said := p.stageWords()
	stop := ""
	if p.State == projection.Refused {
		stop = stageOf(p.Code)
	}
	var out []stageRow
	passed := true
	for _, name := range stageNames {
		row := stageRow{Name: name, Said: said[name], Tone: "ok", Icon: "satisfied"}
		switch {
		case name == "settle and record":
			passed = true
			if p.End == nil {
				row.Tone, row.Icon = "mute", "clock"
			}
		case p.State == projection.Refused && stop == "":
			row.Tone, row.Icon = "mute", "unassessed"
		case name == stop:
			row.Tone, row.Icon, passed = "note", "not", false
			row.Said = "ended here: " + strings.ToLower(words(p.Code))
			if name == "admit" || name == "decide" || name == "decode" {
				row.Said = strings.TrimPrefix(said[name]+"; ", "; ") + row.Said
			}
		case !passed:
			row.Tone, row.Icon, row.Said = "mute", "na", "not reached"
		case name == "inspect prompt" && p.screened():
			row.Tone, row.Icon = p.promptLook()
		case name == "inspect prompt":
			row.Tone, row.Icon = "blind", "notrun"
		case name == "forward":
			row.Tone, row.Icon = p.forwardLook()
		}
		out = append(out, row)
	}
	return out
}

func (p *exchangePane) screened() bool { return len(p.Began.Prompt) > 0 }

func (p *exchangePane) promptLook() (tone, icon string) {
	tone, icon = "ok", "clear"
	for _, v := range p.Began.Prompt {
		switch {
		case v.State == event.NotRun || v.State == event.Errored:
			return "blind", "notrun"
		case v.State == event.Hit:
			tone, icon = "warn", "flag"
		}
	}
	return tone, icon
}

func (p *exchangePane) forwardLook() (tone, icon string) {
	if n := len(p.Attempts); n > 0 {
		if a := p.Attempts[n-1]; a.Icon != "allowed" {
			return a.Tone, a.Icon
		}
		return "ok", "satisfied"
	}
	return "mute", "na"
}

// stageWords says what each stage did, from what the records hold.
func (p *exchangePane) stageWords() map[string]string {
	e := p.Began
	out := map[string]string{"identify": "no key named", "hold": "no budget stands above this call", "inspect prompt": "no guard was set up for this system"}
	if e.Key != "" {
		out["identify"] = "key " + p.KeyName
	}
	if e.ClientRetry > 0 {
		out["identify"] += fmt.Sprintf(", the client's retry number %d", e.ClientRetry)
	}
	out["decode"] = p.decodeWords()
	out["admit"] = p.admitWords()
	out["decide"] = decisionWords(&e.Decision)
	if n := len(e.Prompt); n > 0 {
		out["inspect prompt"] = plural(n, "guard") + ", " + countVerdicts(e.Prompt)
	}
	if n := len(e.Holds); n > 0 {
		out["hold"] = fmt.Sprintf("%s on %s", e.Holds[0].Amount.Ledger(), plural(n, "budget"))
	}
	switch {
	case p.OpenedLeaf >= 0 && e.Commit == event.BeforeAnswer:
		out["commit intent"] = "on record; it had to be durable before the answer, not before it was sent"
	case p.OpenedLeaf >= 0:
		out["commit intent"] = "durable before the first byte went out"
	case p.State != projection.Refused:
		out["commit intent"] = "nothing was sent, so there is none"
	}
	if n := len(p.Attempts); n > 0 {
		a := p.Attempts[n-1]
		out["forward"] = fmt.Sprintf("%s, %s", plural(n, "attempt"), a.Result)
		if p.End != nil && len(p.End.NotCarried) > 0 {
			out["forward"] += "; not carried over to the provider's API: " + strings.Join(p.End.NotCarried, ", ")
		}
	} else if p.State != projection.Refused {
		out["forward"] = "answered from the cache"
	}
	out["settle and record"] = p.settleWords()
	return out
}

func (p *exchangePane) decodeWords() string {
	e := p.Began
	var parts []string
	if e.Endpoint != "" {
		parts = append(parts, e.Endpoint)
	}
	if e.Stream {
		parts = append(parts, "streamed")
	}
	if e.ModelAsked != "" {
		parts = append(parts, "asks for "+e.ModelAsked)
	}
	if p.End != nil && p.End.BytesIn > 0 {
		parts = append(parts, group(p.End.BytesIn)+" bytes")
	} else if e.BytesIn > 0 {
		parts = append(parts, group(e.BytesIn)+" bytes")
	}
	if len(e.Attributes) > 0 {
		parts = append(parts, "its caller says "+strings.Join(e.Attributes, ", "))
	}
	return strings.Join(parts, ", ")
}

func (p *exchangePane) admitWords() string {
	e := p.Began
	var parts []string
	if e.System == "" {
		parts = append(parts, "no registered AI system")
	} else if e.SystemVersion > 0 {
		parts = append(parts, fmt.Sprintf("%s in version %d of its entry", e.System, e.SystemVersion))
	} else {
		parts = append(parts, e.System)
	}
	if e.Provider != "" {
		parts = append(parts, "route "+e.Route+" leads to "+e.ModelTarget+" at "+e.Provider)
	}
	return strings.Join(parts, ", ")
}

// The codes of a batch, and of a response made in the background, without word of its
// results at its deadline.
const batchOverdue, responseOverdue = "batch_overdue", "response_overdue"

func (p *exchangePane) settleWords() string {
	switch e := p.End; {
	case e == nil && event.Lasts(p.Began):
		what := "response"
		if event.MakesBatch(p.Began.Endpoint) {
			what = "batch"
		}
		return fmt.Sprintf("the %s is under way; its hold stands until it has ended, or until %s", what, time.UnixMicro(p.Began.Deadline).UTC().Format("2006-01-02 15:04 MST"))
	case e == nil:
		return "no end on record yet"
	case e.Kind == event.Refused:
		return fmt.Sprintf("refused with status %d; nothing charged", e.Status)
	case e.Code == batchOverdue || e.Code == responseOverdue:
		return "closed at its deadline without word of its results; the hold is the charge, and usage is estimated"
	case e.Kind == event.Incomplete:
		return "closed after a crash; the hold is the charge, and usage is estimated"
	default:
		return fmt.Sprintf("status %d, usage from %s, %s charged", e.Status, strings.ToLower(usageWord(e.Source)), cash(e.Charge))
	}
}

func countVerdicts(list []event.Verdict) string {
	clear, hit, missing := 0, 0, 0
	for _, v := range list {
		switch v.State {
		case event.Clear:
			clear++
		case event.Hit:
			hit++
		default:
			missing++
		}
	}
	out := fmt.Sprintf("%d clear, %d with a finding", clear, hit)
	if missing > 0 {
		out += fmt.Sprintf(", %d not run", missing)
	}
	return out
}

var effectNames = [...]string{"not asked", "allow", "deny", "redact", "hold for a person"}

func effectName(e event.Effect) string {
	if int(e) < len(effectNames) {
		return effectNames[e]
	}
	return fmt.Sprint(uint8(e))
}

func decisionWords(d *event.Decision) string {
	if d.Effect == event.EffectNone {
		return "policy was not asked"
	}
	out := effectName(d.Effect)
	if d.Rule != "" {
		out += ", rule " + d.Rule
	}
	switch {
	case d.ShadowEffect == event.EffectNone:
	case d.ShadowEffect == d.Effect:
		out += "; a shadow policy would say the same"
	default:
		out += "; a shadow policy would say " + effectName(d.ShadowEffect)
	}
	if d.ShadowRule != "" {
		out += ", rule " + d.ShadowRule
	}
	return out
}

// usageWord is a source of usage as people read it.
func usageWord(s event.UsageSource) string {
	return map[event.UsageSource]string{event.UsageProvider: "Provider", event.UsageCounted: "Counted here", event.UsageEstimated: "Estimated", event.UsagePartial: "Partial, counted", event.UsageUnknown: "Not known"}[s]
}

func endWord(e event.End) string {
	return [...]string{"not known", "a whole answer reached the caller", "the upstream broke off after the first byte", "the caller hung up", "the upstream answered with an error or not at all", "an answer guard stopped it", "the process shut down"}[min(int(e), 6)]
}

var upstreamErrors = map[string]string{"refused": "the connection was refused", "reset": "the connection broke", "timeout": "no answer in time", "aborted": "it was broken off here", "failed": "the call failed"}

func upstreamWords(class string) string {
	if status, ok := strings.CutPrefix(class, "http_"); ok {
		return "answered with status " + status
	}
	if w := upstreamErrors[class]; w != "" {
		return w
	}
	return words(class)
}

var notRunReasons = map[string]string{"no_text": "there was no text to look at", "no_answer": "there was no answer to look at", "failed": "the guard broke", "too_large": "the text was larger than it reads", "timeout": "it took too long", "unsupported": "this form is not read by it", "media_unread": "images, sounds or files came with it, which no guard reads"}

// verdictWords is how a verdict is drawn, and what it found in words.
func verdictWords(v *event.Verdict) (look, said string) {
	switch v.State {
	case event.Clear:
		return "clear", notRunReasons[v.Reason]
	case event.Hit:
		look = [...]string{"hit", "monitored", "redacted", "guard_blocked"}[min(int(v.Action), 3)]
		said = strings.ToLower(strings.Join(wordsOf(v.Classes), ", "))
		if v.Hits > 0 {
			said += ", " + plural(int(v.Hits), "span")
		}
		if v.At > 0 {
			said += fmt.Sprintf("; %s bytes were already out", group(v.At))
		}
		return look, said
	}
	look = "not_run"
	if v.State == event.Errored {
		look = "errored"
	} else if v.Reason == "no_text" || v.Reason == "no_answer" {
		look = "nothing"
	}
	if said = notRunReasons[v.Reason]; said == "" {
		said = words(v.Reason)
	}
	if v.FailOpen && look != "nothing" {
		said += "; its profile let the call go on"
	}
	return look, said
}

func wordsOf(codes []string) []string {
	out := make([]string, len(codes))
	for i, c := range codes {
		out[i] = words(c)
	}
	return out
}
