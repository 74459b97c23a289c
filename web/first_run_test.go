package web_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestFirstRunInTheBrowser goes from the link that a new server prints to an
// organisation with nothing in it, and looks at every list while it is empty.
func TestFirstRunInTheBrowser(t *testing.T) {
	axe, browser := axeSource(t), chromium(t)
	base, token := emptyServer(t, "")
	tb := openTab(t, browser, newReader(base))
	look(t, tb, axe, "/signin", http.StatusOK)
	look(t, tb, axe, "/first-run", http.StatusForbidden)
	look(t, tb, axe, "/signin/link/"+token, http.StatusOK)
	tb.press(t, "main form button", http.StatusOK)
	look(t, tb, axe, "/first-run", http.StatusOK)
	tb.press(t, "main form button", http.StatusBadRequest)
	for _, f := range axeRun(t, tb, axe) {
		t.Errorf("the form with its errors: %s: %v", f.ID, f.Nodes)
	}
	tb.enter(t, "organisation_name", "Acme", "id", "acme", "name", "Ada Wong", "email", "ada@acme.example", "password", "correct horse battery")
	tb.press(t, "main form button", http.StatusOK)
	if text := eval[string](t, tb, "document.body.innerText"); !strings.Contains(text, "You are the administrator of this organisation.") {
		t.Fatalf("after the first run:\n%.500s", text)
	}
	for _, path := range []string{"/first-run", "/", "/systems", "/frameworks", "/frameworks/eu-ai-act", "/exchanges", "/keys", "/budgets", "/gateway", "/documents", "/documents/new", "/jobs", "/ledger"} {
		look(t, tb, axe, path, http.StatusOK)
	}
}

// TestRefusalsInTheBrowser looks at the pages of errors.
func TestRefusalsInTheBrowser(t *testing.T) {
	axe, browser := axeSource(t), chromium(t)
	c := sampleConsole(t)
	look(t, openTab(t, browser, c.admin), axe, "/nowhere", http.StatusNotFound)
	look(t, openTab(t, browser, newReader(c.base)), axe, "/nowhere", http.StatusNotFound)
	look(t, openTab(t, browser, c.admin.join(t, "Rita Respondent", "respondent")), axe, "/systems", http.StatusForbidden)
}

// TestMenusAndPalette opens what pages keep closed: the account's menu, the side
// on a phone, the list of shortcuts, and the palette, which leads to a system.
func TestMenusAndPalette(t *testing.T) {
	axe, browser := axeSource(t), chromium(t)
	c := sampleConsole(t)
	tb := openTab(t, browser, c.admin)
	clean := func(what string) {
		t.Helper()
		for _, name := range []string{"light", "dark"} {
			tb.must(t, theme(name))
			for _, f := range axeRun(t, tb, axe) {
				t.Errorf("%s, %s: %s (%s): %v", what, name, f.ID, f.Impact, f.Nodes)
			}
		}
	}
	shown := func(selector string) bool {
		return eval[bool](t, tb, "document.querySelector("+quoted(selector)+")?.checkVisibility() ?? false")
	}

	tb.must(t, chromedp.EmulateViewport(wide, tall))
	tb.visit(t, "/")
	tb.must(t, chromedp.KeyEvent(kb.Tab))
	if got := eval[string](t, tb, "document.activeElement.className"); got != "skip" {
		t.Errorf("the first Tab goes to %q, want the skip link", got)
	}
	tb.must(t, chromedp.Click(chromedp.CSS("button[popovertarget=user]")))
	if !shown("#user") {
		t.Error("the account's menu does not open")
	}
	clean("the account's menu")
	tb.must(t, chromedp.KeyEvent(kb.Escape), chromedp.KeyEvent("?"))
	if !shown("#keys") {
		t.Error("? does not list the shortcuts")
	}
	clean("the list of shortcuts")
	tb.must(t, chromedp.KeyEvent(kb.Escape), chromedp.KeyEvent("k", chromedp.KeyModifiers(kb.ModifierCtrl)))
	if !shown("dialog.palette") {
		t.Fatal("Ctrl K does not open the palette")
	}
	tb.must(t, chromedp.KeyEvent("chatbot"))
	clean("the palette")
	tb.must(t, chromedp.KeyEvent(kb.Enter))
	tb.must(t, chromedp.WaitReady(chromedp.CSS(".steps")))
	if at := eval[string](t, tb, "location.pathname"); !strings.HasPrefix(at, "/systems/SYS-002") {
		t.Errorf("the palette leads to %s", at)
	}

	tb.must(t, chromedp.EmulateViewport(narrow, narrow2))
	tb.visit(t, "/frameworks/eu-ai-act")
	if shown("#side") {
		t.Error("the side covers a phone")
	}
	tb.must(t, chromedp.Click(chromedp.CSS("button[popovertarget=side]")))
	if !shown("#side") {
		t.Error("the side does not open")
	}
	clean("the side on a phone")

	if got := c.admin.post(t, "/account/display", "keys", "off", "next", "/"); got.status != http.StatusSeeOther {
		t.Fatalf("switch shortcuts off: %d", got.status)
	}
	quiet := openTab(t, browser, c.admin)
	quiet.visit(t, "/")
	quiet.must(t, chromedp.KeyEvent("?"))
	if eval[bool](t, quiet, "document.getElementById('keys').open") {
		t.Error("a single letter does something though shortcuts are off")
	}
	c.admin.post(t, "/account/display", "keys", "on")
	for _, said := range append(tb.complaints(), quiet.complaints()...) {
		t.Errorf("the browser says: %s", said)
	}
}
