package dialect

import (
	"bytes"
	"encoding/json"
)

// member is one field of a JSON object.
type member struct {
	key   string
	value json.RawMessage
}

// members reads a JSON object in its order, which in a schema is the order in
// which models write the fields; nil when it is none.
func members(raw []byte) []member {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	out := []member{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil
		}
		key, ok := t.(string)
		if !ok {
			return nil
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return nil
		}
		out = append(out, member{key, value})
	}
	return out
}

// joined writes an object in the order of its members.
func joined(ms []member) json.RawMessage {
	b := []byte{'{'}
	for i, m := range ms {
		if i > 0 {
			b = append(b, ',')
		}
		key, _ := encode(m.key)
		b = append(append(append(b, key...), ':'), m.value...)
	}
	return append(b, '}')
}

// eachSchema applies edit to a JSON Schema and to every schema below it, the
// innermost first, and keeps the order of fields. Whatever is no object stays as
// it is.
func eachSchema(raw json.RawMessage, edit func([]member) []member) json.RawMessage {
	ms := members(raw)
	if ms == nil {
		return raw
	}
	for i, m := range ms {
		switch m.key {
		case "properties", "$defs", "definitions", "patternProperties":
			named := members(m.value)
			for k := range named {
				named[k].value = eachSchema(named[k].value, edit)
			}
			if named != nil {
				ms[i].value = joined(named)
			}
		case "items", "additionalProperties", "not":
			ms[i].value = eachSchema(m.value, edit)
		case "anyOf", "oneOf", "allOf", "prefixItems", "any_of":
			var list []json.RawMessage
			if json.Unmarshal(m.value, &list) != nil || list == nil {
				continue
			}
			for k := range list {
				list[k] = eachSchema(list[k], edit)
			}
			ms[i].value, _ = encode(list)
		}
	}
	return joined(edit(ms))
}

// closed says of every object of a schema that it has no other fields than those
// named, where the schema does not speak of it.
func closed(schema json.RawMessage) json.RawMessage {
	return eachSchema(schema, func(ms []member) []member {
		object, says := false, false
		for _, m := range ms {
			object = object || m.key == "type" && string(bytes.TrimSpace(m.value)) == `"object"` || m.key == "properties"
			says = says || m.key == "additionalProperties"
		}
		if object && !says {
			ms = append(ms, member{"additionalProperties", json.RawMessage("false")})
		}
		return ms
	})
}
