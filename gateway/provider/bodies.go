package provider

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// withFields gives a JSON object with some top-level fields taken out and others put
// in front. What stays is byte for byte what it was.
func withFields(body []byte, put string, drop ...string) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	out := append(make([]byte, 0, len(body)+len(put)+2), '{')
	out = append(out, put...)
	for dec.More() {
		from := int(dec.InputOffset())
		key, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
		dropped := false
		for _, d := range drop {
			dropped = dropped || key == d
		}
		if dropped {
			continue
		}
		field := bytes.TrimLeft(body[from:dec.InputOffset()], ", \t\r\n")
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, field...)
	}
	return append(out, '}'), nil
}
