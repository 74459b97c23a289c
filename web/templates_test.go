package web

import (
	"bytes"
	"html/template"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jba/templatecheck"

	"plumbline/app/authz"
	"plumbline/frameworks"
	"plumbline/inventory"
)

// typed is a view whose data has its type, so that fields can be checked.
type typed[T any] struct {
	*view
	Data T
}

// pageOf is the data of a template: what it is drawn with when there is nothing
// to show, and what it is drawn with when there is something of everything.
type pageOf struct{ empty, filled func(*view) any }

// of takes the least that a page has: what its handler sets always.
func of[T any](least T) pageOf {
	return pageOf{
		func(v *view) any { return typed[T]{v, least} },
		func(v *view) any {
			full := reflect.New(reflect.TypeFor[T]()).Elem()
			fill(full, 0)
			return typed[T]{v, full.Interface().(T)}
		},
	}
}

// pageData is the data of every template. A template that is not here fails the
// test below.
var pageData = map[string]pageOf{
	"attached": of(&attachedData{}),
	"account":  of(accountData{Form: &form{}, Display: &form{}}), "budgets": of(budgetsData{}), "error": of(errorData{}), "form": of(&form{}), "gateway": of(gatewayData{}),
	"document": of(&documentData{Verify: &verifyHelp{}}), "documents": of(documentsData{}), "first_steps": of(&firstSteps{}), "jobs": of(jobsData{}),
	"evidence":  of(&evidenceData{Form: &form{}, Framework: &frameworks.Framework{}, Control: &frameworks.Control{}}),
	"framework": of(&frameworkData{Framework: &frameworks.Framework{}}), "frameworks": of(frameworksData{}),
	"exchanges": of(&exchangesData{Filter: &logFilter{}}), "ledger": of(&ledgerData{}), "leaf": of(&leafData{}),
	"history": of(historyData{System: &inventory.System{}}), "keys": of(keysData{}), "link": of(linkData{}), "once": of(onceData{}), "overview": of(overviewData{}),
	"people": of(peopleData{}), "changes": of(changesData{}), "change": of(&changeData{Form: &form{}}), "signin": of(signInData{}), "system": of(systemData{System: &inventory.System{}}), "systems": of(systemsData{}),
}

// TestTemplatesAgainstTheirTypes: every field, method, function and argument that
// a template names is one of its data, on paths too that are seldom taken.
func TestTemplatesAgainstTheirTypes(t *testing.T) {
	w := templateWeb(t)
	for _, name := range sorted(w.templates) {
		t.Run(name, func(t *testing.T) {
			data, ok := pageData[name]
			if !ok {
				t.Fatalf("pageData does not say what templates/%s.html is executed with", name)
			}
			for _, part := range []string{"layout", "pane"} {
				if tm := made(t, w, name).Lookup(part); tm != nil {
					if err := templatecheck.CheckHTML(tm, data.empty(&view{})); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for name := range pageData {
		if w.templates[name] == nil {
			t.Errorf("pageData names %q, and there is no such template", name)
		}
	}
}

// TestTemplatesExecute draws every template once with nothing in its data and
// once with something in everything.
func TestTemplatesExecute(t *testing.T) {
	w := templateWeb(t)
	for _, name := range sorted(w.templates) {
		data, ok := pageData[name]
		if !ok {
			continue // the test above says so
		}
		t.Run(name, func(t *testing.T) {
			for how, data := range map[string]func(*view) any{"empty": data.empty, "filled": data.filled} {
				for _, bare := range []bool{true, false} {
					out := draw(t, made(t, w, name), data(templateView(w, bare, how == "filled")), how)
					if n := strings.Count(out, "<h1"); n != 1 {
						t.Errorf("%s: %d h1", how, n)
					}
					if strings.Contains(out, "ZgotmplZ") || strings.Contains(out, "<no value>") || strings.Contains(out, "%!") {
						t.Errorf("%s: a value could not be drawn", how)
					}
					if said := boolInText.FindString(out); said != "" {
						t.Errorf("%s: a yes or no is drawn as text: %q", how, said)
					}
				}
			}
		})
	}
}

// boolInText finds what a template that prints a bool leaves.
var boolInText = regexp.MustCompile(`>\s*(true|false)\b[^<]*|[^<>]*\b(true|false)\s*<`)

// made is a page's template; one that cannot be made fails the test.
func made(t *testing.T, w *Web, name string) *template.Template {
	t.Helper()
	tm, err := w.template(name)
	if err != nil {
		t.Fatal(err)
	}
	return tm
}

func draw(t *testing.T, tm *template.Template, data any, how string) string {
	t.Helper()
	var out bytes.Buffer
	if err := tm.ExecuteTemplate(&out, "layout", data); err != nil {
		t.Errorf("%s: %v", how, err)
	}
	return out.String()
}

// templateWeb is as much of a Web as templates ask for.
func templateWeb(t *testing.T) *Web {
	t.Helper()
	e, err := authz.New()
	if err != nil {
		t.Fatal(err)
	}
	w := &Web{d: Deps{Now: func() time.Time { return time.Date(2026, 11, 24, 9, 30, 0, 0, time.UTC) }, Enforcer: e}}
	if w.templates, err = w.parse(); err != nil {
		t.Fatal(err)
	}
	return w
}

func templateView(w *Web, bare, full bool) *view {
	r := &request{web: w, state: &inventory.State{}}
	v := &view{page: page{Title: "A page", Bare: bare}, Request: r, Now: w.d.Now()}
	if full {
		r.account.ID, r.actor = "p-1", authz.Actor{ID: "p-1", Roles: []authz.Role{authz.Admin}}
		fill(reflect.ValueOf(&v.Org).Elem(), 0)
		v.Name, v.Email, v.Roles, v.CSRF, v.Theme, v.Flash, v.Down = "Ada Wong", "ada@example.test", "Admin", "token", "dark", "Done.", true
		v.Crumbs, v.Others = []crumb{{"Pages", "/pages"}, {Title: "A page"}}, []inventory.Person{{Org: "other", Name: "Ada Wong"}}
	}
	return v
}

// fill puts something into everything, as deep as pages look.
func fill(v reflect.Value, depth int) {
	if depth > 8 || !v.CanSet() {
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(3)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(3)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(0.5)
	case reflect.String:
		v.SetString("something")
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, depth+1)
		fill(value, depth+1)
		v.SetMapIndex(key, value)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), depth+1)
		}
	}
}
