package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"sort"
	"strings"

	"plumbline/app/config"
	"plumbline/app/fault"
	"plumbline/inventory"
)

// change goes with every write of the API: the version that the author saw (0 is
// whichever) and the reason that is kept with the change.
type change struct {
	Version uint32 `json:"version" yaml:"version"`
	Reason  string `json:"reason" yaml:"reason"`
}

// checkJSON holds changing requests of the API to a JSON content type. A page of
// another site can make a browser send forms and plain text with this site's
// cookie, but not this type without asking first, and nobody answers that yes.
// With the origin check before it and the cookie's SameSite=Lax this stands in
// for a token.
func (r *request) checkJSON() error {
	req := r.c.Request()
	if !changes(req.Method) || !isAPI(req.URL.Path) {
		return nil
	}
	kind, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return fault.New(fault.Invalid, "content_type", "Send it with Content-Type: application/json, also when there is no body.")
	}
	return nil
}

func changes(method string) bool {
	return method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions
}

// readJSON reads the body into v, a pointer to a struct whose yaml names are the
// names of the declarations file. A name that is not there, is there twice or is
// in readOnly, and a value of the wrong kind, is an error that names the field. An
// empty body is an empty object.
func (r *request) readJSON(v any, readOnly ...string) error {
	text, err := io.ReadAll(r.c.Request().Body)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	t := reflect.TypeOf(v).Elem()
	if err := knownFields(d, t, "", readOnly); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fault.New(fault.Invalid, "invalid_json", "There is something behind the JSON object.")
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return fault.Wrap(fault.Invalid, "invalid_json", err, "Send one JSON object.")
	}
	for name, value := range fields {
		// One at a time, so that an error can be told which field it is about.
		if err := json.Unmarshal(fmt.Appendf(nil, `{%q:%s}`, name, value), v); err != nil {
			return wrongKind(name, config.Fields(t)[name], err)
		}
	}
	return nil
}

func wrongKind(name string, t reflect.Type, err error) error {
	want := "has the wrong kind of value"
	var (
		u *json.UnmarshalTypeError
		m inventory.Malformed
	)
	switch {
	case errors.As(err, &m):
		want = "cannot be read: " + m.Error()
	case errors.As(err, &u):
		if i := strings.LastIndex(u.Field, "."+name+"."); i >= 0 {
			name = u.Field[i+1:]
		}
		want = "must be " + kindWord(u.Type)
	case t != nil:
		want = "must be " + kindWord(t)
	}
	f := fault.Field(name, "%s %s", name, want)
	f.Err = err
	return f
}

func kindWord(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[inventory.Duration]():
		return "a length of time such as 30s"
	case t.PkgPath() == "time":
		return "a time such as 2026-08-02T00:00:00Z"
	case t.Kind() == reflect.Slice:
		return "a list"
	case t.Kind() == reflect.Struct:
		return "an object"
	case t.Kind() == reflect.String:
		return "a text"
	case t.Kind() == reflect.Bool:
		return "true or false"
	}
	return "a whole number"
}

// knownFields walks one JSON value beside a type, as config.Strict walks YAML.
func knownFields(d *json.Decoder, t reflect.Type, path string, readOnly []string) error {
	token, err := d.Token()
	if err != nil {
		return fault.Wrap(fault.Invalid, "invalid_json", err, "The body is no JSON.")
	}
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch token {
	case json.Delim('['):
		var element reflect.Type
		if t != nil && t.Kind() == reflect.Slice {
			element = t.Elem()
		}
		for i := 0; d.More(); i++ {
			if err := knownFields(d, element, fmt.Sprintf("%s[%d]", path, i), nil); err != nil {
				return err
			}
		}
	case json.Delim('{'):
		return knownMembers(d, t, path, readOnly)
	default:
		if path == "" {
			return fault.New(fault.Invalid, "invalid_json", "Send one JSON object.")
		}
		return nil
	}
	_, err = d.Token()
	if err != nil {
		return fault.Wrap(fault.Invalid, "invalid_json", err, "The body is no JSON.")
	}
	return nil
}

func knownMembers(d *json.Decoder, t reflect.Type, path string, readOnly []string) error {
	var fields map[string]reflect.Type
	if t != nil && t.Kind() == reflect.Struct && t.PkgPath() != "time" {
		fields = config.Fields(t)
	}
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return fault.Wrap(fault.Invalid, "invalid_json", err, "The body is no JSON.")
		}
		key, _ := token.(string)
		name := key
		if path != "" {
			name = path + "." + key
		}
		field, known := fields[key]
		switch {
		case seen[key]:
			return fault.Field(name, "%s is there twice", name)
		case slices.Contains(readOnly, key):
			return fault.Field(name, "%s is not set here; docs/api.md says where", name)
		case fields != nil && !known:
			return fault.Field(name, "unknown field %q; there are: %s", name, fieldNames(fields, readOnly))
		}
		seen[key] = true
		if err := knownFields(d, field, name, nil); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return fault.Wrap(fault.Invalid, "invalid_json", err, "The body is no JSON.")
	}
	return nil
}

func fieldNames(fields map[string]reflect.Type, readOnly []string) string {
	var names []string
	for name := range fields {
		if !slices.Contains(readOnly, name) {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}

// inPath takes an id from the path; one in the body must be the same.
func inPath[T ~string](r *request, name string, id *T) error {
	given := T(r.param(name))
	if *id != "" && *id != given {
		return fault.Field(name, "%s is %q in the path and %q in the body", name, given, *id)
	}
	*id = given
	return nil
}

// answer sends what the API gives out.
func (r *request) answer(status int, v any) error { return r.c.JSON(status, v) }

// orEmpty makes a list that is never null in JSON.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// find is the row of a list, or NotFound.
func find[T any](list []T, what, id string, is func(*T) bool) (*T, error) {
	for i := range list {
		if is(&list[i]) {
			return &list[i], nil
		}
	}
	return nil, fault.New(fault.NotFound, "not_found", "there is no %s %q", what, id)
}
