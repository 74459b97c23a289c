package peek

import (
	"bytes"
	"fmt"
)

// keySpan is where a key stands in the bytes.
type keySpan struct {
	start, end int
	escaped    bool
}

// bitOf is a bit by a key's length and both its ends, which few keys of an object share.
func bitOf(key []byte) uint64 {
	if len(key) == 0 {
		return 1
	}
	return 1 << (uint(len(key)*7+int(key[0])*3+int(key[len(key)-1])) & 63)
}

// manyKeys is from where on an object's keys are kept in a set: comparing each
// with all before it would let a small body cost minutes.
const manyKeys = 32

// repeated compares a key, its escapes undone, with the object's keys so far.
func (p *Body) repeated(first int, name []byte, seen *map[string]struct{}) bool {
	if len(p.keys)-first < manyKeys {
		for _, s := range p.keys[first:] {
			if s.escaped {
				if string(Unescape(nil, p.b[s.start:s.end])) == string(name) {
					return true
				}
			} else if string(p.b[s.start:s.end]) == string(name) {
				return true
			}
		}
		return false
	}
	if *seen == nil {
		*seen = make(map[string]struct{}, 2*manyKeys)
		for _, s := range p.keys[first:] {
			(*seen)[string(Unescape(nil, p.b[s.start:s.end]))] = struct{}{}
		}
	}
	if _, ok := (*seen)[string(name)]; ok {
		return true
	}
	(*seen)[string(name)] = struct{}{}
	return false
}

// longestKey is how long the keys of a request are at most that mean something here.
const longestKey = 32

// folded is a key in small letters, as servers read it that pass over case in keys; false
// for one that is written so, or that cannot mean anything here. Unicode folds two signs
// beyond ASCII into letters of ASCII, and so do those servers.
func folded(key []byte) ([]byte, bool) {
	if len(key) > 3*longestKey || !bytes.ContainsFunc(key, func(r rune) bool { return r >= 'A' && r <= 'Z' || r == 'ſ' || r == '\u212a' }) {
		return nil, false
	}
	return bytes.ToLower(bytes.ReplaceAll(key, []byte("ſ"), []byte("s"))), true
}

// twice names the key only where it can be no text of a person or a model: at
// the top of a request.
func (p *Body) twice(i, depth int, name []byte) error {
	what := "a key is there twice"
	if depth == 0 && p.root == p.g.request {
		what = fmt.Sprintf("the key %q is there twice", name[:min(len(name), 40)])
	}
	return &Error{"body_duplicate_key", i, what}
}
