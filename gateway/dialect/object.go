package dialect

import (
	"bytes"
	"encoding/json"
	"sort"
)

// object is a JSON object whose fields are taken out one by one; what is left
// is what nobody here knows.
type object map[string]json.RawMessage

// readObject reads a JSON object.
func readObject(b []byte, field string) (object, error) {
	var o object
	if err := json.Unmarshal(b, &o); err != nil || o == nil {
		return nil, &Malformed{field, "is not a JSON object"}
	}
	return o, nil
}

// readList reads a JSON array.
func readList(b []byte, field string) ([]json.RawMessage, error) {
	var l []json.RawMessage
	if err := json.Unmarshal(b, &l); err != nil {
		return nil, &Malformed{field, "is not a JSON array"}
	}
	return l, nil
}

// take takes a field out into v; absent or null leaves v as it is, and says so.
func (o object) take(key string, v any) (bool, error) {
	raw, ok := o[key]
	delete(o, key)
	if !ok || isNull(raw) {
		return false, nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return false, &Malformed{key, "has another type than the API says"}
	}
	return true, nil
}

// raw takes a field out as it stands; nil when absent or null.
func (o object) raw(key string) json.RawMessage {
	raw := o[key]
	delete(o, key)
	if isNull(raw) {
		return nil
	}
	return raw
}

// text takes a string out; "" when it is absent or no string.
func (o object) text(key string) (s string) {
	json.Unmarshal(o.raw(key), &s)
	return s
}

// rest names the fields that are left, below a path.
func (o object) rest(path string) []string {
	var left []string
	for key, raw := range o {
		if !isNull(raw) {
			left = append(left, path+key)
		}
	}
	sort.Strings(left)
	return left
}

func isNull(raw []byte) bool {
	raw = bytes.TrimSpace(raw)
	return len(raw) == 0 || string(raw) == "null"
}

// isString reports whether a value is a JSON string.
func isString(raw []byte) bool { return first(raw) == '"' }

func first(raw []byte) byte {
	if raw = bytes.TrimSpace(raw); len(raw) > 0 {
		return raw[0]
	}
	return 0
}

// encode writes JSON without escaping what HTML would mind.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// within puts a path before the field that an error names.
func within(path string, err error) error {
	switch e := err.(type) {
	case *Malformed:
		return &Malformed{path + "." + e.Field, e.Why}
	case *Impossible:
		return &Impossible{path + "." + e.Field, e.Why}
	}
	return err
}
