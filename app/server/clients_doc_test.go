package server

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"plumbline/gateway/wiretest"
)

// docAddress is the address that stands in docs/clients.md for the gateway's.
const docAddress = "https://plumbline.example"

// snippet is a fenced block of docs/clients.md.
type snippet struct {
	heading, language, code string
}

func snippets(t *testing.T) []snippet {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(moduleRoot(t), "docs", "clients.md"))
	if err != nil {
		t.Fatal(err)
	}
	var out []snippet
	heading, in := "", false
	for line := range strings.Lines(string(b)) {
		switch rest, fence := strings.CutPrefix(line, "```"); {
		case fence && in:
			in = false
		case fence:
			in = true
			out = append(out, snippet{heading: heading, language: strings.TrimSpace(rest)})
		case in:
			out[len(out)-1].code += line
		case strings.HasPrefix(line, "## "):
			heading = strings.TrimSpace(line[3:])
		}
	}
	return out
}

// settingsOf is the one block under a heading, with the address of a real gateway.
func settingsOf(t *testing.T, heading, base string) string {
	t.Helper()
	for _, s := range snippets(t) {
		if s.heading == heading {
			return strings.ReplaceAll(s.code, docAddress, base)
		}
	}
	t.Fatalf("docs/clients.md has nothing under %q", heading)
	return ""
}

// TestDocumentedClients: every program of docs/clients.md runs as it stands there.
func TestDocumentedClients(t *testing.T) {
	w := wire(t)
	_, key := w.key(t, "documented", 0)
	programs := 0
	for _, s := range snippets(t) {
		if s.language != "js" && s.language != "python" {
			continue
		}
		programs++
		t.Run(fmt.Sprintf("%s %d", s.heading, programs), func(t *testing.T) {
			base, variables := w.base, []string(nil)
			if strings.Contains(s.code, "import boto3") {
				address, variable := wiretest.OverTLS(t, w.base)
				base, variables = address, []string{variable}
			}
			got := wiretest.RunProgram(t, s.language, strings.ReplaceAll(s.code, docAddress, base), key, variables...)
			if got != "You said: Hello – naïve 東京.\n" {
				t.Errorf("%q\n%s", got, s.code)
			}
		})
	}
	if programs < 11 {
		t.Errorf("found %d programs", programs)
	}
}

// agent runs a coding agent without a terminal, in a home of its own with nothing of
// this machine but the PATH, and gives what it printed.
func agent(t *testing.T, env []string, home, name string, args ...string) string {
	t.Helper()
	bin := os.Getenv("PLUMBLINE_AGENTS")
	if bin == "" {
		t.Skip("coding agents are tried by make clients")
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, name), args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "NO_PROXY=127.0.0.1"}, env...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

// TestCodingAgents: Claude Code and Codex CLI finish a prompt, and one with a tool
// call, through the gateway with the settings that docs/clients.md gives.
func TestCodingAgents(t *testing.T) {
	if os.Getenv("PLUMBLINE_AGENTS") == "" {
		t.Skip("coding agents are tried by make clients")
	}
	for _, c := range []struct {
		name, tool string
		run        func(t *testing.T, w *wired, key, prompt string) string
	}{
		{"Claude Code", "wire:call-Read", func(t *testing.T, w *wired, key, prompt string) string {
			var env []string
			for line := range strings.Lines(settingsOf(t, "Claude Code", w.base)) {
				env = append(env, strings.ReplaceAll(strings.TrimSpace(strings.TrimPrefix(line, "export ")), "$PLUMBLINE_KEY", key))
			}
			return agent(t, env, t.TempDir(), "claude", "--print", prompt)
		}},
		{"Codex CLI", "wire:call-get_goal", func(t *testing.T, w *wired, key, prompt string) string {
			home := t.TempDir()
			if err := os.MkdirAll(filepath.Join(home, ".codex"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(home, ".codex", "config.toml"), []byte(settingsOf(t, "Codex CLI", w.base)), 0o600); err != nil {
				t.Fatal(err)
			}
			return agent(t, []string{"PLUMBLINE_KEY=" + key}, home, "codex", "exec", "--skip-git-repo-check", prompt)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := wire(t)
			w.up.Strict = false // agents are ahead of what is documented
			id, key := w.key(t, "agent", 0)
			if got := c.run(t, w, key, "Hello"); !strings.Contains(got, "You said: Hello – naïve 東京.") {
				t.Errorf("a prompt: %s", got)
			}
			if got := c.run(t, w, key, "Now "+c.tool); !strings.Contains(got, "The tool says: ") {
				t.Errorf("a tool: %s", got)
			}
			t.Logf("%d exchanges are on record", len(w.onRecord(t, id, 3)))
			w.keepsQuiet(t)
		})
	}
}
