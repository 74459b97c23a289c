package web

import (
	"encoding/hex"
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"

	"plumbline/app/authz"
	"plumbline/app/money"
	"plumbline/assessments"
	"plumbline/inventory"
)

// look is how a state is drawn: tone, icon and word.
type look struct{ tone, icon, word string }

// looks is the one list of states. What is not in it is shown as its own name
// with the mark of the unknown, never as a pass.
var looks = map[string]look{
	// Controls and tests.
	"satisfied":           {"ok", "satisfied", "Satisfied"},
	"partially_satisfied": {"warn", "partial", "Partially satisfied"},
	"not_satisfied":       {"bad", "not", "Not satisfied"},
	"no_evidence":         {"mute", "none", "No evidence"},
	"not_applicable":      {"mute", "na", "Not applicable"},
	"not_yet_applicable":  {"mute", "later", "Not yet applicable"},
	"not_assessed":        {"mute", "unassessed", "Not assessed"},
	"no_traffic":          {"mute", "notraffic", "No traffic"},
	"stale":               {"blind", "stale", "Stale"},
	"collector_down":      {"blind", "down", "Collector down"},
	"not_computed":        {"blind", "broken", "Not computed"},
	// Exchanges. Traffic bears no verdict.
	"complete":    {"mute", "allowed", "Complete"},
	"refused":     {"mute", "not", "Refused"},
	"blocked":     {"mute", "redacted", "Blocked"},
	"failed":      {"blind", "failed", "Failed"},
	"cut":         {"blind", "cut", "Cut off"},
	"client_gone": {"mute", "cut", "Client left"},
	"incomplete":  {"blind", "broken", "Incomplete"},
	"open":        {"mute", "clock", "Open"},
	// Guards.
	"clear":         {"mute", "clear", "Clear"},
	"hit":           {"warn", "flag", "Hit"},
	"not_run":       {"blind", "notrun", "Not run"},
	"errored":       {"blind", "broken", "Errored"},
	"nothing":       {"mute", "notrun", "Not run"},
	"monitored":     {"warn", "flag", "Hit, let through"},
	"redacted":      {"warn", "redacted", "Redacted"},
	"guard_blocked": {"warn", "not", "Blocked"},
	// Approvals and life cycle.
	"approved":      {"ok", "satisfied", "Approved"},
	"renewal":       {"ok", "satisfied", "Approved, renewal requested"},
	"requested":     {"note", "held", "Approval requested"},
	"rejected":      {"bad", "not", "Rejected"},
	"not_requested": {"mute", "none", "Not requested"},
	"withdrawn":     {"bad", "not", "Approval withdrawn"},
	"lapsed":        {"bad", "stale", "Approval lapsed"},
	"suspended":     {"bad", "held", "Suspended"},
	"retired":       {"mute", "na", "Retired"},
	"unclassified":  {"mute", "unassessed", "Not classified"},
	"declared":      {"ok", "satisfied", "As declared"},
	"undeclared":    {"bad", "not", "Not declared"},
	"unseen":        {"mute", "notraffic", "No traffic seen"},
	// Keys.
	"active":  {"mute", "key", "Active"},
	"revoked": {"mute", "na", "Revoked"},
	"expired": {"mute", "stale", "Expired"},
	"unbound": {"warn", "flag", "Bound to no AI system"},
	// Evidence of people.
	"current":  {"ok", "satisfied", "Current"},
	"pending":  {"note", "held", "Waits for a second person"},
	"absent":   {"mute", "none", "Absent"},
	"accepted": {"ok", "satisfied", "Accepted"},
	// Documents and runs.
	"reserved":   {"mute", "clock", "Being written"},
	"rendered":   {"mute", "clock", "Being recorded"},
	"issued":     {"ok", "satisfied", "Issued"},
	"superseded": {"mute", "na", "Superseded"},
	"running":    {"note", "clock", "Running"},
	"ok":         {"ok", "satisfied", "Done"},
	"run_failed": {"bad", "not", "Failed"},
}

func lookOf(state string) look {
	if l, ok := looks[state]; ok {
		return l
	}
	if state == "" {
		state = "unknown"
	}
	return look{"mute", "unassessed", words(state)}
}

