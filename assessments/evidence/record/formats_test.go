package record

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// docs/formats.md lists every kind with its fields, as the code has them.
func TestFormatsDocument(t *testing.T) {
	path := filepath.Join("..", "..", "..", "docs", "formats.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := bytes.Cut(text, []byte("-update -->\n"))
	_, tail, ok2 := bytes.Cut(rest, []byte("<!-- end of kinds -->"))
	if !ok || !ok2 {
		t.Fatal("docs/formats.md has no place for the kinds")
	}
	want := bytes.Join([][]byte{head, []byte("-update -->\n"), []byte(kindsTable()), []byte("<!-- end of kinds -->"), tail}, nil)
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(text, want) {
		t.Error("docs/formats.md does not list the kinds and fields as they are; run this test with -update")
	}
}

func kindsTable() string {
	var b strings.Builder
	b.WriteString("\n| number | kind | version | body |\n|---|---|---|---|\n")
	for _, k := range sortedKinds() {
		info := kinds[k]
		if info.body != nil {
			fmt.Fprintf(&b, "| %d | `%s` | %d | %s |\n", uint64(k), info.name, info.version, listFields(reflect.TypeOf(info.body()).Elem()))
			continue
		}
		fmt.Fprintf(&b, "| %d | `%s` | %d | *exchange*, below |\n", uint64(k), info.name, info.version)
	}
	b.WriteString("\nFields of the kinds of an *exchange*: " + listFields(reflect.TypeFor[exchange]()) + ".\n\n")
	for _, part := range []reflect.Type{reflect.TypeFor[decision](), reflect.TypeFor[verdict](), reflect.TypeFor[hold](), reflect.TypeFor[usage](), reflect.TypeFor[Metric]()} {
		b.WriteString("A *" + strings.ToLower(part.Name()) + "*: " + listFields(part) + ".\n\n")
	}
	return b.String()
}

// listFields lists a struct's fields by key.
func listFields(t reflect.Type) string {
	var out []string
	for i := range t.NumField() {
		f := t.Field(i)
		tag := strings.Split(f.Tag.Get("cbor"), ",")
		line := fmt.Sprintf("%s %s (%s)", tag[0], spaced(f.Name), cborType(f.Type))
		if tag[len(tag)-1] != "omitzero" {
			line += " *always*"
		}
		out = append(out, line)
	}
	return strings.Join(out, ", ")
}

// spaced turns SystemVersion into system version.
func spaced(name string) string {
	var b strings.Builder
	for i, c := range name {
		upper := c >= 'A' && c <= 'Z'
		if upper && i > 0 && (name[i-1] < 'A' || name[i-1] > 'Z') {
			b.WriteByte(' ')
		}
		b.WriteRune(c)
	}
	return strings.ToLower(b.String())
}

func cborType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "bool"
	case reflect.Array:
		return fmt.Sprintf("%d bytes", t.Len())
	case reflect.Slice:
		return "array of " + cborType(t.Elem())
	case reflect.Map:
		return "map of " + cborType(t.Key()) + " to " + cborType(t.Elem())
	case reflect.Struct:
		return "*" + strings.ToLower(t.Name()) + "*"
	case reflect.Int64:
		return "int"
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		return "uint"
	}
	panic(t.String())
}
