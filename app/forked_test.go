package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"plumbline/assessments/evidence"
)

// office runs commands on one data directory, as somebody whose home is elsewhere.
type office struct {
	t   *testing.T
	env map[string]string
}

func (o office) run(want int, args ...string) string {
	o.t.Helper()
	code, out, errs := plumbline(o.t, o.env, args...)
	if code != want {
		o.t.Fatalf("plumbline %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), code, want, out, errs)
	}
	return out + errs
}

func (o office) says(want int, says []string, args ...string) string {
	o.t.Helper()
	text := o.run(want, args...)
	for _, s := range says {
		if !strings.Contains(text, s) {
			o.t.Errorf("plumbline %s does not say %q:\n%s", strings.Join(args, " "), s, text)
		}
	}
	return text
}

func (o office) at(dir string) office {
	return office{o.t, map[string]string{"PLUMBLINE_DATA_DIR": dir, "PLUMBLINE_INSTANCE": "test", "HOME": o.env["HOME"]}}
}

func (o office) person(email string) {
	o.t.Helper()
	o.run(exitOK, "user", "create", "--org", "acme", "--org-name", "Acme Ltd", "--name", "Ada", "--email", email, "--roles", "auditor")
}

// TestARestoredBackupIsDeclared: a backup is put in the place of the whole data
// directory, so that nothing beside it says what was signed since. The fork that
// declares it is linked to what the backup had and names what others have seen, old
// generations can still be exported and verified, and nobody who saw more is told that
// nothing was lost.
func TestARestoredBackupIsDeclared(t *testing.T) {
	root := t.TempDir()
	path := func(name string) string { return filepath.Join(root, name) }
	o := office{t, map[string]string{"HOME": path("home")}}
	live, auditor := o.at(path("live")), o.at(path("nothing"))
	live.person("ada@example.com")
	early := path("early.txt")
	copyFile(t, filepath.Join(path("live"), "checkpoints", "acme.txt"), early)
	live.person("dan@example.com")
	live.run(exitOK, "backup", path("monday"))
	live.run(exitOK, "backup", path("silent"))
	live.person("ben@example.com")
	late := path("late.txt")
	copyFile(t, filepath.Join(path("live"), "checkpoints", "acme.txt"), late)
	live.run(exitOK, "export", "--org", "acme", path("whole"))
	auditor.says(exitOK, []string{"VERIFIED"}, "verify", path("whole"))
	key := strings.TrimSpace(live.run(exitOK, "ledger", "key", "--org", "acme"))

	back := o.at(path("monday"))
	undeclared := []string{"a copy made by plumbline backup", "plumbline ledger fork --restored --reason '…'", filepath.Join(path("monday"), "RESTORE.txt")}
	back.says(exitFailed, undeclared, "serve")
	back.says(exitFailed, undeclared, "ledger", "fork", "--reason", "drill")
	back.says(exitUsage, []string{"nothing that it shows is missing", "--restored"}, "ledger", "fork", "--reason", "drill", "--seen", early)
	back.says(exitUsage, []string{"one line"}, "ledger", "fork", "--reason", "two\nlines", "--restored")
	if text := back.run(exitOK, "ledger", "key", "--org", "acme"); strings.TrimSpace(text) != key {
		t.Fatalf("a fork that was refused changed something:\n%s", text)
	}
	back.says(exitOK, []string{"test/acme/1 is followed by test/acme/2", "are missing", "test/_instance/1 is followed by test/_instance/2", "was not known"},
		"ledger", "fork", "--reason", "the disk of the server broke", "--seen", late)
	back.says(exitOK, []string{"nothing to do"}, "ledger", "fork", "--reason", "again")
	back.person("cy@example.com") // it starts, and the new generation grows

	var logs []struct {
		Origin      string
		Generations []evidence.Generation
	}
	if err := json.Unmarshal([]byte(back.run(exitOK, "ledger", "key", "--org", "acme", "--json")), &logs); err != nil || len(logs) != 1 || len(logs[0].Generations) != 2 || logs[0].Origin != "test/acme/2" {
		t.Fatalf("%v: %+v", err, logs)
	}
	first, second := logs[0].Generations[0], logs[0].Generations[1]
	if first.Keys[0].Verifier != key || first.Signed != first.To || first.To == 0 || first.After != nil {
		t.Errorf("first generation %+v", first)
	}
	if a := second.After; a == nil || a.Kept != first.To || a.Known <= a.Kept || a.Origin != "test/acme/1" || a.Reason != "the disk of the server broke" {
		t.Errorf("second generation %+v", second.After)
	}
	back.says(exitOK, []string{"# test/acme/1: leaves [0, ", key, "# test/acme/2: leaves [0, ", `Reason: "the disk of the server broke"`, "test/acme/2+"}, "ledger", "key", "--org", "acme")
	if text := back.run(exitOK, "ledger", "key", "--org", "acme", "--generation", "1"); strings.TrimSpace(text) != key {
		t.Errorf("the key of the first generation: %s", text)
	}
	back.says(exitUsage, []string{"no generation 3", "1, 2"}, "ledger", "key", "--org", "acme", "--generation", "3")

	back.says(exitUsage, []string{"reaches across the fork", "--generation 1: test/acme/1, leaves [0, ", "--generation 2: test/acme/2, leaves [0, "}, "export", "--org", "acme", path("both"))
	back.says(exitUsage, []string{"no generation 7"}, "export", "--org", "acme", "--generation", "7", path("none"))
	back.says(exitUsage, []string{"is of test/acme/1", "--generation"}, "export", "--org", "acme", "--generation", "2", "--checkpoint", early, path("none"))
	back.says(exitOK, []string{key}, "export", "--org", "acme", "--generation", "1", "--checkpoint", early, path("old"))
	back.says(exitOK, []string{"test/acme/2+"}, "export", "--org", "acme", "--generation", "2", path("new"))

	stranger := office{t, map[string]string{"HOME": path("elsewhere")}}
	stranger.says(exitOK, []string{"VERIFIED", "the log's key is the one given", "only grew since the checkpoint given"}, "verify", "--key", key, "--checkpoint", early, path("old"))
	when := second.After.At.Format("2006-01-02 15:04 MST")
	told := []string{"the log was forked: test/acme/2 began on " + when, "are missing", `Reason: "the disk of the server broke"`}
	stranger.says(exitOK, append(told, "VERIFIED"), "verify", path("new"))
	stranger.says(exitFailed, append(told, "nothing in the file shows", "--generation"), "verify", "--checkpoint", early, path("new"))
	stranger.says(exitFailed, append(told, "are lost, which the record of the fork says"), "verify", "--checkpoint", late, path("new"))
	auditor.says(exitOK, append(told, "seen before", "are lost, which the record of the fork says"), "verify", path("new"))
	auditor.says(exitOK, []string{"was forked since: test/acme/2 was seen before"}, "verify", path("old"))

	// The same backup, and an operator who keeps quiet about what was signed since.
	quiet := o.at(path("silent"))
	quiet.says(exitOK, []string{"test/acme/1 is followed by test/acme/2", "was not known"}, "ledger", "fork", "--reason", "moved house", "--restored")
	quiet.run(exitOK, "export", "--org", "acme", "--generation", "2", path("hidden"))
	fresh := office{t, map[string]string{"HOME": path("again")}}
	fresh.run(exitOK, "verify", path("whole"))
	undeclared = []string{"the log was forked", `Reason: "moved house"`, "are lost, and the record of the fork does not say so"}
	fresh.says(exitFailed, undeclared, "verify", path("hidden"))
	stranger.says(exitFailed, undeclared, "verify", "--store", path("other-store"), "--checkpoint", late, path("hidden"))
	kept := path("kept.txt") // the last head under the old key
	copyFile(t, filepath.Join(path("silent"), "checkpoints", "acme.txt.generation-1"), kept)
	stranger.says(exitOK, []string{"signs were kept", "VERIFIED"}, "verify", "--store", path("third-store"), "--checkpoint", kept, path("hidden"))
}
