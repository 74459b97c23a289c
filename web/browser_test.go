package web_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// The two widths and two themes in which every page is looked at.
const (
	wide, tall      = 1440, 900
	narrow, narrow2 = 390, 844
)

// structure is what every page has, whatever it is about.
type structure struct {
	Title     string
	Headings  int    // h1
	FirstLink string // where the first thing that takes focus leads to
	Target    bool   // whether that is there
	Lang      string
	Inline    []string // elements with a style attribute, a style element or inline script
	Twice     []string // ids that are there more than once
	Overflow  int      // pixels that the page is wider than the window
	Hidden    []string // controls without a name
}

const structureScript = `(() => {
  const ids = {};
  for (const e of document.querySelectorAll("[id]")) ids[e.id] = (ids[e.id] || 0) + 1;
  const first = document.querySelector("a[href], button, input, select, textarea, summary, [tabindex]");
  const href = first?.getAttribute("href") ?? "";
  const inline = [...document.querySelectorAll("[style], style, script:not([src])")].filter(e => !e.closest("dialog.palette"));
  for (const e of document.querySelectorAll("*")) for (const a of e.attributes) if (/^on/.test(a.name)) inline.push(e);
  return {
    Title: document.title, Headings: document.querySelectorAll("h1").length, FirstLink: href, Target: href.startsWith("#") && !!document.querySelector(href),
    Lang: document.documentElement.lang, Inline: inline.map(e => e.outerHTML.slice(0, 120)), Twice: Object.keys(ids).filter(k => ids[k] > 1),
    Overflow: Math.max(0, document.documentElement.scrollWidth - innerWidth), Hidden: [],
  };
})()`

// finding is one rule of axe-core that a page breaks.
type finding struct {
	ID, Impact, Help string
	Nodes            []string
}

// axeRun runs all rules of axe-core but those named experimental; with rules, only those.
func axeRun(t *testing.T, tb *tab, axe string, rules ...string) []finding {
	t.Helper()
	if eval[bool](t, tb, "typeof axe === 'undefined'") {
		eval[chromedp.Void](t, tb, axe+";undefined")
	}
	only := "{}"
	if len(rules) > 0 {
		only = fmt.Sprintf(`{runOnly: {type: "rule", values: ["%s"]}}`, strings.Join(rules, `","`))
	}
	return eval[[]finding](t, tb, `axe.run(document, Object.assign({resultTypes: ["violations"]}, `+only+`)).then(r => r.violations.map(v => ({
		ID: v.id, Impact: v.impact, Help: v.help, Nodes: v.nodes.slice(0, 4).map(n => n.target.join(" ") + " " + n.html.slice(0, 160) + " " + (n.any[0]?.message ?? n.all[0]?.message ?? n.none[0]?.message ?? "")) })))`)
}

// layoutRules are those of axe-core that a narrower window can break: what is
// hidden, how large it is, what scrolls and what then lies on what.
var layoutRules = []string{"color-contrast", "target-size", "scrollable-region-focusable", "landmark-unique", "landmark-one-main", "region", "bypass", "heading-order", "page-has-heading-one",
	"button-name", "link-name", "label", "aria-hidden-focus", "list", "listitem", "definition-list", "dlitem", "empty-table-header", "meta-viewport", "nested-interactive"}

// colourRules are those of axe-core that a theme can break; all others speak of
// the document, which is the same in both.
var colourRules = []string{"color-contrast", "link-in-text-block"}

// TestEveryPageInTheBrowser visits every page of the route table at both widths
// and in both themes, with everything unfolded.
func TestEveryPageInTheBrowser(t *testing.T) {
	axe := axeSource(t)
	browser := chromium(t)
	c := sampleConsole(t)
	tabs := make(chan [2]*tab, 2)
	for range cap(tabs) {
		tabs <- [2]*tab{openTab(t, browser, c.admin), openTab(t, browser, newReader(c.base))}
	}
	t.Run("pages", func(t *testing.T) { // ends when all of its own have
		for _, v := range append(visits(t), visit{shot: "provider", path: "/gateway/providers/new?provider=unreachable"}) {
			t.Run(v.name(), func(t *testing.T) {
				t.Parallel()
				pair := <-tabs
				defer func() { tabs <- pair }()
				tb := pair[0]
				if v.route.Public {
					tb = pair[1]
				}
				look(t, tb, axe, v.path, http.StatusOK)
			})
		}
	})
}

