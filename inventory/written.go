package inventory

import (
	"encoding/json"
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"
)

// Malformed says what is wrong with a value, in words for whoever wrote it.
type Malformed string

func (m Malformed) Error() string { return string(m) }

// Duration is written as 30s or 1m30s, in YAML and in JSON alike.
type Duration time.Duration

func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText writes a duration as people do.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads one; a bare number is an error, for nobody knows its unit.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return Malformed(fmt.Sprintf("%q is no length of time such as 30s", text))
	}
	*d = Duration(v)
	return nil
}

// UnmarshalYAML is UnmarshalText with the line in its error.
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	if err := d.UnmarshalText([]byte(n.Value)); err != nil || n.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: %q is no length of time such as 30s", n.Line, n.Value)
	}
	return nil
}

// OneOf is one value or a list of them: the values that a condition accepts.
type OneOf []string

// UnmarshalYAML takes a value alone as a list of one.
func (o *OneOf) UnmarshalYAML(n *yaml.Node) error {
	list := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		list = n.Content
	}
	*o = OneOf{}
	for _, v := range list {
		if v.Kind != yaml.ScalarNode || v.Tag == "!!null" {
			return fmt.Errorf("line %d: a condition has one value or a list of values", v.Line)
		}
		*o = append(*o, v.Value)
	}
	return nil
}

// UnmarshalJSON takes a value alone, true and false too, as a list of one.
func (o *OneOf) UnmarshalJSON(b []byte) error {
	var list []any
	if err := json.Unmarshal(b, &list); err != nil {
		var one any
		if err := json.Unmarshal(b, &one); err != nil {
			return err
		}
		list = []any{one}
	}
	*o = OneOf{}
	for _, v := range list {
		switch v := v.(type) {
		case string:
			*o = append(*o, v)
		case bool:
			*o = append(*o, fmt.Sprint(v))
		default:
			return Malformed("a condition has one text, true or false, or a list of them")
		}
	}
	return nil
}
