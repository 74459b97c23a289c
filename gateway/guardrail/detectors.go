package guardrail

import (
	"bytes"
	"net/netip"
	"strings"
)

// email finds an address in a word (RFC 5321 lengths, the plain form).
func email(w []byte) (from, to int) {
	at := bytes.IndexByte(w, '@')
	from = at
	for from > 0 && at-from < 64 && localByte(w[from-1]) {
		from--
	}
	to = at + 1
	for to < len(w) && (class[w[to]]&(isDigit|isLetter|isDash) != 0 || w[to] == '.') {
		to++
	}
	domain := bytes.TrimRight(w[at+1:to], ".-")
	dot := bytes.LastIndexByte(domain, '.')
	if from == at || dot <= 0 || len(domain)-dot-1 < 2 || bytes.Contains(domain, []byte("..")) {
		return 0, 0
	}
	for _, c := range domain[dot+1:] {
		if class[c]&isLetter == 0 {
			return 0, 0
		}
	}
	return from, at + 1 + len(domain)
}

func localByte(c byte) bool {
	return class[c]&(isDigit|isLetter|isDash|isUnder) != 0 || c == '.' || c == '%' || c == '+'
}

// trim takes punctuation from the ends of a word.
func trim(w []byte) []byte { return bytes.Trim(w, ".:/-_$€%") }

// single finds what stands in one word: an IP address or a social security
// number.
func single(w []byte) (class string, from, to int) {
	c := bytes.TrimRight(bytes.TrimLeft(w, ".-_$"), ".-_:")
	if len(c) < 3 || len(c) > 45 {
		return "", 0, 0
	}
	from = bytes.Index(w, c)
	to = from + len(c)
	switch {
	case ssn(c):
		return "ssn", from, to
	case bytes.Count(c, []byte{'.'}) == 3 && !bytes.ContainsRune(c, ':'), bytes.Count(c, []byte{':'}) >= 2:
		if a, err := netip.ParseAddr(string(c)); err == nil && a.Zone() == "" {
			return "ip", from, to
		}
	}
	return "", 0, 0
}

// ssn: AAA-GG-SSSS with the numbers that are never given out left aside (SSA
// randomisation rules of 2011).
func ssn(c []byte) bool {
	if len(c) != 11 || c[3] != '-' || c[6] != '-' {
		return false
	}
	for i, b := range c {
		if i != 3 && i != 6 && class[b] != isDigit {
			return false
		}
	}
	area, group, serial := string(c[:3]), string(c[4:6]), string(c[7:])
	return area != "000" && area != "666" && area[0] != '9' && group != "00" && serial != "0000"
}

// The longest forms, separators included: an IBAN of 34 in fours, a card of 19
// in fours.
const (
	ibanLongest = 34 + 8
	cardLongest = 19 + 4
)

// grouped finds numbers that may be written in groups: a card or an IBAN that
// begins with the word text[i:j]. more is true when the text ends too early.
func grouped(text []byte, i, j int, final bool) (end int, class string, more bool) {
	w := text[i:j]
	switch {
	case len(w) >= 4 && upper(w[0]) && upper(w[1]) && digit(w[2]) && digit(w[3]):
		return iban(text, i, final)
	case digit(w[0]):
		return card(text, i, final)
	}
	return 0, "", false
}

func upper(c byte) bool { return c >= 'A' && c <= 'Z' }
func digit(c byte) bool { return c >= '0' && c <= '9' }

// card: 13 to 19 digits, single spaces or dashes between them, a right check
// digit (ISO/IEC 7812-1, Luhn) and a first digit that issuers use.
func card(text []byte, i int, final bool) (end int, class string, more bool) {
	var digits [19]byte
	n, at, best := 0, i, 0
	for at < len(text) && n < len(digits) && at-i < cardLongest {
		c := text[at]
		if digit(c) {
			digits[n] = c - '0'
			n++
			at++
			if n >= 13 && at-i <= cardLongest && (at == len(text) || !digit(text[at])) && luhn(digits[:n]) {
				best = at
			}
			continue
		}
		if (c == ' ' || c == '-') && n > 0 && digit(text[at-1]) {
			at++
			continue
		}
		break
	}
	if at == len(text) && !final {
		return 0, "", true // what comes next may belong to it
	}
	if n == len(digits) && at < len(text) && digit(text[at]) {
		return 0, "", false // part of a longer number
	}
	if best == 0 || digits[0] < 2 || digits[0] > 6 {
		return 0, "", false
	}
	return best, "card", false
}

