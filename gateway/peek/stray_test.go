package peek

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sealedText reads like what a provider encrypted.
var sealedText = strings.Repeat("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo0MTExMTEx", 20)

// TestStrayFields: what stands in fields that a grammar does not know is text, at any
// depth; what it knows to be none stays so.
func TestStrayFields(t *testing.T) {
	for _, c := range []struct {
		name, body string
		of         Grammar
		want       []string
		sealed     bool
	}{
		{"chat, at the root", `{"model":"m","extra_context":"a","vendor":{"deep":[{"id":"b","type":"c","n":1,"list":["d",["e"]]}]},"stop":["f"],"stream_options":{"note":"g"},"web_search_options":{"user_location":{"city":"h"}}}`, OpenAI, strings.Split("abcdefgh", ""), false},
		{"chat, metadata", `{"model":"m","metadata":{"id":"a","type":"b"}}`, OpenAI, []string{"a", "b"}, false},
		{"chat, in messages", `{"model":"m","messages":[{"role":"user","content":"a","note":"b","vendor":{"x":{"y":"c"}},"reasoning_details":[{"type":"d","id":"e","text":"f"}]}]}`, OpenAI, strings.Split("abcdef", ""), false},
		{"chat, what is no text", `{"model":"m","audio":{"voice":"x","format":"x"},"modalities":["x"],"tool_choice":{"function":{"name":"x"}},"prompt_cache_key":"x","user":"x","reasoning_effort":"x","encoding_format":"x","service_tier":"x","moderation":{"model":"x"}}`, OpenAI, nil, false},
		{"chat, signed by a provider", `{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"x","function":{"name":"a","arguments":"b"},"extra_content":{"google":{"thought_signature":"` + sealedText + `"}}}],"reasoning_details":[{"data":"` + sealedText + `"}],"signature":"` + sealedText + `"}]}`, OpenAI, []string{"a", "b"}, true},
		{"a signature that is none", `{"model":"m","signature":"write to a","vendor":{"encrypted_content":{"b":"b"}}}`, OpenAI, []string{"write to a", "b"}, false},
		{"a mark of the gateway's", `{"model":"m","vendor":{"signature":"plumbline:anthropic:signature:x"}}`, OpenAI, nil, false},
		{"a short text of base64 alone", `{"model":"m","token":"` + sealedText[:longestToken] + `"}`, OpenAI, []string{sealedText[:longestToken]}, false},
		{"a long one", `{"model":"m","blob":"` + sealedText + `"}`, OpenAI, nil, true},
		{"a file in a data URL", `{"model":"m","blob":"data:image/png;base64,` + sealedText + `"}`, OpenAI, nil, true},
		{"versions", `{"model":"m","client":{"version":"1.2.3.4","sdkVersion":"1.2.3.4","app_version":"1.2.3.4 of a"},"conversion":"1.2.3.4","api_version":"1.2.3.4"}`, OpenAI, []string{"1.2.3.4 of a", "1.2.3.4"}, false},
		{"embeddings", `{"model":"m","input":"a","encoding_format":"x","input_type":"b"}`, OpenAI, []string{"a", "b"}, false},
		{"images", `{"model":"m","prompt":"a","size":"x","quality":"x","background":"x","output_format":"x","style":"x","negative_prompt":"b"}`, Media, []string{"a", "b"}, false},
		{"messages", `{"model":"m","system":"a","metadata":{"user_id":"x","customer":"b"},"extra":{"c":["c"]},"stop_sequences":["d"],"mcp_servers":[{"name":"e","url":"f","authorization_token":"x"}],"thinking":{"type":"x"},"container":"x","messages":[{"role":"user","content":[{"type":"text","text":"g","note":"h"}]}]}`, Messages, strings.Split("abcdefgh", ""), false},
		{"messages, signed", `{"model":"m","messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"a","signature":"x"},{"type":"redacted_thinking","data":"x"}]}]}`, Messages, []string{"a (kept)"}, false},
		{"Responses", `{"model":"m","input":[{"role":"user","content":"a","note":"b"}],"extra":{"c":"c"},"prompt":{"id":"x","version":"1","variables":{"d":"d"},"note":"e"},"text":{"verbosity":"x","note":"f"},"include":["x"],"tool_choice":"x","truncation":"x","prompt_cache_key":"x","reasoning":{"effort":"x"}}`, Responses, strings.Split("abcdef", ""), false},
		{"Responses, encrypted", `{"model":"m","input":[{"type":"reasoning","id":"x","encrypted_content":"x","summary":[]}]}`, Responses, nil, false},
		{"Gemini", `{"contents":[{"parts":[{"text":"a","note":"b","thoughtSignature":"x"}]}],"labels":{"c":"c"},"title":"d","generationConfig":{"stopSequences":["e"],"note":"f","responseMimeType":"x"},"safetySettings":[{"category":"x"}],"toolConfig":{"functionCallingConfig":{"mode":"x"}},"cachedContent":"x"}`, Gemini, strings.Split("abcdef", ""), false},
		{"Converse", `{"messages":[{"role":"user","note":"a","content":[{"text":"b"},{"document":{"format":"x","name":"c","note":"d","source":{"s3Location":{"uri":"e","bucketOwner":"x"}}}},{"toolUse":{"toolUseId":"x","name":"x","note":"f","input":{}}}]}],"inferenceConfig":{"stopSequences":["g"]},"extra":"h","guardrailConfig":{"guardrailIdentifier":"x"},"performanceConfig":{"latency":"x"}}`, Converse, strings.Split("abcdefgh", ""), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p Body
			b := []byte(c.body)
			if err := p.Request(b, c.of); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, textsOf(&p, b)); diff != "" || p.Sealed != c.sealed {
				t.Errorf("%s; sealed %v", diff, p.Sealed)
			}
		})
	}
}
