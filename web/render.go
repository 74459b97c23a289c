package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"plumbline/app/fault"
	"plumbline/inventory"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static/*
var staticFiles embed.FS

// page is what the frame around a page's content needs.
type page struct {
	Title  string
	Nav    string // entry of the side that is the current one
	Crumbs []crumb
	Bare   bool // no side and no top: sign in, first run
	Wide   bool // panes up to the edges; the page brings its own margins
}

type crumb struct{ Title, Href string }

// view is what a template is executed with.
type view struct {
	page
	Data    any
	Request *request
	Org     inventory.Org
	Name    string
	Email   string
	Roles   string
	Others  []inventory.Person // memberships in other organisations
	CSRF    string
	Theme   string
	KeysOff bool   // the reader wants no single-letter shortcuts
	Here    string // where the page can be read again
	Flash   string
	Now     time.Time
	Version string
	Assets  string
	Size    uint64 // leaves of the organisation's log
	Signed  uint64
	Down    bool
}

// Can is for templates: whether the actor may do something.
func (v *view) Can(object, action string) bool { return v.Request.can(object, action) }

// Person is for templates: the name of an account, job or file.
func (v *view) Person(id string) string { return v.Request.person(id) }

// IsMe is for templates: whether an account is the reader's own.
func (v *view) IsMe(id string) bool { return v.Request.actor.ID == id }

func (r *request) ctx() context.Context { return r.c.Request().Context() }

// render writes a page. It is executed into memory first, so that an error never
// leaves half a page behind.
func (r *request) render(status int, name string, p page, data any) error {
	t, err := r.web.template(name)
	if err != nil {
		return err
	}
	v := &view{page: p, Data: data, Request: r, Now: r.web.d.Now().UTC(), Version: r.web.d.Version, Assets: assetHash}
	v.Theme, v.KeysOff = r.display()
	if r.account.ID != "" {
		v.Name, v.Email, v.Org, v.CSRF, v.Flash = r.account.Name, r.account.Email, r.state.Org, r.csrf(), r.web.sessions.PopString(r.ctx(), keyFlash)
		v.Roles = roleNames(r.actor.Roles)
		for _, m := range r.web.d.Register.Memberships(r.account.ID) {
			if m.Org != r.actor.Org {
				v.Others = append(v.Others, m)
			}
		}
		v.Here = "/"
		if req := r.c.Request(); req.Method == http.MethodGet {
			v.Here = req.URL.RequestURI()
		}
		stats := r.web.d.Ledger.Stats()
		v.Down = stats.Down
		for _, l := range stats.Logs {
			if l.Log == string(r.actor.Org) {
				v.Size, v.Signed = l.Size, l.Signed
			}
		}
	}
	var out bytes.Buffer
	frame := "layout"
	if t.Lookup("pane") != nil {
		r.c.Response().Header().Set("Vary", "X-Fragment")
		if r.fragment() {
			frame = "pane" // the pane alone, for a page that shows its list already
		}
	}
	if err := t.ExecuteTemplate(&out, frame, v); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	return r.c.HTMLBlob(status, r.offered(out.Bytes()))
}

// fragment reports whether the pane alone was asked for.
func (r *request) fragment() bool { return r.c.Request().Header.Get("X-Fragment") == "pane" }

func (r *request) ok(name string, p page, data any) error {
	return r.render(http.StatusOK, name, p, data)
}

// pageTemplate makes a page's template at its first use: with the layout and the
// parts in each of them, all pages together are megabytes that most servers never
// show. A test makes every one.
type pageTemplate func() (*template.Template, error)

// template is a page's template.
func (w *Web) template(name string) (*template.Template, error) {
	made, ok := w.templates[name]
	if !ok {
		return nil, fmt.Errorf("there is no template %q", name)
	}
	return made()
}

// parse reads the layout and the parts, and lists the pages.
func (w *Web) parse() (map[string]pageTemplate, error) {
	base, err := template.New("").Funcs(w.funcs()).Funcs(recordFuncs()).ParseFS(templateFiles, "templates/layout.html", "templates/sprite.html", "templates/parts.html", "templates/trail.html")
	if err != nil {
		return nil, fmt.Errorf("templates: %w", err)
	}
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, err
	}
	out := map[string]pageTemplate{}
	for _, n := range names {
		name := strings.TrimSuffix(path.Base(n), ".html")
		if name == "layout" || name == "sprite" || name == "parts" || name == "trail" {
			continue
		}
		out[name] = sync.OnceValues(func() (*template.Template, error) {
			t, err := base.Clone()
			if err == nil {
				t, err = t.ParseFS(templateFiles, n)
			}
			if err != nil {
				return nil, fmt.Errorf("template %s: %w", name, err)
			}
			return t, nil
		})
	}
	return out, nil
}

// assetHash changes with any file under static, so that browsers may keep them.
var assetHash = hashAssets()

func hashAssets() string {
	h := sha256.New()
	_ = fs.WalkDir(staticFiles, "static", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			b, _ := staticFiles.ReadFile(name) // embedded
			h.Write(b)
		}
		return nil
	})
	return hex.EncodeToString(h.Sum(nil)[:6])
}

// static answers with an embedded file.
func (w *Web) static(c echo.Context) error {
	name := "static/" + path.Clean("/" + c.Param("*"))[1:]
	b, err := staticFiles.ReadFile(name)
	if err != nil {
		return c.String(fault.NotFound.Status(), "There is no such file.")
	}
	if c.QueryParam("v") == assetHash {
		c.Response().Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	return c.Blob(http.StatusOK, mime.TypeByExtension(path.Ext(name)), b)
}
