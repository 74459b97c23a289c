package web_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestHeadersOfEveryAnswer: pages, files, errors and the API carry the same
// policy, which allows nothing inline and nothing of another host.
func TestHeadersOfEveryAnswer(t *testing.T) {
	c := crawlConsole(t)
	answers := map[string]answer{}
	for at, a := range c.pages {
		answers[at] = a
	}
	stranger, admin := newReader(sampleConsole(t).base), sampleConsole(t).admin
	for _, path := range []string{"/signin", "/nowhere", "/static/app.css", "/static/nothing.css", "/api/v1/systems", "/api/v1/nowhere"} {
		answers["signed out: "+path] = stranger.get(t, path)
		answers["signed in: "+path] = admin.get(t, path)
	}
	for at, a := range answers {
		policy := a.header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: the policy %q lacks %s", at, policy, want)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") || strings.Contains(policy, "*") {
			t.Errorf("%s: the policy %q is too wide", at, policy)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin", "X-Frame-Options": "DENY"} {
			if got := a.header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", at, name, got, want)
			}
		}
		if cache := a.header.Get("Cache-Control"); isPage(a) && cache != "no-store" {
			t.Errorf("%s: a page may be kept: %q", at, cache)
		}
	}
}

// TestStaticFiles: what a page loads is fresh with each release and may be kept
// for ever; nothing else of the tree is given out.
func TestStaticFiles(t *testing.T) {
	r := newReader(sampleConsole(t).base)
	home := r.get(t, "/signin").body
	for name, kind := range map[string]string{"tokens.css": "text/css", "app.css": "text/css", "ui.js": "text/javascript", "icon.svg": "image/svg+xml"} {
		_, rest, ok := strings.Cut(home, `"/static/`+name+`?v=`)
		version, _, _ := strings.Cut(rest, `"`)
		if !ok || len(version) != 12 {
			t.Errorf("the page does not load %s by its fingerprint", name)
			continue
		}
		a := r.get(t, "/static/"+name+"?v="+version)
		if a.status != http.StatusOK || a.header.Get("Cache-Control") != "public, max-age=31536000, immutable" || !strings.HasPrefix(a.header.Get("Content-Type"), kind) {
			t.Errorf("%s: %d, %q, %q", name, a.status, a.header.Get("Cache-Control"), a.header.Get("Content-Type"))
		}
		if a := r.get(t, "/static/"+name+"?v=000000000000"); a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s of another release may be kept: %q", name, a.header.Get("Cache-Control"))
		}
	}
	for _, path := range []string{"/static/nothing.css", "/static/", "/static/%2e%2e/templates/layout.html", "/static/..%2ftemplates%2flayout.html"} {
		if a := r.get(t, path); a.status != http.StatusNotFound || strings.Contains(a.body, "define") {
			t.Errorf("%s answers %d", path, a.status)
		}
	}
}

// TestForgedRequests: a change without the session's own token, or from another
// site, is refused and changes nothing.
func TestForgedRequests(t *testing.T) {
	base, token := emptyServer(t, "")
	admin := begin(t, base, token)
	other := admin.join(t, "Omar Other", "admin")
	form := []string{"name", "Forged", "purpose", "p", "owner", "o", "roles", "deployer", "risk_class", "minimal", "risk_reason", "r", "lifecycle", "in_use"}
	with := func(csrf string, header map[string]string) *reader {
		forged := *admin
		forged.csrf, forged.header = csrf, header
		return &forged
	}
	for name, r := range map[string]*reader{
		"no token":            with("", nil),
		"another's token":     with(other.csrf, nil),
		"a part of the token": with(admin.csrf[:10], nil),
		"another site":        with(admin.csrf, map[string]string{"Sec-Fetch-Site": "cross-site"}),
		"another origin":      with(admin.csrf, map[string]string{"Origin": "https://evil.example"}),
	} {
		if a := r.post(t, "/systems", form...); a.status != http.StatusForbidden {
			t.Errorf("%s: %d", name, a.status)
		}
		if a := r.post(t, "/signout"); a.status != http.StatusForbidden {
			t.Errorf("%s signs out: %d", name, a.status)
		}
	}
	if a := admin.get(t, "/systems"); a.status != http.StatusOK || strings.Contains(a.body, "Forged") {
		t.Errorf("a forged request was carried out: %d", a.status)
	}
	if a := admin.post(t, "/systems", form...); a.status != http.StatusSeeOther {
		t.Errorf("the same with the token: %d %.300s", a.status, plainText(a.body))
	}
}

// TestCookies: the session's cookie is out of reach of script and of other sites,
// and over https it is sent over nothing else.
func TestCookies(t *testing.T) {
	for _, c := range []struct {
		name, publicURL, cookie string
		secure                  bool
	}{
		{"http", "", "plumbline_session", false},
		{"https", "https://plumbline.example", "__Host-plumbline_session", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			base, token := emptyServer(t, c.publicURL)
			a, err := newReader(base).do(http.MethodPost, "/signin/link/"+token, nil)
			if err != nil || a.status != http.StatusSeeOther {
				t.Fatalf("%d, %v", a.status, err)
			}
			got, err := http.ParseSetCookie(a.header.Get("Set-Cookie"))
			if err != nil {
				t.Fatal(err)
			}
			if got.Name != c.cookie || !got.HttpOnly || got.SameSite != http.SameSiteLaxMode || got.Path != "/" || got.Domain != "" || got.Secure != c.secure {
				t.Errorf("the cookie is %s", strings.ReplaceAll(a.header.Get("Set-Cookie"), got.Value, "…"))
			}
			if hsts := a.header.Get("Strict-Transport-Security") != ""; hsts != c.secure {
				t.Errorf("Strict-Transport-Security is sent: %v", hsts)
			}
		})
	}
}

// TestSignedOut: every page but the public ones leads to sign in, and back to where
// one wanted to go; a session that ended opens nothing.
func TestSignedOut(t *testing.T) {
	base, token := emptyServer(t, "")
	admin := begin(t, base, token)
	stranger := newReader(base)
	for _, v := range []string{"/systems", "/systems?state=approved", "/ledger", "/account"} {
		a := stranger.get(t, v)
		if to := a.header.Get("Location"); a.status != http.StatusSeeOther || !strings.HasPrefix(to, "/signin?next=") {
			t.Errorf("%s: %d to %q", v, a.status, to)
		}
	}
	before := admin.cookies(t)
	if a := admin.post(t, "/signout"); a.status != http.StatusSeeOther {
		t.Fatalf("sign out: %d", a.status)
	}
	old := newReader(base)
	old.header = map[string]string{"Cookie": before[0][0] + "=" + before[0][1]}
	if a := old.get(t, "/systems"); a.status != http.StatusSeeOther {
		t.Errorf("an ended session reads systems: %d", a.status)
	}
	if a := stranger.get(t, "/signin?next=//evil.example/"); strings.Contains(a.body, "evil.example") {
		t.Error("sign-in leads on to another site")
	}
}
