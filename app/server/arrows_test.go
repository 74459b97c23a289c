package server

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "plumbline/"

// arrows lists, for each room, which rooms of ours it may import. A room is the
// longest prefix found here. Leaves of app may be imported by everybody.
var arrows = map[string][]string{
	"app":                         {"*"},
	"app/ident":                   {},
	"app/money":                   {},
	"app/fault":                   {},
	"app/authz":                   {},
	"app/db":                      {},
	"app/seal":                    {},
	"app/config":                  {},
	"migrations":                  {},
	"frameworks":                  {},
	"inventory":                   {},
	"gateway/event":               {},
	"gateway":                     {"inventory", "gateway"},
	"assessments/evidence":        {"gateway/event", "assessments/evidence"},
	"assessments/evidence/record": {"gateway/event"},
	"assessments/evidence/verify": {"assessments/evidence/record"},
	"assessments":                 {"inventory", "frameworks", "gateway/event", "assessments"},
	"reports":                     {"assessments", "inventory", "frameworks", "reports"},
	"web":                         {"reports", "assessments", "inventory", "frameworks", "gateway/event"},
}

// leaves may be imported by every room but other leaves have to stay beneath
// them: fault and migrations import nothing of ours.
var leaves = []string{"app/ident", "app/money", "app/fault", "app/authz", "app/db", "app/seal", "app/config", "migrations"}

// leafArrows are the few arrows between leaves.
var leafArrows = map[string][]string{
	"app/authz":  {"app/ident", "app/fault"},
	"app/db":     {"app/fault"},
	"app/seal":   {"app/fault"},
	"app/config": {"app/fault", "app/money", "app/ident"},
	"app/ident":  {},
	"app/money":  {},
	"app/fault":  {},
	"migrations": {},
}

// holders are the only rooms that may import a library whose reach we bound.
var holders = map[string]func(file string) bool{
	"gorm.io/": func(f string) bool {
		return strings.HasSuffix(f, "_store.go") || strings.HasPrefix(f, "app/db/")
	},
	"github.com/labstack/echo": func(f string) bool {
		return strings.HasPrefix(f, "web/") || strings.HasPrefix(f, "app/server/")
	},
	"github.com/go-pdf/fpdf":        func(f string) bool { return strings.HasPrefix(f, "reports/render/") },
	"github.com/open-policy-agent/": func(f string) bool { return strings.HasPrefix(f, "gateway/policy/") },
	"github.com/libtnb/sqlite":      func(f string) bool { return strings.HasPrefix(f, "app/db/") },
	"modernc.org/":                  func(f string) bool { return strings.HasPrefix(f, "app/db/") || strings.HasSuffix(f, "_store.go") },
	"github.com/pressly/goose":      func(f string) bool { return strings.HasPrefix(f, "migrations/") },
	"github.com/casbin/casbin":      func(f string) bool { return strings.HasPrefix(f, "app/authz/") },
	"github.com/robfig/cron": func(f string) bool {
		return strings.HasPrefix(f, "app/server/") || strings.HasPrefix(f, "reports/") || strings.HasPrefix(f, "app/config/")
	},
	"github.com/prometheus/":          func(f string) bool { return strings.HasPrefix(f, "app/server/") },
	"golang.org/x/mod/sumdb/":         func(f string) bool { return strings.HasPrefix(f, "assessments/evidence/") },
	"github.com/fxamacker/cbor":       func(f string) bool { return strings.HasPrefix(f, "assessments/evidence/record/") },
	"github.com/alexedwards/scs":      func(f string) bool { return strings.HasPrefix(f, "web/") || strings.HasPrefix(f, "app/server/") },
	"github.com/alexedwards/argon2id": func(f string) bool { return strings.HasPrefix(f, "inventory/") },
}

var forbiddenRooms = map[string]bool{"util": true, "utils": true, "common": true, "helper": true, "helpers": true, "core": true, "manager": true, "types": true, "misc": true}

type source struct {
	file    string // slash path from the root of the module
	imports []string
	test    bool
}

func TestArrowsOfTheDesign(t *testing.T) {
	sources := readTree(t, filepath.Join("..", ".."))
	if len(sources) < 20 {
		t.Fatalf("found only %d Go files: the walk is broken", len(sources))
	}
	for _, s := range sources {
		room := path.Dir(s.file)
		for _, part := range strings.Split(room, "/") {
			if forbiddenRooms[part] {
				t.Errorf("%s: no room may be named %q", s.file, part)
			}
		}
		for _, imported := range s.imports {
			if of, ours := strings.CutPrefix(imported, module); ours {
				if !s.test && !allowed(room, of) {
					t.Errorf("%s imports %s: not an arrow of the design", s.file, of)
				}
				continue
			}
			for library, holds := range holders {
				if strings.HasPrefix(imported, library) && !s.test && !holds(s.file) {
					t.Errorf("%s imports %s: keep it in its room", s.file, imported)
				}
			}
		}
	}
}

// forTests are rooms that nothing in the product imports.
var forTests = []string{"gateway/wiretest"}

func allowed(room, imported string) bool {
	if room == imported {
		return true
	}
	if contains(forTests, imported) {
		return false
	}
	if may, leaf := leafArrows[room]; leaf {
		return contains(may, imported)
	}
	if contains(leaves, imported) {
		return true
	}
	may, ok := arrows[room]
	for prefix := room; !ok && prefix != "."; prefix = path.Dir(prefix) {
		may, ok = arrows[prefix]
	}
	for _, m := range may {
		if m == "*" || imported == m || strings.HasPrefix(imported, m+"/") && m != "gateway" || m == "gateway" && strings.HasPrefix(imported, "gateway/") && strings.HasPrefix(room, "gateway") {
			return true
		}
	}
	return false
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

// TestArrowRules keeps the rules themselves honest: each line is an arrow that
// must not pass.
func TestArrowRules(t *testing.T) {
	for _, refused := range [][2]string{
		{"gateway", "assessments/evidence"}, {"web", "gateway"}, {"inventory", "gateway/event"},
		{"frameworks", "inventory"}, {"assessments/evidence", "inventory"}, {"reports", "web"},
		{"app/fault", "app/money"}, {"migrations", "app/db"}, {"assessments", "reports"},
		{"assessments/evidence/verify", "assessments/evidence"}, {"gateway/event", "gateway"},
	} {
		if allowed(refused[0], refused[1]) {
			t.Errorf("%s -> %s passes", refused[0], refused[1])
		}
	}
}

func readTree(t *testing.T, root string) []source {
	t.Helper()
	var sources []source
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); name == "node_modules" || name == "testdata" || strings.HasPrefix(name, ".") && len(name) > 2 {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		s := source{file: filepath.ToSlash(rel), test: strings.HasSuffix(p, "_test.go")}
		for _, i := range parsed.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, name)
		}
		sources = append(sources, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sources
}
