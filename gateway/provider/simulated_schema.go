package provider

import (
	"encoding/json"
	"strings"
)

// simPieces is the least JSON that fits a schema, cut as a stream would.
func simPieces(schema map[string]any) []string {
	text, err := json.Marshal(simValue(schema, schema, 0))
	if err != nil {
		return []string{"{}"}
	}
	var out []string
	for len(text) > 12 {
		out = append(out, string(text[:12]))
		text = text[12:]
	}
	return append(out, string(text))
}

// simDepth ends schemas that refer to themselves.
const simDepth = 12

// simValue is a value that fits the parts of JSON Schema that structured output
// takes: const, enum, anyOf, $ref, types, properties, items, bounds.
func simValue(root, s map[string]any, depth int) any {
	if depth > simDepth {
		return nil
	}
	if v, ok := s["const"]; ok {
		return v
	}
	if list, ok := s["enum"].([]any); ok && len(list) > 0 {
		return list[0]
	}
	for _, name := range []string{"anyOf", "oneOf", "allOf"} {
		if list, ok := s[name].([]any); ok && len(list) > 0 {
			if sub, ok := list[0].(map[string]any); ok {
				return simValue(root, sub, depth+1)
			}
		}
	}
	if ref, ok := s["$ref"].(string); ok {
		return simValue(root, simRef(root, ref), depth+1)
	}
	kind, _ := s["type"].(string)
	if list, ok := s["type"].([]any); ok && len(list) > 0 {
		kind, _ = list[0].(string)
	}
	switch kind {
	case "string":
		return "simulated"
	case "integer", "number":
		if least, ok := s["minimum"].(float64); ok {
			return least
		}
		return 1
	case "boolean":
		return true
	case "null":
		return nil
	case "array":
		items, ok := s["items"].(map[string]any)
		if !ok || depth == simDepth {
			return []any{}
		}
		return []any{simValue(root, items, depth+1)}
	}
	out := map[string]any{}
	properties, _ := s["properties"].(map[string]any)
	for name, p := range properties {
		if sub, ok := p.(map[string]any); ok {
			out[name] = simValue(root, sub, depth+1)
		}
	}
	return out
}

// simRef follows #/a/b.
func simRef(root map[string]any, ref string) map[string]any {
	at := root
	for _, name := range strings.Split(strings.TrimPrefix(strings.TrimPrefix(ref, "#"), "/"), "/") {
		if next, ok := at[name].(map[string]any); ok {
			at = next
		}
	}
	return at
}
