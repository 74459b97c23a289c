package provider

import (
	"net/http"
	"strconv"
	"time"
)

// longestWait bounds what a provider can ask for.
const longestWait = 366 * 24 * time.Hour

// RetryAfter is how long a provider asks to be left alone (RFC 9110, 10.2.3, and the
// finer retry-after-ms), a year at most; zero when it does not say so in a way that can
// be read.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil && ms > 0 {
		return time.Duration(min(ms*float64(time.Millisecond), float64(longestWait)))
	}
	text := h.Get("Retry-After")
	if s, err := strconv.ParseFloat(text, 64); err == nil && s > 0 {
		return time.Duration(min(s*float64(time.Second), float64(longestWait)))
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return min(at.Sub(now), longestWait)
	}
	return 0
}