func luhn(d []byte) bool {
	sum := 0
	for i := range d {
		v := int(d[len(d)-1-i])
		if i%2 == 1 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return sum%10 == 0
}

// ibanLengths by country (SWIFT registry, release 99).
var ibanLengths = map[string]int{"AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
	"CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22,
	"GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30,
	"KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31,
	"MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24, "SI": 19,
	"SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20}

// iban: the country's length, single spaces between groups, and mod 97 = 1
// (ISO 13616-1, ISO/IEC 7064).
func iban(text []byte, i int, final bool) (end int, class string, more bool) {
	want, ok := ibanLengths[string(text[i:i+2])]
	if !ok {
		return 0, "", false
	}
	var chars [34]byte
	n, at := 0, i
	for at < len(text) && n < want && at-i < ibanLongest {
		c := text[at]
		switch {
		case upper(c) || digit(c):
			chars[n] = c
			n++
		case c == ' ' && text[at-1] != ' ':
		default:
			return 0, "", false
		}
		at++
	}
	if n < want {
		return 0, "", at == len(text) && !final && at-i < ibanLongest
	}
	if at == len(text) && !final {
		return 0, "", true // the next byte says whether it ends here
	}
	if at < len(text) && (upper(text[at]) || digit(text[at])) {
		return 0, "", false
	}
	rest := 0
	for k := range want {
		c := chars[(k+4)%want]
		if digit(c) {
			rest = (rest*10 + int(c-'0')) % 97
		} else {
			rest = (rest*100 + int(c-'A') + 10) % 97
		}
	}
	if rest != 1 {
		return 0, "", false
	}
	return at, "iban", false
}

// secretForms are keys by their published forms: a prefix and what follows.
// Longer prefixes come first where one begins another.
var secretForms = []struct {
	class, prefix string
	least         int // bytes after the prefix
	upper         bool
}{
	{"anthropic_key", "sk-ant-", 20, false},
	{"openrouter_key", "sk-or-v1-", 32, false},
	{"openai_key", "sk-", 20, false},
	{"stripe_key", "sk_live_", 16, false},
	{"stripe_key", "rk_live_", 16, false},
	{"google_key", "AIza", 35, false},
	{"aws_key", "AKIA", 16, true},
	{"aws_key", "ASIA", 16, true},
	{"azure_key", "JQQJ99", 30, false},
	{"github_token", "github_pat_", 22, false},
	{"github_token", "ghp_", 36, false},
	{"github_token", "gho_", 36, false},
	{"github_token", "ghs_", 36, false},
	{"gitlab_token", "glpat-", 20, false},
	{"slack_token", "xoxb-", 20, false},
	{"slack_token", "xoxp-", 20, false},
	{"huggingface_token", "hf_", 30, false},
	{"groq_key", "gsk_", 40, false},
	{"xai_key", "xai-", 40, false},
	{"plumbline_key", "pk-", 40, false},
}

func secretClasses() []string {
	out := []string{"private_key", "jwt"}
	for _, f := range secretForms {
		if out[len(out)-1] != f.class {
			out = append(out, f.class)
		}
	}
	return out
}

// secret finds a key in a word that has digits and letters.
func secret(w []byte) (class string, from, to int) {
	for i := range w {
		if i > 0 && keyByte(w[i-1]) {
			continue // inside a longer name
		}
		switch w[i] {
		case 's', 'r', 'A', 'J', 'g', 'x', 'h', 'p', 'e':
		default:
			continue
		}
		rest := w[i:]
		if bytes.HasPrefix(rest, []byte("eyJ")) && bytes.Contains(rest, []byte(".eyJ")) {
			return "jwt", i, len(w)
		}
		for k := range secretForms {
			f := &secretForms[k]
			if len(rest) < len(f.prefix)+f.least || string(rest[:len(f.prefix)]) != f.prefix {
				continue
			}
			n, digits := len(f.prefix), 0
			for n < len(rest) && keyByte(rest[n]) && (!f.upper || upper(rest[n]) || digit(rest[n])) {
				if digit(rest[n]) {
					digits++
				}
				n++
			}
			if n-len(f.prefix) >= f.least && digits > 0 {
				return f.class, i, i + n
			}
		}
	}
	return "", 0, 0
}

func keyByte(c byte) bool { return class[c]&(isDigit|isLetter|isDash|isUnder) != 0 }

const (
	keyBegin    = "-----BEGIN "
	keyBlockMax = 16 << 10
)

// keyBlockBegin: "-----BEGIN … PRIVATE KEY-----" at the start of text. It is
// decided within 64 bytes.
func keyBlockBegin(text []byte, final bool) (end int, more bool) {
	n := min(len(text), 64)
	head := string(text[:n])
	if !strings.HasPrefix(head, keyBegin[:min(n, len(keyBegin))]) {
		return 0, false
	}
	head, _, whole := strings.Cut(head, "\n")
	if i := strings.Index(head, "PRIVATE KEY-----"); i >= 0 {
		return i + len("PRIVATE KEY-----"), false
	}
	return 0, n < 64 && !final && !whole
}

// keyBlockEnd is how much of text belongs to an open key block: up to and with
// its END line, at most keyBlockMax.
func keyBlockEnd(text []byte, final bool) (end int, done bool) {
	if i := bytes.Index(text, []byte("-----END ")); i >= 0 {
		if k := bytes.Index(text[i+9:], []byte("-----")); k >= 0 && k < 48 {
			return i + 9 + k + 5, true
		}
		if !final && len(text)-i < 64 {
			return i, false
		}
	}
	if final {
		return len(text), true
	}
	// The marker may be cut: keep its length back.
	return max(len(text)-8, 0), false
}

// injection is the heuristic: a trigger noun with a verb of overriding or of
// extraction among the few words before it, or a word that names the trick.
func injection(before, w []byte) string {
	w = bytes.TrimRight(w, ".")
	if len(w) == 0 {
		return ""
	}
	switch w[0] | 0x20 {
	case 'i':
		if !fold(w, "instructions") && !fold(w, "instruction") {
			return ""
		}
	case 'p':
		if !fold(w, "prompt") && !fold(w, "prompts") {
			return ""
		}
	case 'r':
		if !fold(w, "rules") {
			return ""
		}
	case 'g':
		if !fold(w, "guidelines") {
			return ""
		}
	case 'j':
		if fold(w, "jailbreak") || fold(w, "jailbroken") {
			return "jailbreak"
		}
		return ""
	default:
		return ""
	}
	back := before[max(0, len(before)-80):]
	for n := 0; n < 8; n++ {
		word, rest := lastWord(back)
		if len(word) == 0 || len(rest) == 0 && len(before) > 80 {
			break
		}
		back = rest
		switch word[0] | 0x20 {
		case 'i', 'd', 'f', 'o', 'b':
			if fold(word, "ignore") || fold(word, "disregard") || fold(word, "forget") || fold(word, "override") || fold(word, "bypass") {
				return "override"
			}
		case 'r', 'p', 's', 'l':
			if fold(word, "reveal") || fold(word, "print") || fold(word, "show") || fold(word, "leak") || fold(word, "repeat") {
				return "extraction"
			}
		}
	}
	return ""
}

// lastWord takes the last word from text.
func lastWord(text []byte) (word, rest []byte) {
	end := len(text)
	for end > 0 && class[text[end-1]]&isLetter == 0 {
		if text[end-1] == '.' || text[end-1] == '\n' {
			return nil, nil // another sentence
		}
		end--
	}
	start := end
	for start > 0 && class[text[start-1]]&isLetter != 0 {
		start--
	}
	return text[start:end], text[:start]
}

// fold compares in lower case without allocating.
func fold(w []byte, want string) bool {
	if len(w) != len(want) {
		return false
	}
	for i := range w {
		if w[i]|0x20 != want[i] {
			return false
		}
	}
	return true
}