func icon(name string) template.HTML {
	return template.HTML(`<svg class="icon" aria-hidden="true"><use href="#i-` + template.HTMLEscapeString(name) + `"/></svg>`)
}

func status(state any) template.HTML { return drawn(fmt.Sprint(state), "") }

func statusBox(state any) template.HTML { return drawn(fmt.Sprint(state), " is-boxed") }

func statusBare(state any) template.HTML { return drawn(fmt.Sprint(state), " is-bare") }

func drawn(state, class string) template.HTML {
	l := lookOf(state)
	return template.HTML(`<span class="state`+class+`" data-tone="`+l.tone+`">`) + icon(l.icon) + template.HTML(`<span>`+template.HTMLEscapeString(l.word)+`</span></span>`)
}

// words makes a code readable: not_found becomes "Not found".
func words(code string) string {
	s := strings.NewReplacer("_", " ", ".", " ").Replace(code)
	if s == "" {
		return s
	}
	first, rest, _ := strings.Cut(s, " ")
	if as := spelled[first]; as != "" {
		return strings.TrimSpace(as + " " + rest)
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// spelled are first words that have a spelling of their own.
var spelled = map[string]string{
	"gpai": "GPAI", "pii": "PII", "ai": "AI", "iban": "IBAN", "ip": "IP", "ssn": "SSN", "jwt": "JWT", "email": "E-mail",
	"aws": "AWS", "openai": "OpenAI", "openrouter": "OpenRouter", "github": "GitHub", "gitlab": "GitLab", "huggingface": "Hugging Face", "xai": "xAI", "nvidia": "NVIDIA",
}

var classNames = map[inventory.RiskClass]string{
	inventory.Unclassified: "Not classified", inventory.Prohibited: "Prohibited practice", inventory.HighRiskAnnexIII: "High-risk, Annex III", inventory.HighRiskAnnexI: "High-risk, Annex I",
	inventory.AnnexIIIDerogated: "Annex III, derogated", inventory.Transparency: "Transparency, Art. 50", inventory.GPAI: "GPAI model", inventory.GPAISystemic: "GPAI, systemic risk", inventory.Minimal: "Minimal risk",
}

func className(c inventory.RiskClass) string {
	if n, ok := classNames[c]; ok {
		return n
	}
	return string(c)
}

// trigger is the name of what brings a control about: a risk class, or a word of
// the framework's own.
func trigger(name string) string {
	if n, ok := classNames[inventory.RiskClass(name)]; ok {
		return n
	}
	return words(name)
}

func roleNames(list []authz.Role) string {
	var out []string
	for _, x := range list {
		out = append(out, words(string(x)))
	}
	return strings.Join(out, ", ")
}

// person is the name of whoever did something.
func (r *request) person(id string) string {
	switch {
	case id == "":
		return ""
	case id == "config":
		return "configuration file"
	case strings.HasPrefix(id, "job:document:"):
		return "schedule of a document"
	case strings.HasPrefix(id, "job:"):
		return "job " + strings.TrimPrefix(id, "job:")
	case id == firstRunActor:
		return "first run"
	}
	if r.state != nil {
		for _, m := range r.state.Members {
			if m.ID == id {
				return m.Name
			}
		}
	}
	return id
}

func group(n any) string {
	var v int64
	switch x := n.(type) {
	case int:
		v = int64(x)
	case int64:
		v = x
	case uint64:
		v = int64(x)
	case uint32:
		v = int64(x)
	default:
		return fmt.Sprint(n)
	}
	s, sign := strconv.FormatInt(v, 10), ""
	if v < 0 {
		s, sign = s[1:], "-"
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

func clock(at any) (t time.Time) {
	switch x := at.(type) {
	case time.Time:
		t = x
	case int64:
		if x != 0 {
			t = time.UnixMicro(x)
		}
	}
	return t.UTC()
}

func day(at any) template.HTML {
	t := clock(at)
	if t.IsZero() {
		return `<span class="faint">none</span>`
	}
	return template.HTML(`<time datetime="` + t.Format(time.RFC3339) + `" title="` + t.Format("2 Jan 2006 15:04:05 UTC") + `">` + t.Format("2 Jan 2006") + `</time>`)
}

func minute(at any) template.HTML {
	t := clock(at)
	if t.IsZero() {
		return `<span class="faint">never</span>`
	}
	return template.HTML(`<time datetime="` + t.Format(time.RFC3339) + `" title="` + t.Format("2 Jan 2006 15:04:05 UTC") + `">` + t.Format("2 Jan 2006 15:04") + `</time>`)
}

func millis(at any) template.HTML {
	t := clock(at)
	return template.HTML(`<time datetime="` + t.Format(time.RFC3339Nano) + `">` + t.Format("15:04:05.000") + `</time>`)
}

// ago is a time in words, for beside the absolute one.
func ago(now, t time.Time) string {
	d := now.Sub(t)
	switch {
	case t.IsZero():
		return "never"
	case d < 0:
		return "in " + span(-d)
	case d < 2*time.Second:
		return "a moment ago"
	}
	return span(d) + " ago"
}

func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

func short(s any) string {
	text := ""
	switch x := s.(type) {
	case string:
		text = x
	case [32]byte:
		text = hex.EncodeToString(x[:])
	default:
		text = fmt.Sprint(s)
	}
	if len(text) > 14 {
		return text[:6] + "…" + text[len(text)-6:]
	}
	return text
}

func hex32(b [32]byte) string { return hex.EncodeToString(b[:]) }

// micros prints a duration given in microseconds.
func micros(us int64) string {
	if us < 10_000 {
		return fmt.Sprintf("%.2f ms", float64(us)/1000)
	}
	return group(us/1000) + " ms"
}

// took prints how long something ran.
func took(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return span(d)
}

// cents is an amount as pages that are no ledger show it: to the cent, the exact
// amount beside it for whoever points at it.
func cents(n money.Nano) template.HTML {
	const cent = money.Dollar / 100
	if n > 0 && n < cent {
		return template.HTML(`<span title="` + n.String() + `">under $0.01</span>`)
	}
	rounded := (n + cent/2) / cent * cent
	return template.HTML(`<span title="` + n.String() + `">` + rounded.String() + `</span>`)
}

// usedShare is how much of a budget is spent, in words.
func usedShare(charged, limit money.Nano) string {
	if limit <= 0 {
		return "no limit"
	}
	share := float64(charged) / float64(limit) * 100
	switch {
	case charged > 0 && share < 0.1:
		return "under 0.1 %"
	case share > 0 && share < 10:
		return fmt.Sprintf("%.1f %%", share)
	}
	return fmt.Sprintf("%.0f %%", share)
}

func initials(name string) string {
	out := ""
	for _, part := range strings.Fields(name) {
		if r := []rune(part); len(out) < 2 {
			out += strings.ToUpper(string(r[:1]))
		}
	}
	return out
}

func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict needs pairs")
	}
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		m[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	return m, nil
}

func (w *Web) funcs() template.FuncMap {
	return template.FuncMap{
		"icon": icon, "status": status, "statusBox": statusBox, "statusBare": statusBare, "words": words, "trigger": trigger, "reach": reachOf, "class": className, "roles": roleNames,
		"num": group, "day": day, "minute": minute, "millis": millis, "short": short, "hex32": hex32, "micros": micros, "took": took, "initials": initials, "dict": dict,
		"of":    func(counts map[assessments.State]int, state string) int { return counts[assessments.State(state)] },
		"ago":   func(at any) string { return ago(w.d.Now(), clock(at)) },
		"cents": cents, "used": usedShare, "dollars": func(n money.Nano) string { return n.String() }, "nano": func(n money.Nano) string { return n.Ledger() },
		"segment": url.PathEscape, "guardLimits": guardLimits,
		"join": strings.Join, "cover": cover, "ring": ring, "meter": meter, "dial": dial, "days": func(list []dayCount, wide any) template.HTML { return dayChart(list, wide == true) }, "strip": strip,
		"has": func(list []string, s string) bool {
			for _, x := range list {
				if x == s {
					return true
				}
			}
			return false
		},
	}
}
