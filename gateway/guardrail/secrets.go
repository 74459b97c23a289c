package guardrail

import (
	"bytes"
	"slices"
	"strings"
)

// secretForms are keys by their published forms: a prefix and what follows.
// Longer prefixes come first where one begins another.
var secretForms = []struct {
	class, prefix string
	least         int    // bytes after the prefix
	more          string // what may stand in it besides letters, digits, - and _
	upper         bool   // capital letters and digits alone
	solid         int    // so many of them in a row without a dash: words joined by dashes are no key
}{
	{class: "anthropic_key", prefix: "sk-ant-", least: 20, solid: 16},
	{class: "openrouter_key", prefix: "sk-or-v1-", least: 32, solid: 16},
	{class: "openai_key", prefix: "sk-", least: 20, solid: 16},
	{class: "stripe_key", prefix: "sk_live_", least: 16},
	{class: "stripe_key", prefix: "rk_live_", least: 16},
	{class: "google_key", prefix: "AIza", least: 35},
	{class: "google_key", prefix: "GOCSPX-", least: 24},
	{class: "google_token", prefix: "ya29.", least: 20, more: "."},
	{class: "aws_key", prefix: "AKIA", least: 16, upper: true},
	{class: "aws_key", prefix: "ASIA", least: 16, upper: true},
	{class: "aws_key", prefix: "ABSK", least: 40, more: "+/"},
	{class: "aws_key", prefix: "bedrock-api-key-", least: 40, more: "+/"},
	{class: "github_token", prefix: "github_pat_", least: 22},
	{class: "github_token", prefix: "ghp_", least: 36},
	{class: "github_token", prefix: "gho_", least: 36},
	{class: "github_token", prefix: "ghu_", least: 36},
	{class: "github_token", prefix: "ghs_", least: 36},
	{class: "github_token", prefix: "ghr_", least: 36},
	{class: "gitlab_token", prefix: "glpat-", least: 20},
	{class: "slack_token", prefix: "xoxb-", least: 20},
	{class: "slack_token", prefix: "xoxp-", least: 20},
	{class: "slack_token", prefix: "xoxa-", least: 20},
	{class: "slack_token", prefix: "xoxr-", least: 20},
	{class: "slack_token", prefix: "xoxs-", least: 20},
	{class: "slack_token", prefix: "xoxe.", least: 20, more: "."},
	{class: "slack_token", prefix: "xapp-", least: 20},
	{class: "huggingface_token", prefix: "hf_", least: 30},
	{class: "groq_key", prefix: "gsk_", least: 40},
	{class: "xai_key", prefix: "xai-", least: 40, solid: 16},
	{class: "perplexity_key", prefix: "pplx-", least: 40, solid: 16},
	{class: "replicate_token", prefix: "r8_", least: 37},
	{class: "nvidia_key", prefix: "nvapi-", least: 40, solid: 16},
	{class: "plumbline_key", prefix: "pk-", least: 40, solid: 16},
}

// azureMarks stand inside Azure's own keys, after so many bytes and before at
// least so many (its common annotated keys and the older ones with a mark).
var azureMarks = []struct {
	mark          string
	before, after int
}{
	{"JQQJ9", 40, 20}, {"ACDb", 76, 5}, {"+ASt", 76, 5}, {"+ABa", 76, 5}, {"APIM", 76, 5}, {"AzFu", 44, 6},
	{"AzSe", 42, 6}, {"AzCa", 33, 6}, {"+ASb", 33, 5}, {"+AEh", 33, 5}, {"+ARm", 33, 5}, {"AIoT", 33, 5}, {"+ACR", 42, 6},
}

func secretClasses() []string {
	out := []string{"private_key", "jwt", "azure_key"}
	for _, f := range secretForms {
		if !slices.Contains(out, f.class) {
			out = append(out, f.class)
		}
	}
	return out
}

// secretStart has the bytes with which a form begins.
var secretStart = func() (t [256]bool) {
	for _, f := range secretForms {
		t[f.prefix[0]] = true
	}
	t['e'] = true // eyJ
	return t
}()

// secret finds the first key in the word text[i:j], which has digits and letters.
// What stands before the word is looked at where a form has no mark of its own.
func secret(text []byte, i, j int) (class string, from, to int) {
	for k := i; k < j; k++ {
		if !secretStart[text[k]] || k > 0 && keyByte(text[k-1]) && !escaped(text, k) {
			continue // inside a longer name
		}
		if class, n := formed(text[k:j]); n > 0 {
			return class, k, k + n
		}
	}
	w := text[i:j]
	if class, from, to := azure(w); to > 0 {
		return class, i + from, i + to
	}
	if n := bytes.Index(w, []byte("hooks.slack.com/services/T")); n >= 0 {
		return "slack_token", i + n, j
	}
	return named(text, i, j)
}

