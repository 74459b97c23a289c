package dialect

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// What a provider signed or sealed has to come back to it byte for byte, or a model
// that thinks cannot go on after its tools' results. A caller of another dialect has
// a place for such text, but with a meaning of its own there; so it is marked with
// where it is from, and unmarked when the caller sends it again.
const wrapped = "plumbline:"

const (
	wrapSignature = "signature:"
	wrapSealed    = "sealed:"
)

// wrap gives a thought's signature or seal as one text for a caller of the dialect n;
// "" when it has neither.
func wrap(p *Part, n Name) string {
	switch {
	case p.Signature != "" && p.Origin == n:
		return p.Signature
	case p.Signature != "":
		return wrapped + string(p.Origin) + ":" + wrapSignature + p.Signature
	case p.Sealed != "" && p.Origin == n:
		return p.Sealed
	case p.Sealed != "":
		return wrapped + string(p.Origin) + ":" + wrapSealed + p.Sealed
	}
	return ""
}

// unwrap sets what a caller of the dialect n sent back. Text that was not wrapped is
// that dialect's own signature.
func unwrap(p *Part, s string, n Name) {
	if s == "" || p.unwrapped(s) {
		return
	}
	p.Origin, p.Signature = n, s
}

// unwrapped sets what was wrapped; false when s was not.
func (p *Part) unwrapped(s string) bool {
	rest, ok := strings.CutPrefix(s, wrapped)
	origin, rest, _ := strings.Cut(rest, ":")
	if !ok || origin == "" {
		return false
	}
	if text, ok := strings.CutPrefix(rest, wrapSignature); ok {
		p.Origin, p.Signature = Name(origin), text
		return true
	}
	if text, ok := strings.CutPrefix(rest, wrapSealed); ok {
		p.Origin, p.Sealed = Name(origin), text
		return true
	}
	return false
}

// wrapBytes is wrap where the dialect n wants bytes in base64, which its own signatures
// are.
func wrapBytes(p *Part, n Name) string {
	return inBytes(wrap(p, n))
}

func inBytes(s string) string {
	if strings.HasPrefix(s, wrapped) {
		return base64.StdEncoding.EncodeToString([]byte(s))
	}
	return s
}

// unwrapBytes is the other way.
func unwrapBytes(p *Part, s string, n Name) {
	if text, ok := fromBytes(s); !ok || !p.unwrapped(text) {
		unwrap(p, s, n)
	}
}

// fromBytes gives what inBytes was given, if it was wrapped.
func fromBytes(s string) (string, bool) {
	b, err := base64.StdEncoding.DecodeString(s)
	return string(b), err == nil && utf8.Valid(b) && strings.HasPrefix(string(b), wrapped)
}
