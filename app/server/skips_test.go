package server

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// skipsEverywhere are the skips that are none for want of a database, a browser or a
// client, by file and function, with why they may be in continuous integration too.
var skipsEverywhere = map[string]string{
	"app/server/bench_test.go BenchmarkBinary":                  "benchmarks are no part of it",
	"app/server/bench_test.go BenchmarkIdleStreams":             "benchmarks are no part of it",
	"app/server/bench_test.go memory":                           "benchmarks are no part of it",
	"app/server/clients_doc_test.go TestCodingAgents":           "make clients installs them, of 800 MB",
	"app/server/clients_doc_test.go agent":                      "make clients installs them, of 800 MB",
	"gateway/bench_test.go allocatesLittle":                     ".ci/test runs it without the race detector",
	"gateway/body_test.go TestMemoryIsBounded":                  "-short alone, which nothing sets there",
	"gateway/media_stream_test.go TestStreamedImagesAreBounded": "-short alone, which nothing sets there",
	"gateway/whole_test.go TestMemoryIsBoundedForAnswers":       "-short alone, which nothing sets there",
	"reports/render/sample_test.go TestSampleToFile":            "writes a document to look at",
	"web/shots_test.go TestShots":                               "takes pictures to look at",
}

// TestNothingMissingIsSkipped: in continuous integration a test without what it needs
// fails. So whatever skips looks there first whether it is run there.
func TestNothingMissingIsSkipped(t *testing.T) {
	root, seen := filepath.Join("..", ".."), map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root {
			return orSkip(err)
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			asked := false
			ast.Inspect(f, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Value == `"CI"` {
					asked = true
				}
				sel, ok := n.(*ast.SelectorExpr)
				if !ok || sel.Sel.Name != "Skip" && sel.Sel.Name != "Skipf" && sel.Sel.Name != "SkipNow" {
					return true
				}
				if x, ok := sel.X.(*ast.Ident); !ok || x.Name != "t" && x.Name != "b" && x.Name != "tb" && x.Name != "f" {
					return true
				}
				name := filepath.ToSlash(rel) + " " + f.Name.Name
				if seen[name] = true; !asked && skipsEverywhere[name] == "" {
					t.Errorf("%s skips without asking for CI", name)
				}
				return true
			})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range skipsEverywhere {
		if !seen[name] {
			t.Errorf("%s skips nothing any more", name)
		}
	}
}

// orSkip leaves a folder out unless there was an error.
func orSkip(err error) error {
	if err != nil {
		return err
	}
	return fs.SkipDir
}
