package web

import (
	"cmp"
	"strings"
)

// naturally compares names as people count, key-2 before key-10, and large letters as
// small ones.
func naturally(a, b string) int {
	restA, restB := strings.ToLower(a), strings.ToLower(b)
	for restA != "" && restB != "" {
		var x, y string
		x, restA = run(restA)
		y, restB = run(restB)
		if digit(x[0]) && digit(y[0]) {
			x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
			if c := cmp.Compare(len(x), len(y)); c != 0 {
				return c
			}
		}
		if c := strings.Compare(x, y); c != 0 {
			return c
		}
	}
	return cmp.Or(cmp.Compare(len(restA), len(restB)), strings.Compare(a, b))
}

// run cuts the digits, or all but digits, from the head of a text that is not empty.
func run(s string) (head, rest string) {
	n := 1
	for n < len(s) && digit(s[n]) == digit(s[0]) {
		n++
	}
	return s[:n], s[n:]
}

func digit(c byte) bool { return '0' <= c && c <= '9' }
