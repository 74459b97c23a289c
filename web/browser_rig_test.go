package web_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"eliasnaur.com/font/roboto/robotobold"
	"eliasnaur.com/font/roboto/robotomedium"
	"eliasnaur.com/font/roboto/robotoregular"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/go-fonts/liberation/liberationmonoregular"
)

// chromium is a browser that runs until the test ends, or a skip that says what
// is missing.
func chromium(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("chromium is not on the PATH: browser tests need it")
		}
		t.Skip("chromium is not on the PATH: browser tests need it")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.Env("FONTCONFIG_FILE="+fonts(t)), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("hide-scrollbars", true), chromedp.Flag("font-render-hinting", "none"), chromedp.Flag("enable-font-subpixel-positioning", true))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, closeBrowser := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits, so that the profile is not written while it is removed
		closeBrowser()
		stop()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	return ctx
}

// fonts writes the faces that documents are set in to a folder of their own and
// gives its configuration: pages look and wrap the same on every machine.
func fonts(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	config := `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig><dir>` + dir + `</dir><cachedir>` + dir + `/cache</cachedir>
<match target="font"><edit name="hinting" mode="assign"><bool>false</bool></edit><edit name="hintstyle" mode="assign"><const>hintnone</const></edit></match>
<alias><family>monospace</family><prefer><family>Liberation Mono</family></prefer></alias><alias><family>sans-serif</family><prefer><family>Roboto</family></prefer></alias>
<alias><family>system-ui</family><prefer><family>Roboto</family></prefer></alias></fontconfig>`
	for name, data := range map[string][]byte{"fonts.conf": []byte(config), "regular.ttf": robotoregular.TTF, "medium.ttf": robotomedium.TTF, "bold.ttf": robotobold.TTF, "mono.ttf": liberationmonoregular.TTF} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "fonts.conf")
}

// axeSource is the text of axe-core, or a skip.
func axeSource(t *testing.T) string {
	t.Helper()
	path := os.Getenv("PLUMBLINE_TEST_AXE")
	if path == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("PLUMBLINE_TEST_AXE is not set: it names axe.min.js of axe-core, which `make test` installs")
		}
		t.Skip("PLUMBLINE_TEST_AXE is not set: it names axe.min.js of axe-core, which `make test` installs")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// tab is one tab with cookies of its own.
type tab struct {
	ctx  context.Context
	base string

	mu    sync.Mutex
	heard []string // errors and warnings of the page since the last visit; guarded by mu
}

// tabTimeout bounds everything that one tab does in one step.
const tabTimeout = 2 * time.Minute

// openTab opens a tab signed in as r.
func openTab(t *testing.T, browser context.Context, r *reader) *tab {
	t.Helper()
	tb := &tab{base: r.base}
	ctx, closeTab := chromedp.NewContext(browser, chromedp.WithNewBrowserContext(), chromedp.WithListener(tb.listen))
	t.Cleanup(closeTab)
	tb.ctx = ctx
	if err := chromedp.Do(ctx); err != nil { // without a timeout: the tab lives as long as this context
		t.Fatalf("open a tab: %v", err)
	}
	tb.must(t, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		if _, err := cdp.Call(ctx, target, log.Enable, cdp.Empty{}); err != nil {
			return err
		}
		for _, k := range r.cookies(t) {
			if _, err := cdp.Call(ctx, target, network.SetCookie, network.SetCookieParams{Name: k[0], Value: k[1], URL: r.base}); err != nil {
				return err
			}
		}
		return nil
	}))
	return tb
}

// cookies are what the reader's jar holds, as name and value.
func (r *reader) cookies(t *testing.T) (out [][2]string) {
	t.Helper()
	u, err := url.Parse(r.base)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range r.jar.Cookies(u) {
		out = append(out, [2]string{k.Name, k.Value})
	}
	return out
}

// listen notes what a page complains about: failed loads, script errors, and
// what the content policy refused.
func (tb *tab) listen(ev any) {
	said := ""
	switch ev := ev.(type) {
	case *log.EventEntryAdded:
		if ev.Entry.Level == "error" || ev.Entry.Level == "warning" {
			said = fmt.Sprintf("%s: %s (%s)", ev.Entry.Source, ev.Entry.Text, ev.Entry.URL)
		}
	case *runtime.EventExceptionThrown:
		said = "exception: " + ev.ExceptionDetails.Text
		if x := ev.ExceptionDetails.Exception; x != nil {
			said += " " + x.Description
		}
	case *runtime.EventConsoleAPICalled:
		if ev.Type == "error" || ev.Type == "warning" || ev.Type == "assert" {
			said = "console." + string(ev.Type)
			for _, a := range ev.Args {
				said += " " + string(a.Value) + a.Description
			}
		}
	}
	if said != "" {
		tb.mu.Lock()
		tb.heard = append(tb.heard, said)
		tb.mu.Unlock()
	}
}

// complaints takes what the page said since the last call.
func (tb *tab) complaints() []string {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	out := tb.heard
	tb.heard = nil
	return out
}

func (tb *tab) must(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, tabTimeout)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

// eval runs an expression in a tab's page and waits for what it promises.
func eval[T any](t *testing.T, tb *tab, expression string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, tabTimeout)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%.80s: %v", strings.TrimSpace(expression), err)
	}
	return v
}

// visit opens a page and gives the status of its answer.
func (tb *tab) visit(t *testing.T, path string) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, tabTimeout)
	defer cancel()
	tb.complaints()
	resp, err := chromedp.Run(ctx, chromedp.NavigateResponse(tb.base+path))
	if err != nil {
		t.Fatalf("open %s: %v", path, err)
	}
	return resp.Status
}

// theme makes the tab's reader prefer light or dark.
func theme(name string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
		return err
	})
}

// scripting switches the page's own script on or off from the next visit on.
func scripting(on bool) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
		return err
	})
}
