package web

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"plumbline/app/config"
	"plumbline/app/fault"
)

// option is a choice of a field.
type option struct{ Value, Label, Hint string }

// field is one field of a form.
type field struct {
	Name, Label, Hint string
	Section           string // heading of this field and those after it
	Kind              string // text, textarea, select, checks, ticks (many short checks), radios, date, email, password, money, file, number, code, fixed (shown, and sent again as it is)
	Value             string
	Values            []string // chosen, of checks
	Options           []option
	Error             string
	Optional          bool
	Auto              string // autocomplete
	Mono              bool
	Reference         bool // to a secret: what is none is not shown again, for it may be the secret
}

// naming is the field that names a row: a box for a new one, and a fact for one that is
// there, since another name would be another row.
func naming(f field, version uint32) field {
	if version != 0 {
		f.Kind, f.Hint = "fixed", ""
	}
	return f
}

// form is a form as every page draws it. The names of its fields are those of the
// API, so that an error about a field finds its box.
type form struct {
	Title, Intro  string
	Action        string
	Fields        []field
	Hidden        map[string]string
	Submit        string
	Danger        bool
	Cancel        string
	Upload        bool
	Other, OtherV string // label and value of a second button, sent as "decision"
	Error         string // what concerns no field
	Facts         [][2]string
}

// Failed reports that there is something to mend.
func (f *form) Failed() bool { return f.Error != "" || len(f.wrong()) > 0 }

// Wrong lists the fields with an error.
func (f *form) Wrong() []field { return f.wrong() }

func (f *form) wrong() (out []field) {
	for _, x := range f.Fields {
		if x.Error != "" {
			out = append(out, x)
		}
	}
	return out
}

// again draws a form once more with what was entered and what is wrong with it.
// Errors that no form can mend are returned.
func (r *request) again(p page, f *form, err error) error { return r.againOn("form", p, f, f, err) }

// againOn is again for a form within a page of its own.
func (r *request) againOn(template string, p page, f *form, data any, err error) error {
	var known *fault.Error
	if !errors.As(ledgerDown(err), &known) || !slices.Contains([]fault.Kind{fault.Invalid, fault.Conflict, fault.Forbidden, fault.Unavailable, fault.RateLimited, fault.Unauthenticated}, known.Kind) {
		return err
	}
	if r.c.Request().Form == nil {
		_ = r.c.Request().ParseMultipartForm(largestUpload) // entries are optional here
	}
	left := map[string]string{}
	for k, v := range known.Fields {
		left[k] = v
	}
	for i := range f.Fields {
		x := &f.Fields[i]
		r.refill(x)
		x.Error = left[x.Name]
		delete(left, x.Name)
	}
	if len(f.wrong()) == 0 || len(left) > 0 {
		f.Error = known.Message
		if known.Code == "version" {
			f.Error = r.named(f.Error)
		}
	}
	p.Title = "Error: " + p.Title
	if known.Kind == fault.Unavailable {
		r.web.d.Log.Warn("not recorded", "request", r.id.String(), "error", err)
	}
	return r.render(known.Kind.Status(), template, p, data)
}

// gathered carries out a change that was read without an error. Where something could not
// be read, check says what else is wrong, so that whoever entered it sees all of it at
// once.
func gathered(unread error, check, change func() error) error {
	if unread == nil {
		return change()
	}
	var wrong fault.Fields
	return wrong.Join(unread, check())
}

// named puts the names of people where a text has the ids of their accounts.
func (r *request) named(text string) string {
	if r.state != nil {
		for _, m := range r.state.Members {
			text = strings.ReplaceAll(text, m.ID, m.Name)
		}
	}
	return text
}

// refill puts what was entered into a box, but for secrets and files.
func (r *request) refill(x *field) {
	if x.Kind == "password" || x.Kind == "file" {
		return
	}
	x.Value, x.Values = r.value(x.Name), r.c.Request().Form[x.Name]
	if _, err := config.ParseReference(x.Value); x.Reference && err != nil {
		x.Value = ""
	}
}

// renamed is an error about a field that a form has under another name.
func renamed(err error, from, to string) error {
	var known *fault.Error
	if !errors.As(err, &known) || known.Fields[from] == "" {
		return err
	}
	fields := maps.Clone(known.Fields)
	fields[to] = fields[from]
	delete(fields, from)
	return &fault.Error{Kind: known.Kind, Code: known.Code, Message: known.Message, Fields: fields, Err: known.Err}
}

func (r *request) formPage(p page, f *form) error { return r.render(http.StatusOK, "form", p, f) }

// dateOf reads a day; an empty one is the zero time.
func dateOf(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return t, fault.Field(name, "write a day as 2026-11-24")
	}
	return t, nil
}

// throughDay reads a day with which something ends: the last second of it in UTC, so
// that pages and documents name the day that was entered.
func throughDay(name, text string) (time.Time, error) {
	t, err := dateOf(name, text)
	if err != nil || t.IsZero() {
		return t, err
	}
	return t.AddDate(0, 0, 1).Add(-time.Second), nil
}

func sorted[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// seen is the hidden field that says which version of a row a form was filled from,
// so that what somebody else changed meanwhile is not overwritten.
func seen(version uint32) map[string]string {
	return map[string]string{"version": strconv.FormatUint(uint64(version), 10)}
}

// version reads it. It is zero for a row that is new, and then there must be none of
// that name: taken says whether there is. Without it, whichever is there is replaced,
// as in the API.
func (r *request) version(field, what, name string, taken bool) (uint32, error) {
	text := r.value("version")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, fault.New(fault.Invalid, "invalid", "The form says no version; open it again.")
	}
	if n == 0 && taken {
		return 0, fault.Field(field, "there is a %s %q already; change that one, or take another name", what, name)
	}
	return uint32(n), nil
}

// reasonField is the field that every change of weight has.
func reasonField(hint string) field {
	return field{Name: "reason", Label: "Reason", Kind: "textarea", Hint: hint}
}
