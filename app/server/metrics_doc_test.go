package server

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

var described = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: "([^"]+)",.* constLabels: \{[^}]*\}, variableLabels: \{([^}]*)\}\}$`)

// TestMetricsAreDocumented: docs/gateway.md has every metric with its labels, and none
// that there is not.
func TestMetricsAreDocumented(t *testing.T) {
	s, _, _, _ := desk(t)
	descs := make(chan *prometheus.Desc, 100)
	s.meter.registry.Describe(descs)
	close(descs)
	var rows []string
	for d := range descs {
		m := described.FindStringSubmatch(d.String())
		if m == nil {
			t.Fatalf("cannot read %s", d)
		}
		labels := strings.Join(strings.Split(m[3], ","), ", ")
		if labels == "" {
			labels = "none"
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |\n", m[1], labels, m[2]))
	}
	slices.Sort(rows)
	const path = "../../docs/gateway.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := "<!-- metrics -->\n| metric | labels | meaning |\n|---|---|---|\n" + strings.Join(rows, "") + "<!-- end of metrics -->\n"
	if len(rows) < 15 || !strings.Contains(string(text), want) {
		t.Errorf("%s does not have\n%s", path, want)
	}
}
