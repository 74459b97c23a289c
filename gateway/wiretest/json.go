package wiretest

import (
	"bytes"
	"encoding/json"
)

// object is a JSON object whose members stay in order: name, value, name, value.
type object []any

// MarshalJSON writes the members in their order.
func (o object) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i := 0; i < len(o); i += 2 {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, encode(o[i])...)
		out = append(out, ':')
		out = append(out, encode(o[i+1])...)
	}
	return append(out, '}'), nil
}

type list []any

// encode writes a value without the escapes that are for HTML. Values are made
// here, so one that cannot be encoded is a defect of this package.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("wiretest: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'})
}

// node is a decoded JSON value; its methods answer for what is missing with the
// zero value, so that reading a request needs no ceremony.
type node struct{ v any }

func decode(body []byte) (node, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return node{v}, err
}

func (n node) at(names ...string) node {
	for _, name := range names {
		m, _ := n.v.(map[string]any)
		n = node{m[name]}
	}
	return n
}

func (n node) has(name string) bool { m, _ := n.v.(map[string]any); _, ok := m[name]; return ok }

func (n node) text() string { s, _ := n.v.(string); return s }

func (n node) truth() bool { b, _ := n.v.(bool); return b }

func (n node) number() int64 {
	j, _ := n.v.(json.Number)
	i, _ := j.Int64()
	return i
}

func (n node) there() bool { return n.v != nil }

func (n node) items() []node {
	l, _ := n.v.([]any)
	out := make([]node, len(l))
	for i, v := range l {
		out[i] = node{v}
	}
	return out
}