// formed: a form that begins b.
func formed(b []byte) (class string, n int) {
	if len(b) > 40 && string(b[:3]) == "eyJ" {
		n = run(b, ".", false)
		head := b[:n]
		if bytes.Contains(head, []byte(".eyJ")) || bytes.HasPrefix(head, []byte("eyJhbGciOi")) && n == len(b) {
			return "jwt", n
		}
	}
	for k := range secretForms {
		f := &secretForms[k]
		if f.prefix[0] != b[0] || len(b) < len(f.prefix)+f.least || string(b[:len(f.prefix)]) != f.prefix {
			continue
		}
		n := len(f.prefix) + run(b[len(f.prefix):], f.more, f.upper)
		if n-len(f.prefix) >= f.least && dense(b[len(f.prefix):n], f.solid) {
			return f.class, n
		}
	}
	return "", 0
}

// run is how far the bytes of a key go.
func run(b []byte, more string, capitals bool) (n int) {
	for n < len(b) {
		c := b[n]
		if !keyByte(c) && strings.IndexByte(more, c) < 0 || capitals && !upper(c) && !digit(c) {
			break
		}
		n++
	}
	return n
}

// dense: there is a digit, and solid bytes in a row without a dash.
func dense(b []byte, solid int) bool {
	digits, row, best := false, 0, 0
	for _, c := range b {
		digits = digits || digit(c)
		if row++; c == '-' {
			row = 0
		}
		best = max(best, row)
	}
	return digits && best >= solid
}

// azure finds a key by the mark inside it, and a client secret by its "Q~".
func azure(w []byte) (class string, from, to int) {
	if k := bytes.Index(w, []byte("Q~")); k >= 4 && digit(w[k-1]) && len(w)-k-2 >= 31 {
		return "azure_key", k - 4, len(w)
	}
	if len(w) < 43 {
		return "", 0, 0
	}
	for _, m := range azureMarks {
		k := bytes.Index(w, []byte(m.mark))
		if k >= m.before && len(w)-k-len(m.mark) >= m.after && base64Byte(w[k-1]) {
			from, to := k, k
			for from > 0 && base64Byte(w[from-1]) {
				from--
			}
			for to < len(w) && base64Byte(w[to]) {
				to++
			}
			if k-from >= m.before {
				return "azure_key", from, to
			}
		}
	}
	return "", 0, 0
}

func base64Byte(c byte) bool { return alnum(c) || c == '+' || c == '/' }

// named: a key without a mark, told by its length and by the name before it.
func named(text []byte, i, j int) (class string, from, to int) {
	n := j - i
	if n != 32 && n < 40 {
		return "", 0, 0
	}
	before := text[max(0, i-40):i]
	for _, c := range text[i:j] {
		if !base64Byte(c) {
			return "", 0, 0
		}
	}
	switch {
	case n == 40 && mentions(before, "secret_access_key", "secretaccesskey", "aws_secret", "aws secret"):
		return "aws_key", i, j
	case n >= 40 && mentions(before, "accountkey=", "sharedaccesskey="), n == 32 && mentions(before, "azure", "ocp-apim", "cognitive"):
		return "azure_key", i, j
	}
	return "", 0, 0
}

func mentions(text []byte, names ...string) bool {
	for _, name := range names {
		for k := 0; k+len(name) <= len(text); k++ {
			same := true
			for m := 0; m < len(name) && same; m++ {
				c := text[k+m]
				if upper(c) {
					c |= 0x20
				}
				same = c == name[m]
			}
			if same {
				return true
			}
		}
	}
	return false
}

func keyByte(c byte) bool { return class[c]&(isDigit|isLetter|isDash|isUnder) != 0 }

// escaped reports whether text[i] is the first byte after an escape such as \n, as
// JSON that was written into a text has it.
func escaped(text []byte, i int) bool {
	return i >= 2 && text[i-2] == '\\' && (text[i-1] == 'n' || text[i-1] == 'r' || text[i-1] == 't')
}

const (
	keyBegin    = "-----BEGIN"
	keyBeginMax = 64       // within so many bytes it is decided
	keyBlockMax = 16 << 10 // a block without an end ends here
)

// keyBlockBegin: "-----BEGIN … PRIVATE KEY-----" or "… BLOCK-----" at the start of
// text.
func keyBlockBegin(text []byte, final bool) (end int, more bool) {
	n := min(len(text), keyBeginMax)
	head, _, whole := bytes.Cut(text[:n], []byte("\n"))
	if i := bytes.Index(head, []byte("PRIVATE KEY")); i >= 0 {
		if k := bytes.Index(head[i:], []byte("-----")); k >= 0 {
			return i + k + 5, false
		}
	}
	return 0, n < keyBeginMax && !final && !whole
}

// keyBlockEnd is how much of text belongs to an open key block: up to and with
// its END line, at most room bytes.
func keyBlockEnd(text []byte, room int, final bool) (end int, done bool) {
	if len(text) >= room {
		text, final = text[:room], true
	}
	if i := bytes.Index(text, []byte("-----END ")); i >= 0 {
		if k := bytes.Index(text[i+9:], []byte("-----")); k >= 0 && k < 48 {
			return i + 9 + k + 5, true
		}
		if !final && len(text)-i < keyBeginMax {
			return i, false
		}
	}
	if final {
		return len(text), true
	}
	// The marker may be cut: keep its length back.
	return max(len(text)-8, 0), false
}
