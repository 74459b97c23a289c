package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"plumbline/app/db"
	"plumbline/migrations"
)

// plumbline runs a command as a terminal would and gives its exit code and what
// it printed.
func plumbline(t *testing.T, env map[string]string, args ...string) (int, string, string) {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), &console{out: &out, err: &errs, env: func(name string) string { return env[name] }}, args)
	return code, out.String(), errs.String()
}

// TestDemoToVerifiedDocument is the product's promise from end to end: calls go
// over HTTP through the gateway, are recorded, judged and cited, and the document
// verifies from the copied files alone; a changed one does not.
func TestDemoToVerifiedDocument(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	code, out, errs := plumbline(t, nil, "demo", "--once", "--dir", dir, "--listen", "127.0.0.1:0")
	if code != exitOK {
		t.Fatalf("demo: exit code %d\n%s%s", code, out, errs)
	}
	for _, want := range []string{"simulated", "SYS-001", "SYS-004", "system_unapproved", "system_unregistered", "system_retired", "budget_exceeded", "guard_blocked", "verified offline"} {
		if !strings.Contains(out, want) {
			t.Errorf("the demo's table does not name %s:\n%s", want, out)
		}
	}
	pdfs, err := filepath.Glob(filepath.Join(dir, "documents", "*", "*.pdf"))
	if err != nil || len(pdfs) != 3 {
		t.Fatalf("documents: %v %v", pdfs, err)
	}
	home := map[string]string{"HOME": t.TempDir()}
	away := t.TempDir() // an auditor's machine: the files and nothing else
	for _, pdf := range pdfs {
		base := strings.TrimSuffix(pdf, ".pdf")
		for _, ext := range []string{".pdf", ".json", ".proof.json"} {
			copyFile(t, base+ext, filepath.Join(away, filepath.Base(base)+ext))
		}
	}
	for _, pdf := range pdfs {
		name := filepath.Join(away, filepath.Base(pdf))
		if code, out, errs := plumbline(t, home, "verify", name); code != exitOK || !strings.Contains(out, "VERIFIED") {
			t.Errorf("verify %s: exit code %d\n%s%s", name, code, out, errs)
		}
	}
	audit := filepath.Join(away, filepath.Base(pdfs[0]))
	b, err := os.ReadFile(audit)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(audit, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := plumbline(t, home, "verify", audit); code != exitFailed {
		t.Errorf("a changed PDF: exit code %d\n%s", code, out)
	}
	if err := os.Remove(strings.TrimSuffix(audit, ".pdf") + ".proof.json"); err != nil {
		t.Fatal(err)
	}
	copyFile(t, pdfs[0], audit)
	if code, out, _ := plumbline(t, home, "verify", audit); code != exitNotChecked || !strings.Contains(out, "document hash not checked") {
		t.Errorf("without the proof file: exit code %d\n%s", code, out)
	}
	afterwards(t, dir, home)
}

// afterwards is what an operator does with the data directory.
func afterwards(t *testing.T, dir string, home map[string]string) {
	env := map[string]string{"PLUMBLINE_DATA_DIR": dir, "HOME": home["HOME"]}
	code, out, errs := plumbline(t, env, "ledger", "key", "--org", "northwind-insurance")
	if code != exitOK {
		t.Fatalf("ledger key: %d %s", code, errs)
	}
	key := strings.TrimSpace(out)
	export := filepath.Join(t.TempDir(), "export")
	if code, out, errs := plumbline(t, env, "export", export, "--org", "northwind-insurance"); code != exitOK {
		t.Fatalf("export: %d %s%s", code, out, errs)
	}
	code, out, _ = plumbline(t, home, "verify", "--json", "--key", key, export)
	var answer struct {
		Code    int
		Results []struct{ Records int }
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil || code != exitOK || answer.Results[0].Records < 500 {
		t.Errorf("verify the export: %d %v\n%s", code, err, out)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	if code, _, errs := plumbline(t, env, "backup", copied); code != exitOK {
		t.Fatalf("backup: %s", errs)
	}
	env["PLUMBLINE_DATA_DIR"] = copied
	if code, out, errs := plumbline(t, env, "ledger", "fork", "--restored", "--reason", "drill"); code != exitOK || !strings.Contains(out, "is followed by") {
		t.Errorf("declare a backup: %d %s%s", code, out, errs)
	}
	if code, out, errs := plumbline(t, env, "migrate", "--json"); code != exitOK || !strings.Contains(out, `"applied": 0`) {
		t.Errorf("migrate a backup: %d %s%s", code, out, errs)
	}
	if code, out, errs := plumbline(t, env, "user", "create", "--org", "northwind-insurance", "--name", "Ada", "--email", "ada@example.com", "--roles", "auditor"); code != exitOK || !strings.Contains(out, "/signin/link/") {
		t.Errorf("user create: %d %s%s", code, out, errs)
	}
	if code, _, errs := plumbline(t, env, "ledger", "fork", "--reason", "drill"); code != exitOK {
		t.Errorf("fork of a whole ledger: %d %s", code, errs)
	}
}

// What migrate says of databases of this version, of a newer one that lets it run, and
// of one that does not.
func TestMigrateSaysWhatItFound(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	env := map[string]string{"PLUMBLINE_DATA_DIR": dir}
	migrate := func(want int, says ...string) {
		t.Helper()
		code, out, errs := plumbline(t, env, "migrate")
		if code != want {
			t.Errorf("exit code %d: %s%s", code, out, errs)
		}
		for _, s := range says {
			if !strings.Contains(out+errs, s) {
				t.Errorf("it does not say %q: %s%s", s, out, errs)
			}
		}
	}
	change := func(query string) {
		t.Helper()
		state, err := db.Open(t.Context(), db.Config{Dir: dir})
		if err == nil {
			err = errors.Join(state.Exec(query).Error, db.Close(state))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	migrate(exitOK, "the state database had schema 0", "the ledger database had schema 0", "migrations applied")
	migrate(exitOK, "the state database has schema", "the ledger database has schema", "which is this version's: nothing was changed")
	var said struct{ Databases []migrations.Schema }
	if code, out, errs := plumbline(t, env, "migrate", "--json"); code != exitOK || json.Unmarshal([]byte(out), &said) != nil || len(said.Databases) != 2 {
		t.Fatalf("exit code %d: %s%s", code, out, errs)
	}
	known := said.Databases[0].Known
	change(`INSERT INTO schema_state (version_id, is_applied) VALUES (9000, 1)`)
	migrate(exitFailed, "the state database has schema 9000, and this version knows")
	change(fmt.Sprintf(`INSERT INTO schema_state_oldest (version, oldest) VALUES (9000, %d)`, known))
	migrate(exitOK, fmt.Sprintf("the state database has schema 9000, of a newer version; programs from schema %d on may run on it", known), "nothing was changed")
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestExitCodes(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "plumbline.yaml")
	if err := os.WriteFile(bad, []byte("listen: 127.0.0.1:0\nlissten: no\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{nil, exitUsage, "demo"},
		{[]string{"help"}, exitOK, ""},
		{[]string{"polish"}, exitUsage, "no command"},
		{[]string{"version", "--json"}, exitOK, ""},
		{[]string{"version", "now"}, exitUsage, "takes no argument"},
		{[]string{"serve", "--bogus"}, exitUsage, "bogus"},
		{[]string{"config", "validate", "--config", bad}, exitUsage, "lissten"},
		{[]string{"config", "validate"}, exitOK, ""},
		{[]string{"verify"}, exitUsage, "name a PDF"},
		{[]string{"verify", "/no/such.pdf"}, exitUsage, ""},
		{[]string{"verify", "--key", "abc", "/no/such.pdf"}, exitUsage, "no verifier key"},
		{[]string{"export", "dir"}, exitUsage, "--org"},
		{[]string{"export", "--org", "acme", "dir"}, exitUsage, "there is no data directory"},
		{[]string{"ledger", "key"}, exitUsage, "there is no data directory"},
		{[]string{"backup", "dir"}, exitUsage, "there is no data directory"},
		{[]string{"ledger", "fork"}, exitUsage, "--reason"},
		{[]string{"user", "create"}, exitUsage, "--org"},
		{[]string{"healthcheck", "--address", "127.0.0.1:1"}, exitFailed, "no answer"},
	} {
		env := map[string]string{"PLUMBLINE_DATA_DIR": filepath.Join(t.TempDir(), "data")}
		code, _, errs := plumbline(t, env, c.args...)
		if code != c.code || !strings.Contains(errs, c.says) {
			t.Errorf("plumbline %s: exit code %d, want %d; it says %q", strings.Join(c.args, " "), code, c.code, errs)
		}
	}
}

// TestDocumentedCommands holds docs/cli.md to the table of commands: every
// command and flag is there, and nothing that does not exist.
func TestDocumentedCommands(t *testing.T) {
	text, err := os.ReadFile("../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for _, part := range strings.Split(string(text), "\n## ")[1:] {
		title, body, _ := strings.Cut(part, "\n")
		sections[strings.Trim(title, "`")] = body
	}
	flagName := regexp.MustCompile("(?m)^\\| `--([a-z-]+)")
	for _, cmd := range commands() {
		title := strings.TrimSpace("plumbline " + cmd.name)
		body, ok := sections[title]
		if !ok {
			t.Errorf("docs/cli.md has no section `%s`", title)
			continue
		}
		delete(sections, title)
		var have, want []string
		for _, m := range flagName.FindAllStringSubmatch(body, -1) {
			have = append(have, m[1])
		}
		fs := flag.NewFlagSet(cmd.name, flag.ContinueOnError)
		fs.SetOutput(io.Discard)
		cmd.prepare(fs)
		fs.VisitAll(func(f *flag.Flag) { want = append(want, f.Name) })
		slices.Sort(have)
		if !slices.Equal(have, want) {
			t.Errorf("%s: docs/cli.md has the flags %v, the command %v", title, have, want)
		}
	}
	for title := range sections {
		if strings.HasPrefix(title, "plumbline ") {
			t.Errorf("docs/cli.md describes %q, which is no command", title)
		}
	}
}
