package config

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plumbline/app/fault"
)

func nothing(string) string { return "" }

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plumbline.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestZeroWorks: without a file and an environment there is a whole Config.
func TestZeroWorks(t *testing.T) {
	got, err := Load("", nothing)
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{Listen: "127.0.0.1:8080", PublicURL: "http://127.0.0.1:8080", DataDir: "./plumbline-data", Instance: "plumbline", KeyFile: "plumbline-data/instance.key", LogLevel: "info",
		Credentials: []string{"env:*_API_KEY"}, MaxBody: 32 << 20, BodyMemory: 256 << 20, BodyTimeout: 2 * time.Minute, Timeout: 10 * time.Minute, DrainTimeout: 30 * time.Second, CommitPause: time.Millisecond, SessionLife: 12 * time.Hour}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	empty, err := Load(write(t, "# nothing\n"), nothing)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, empty); diff != "" {
		t.Errorf("an empty file:\n%s", diff)
	}
}

// TestEnvironmentWins over the file, and the file over defaults.
func TestEnvironmentWins(t *testing.T) {
	path := write(t, "listen: 0.0.0.0:9000\ninstance: of-the-file\nexchange_timeout: 90s\ncredentials: []\n")
	c, err := Load(path, func(name string) string {
		return map[string]string{"PLUMBLINE_INSTANCE": "of-the-environment", "PLUMBLINE_DATA_DIR": "/data"}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "0.0.0.0:9000" || c.PublicURL != "http://localhost:9000" || c.Instance != "of-the-environment" || c.KeyFile != "/data/instance.key" || c.Timeout != 90*time.Second || len(c.Credentials) != 0 {
		t.Errorf("%+v", c)
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct{ name, text, says string }{
		{"unknown key", "listen: 127.0.0.1:1\nlissten: no\n", `line 2: unknown key "lissten"; there are: `},
		{"a key twice", "listen: 127.0.0.1:1\nlisten: 127.0.0.1:2\n", "line 2"},
		{"wrong type", "\nexchange_timeout: soon\n", "line 2"},
		{"a time without a unit", "listen: 127.0.0.1:1\nbody_timeout: 120\n", `line 2: body_timeout: "120" is no length of time such as 30s`},
		{"no time at all", "listen: 127.0.0.1:1\nbody_timeout: 2 minutes\n", `line 2: body_timeout: "2 minutes" is no length of time such as 30s`},
		{"no mapping", "- listen\n", "line 1"},
		{"no YAML", "listen: [\n", "line "},
		{"two documents", "listen: 127.0.0.1:1\n---\ninstance: b\n", "line 2: a second document"},
		{"second document no YAML", "listen: 127.0.0.1:1\n---\n[\n", "line "},
		{"no port", "listen: localhost\n", `listen: "localhost" is not host:port`},
		{"slash in the origin", "instance: a/b\n", "instance"},
		{"no level", "log_level: loud\n", "log_level"},
		{"no scheme", "public_url: plumbline.example\n", "public_url"},
		{"no duration below zero", "session_life: -1h\n", "session_life"},
		{"no reference", "credentials: [sk-123]\n", "credentials"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, c.text)
			_, err := Load(path, nothing)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want one that says %q", err, c.says)
			}
			if strings.Contains(c.says, "line") && !strings.Contains(err.Error(), path) {
				t.Errorf("%v does not name the file", err)
			}
		})
	}
	if _, err := Load("/no/such/file", nothing); !fault.Is(err, fault.Invalid) {
		t.Errorf("no file: %v", err)
	}
}

func TestResolver(t *testing.T) {
	secret := write(t, "of the file\n")
	resolve := Resolver(func(name string) string { return map[string]string{"SET": "of the environment"}[name] })
	for reference, want := range map[string]string{"env:SET": "of the environment", "file:" + secret: "of the file"} {
		if got, err := resolve(reference); got != want || err != nil {
			t.Errorf("%s: %q, %v", reference, got, err)
		}
	}
	for reference, says := range map[string]string{"env:UNSET": "UNSET", "file:/no/such": "/no/such", "sk-123": "env:NAME or file:PATH", "": "env:NAME"} {
		if got, err := resolve(reference); err == nil || got != "" || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %q, %v", reference, got, err)
		}
	}
}

// TestNamable: people may name what the operator lets them name, so that the
// gateway cannot be made to send another secret to a host of theirs.
func TestNamable(t *testing.T) {
	c, err := Load("", nothing)
	if err != nil {
		t.Fatal(err)
	}
	for reference, want := range map[string]bool{"env:OPENAI_API_KEY": true, "env:PLUMBLINE_POSTGRES": false, "env:_API_KEY": false, "env:A/B_API_KEY": true, "file:/etc/passwd": false, "": false} {
		if got := c.Namable(reference, "https://any.example"); got != want {
			t.Errorf("%q: %v", reference, got)
		}
	}
	c.Credentials = []string{"env:ONE", "file:/run/secrets/two", "file:/run/keys/*"}
	for reference, want := range map[string]bool{"env:ONE": true, "file:/run/secrets/two": true, "file:/run/secrets/../two": false, "file:/run/keys/a": true, "file:/run/keys/../secrets/b": false, "env:OPENAI_API_KEY": false} {
		if got := c.Namable(reference, "https://any.example"); got != want {
			t.Errorf("listed, %q: %v", reference, got)
		}
	}
}

// TestNamableForAHost: an entry with a host lets what it names go there and nowhere
// else.
func TestNamableForAHost(t *testing.T) {
	c := &Config{Credentials: []string{"env:ONE -> api.one.example", "env:*_API_KEY", "env:B_API_KEY -> *.two.example", "env:LOCAL -> http://10.0.0.5:8000/"}}
	for _, x := range []struct {
		reference, host string
		namable, bound  bool
	}{
		{"env:ONE", "https://api.one.example", true, true},
		{"env:ONE", "http://api.one.example", false, false},
		{"env:ONE", "https://api.one.example:444", false, false},
		{"env:ONE", "https://api.one.example.evil.example", false, false},
		{"env:ONE", "https://evil.example", false, false},
		{"env:A_API_KEY", "https://any.example", true, false},
		{"env:B_API_KEY", "https://any.example", true, false},
		{"env:B_API_KEY", "https://eu.two.example", true, true},
		{"env:B_API_KEY", "https://eviltwo.example", true, false},
		{"env:B_API_KEY", "https://two.example", true, false},
		{"env:LOCAL", "http://10.0.0.5:8000", true, true},
		{"env:LOCAL", "https://10.0.0.5:8000", false, false},
		{"sealed:abc", "https://api.one.example", false, false},
		{"env:ONE -> api.one.example", "https://api.one.example", false, false},
	} {
		if n, b := c.Namable(x.reference, x.host), c.Bound(x.reference, x.host); n != x.namable || b != x.bound {
			t.Errorf("%s at %s: namable %v, bound %v", x.reference, x.host, n, b)
		}
	}
	for entry, ok := range map[string]bool{"env:ONE -> api.one.example": true, "env:ONE -> *.one.example:8443": true, "env:ONE -> https://[::1]:9": true, "env:ONE -> ": false, "env:ONE -> *": false,
		"env:ONE -> a*.example": false, "env:ONE -> https://a.example/v1": false, "env:ONE -> a.example -> b.example": false} {
		file := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(file, []byte("credentials: ["+strconv.Quote(entry)+"]\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(file, nothing); (err == nil) != ok {
			t.Errorf("%q: %v", entry, err)
		}
	}
}
