package provider

import (
	"net/http"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name, header, value string
		want                time.Duration
	}{
		{"nothing", "X", "1", 0},
		{"seconds", "Retry-After", "20", 20 * time.Second},
		{"parts of a second", "Retry-After", "0.25", 250 * time.Millisecond},
		{"milliseconds", "Retry-After-Ms", "1500", 1500 * time.Millisecond},
		{"a date", "Retry-After", "Thu, 26 Nov 2026 12:01:00 GMT", time.Minute},
		{"a date that is over", "Retry-After", "Thu, 26 Nov 2026 11:01:00 GMT", 0},
		{"below zero", "Retry-After", "-5", 0},
		{"not a number", "Retry-After", "NaN", 0},
		{"without end", "Retry-After", "1e300", 366 * 24 * time.Hour},
		{"words", "Retry-After", "soon", 0},
	} {
		if got := RetryAfter(http.Header{c.header: {c.value}}, now); got != c.want {
			t.Errorf("%s: %v, not %v", c.name, got, c.want)
		}
	}
}
