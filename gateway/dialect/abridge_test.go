package dialect

import (
	"strings"
	"testing"
)

// An answer is written after its request was let go of: it repeats what is small, and of
// a large request it still knows which tools take free text.
func TestAbridge(t *testing.T) {
	for _, c := range []struct {
		name  string
		brief string // of the instructions
		want  bool   // they are repeated
	}{
		{"small", "Be brief.", true},
		{"large", strings.Repeat("Be brief. ", mostEchoed/10+1), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := `{"model":"m","instructions":"` + c.brief + `","input":"Hello","metadata":{"team":"blue"},"tools":[{"type":"custom","name":"shell","description":"Runs it."},{"type":"function","name":"weather","parameters":{"type":"object"}}]}`
			r, err := Of(Responses).ReadRequest([]byte(body), "m", false)
			if err != nil {
				t.Fatal(err)
			}
			r.Abridge()
			if r.Turns != nil {
				t.Error("the conversation is kept")
			}
			answer, err := Of(Responses).WriteAnswer(&Answer{ID: "a", Model: "m", Choices: []Candidate{{Parts: []Part{{Kind: ToolCall, ID: "c", Name: "shell", Text: `{"input":"ls"}`}}, Stop: StopTool}}}, r)
			if err != nil {
				t.Fatal(err)
			}
			said := string(answer)
			if !strings.Contains(said, `"type":"custom_tool_call"`) || !strings.Contains(said, `"input":"ls"`) {
				t.Errorf("the call of a custom tool is %s", said)
			}
			for _, part := range []string{c.brief, `"team":"blue"`, `"weather"`} {
				if strings.Contains(said, part) != c.want {
					t.Errorf("%.20s is repeated: %v", part, !c.want)
				}
			}
		})
	}
}
