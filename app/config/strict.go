package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sort"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"plumbline/app/fault"
)

// Strict reads YAML into a struct. An unknown key, a key that is there twice or a
// value of the wrong type (a fraction for a whole number among them) is an error of kind
// Invalid that names file and line.
// It returns the document, for LineOf.
func Strict(text []byte, file string, into any) (*yaml.Node, error) {
	var doc, more yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&doc); errors.Is(err, io.EOF) {
		return &doc, nil // an empty file declares nothing
	} else if err != nil {
		return nil, fault.New(fault.Invalid, "config", "%s: %v", file, plain(err))
	}
	if err := d.Decode(&more); err != nil && !errors.Is(err, io.EOF) {
		return nil, fault.New(fault.Invalid, "config", "%s: %v", file, plain(err))
	} else if err == nil {
		return nil, fault.New(fault.Invalid, "config", "%s: line %d: a second document; it would not be read", file, more.Line)
	}
	if err := known(doc.Content[0], reflect.TypeOf(into), ""); err != nil {
		return nil, fault.New(fault.Invalid, "config", "%s: %v", file, err)
	}
	if err := doc.Decode(into); err != nil {
		return nil, fault.New(fault.Invalid, "config", "%s: %v", file, plain(err))
	}
	return &doc, nil
}

func plain(err error) string {
	var t *yaml.TypeError
	if errors.As(err, &t) {
		return strings.Join(t.Errors, "; ")
	}
	return strings.TrimPrefix(err.Error(), "yaml: ")
}

// known walks a document beside a type.
func known(n *yaml.Node, t reflect.Type, path string) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case n.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		for _, c := range n.Content {
			if err := known(c, t.Elem(), path); err != nil {
				return err
			}
		}
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Map:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if err := known(n.Content[i+1], t.Elem(), n.Content[i].Value); err != nil {
				return err
			}
		}
	case n.Kind == yaml.ScalarNode:
		return scalar(n, t, path)
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Struct && t.PkgPath() != "time":
		fields := Fields(t)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, name := n.Content[i], n.Content[i].Value
			f, ok := fields[name]
			if !ok {
				return fmt.Errorf("line %d: unknown key %q%s", key.Line, name, below(path, fields))
			}
			if err := known(n.Content[i+1], f, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// scalar refuses what the YAML package would cut to fit (0.75 becomes 0 in a whole number,
// and a limit of 0 is none at all), and what it refuses without the line or in the words
// of Go.
func scalar(n *yaml.Node, t reflect.Type, name string) error {
	if n.ShortTag() == "!!null" || reflect.PointerTo(t).Implements(reflect.TypeFor[yaml.Unmarshaler]()) {
		return nil
	}
	switch {
	case t == reflect.TypeFor[time.Time]():
		if n.Decode(new(time.Time)) != nil {
			return fmt.Errorf("line %d: %s: %q is no time; write it as 2026-03-03 or 2026-03-03T10:00:00Z", n.Line, name, n.Value)
		}
	case t == reflect.TypeFor[time.Duration]():
		if n.Decode(new(time.Duration)) != nil {
			return fmt.Errorf("line %d: %s: %q is no length of time such as 30s", n.Line, name, n.Value)
		}
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64 && n.ShortTag() == "!!float":
		return fmt.Errorf("line %d: %s: %s is no whole number", n.Line, name, n.Value)
	}
	return nil
}

func below(path string, fields map[string]reflect.Type) string {
	var names []string
	for name := range fields {
		names = append(names, name)
	}
	sort.Strings(names)
	where := ""
	if path != "" {
		where = " in " + path
	}
	return fmt.Sprintf("%s; there are: %s", where, strings.Join(names, ", "))
}

// Fields are a struct's keys in YAML with their types, inlined ones included.
func Fields(t reflect.Type) map[string]reflect.Type {
	out := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("yaml")
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case name == "-" || !f.IsExported() && !f.Anonymous:
		case strings.Contains(options, "inline"):
			for k, v := range Fields(f.Type) {
				out[k] = v
			}
		case name != "":
			out[name] = f.Type
		default:
			out[strings.ToLower(f.Name)] = f.Type
		}
	}
	return out
}

// LineOf is the line of a value: keys by name, elements by index.
func LineOf(n *yaml.Node, path ...any) int {
	if n.Kind == yaml.DocumentNode && len(n.Content) > 0 {
		n = n.Content[0]
	}
	for _, step := range path {
		switch s := step.(type) {
		case string:
			for i := 0; i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == s {
					n = n.Content[i+1]
					break
				}
			}
		case int:
			if s < len(n.Content) {
				n = n.Content[s]
			}
		}
	}
	return n.Line
}
