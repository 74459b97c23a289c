package verify

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The example of docs/formats.md verifies an export of the ledger without this
// program, and refuses one that was changed.
func TestTheExampleInPythonVerifiesAnExport(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("python3 is not installed")
		}
		t.Skip("python3 is not installed")
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "formats.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := bytes.Cut(text, []byte("```python\n"))
	script, _, ok2 := bytes.Cut(rest, []byte("```"))
	if !ok || !ok2 {
		t.Fatal("docs/formats.md has no example in Python")
	}
	program := filepath.Join(t.TempDir(), "check.py")
	if err := os.WriteFile(program, script, 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(f folder, key string) (string, bool) {
		t.Helper()
		dir := t.TempDir()
		for name, b := range f {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out, err := exec.Command(python, program, dir, key).CombinedOutput()
		return string(out), err == nil
	}
	whole, keys := ledgerExport(t)
	for _, k := range keys { // both sign in the overlap
		if out, ok := run(whole, k); !ok || !strings.Contains(out, "VERIFIED: leaves [0, 1000) of test/acme/1") {
			t.Errorf("the example says %s", out)
		}
	}
	src, _, public := honest(t)
	part := export(t, src, Range{Log: "acme", Keys: []string{public}, From: 40, To: 90})
	if out, ok := run(part, public); !ok {
		t.Errorf("of a part the example says %s", out)
	}
	bad := whole.clone()
	bad[recordsName(256)][3000] ^= 1
	changed := tampered(t, part, false, func(l [][]byte) [][]byte { l[7] = l[9]; return l })
	deep := tampered(t, part, true, func(l [][]byte) [][]byte { l[7] = l[9]; return l })
	for name, c := range map[string]struct {
		f         folder
		key, says string
	}{
		"another key":  {part, keys[0], "another log's"},
		"hash of file": {bad, keys[0], "is not the file of the manifest"},
		"record":       {changed, public, "leaf 47 is the first bad record"},
		"tree":         {deep, public, "not the leaves of the signed tree"},
	} {
		if name == "another key" {
			_, c.key = key(t, origin, "another")
			c.says = "not signed by the pinned key"
		}
		if out, ok := run(c.f, c.key); ok || !strings.Contains(out, c.says) {
			t.Errorf("%s: the example says %s", name, out)
		}
	}
}
