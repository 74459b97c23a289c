package web_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"golang.org/x/net/html"
)

// TestFormsNeedNoScript: every form of every page has where it is sent and what
// sends it, a change has its token, and what only the script can do is hidden
// without it.
func TestFormsNeedNoScript(t *testing.T) {
	c := crawlConsole(t)
	forms := 0
	for _, at := range c.order {
		if !isPage(c.pages[at]) || c.pages[at].status != http.StatusOK {
			continue
		}
		for n := range document(t, c.pages[at].body).Descendants() {
			switch {
			case n.Type != html.ElementNode:
			case n.Data == "form":
				forms++
				if wrong := formFault(n); wrong != "" {
					t.Errorf("%s: a form %s", at, wrong)
				}
			case n.Data == "button" && value(n, "type") == "button":
				if value(n, "popovertarget") == "" && value(n, "class") != "seek" && value(n, "data-copy") == "" {
					t.Errorf("%s: a button that does nothing without script: %v", at, n.Attr)
				}
			}
		}
	}
	if forms < 100 {
		t.Errorf("only %d forms were seen", forms)
	}
}

func value(n *html.Node, name string) string {
	v, _ := attr(n, name)
	return v
}

// formFault says what keeps a form from being sent by itself.
func formFault(form *html.Node) string {
	method, submits, token := value(form, "method"), false, false
	if method == "dialog" {
		return ""
	}
	id := value(form, "id")
	root := form
	for root.Parent != nil {
		root = root.Parent
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode || !within(n, form) && (id == "" || value(n, "form") != id) {
			continue
		}
		submits = submits || n.Data == "button" && value(n, "type") != "button"
		token = token || n.Data == "input" && value(n, "name") == "csrf" && value(n, "value") != ""
	}
	switch action := value(form, "action"); {
	case method != "get" && method != "post":
		return "has the method " + method
	case method == "post" && !strings.HasPrefix(action, "/"):
		return "is sent to " + action
	case !submits:
		return "has nothing that sends it"
	case method == "post" && !token:
		return "to " + action + " has no token"
	}
	return ""
}

func within(n, ancestor *html.Node) bool {
	for ; n != nil; n = n.Parent {
		if n == ancestor {
			return true
		}
	}
	return false
}

// press clicks what a selector names and waits for the page that comes of it.
func (tb *tab) press(t *testing.T, selector string, status int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, tabTimeout)
	defer cancel()
	resp, err := chromedp.RunResponse(ctx, chromedp.Evaluate[chromedp.Void](`document.querySelector(`+quoted(selector)+`).click()`))
	if err != nil {
		t.Fatalf("press %s: %v", selector, err)
	}
	if resp.Status != status {
		t.Fatalf("press %s: %d %s", selector, resp.Status, resp.URL)
	}
}

// enter writes into the fields of a form, by name.
func (tb *tab) enter(t *testing.T, pairs ...string) {
	t.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		eval[chromedp.Void](t, tb, `document.querySelector("main [name=`+pairs[i]+`]").value = `+quoted(pairs[i+1]))
	}
}

func quoted(s string) string { return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"` }

// TestWorkWithoutScript takes an AI system from its registration over the request
// for an approval to the decision of a second person in a browser that runs no
// script, and chooses a theme.
func TestWorkWithoutScript(t *testing.T) {
	browser := chromium(t)
	c := sampleConsole(t)
	officer, second := openTab(t, browser, c.admin), openTab(t, browser, c.approver)
	officer.must(t, scripting(false))
	second.must(t, scripting(false))
	says := func(tb *tab, want string) {
		t.Helper()
		if text := eval[string](t, tb, "document.querySelector('main').innerText"); !strings.Contains(text, want) {
			t.Fatalf("the page does not say %q:\n%.600s", want, text)
		}
	}

	officer.visit(t, "/systems/new")
	officer.press(t, "main form button", http.StatusBadRequest)
	says(officer, "There is a problem")
	officer.enter(t, "name", "Claims triage", "purpose", "Sorts claims by what they need.", "owner", "Claims", "risk_class", "minimal", "risk_reason", "no use of Annex III", "lifecycle", "in_use")
	eval[chromedp.Void](t, officer, `document.querySelector("main [name=roles][value=deployer]").checked = true`)
	officer.press(t, "main form button", http.StatusOK)
	says(officer, "Claims triage")
	says(officer, "No approval is in force.")
	path := eval[string](t, officer, "location.pathname")
	officer.press(t, "main .banner a", http.StatusOK)
	officer.enter(t, "reason", "ready for use")
	officer.press(t, "main form button", http.StatusOK)
	says(officer, "Waits for a decision.")

	second.visit(t, path+"/decide")
	second.enter(t, "reason", "fits its purpose")
	second.press(t, "main form button", http.StatusOK)
	says(second, "Approved")

	officer.visit(t, path+"/suspend")
	officer.enter(t, "reason", "complaints")
	officer.press(t, "main form button", http.StatusOK)
	says(officer, "Its calls are refused.")

	officer.press(t, "button[data-theme-set=dark]", http.StatusOK)
	if got := eval[string](t, officer, "document.documentElement.dataset.theme + ' ' + location.pathname"); got != "dark "+path {
		t.Errorf("after choosing dark: %q, want the same page in dark", got)
	}
}
