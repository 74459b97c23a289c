package web

import (
	"fmt"
	"net/url"
	"strconv"
)

// query encodes pairs of name and value; empty values are left out.
func query(pairs ...string) string {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	return v.Encode()
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// decimal is a number for a path.
func decimal(n int64) string { return strconv.FormatInt(n, 10) }
