package web

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// contentPolicy lets a page load its own files and nothing else; no inline script
// and no inline style.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// headers go with every answer.
func (w *Web) headers(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cache-Control", "no-store")
		if w.public.Scheme == "https" {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		return next(c)
	}
}

// The limits of signing in: failures in a quarter of an hour for one address of
// mail, and for one network prefix.
const (
	attemptWindow     = 15 * time.Minute
	attemptsByAccount = 10
	attemptsByAddress = 60
	attemptsKept      = 10_000
)

// attempts counts failures to sign in.
type attempts struct {
	now func() time.Time
	// hashing bounds how many passwords are hashed at once; each takes 64 MiB.
	hashing chan struct{}

	mu   sync.Mutex
	from time.Time // of the window; guarded by mu
	n    map[string]int
}

func newAttempts(now func() time.Time) *attempts {
	return &attempts{now: now, hashing: make(chan struct{}, 2), n: map[string]int{}}
}

// allowed reports whether another attempt may be made.
func (a *attempts) allowed(email, prefix string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now := a.now(); now.Sub(a.from) > attemptWindow || len(a.n) > attemptsKept {
		a.from, a.n = now, map[string]int{}
	}
	return a.n["e "+email] < attemptsByAccount && a.n["a "+prefix] < attemptsByAddress
}

// failed counts a failure.
func (a *attempts) failed(email, prefix string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.n["e "+email]++
	a.n["a "+prefix]++
}

// addressPrefix is the /24 or /48 of whoever is connected. Headers that a caller
// can write are not looked at.
func addressPrefix(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return "unknown"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return "unknown"
	}
	bits := 24
	if ip = ip.Unmap(); ip.Is6() {
		bits = 48
	}
	p, err := ip.WithZone("").Prefix(bits)
	if err != nil {
		return "unknown"
	}
	return p.String()
}
