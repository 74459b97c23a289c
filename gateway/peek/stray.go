package peek

import "bytes"

// Fields of a request that its grammar does not know go to the provider as they are, so
// what stands below them is read as text, at any depth:
//
//  1. whatever its key is called, but for what providers sign or encrypt and for versions;
//  2. a text that is nothing but base64 is not read when it is long: it is a file's bytes or
//     sealed, and a guard would find by chance what is not there. Keys and tokens are shorter.
//
// Numbers, and the names of keys, are no text.

// longestToken is how long a text of base64 alone is at most that is read, in bytes.
const longestToken = 512

// nextStray is the state of the value of a field that nobody knows, or of one below it.
func nextStray(key []byte) state {
	switch string(key) {
	case "encrypted_content", "signature", "thought_signature", "thoughtSignature", "redactedContent":
		return sealed
	case "version":
		return release
	}
	if bytes.HasSuffix(key, []byte("_version")) || bytes.HasSuffix(key, []byte("Version")) {
		return release
	}
	return stray
}

// onStray takes a string below such a field, or one that its key says is sealed.
func (p *Body) onStray(st state, s Span) {
	b := p.b[s.Start:s.End]
	switch {
	case st == sealed && (opaque(b) || isWrapped(b)):
		return // it has to come back to its provider byte for byte
	case st == release && len(bytes.Trim(b, "0123456789.")) == 0:
		return // 1.2.3.4 is no address there
	case len(b) > longestToken && opaque(b):
		p.Sealed = true
		return
	}
	p.text(s, p.tool)
}

// means reports whether a key that has this state says something to the stages.
func means(st state) bool {
	switch st {
	case other, stray, sealed, release:
		return false
	}
	return true
}
