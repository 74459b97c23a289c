package guardrail

import (
	"bytes"
	"net/netip"
	"slices"
)

// The personal data that has a form: each detector says where in text a match
// ends that begins at i, and reads on beyond the word only where the form goes on
// there. more is true when the text ends before that can be said.

func upper(c byte) bool { return c >= 'A' && c <= 'Z' }
func digit(c byte) bool { return c >= '0' && c <= '9' }
func alnum(c byte) bool { return class[c]&(isDigit|isLetter) != 0 }
func at(b []byte, i int) byte {
	if i < 0 || i >= len(b) {
		return 0
	}
	return b[i]
}

// email finds the first address in a word (RFC 5321 lengths, the plain form).
// What only looks like one is left: git@host, and file names such as icon@2x.png.
func email(w []byte) (from, to int) {
	for k := 0; ; k++ {
		n := bytes.IndexByte(w[k:], '@')
		if n < 0 {
			return 0, 0
		}
		k += n
		if from, to := address(w, k); to > from {
			return from, to
		}
	}
}

var noMail = []string{"png", "jpg", "jpeg", "gif", "svg", "webp", "pdf", "js", "mjs", "ts", "css"}

func address(w []byte, sign int) (from, to int) {
	from = sign
	for from > 0 && sign-from < 64 && localByte(w[from-1]) {
		from--
	}
	to = sign + 1
	for to < len(w) && (class[w[to]]&(isDigit|isLetter|isDash) != 0 || w[to] == '.') {
		to++
	}
	domain := bytes.TrimRight(w[sign+1:to], ".-")
	dot := bytes.LastIndexByte(domain, '.')
	if from == sign || dot <= 0 || len(domain)-dot-1 < 2 || bytes.Contains(domain, []byte("..")) || string(w[from:sign]) == "git" {
		return 0, 0
	}
	top := domain[dot+1:]
	for _, c := range top {
		if class[c]&isLetter == 0 {
			return 0, 0
		}
	}
	if slices.Contains(noMail, string(top)) {
		return 0, 0
	}
	return from, sign + 1 + len(domain)
}

func localByte(c byte) bool {
	return class[c]&(isDigit|isLetter|isDash|isUnder) != 0 || c == '.' || c == '%' || c == '+'
}

// ssn: AAA-GG-SSSS with the numbers that are never given out left aside (SSA
// randomisation rules of 2011).
func ssn(text []byte, i, j int) (end int) {
	if j-i < 11 || at(text, i-1) == '-' {
		return 0
	}
	c := text[i : i+11]
	if c[3] != '-' || c[6] != '-' {
		return 0
	}
	for k, b := range c {
		if k != 3 && k != 6 && !digit(b) {
			return 0
		}
	}
	area, group, serial := string(c[:3]), string(c[4:6]), string(c[7:])
	if area == "000" || area == "666" || area[0] == '9' || group == "00" || serial == "0000" {
		return 0
	}
	if j > i+11 && (alnum(text[i+11]) || text[i+11] == '-' || text[i+11] == '_') {
		return 0
	}
	return i + 11
}

// ip finds an address of a host, of either version. Addresses that are nobody's
// (loopback, unspecified, masks, networks) and what is a version number are left.
func ip(text []byte, i, j int, colons bool) (end int) {
	if end = ip4(text, i, j); end > 0 {
		return end
	}
	if !colons {
		return 0
	}
	end = i
	for end < j && end-i < 46 && (class[text[end]]&(isDigit|isColon) != 0 || text[end]|0x20 >= 'a' && text[end]|0x20 <= 'f' || text[end] == '.') {
		end++
	}
	if end < j && class[text[end]]&(isLetter|isDigit|isUnder) != 0 {
		return 0
	}
	for end > i && (text[end-1] == '.' || text[end-1] == ':' && at(text, end-2) != ':') {
		end--
	}
	run := text[i:end]
	if len(run) < 5 || bytes.Count(run, []byte{':'}) < 2 || !bytes.ContainsAny(run, "0123456789") {
		return 0
	}
	a, err := netip.ParseAddr(string(run))
	if err != nil || a.IsLoopback() || a.IsUnspecified() {
		return 0
	}
	return end
}

