package gateway

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"plumbline/gateway/dialect"
	"plumbline/gateway/provider"
)

var update = flag.Bool("update", false, "write the tables of docs/gateway.md")

// The tables of docs/gateway.md are made of what the code has.
func TestGatewayDoc(t *testing.T) {
	const path = "../docs/gateway.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := string(text)
	for name, table := range map[string]string{"endpoints": endpointTable(), "providers": providerTable(t)} {
		begin, end := "<!-- "+name+" -->\n", "<!-- end of "+name+" -->\n"
		before, rest, ok := strings.Cut(want, begin)
		_, after, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("%s has no place for %s", path, name)
		}
		want = before + begin + table + end + after
	}
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) {
		t.Errorf("%s is not what the code has; go test ./gateway -run GatewayDoc -update writes it", path)
	}
	for _, code := range refusalCodes(t) {
		if !strings.Contains(want, "`"+code+"`") {
			t.Errorf("%s does not say what %q is", path, code)
		}
	}
}

func endpointTable() string {
	var b strings.Builder
	b.WriteString("| base URL | calls |\n|---|---|\n")
	for _, base := range bases {
		var calls []string
		for _, c := range base.calls {
			name := "{model}"
			if serve(c.to).ofKept {
				name = "{id}"
			}
			calls = append(calls, "`"+c.to.method+" "+strings.ReplaceAll(c.path, "*", name)+"`")
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", base.prefix, strings.Join(calls, ", "))
	}
	return b.String()
}

func providerTable(t *testing.T) string {
	var b strings.Builder
	b.WriteString("| kind | provider | base URL | vendor of prices | speaks |\n|---|---|---|---|---|\n")
	for _, name := range provider.Kinds() {
		k, err := provider.KindOf(name)
		if err != nil {
			t.Fatal(err)
		}
		var ops []string
		for op := range k.Speaks {
			ops = append(ops, string(op))
		}
		slices.Sort(ops)
		base := "to be declared"
		if k.BaseURL != "" {
			base = "`" + k.BaseURL + "`"
		}
		if k.Simulated {
			base = "none"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | `%s` | %s |\n", k.Name, k.Title, base, k.Vendor, strings.Join(ops, ", "))
	}
	return b.String()
}

var refusing = regexp.MustCompile(`refuse\([^"\n]*"([a-z_]+)"`)

func refusalCodes(t *testing.T) []string {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range refusing.FindAllStringSubmatch(string(text), -1) {
			codes = append(codes, m[1])
		}
	}
	slices.Sort(codes)
	if codes = slices.Compact(codes); len(codes) < 30 {
		t.Fatalf("only %v", codes)
	}
	return codes
}

// What generates in a dialect can be asked of a provider in any other that has a codec.
func TestGenerationIsCarriedEverywhere(t *testing.T) {
	for _, name := range provider.Kinds() {
		k, err := provider.KindOf(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range dialect.Names() {
			if _, ok := carry(n.Generation(), &k); !ok {
				t.Errorf("%s cannot be asked in %s", name, n)
			}
		}
	}
}
