package gateway

import (
	"encoding/json"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode"
)

// Bounds of what a caller may say of a call: what is longer or more is left out.
const (
	mostAttributes   = 16
	longestAttribute = 64  // bytes of a name
	longestValue     = 128 // bytes of a value
)

// metadataHeaders hold JSON objects of scalars. The first is ours; the others are those
// of LiteLLM, Portkey, Cloudflare and TrueFoundry, so that an app that came from one of
// them need not change.
var metadataHeaders = []string{"X-Plumbline-Metadata", "X-Litellm-Spend-Logs-Metadata", "X-Portkey-Metadata", "Cf-Aig-Metadata", "X-Tfy-Metadata"}

// namedHeaders hold one value each, which is the attribute beside them.
var namedHeaders = []struct{ header, name string }{
	{"X-Litellm-Tags", "tags"}, {"X-Portkey-Trace-Id", "trace"}, {"Helicone-Session-Id", "session"},
}

// userHeaders name who uses the app; the first that is there counts. It is recorded as
// a pseudonym alone.
var userHeaders = [...]string{"X-Litellm-End-User-Id", "X-Litellm-Customer-Id", "Helicone-User-Id"}

const heliconeProperty = "Helicone-Property-"

// attributesOf reads what the caller says of a call in headers of ours or of another
// gateway's. Names are in small letters. None of these headers goes upstream.
func attributesOf(h http.Header) map[string]string {
	out := map[string]string{}
	put := func(name, value string) {
		name = strings.ToLower(name)
		if len(out) < mostAttributes && name != "" && len(name) <= longestAttribute && plainName(name) && value != "" && len(value) <= longestValue && plainText(value) {
			if _, ok := out[name]; !ok {
				out[name] = value
			}
		}
	}
	for _, header := range metadataHeaders {
		if v := h[header]; len(v) > 0 {
			var object map[string]any
			dec := json.NewDecoder(strings.NewReader(v[0]))
			dec.UseNumber()
			if dec.Decode(&object) != nil {
				continue
			}
			for _, name := range sortedKeys(object) {
				put(strings.TrimPrefix(name, "_"), scalar(object[name]))
			}
		}
	}
	for _, n := range namedHeaders {
		if v := h[n.header]; len(v) > 0 {
			put(n.name, v[0])
		}
	}
	for _, header := range sortedKeys(h) {
		if name, ok := strings.CutPrefix(header, heliconeProperty); ok && len(h[header]) > 0 {
			put(name, h[header][0])
		}
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return v.String()
	}
	return ""
}

func plainName(s string) bool {
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == ""
}

func plainText(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// attribute takes what the caller says of the call, once. Only what the organisation
// declares is recorded; a route may decide by any.
func (x *exchange) attribute() {
	declared := x.org.Settings.Attributes
	if len(declared) == 0 {
		return
	}
	x.attributes = attributesOf(x.r.Header)
	for _, name := range sortedKeys(x.attributes) {
		if slices.Contains(declared, name) {
			x.ev.Attributes = append(x.ev.Attributes, name+"="+x.attributes[name])
		}
	}
}