// look holds one page to everything that is asked of every page.
func look(t *testing.T, tb *tab, axe, path string, status int64) {
	t.Helper()
	tb.must(t, theme("light"), chromedp.EmulateViewport(wide, tall))
	if got := tb.visit(t, path); got != status {
		t.Fatalf("%s answers %d, want %d", path, got, status)
	}
	eval[chromedp.Void](t, tb, `document.querySelectorAll("details").forEach(d => d.open = true)`)
	holdStructure(t, tb, path)
	report := func(how string, found []finding) {
		for _, f := range found {
			t.Errorf("%s, %s: %s (%s): %s\n\t%s", path, how, f.ID, f.Impact, f.Help, strings.Join(f.Nodes, "\n\t"))
		}
	}
	report("wide, light", axeRun(t, tb, axe))
	tb.must(t, theme("dark"))
	report("wide, dark", axeRun(t, tb, axe, colourRules...))
	tb.must(t, chromedp.EmulateViewport(narrow, narrow2))
	report("narrow, dark", axeRun(t, tb, axe, colourRules...))
	tb.must(t, theme("light"))
	report("narrow, light", axeRun(t, tb, axe, layoutRules...))
	if crowded := eval[[]string](t, tb, crowdedScript); len(crowded) > 0 {
		t.Errorf("%s, narrow: cells of a record hold more than one thing, which then stand side by side with their label: %v", path, crowded)
	}
	if over := eval[structure](t, tb, structureScript).Overflow; over > 0 {
		t.Errorf("%s is %d pixels wider than a window of %d: %v", path, over, narrow, eval[[]string](t, tb, widestScript))
	}
	for _, said := range tb.complaints() {
		if status >= 400 && strings.Contains(said, fmt.Sprintf("status of %d", status)) {
			continue // of the page itself
		}
		t.Errorf("%s: the browser says: %s", path, said)
	}
}

// crowdedScript names cells that become a label and a value on a phone, and have
// more than one value.
const crowdedScript = `[...document.querySelectorAll(".is-cards td[data-label]")].filter(e => [...e.childNodes].filter(n => n.nodeType === 1 ? getComputedStyle(n).display !== "none" : n.textContent.trim()).length > 1).slice(0, 5).map(e => e.outerHTML.slice(0, 200))`

// widestScript names what sticks out of the window.
const widestScript = `[...document.querySelectorAll("main *, .top *, .foot *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".table-wrap, .chart-scroll, .join")).slice(0, 5).map(e => e.outerHTML.slice(0, 140))`

func holdStructure(t *testing.T, tb *tab, path string) {
	t.Helper()
	s := eval[structure](t, tb, structureScript)
	switch {
	case !strings.HasSuffix(s.Title, " · Plumbline") || strings.HasPrefix(s.Title, " "):
		t.Errorf("%s: title %q", path, s.Title)
	case s.Headings != 1:
		t.Errorf("%s: %d h1", path, s.Headings)
	case s.FirstLink != "#content" || !s.Target:
		t.Errorf("%s: the first thing that takes focus leads to %q, want a skip link to the content", path, s.FirstLink)
	case s.Lang != "en":
		t.Errorf("%s: language %q", path, s.Lang)
	case len(s.Inline) > 0:
		t.Errorf("%s: inline style or script: %v", path, s.Inline)
	case len(s.Twice) > 0:
		t.Errorf("%s: ids that are there twice: %v", path, s.Twice)
	}
}

// TestLinksLead: every link and every file that the pages of an administrator
// lead to answers, and names on them are filled.
func TestLinksLead(t *testing.T) {
	c := crawlConsole(t)
	for _, at := range c.order {
		a := c.pages[at]
		if a.status != http.StatusOK && !(a.status == http.StatusSeeOther && isPage(a)) && a.status != http.StatusFound {
			t.Errorf("%s answers %d; %s leads there", at, a.status, c.from[at])
		}
		for _, wrong := range []string{"%!", "<no value>", "ZgotmplZ", "&lt;nil&gt;", "0001-01-01"} {
			if isPage(a) && strings.Contains(a.body, wrong) {
				i := strings.Index(a.body, wrong)
				t.Errorf("%s holds %q: …%s…", at, wrong, a.body[max(0, i-60):min(len(a.body), i+40)])
			}
		}
	}
	if len(c.order) < 60 {
		t.Errorf("only %d pages were reached: the crawl is broken", len(c.order))
	}
	for _, want := range []string{"/systems", "/frameworks", "/keys", "/budgets", "/people"} {
		if !slices.Contains(c.order, want) {
			t.Errorf("%s was not reached from the overview", want)
		}
	}
}
