package web

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestExchangesAreReadInOnePlace: what the projection knows of single exchanges and
// keys is asked for in own.go alone, where it is narrowed to what the actor may see,
// and the register's state is set there alone.
func TestExchangesAreReadInOnePlace(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	query := regexp.MustCompile(`Projection\.(Exchange|Exchanges|Count|Counted|CountedSum|SumBySystem|UseOfKeys|Findings)\(|Projection\b[^.]|r\.state = `)
	known := map[string]bool{"Projection *projection.Store": true}
	for _, file := range files {
		if file == "own.go" || strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(source), "\n") {
			if line = strings.TrimSpace(line); query.MatchString(line) && !known[line] && !strings.Contains(line, "errors.New(") && !strings.HasPrefix(line, "case d.Register == nil") {
				t.Errorf("%s reads past own.go: %s", file, line)
			}
		}
	}
}
