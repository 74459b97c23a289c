package guardrail

// triggerStart has the bytes with which a word of interest begins.
var triggerStart = func() (t [256]bool) {
	for _, c := range []byte("iprgjIPRGJ") {
		t[c] = true
	}
	return t
}()

// injection is the heuristic: a trigger noun with a verb of overriding or of
// extraction among the few words before it, or a word that names the trick.
func injection(before, w []byte) string {
	for len(w) > 0 && closes(w[len(w)-1]) {
		w = w[:len(w)-1]
	}
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

// closes: a byte that may stand behind a word and still in it.
func closes(c byte) bool { return c == '.' || c == ':' || c == '-' || c == '_' || c == '/' }

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
