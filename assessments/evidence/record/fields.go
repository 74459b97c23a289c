package record

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode"
)

// Field is one entry of a record's body as it is stored, with the name that this
// build knows its number by. What was not written is not there.
type Field struct {
	Number uint64
	Name   string // system_version
	Value  any    // nil when it has entries of its own
	Inner  []Field
}

// Fields reads a record's body as it is stored, for people who look at it. Of a
// kind or version that this build does not know there are none.
func Fields(b []byte) ([]Field, error) {
	r, err := Decode(b)
	if err != nil {
		return nil, err
	}
	kind, known := kinds[r.Kind]
	if _, opaque := r.Body.(Opaque); opaque || !known {
		return nil, nil
	}
	body := r.Body
	if kind.body == nil {
		var e envelope
		var x exchange
		if err := dec.Unmarshal(b, &e); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		if err := dec.Unmarshal(e.Body, &x); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		body = &x
	}
	return fieldsOf(reflect.ValueOf(body).Elem()), nil
}

func fieldsOf(v reflect.Value) []Field {
	var out []Field
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag.Get("cbor")
		text, rest, _ := strings.Cut(tag, ",")
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil || strings.Contains(rest, "omitzero") && v.Field(i).IsZero() {
			continue
		}
		out = append(out, fieldOf(n, snake(v.Type().Field(i).Name), v.Field(i)))
	}
	return out
}

func fieldOf(n uint64, name string, v reflect.Value) Field {
	f := Field{Number: n, Name: name}
	switch {
	case v.Kind() == reflect.Struct:
		f.Inner = fieldsOf(v)
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		for i := range v.Len() {
			f.Inner = append(f.Inner, Field{Number: uint64(i + 1), Inner: fieldsOf(v.Index(i))})
		}
	default:
		f.Value = v.Interface()
	}
	return f
}

// snake is a Go name in the words of the format: SystemVersion is system_version,
// JSON is json.
func snake(name string) string {
	var b strings.Builder
	letters := []rune(name)
	for i, c := range letters {
		starts := unicode.IsUpper(c) && i > 0 && (unicode.IsLower(letters[i-1]) || i+1 < len(letters) && unicode.IsLower(letters[i+1]))
		if starts {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}