func ip4(text []byte, i, j int) (end int) {
	var octets [4]int
	at4 := i
	for n := range octets {
		from := at4
		for at4 < j && at4-from < 3 && digit(text[at4]) {
			octets[n] = octets[n]*10 + int(text[at4]-'0')
			at4++
		}
		if at4 == from || octets[n] > 255 || at4-from > 1 && text[from] == '0' {
			return 0
		}
		if n < 3 {
			if at4 >= j || text[at4] != '.' {
				return 0
			}
			at4++
		}
	}
	if at4 < j {
		next, after := text[at4], byte(0)
		if at4+1 < j {
			after = text[at4+1]
		}
		if alnum(next) || next == '_' || (next == '.' || next == '-') && alnum(after) && !(next == '-' && digit(after)) {
			return 0
		}
	}
	// A path such as Chrome/120.0.0.1 is a version; //192.0.2.1 is a host.
	if at(text, i-1) == '/' && alnum(at(text, i-2)) || at(text, i-1) == '.' {
		return 0
	}
	o := octets
	if o[0] == 0 || o[0] == 127 || o[0] == 255 || o[2] == 0 && o[3] == 0 {
		return 0
	}
	word, _ := lastWord(text[max(0, i-24):i])
	for _, v := range []string{"version", "release", "firmware", "build", "v"} {
		if fold(word, v) {
			return 0
		}
	}
	return at4
}

// space gives the length of the white space at text[i:] that may stand between
// the groups of a number: a space, or a no-break space as documents have it.
// more: the text ends within it.
func space(text []byte, i int) (n int, more bool) {
	switch {
	case at(text, i) == ' ':
		return 1, false
	case at(text, i) == 0xc2 && i+1 == len(text):
		return 0, true
	case at(text, i) == 0xc2 && text[i+1] == 0xa0:
		return 2, false
	}
	return 0, false
}

// card: 13 to 19 digits as its issuer gives them out, in one or in groups of
// three to seven with single spaces or dashes between them, and a right check
// digit (ISO/IEC 7812-1, Luhn).
func card(text []byte, i int, final bool) (end int, more bool) {
	if text[i] < '2' || text[i] > '6' {
		return 0, false
	}
	var digits [19]byte
	n, pos, group, separator := 0, i, i, byte(0)
	for {
		if pos == len(text) {
			return end, !final // what comes next may belong to it
		}
		c := text[pos]
		if digit(c) {
			if n == len(digits) {
				return end, false // a longer number, or one after it
			}
			digits[n] = c - '0'
			n++
			pos++
			if pos == len(text) && !final {
				return 0, true
			}
			if next := at(text, pos); !alnum(next) && next != '_' && issued(digits[:n]) && luhn(digits[:n]) {
				end = pos
			}
			continue
		}
		size, open := space(text, pos)
		if open && !final {
			return 0, true
		}
		if c == '-' {
			size = 1
		}
		if size == 0 || separator != 0 && separator != c || pos-group < 3 || pos-group > 7 {
			return end, false
		}
		separator = c
		pos += size
		group = pos
		if pos < len(text) && !digit(text[pos]) {
			return end, false
		}
	}
}

// issued: the ranges that card schemes give out, with their lengths.
func issued(d []byte) bool {
	n := len(d)
	if n < 13 {
		return false
	}
	two, four := int(d[0])*10+int(d[1]), 0
	for _, c := range d[:4] {
		four = four*10 + int(c)
	}
	switch {
	case d[0] == 4:
		return n == 16 || n == 19
	case two >= 51 && two <= 55, four >= 2221 && four <= 2720, four >= 2200 && four <= 2204:
		return n == 16
	case two == 34, two == 37:
		return n == 15
	case two == 36, two == 38, two == 39, four >= 3000 && four <= 3059:
		return n == 14 || n == 16
	case four >= 3528 && four <= 3589, four == 6011, four >= 6440 && four <= 6599, two == 62:
		return n >= 16
	case two == 50, two >= 56 && two <= 58, two == 60, two == 63, two == 67:
		return true
	}
	return false
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

// ibanLongest is 34 characters in fours, with no-break spaces between them.
const ibanLongest = 34 + 2*8

// iban: the country's length, single spaces between groups, and mod 97 = 1
// (ISO 13616-1, ISO/IEC 7064).
func iban(text []byte, i int, final bool) (end int, more bool) {
	want, ok := ibanLengths[string(text[i:i+2])]
	if !ok {
		return 0, false
	}
	var chars [34]byte
	n, pos, gap := 0, i, false
	for n < want {
		if pos == len(text) {
			return 0, !final
		}
		c := text[pos]
		if upper(c) || digit(c) {
			chars[n] = c
			n++
			pos++
			gap = false
			continue
		}
		size, open := space(text, pos)
		if open {
			return 0, !final
		}
		if size == 0 || gap || pos-i >= ibanLongest {
			return 0, false
		}
		gap = true
		pos += size
	}
	if pos == len(text) && !final {
		return 0, true // the next byte says whether it ends here
	}
	if next := at(text, pos); alnum(next) || next == '_' {
		return 0, false
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
		return 0, false
	}
	return pos, false
}
