package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"plumbline/app/config"
	"plumbline/app/server"
	"plumbline/gateway/price"
	"plumbline/inventory"
)

func configDoc(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// block is the fenced block of a name.
func block(t *testing.T, doc, name string) string {
	t.Helper()
	_, rest, found := strings.Cut(doc, "```"+name+"\n")
	text, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatalf("docs/config.md has no block %q", name)
	}
	return text
}

// rows are the keys of a section's table, with the cells behind each.
func rows(section string) map[string][]string {
	out := map[string][]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| (`[a-z0-9_`, ]+`) \\|(.*)\\|$").FindAllStringSubmatch(section, -1) {
		for _, key := range strings.Split(m[1], ", ") {
			var cells []string
			for _, cell := range strings.Split(m[2], " | ") {
				cells = append(cells, strings.Trim(cell, " `"))
			}
			out[strings.Trim(key, "`")] = cells
		}
	}
	return out
}

func section(t *testing.T, doc, title string) string {
	t.Helper()
	_, rest, found := strings.Cut(doc, "\n"+title+"\n")
	if !found {
		t.Fatalf("docs/config.md has no section %q", title)
	}
	if end := regexp.MustCompile(`\n#{2,3} `).FindStringIndex(rest); end != nil {
		rest = rest[:end[0]]
	}
	return rest
}

func compare(t *testing.T, where string, have, want []string) {
	t.Helper()
	sort.Strings(have)
	sort.Strings(want)
	if !slices.Equal(have, want) {
		t.Errorf("%s: docs/config.md has the keys %v, the code %v", where, have, want)
	}
}

func keys[V any](m map[string]V) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	return out
}

// TestDocumentedServerKeys holds the table of the server's keys to config.Config:
// names, variables and defaults.
func TestDocumentedServerKeys(t *testing.T) {
	table := rows(section(t, configDoc(t), "## The server"))
	c, err := config.Load("", func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	v := reflect.ValueOf(*c)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		key := f.Tag.Get("yaml")
		want = append(want, key)
		cells := table[key]
		if len(cells) < 3 {
			continue // compare says so
		}
		if cells[0] != f.Tag.Get("env") {
			t.Errorf("%s: documented variable %q, read is %q", key, cells[0], f.Tag.Get("env"))
		}
		text := fmt.Sprint(v.Field(i).Interface())
		switch key {
		case "postgres", "declarations", "prices", "tls_cert", "tls_key":
			text += "none"
		case "vault":
			text = "none"
		case "public_url":
			text = "http:// and `listen"
		case "key_file":
			text = "instance.key in `data_dir"
		case "credentials":
			b, _ := json.Marshal(v.Field(i).Interface())
			text = string(b)
		}
		if d, ok := v.Field(i).Interface().(time.Duration); ok {
			if documented, err := time.ParseDuration(cells[1]); err == nil && documented == d {
				continue
			}
		}
		if cells[1] != text {
			t.Errorf("%s: documented default %q, it is %q", key, cells[1], text)
		}
	}
	compare(t, "the server", keys(table), want)
}

// TestDocumentedVaultKeys holds the keys of vault to config.Vault.
func TestDocumentedVaultKeys(t *testing.T) {
	compare(t, "vault", keys(rows(section(t, configDoc(t), "### Vault"))), keys(config.Fields(reflect.TypeOf(config.Vault{}))))
}

// TestDocumentedDeclarationKeys walks the declaration's types: each struct has its
// section, each key its row, and nothing is documented that does not exist. The
// example has every key too.
func TestDocumentedDeclarationKeys(t *testing.T) {
	doc := configDoc(t)
	var example yaml.Node
	if err := yaml.Unmarshal([]byte(block(t, doc, "yaml declarations")), &example); err != nil {
		t.Fatal(err)
	}
	shown := map[string]map[string]bool{}
	gather(example.Content[0], "", shown)
	sections := map[string]bool{}
	var walk func(path string, typ reflect.Type)
	walk = func(path string, typ reflect.Type) {
		fields := config.Fields(typ)
		if path != "" {
			sections[path] = true
			compare(t, path, keys(rows(section(t, doc, "### `"+path+"`"))), keys(fields))
		}
		for name, f := range fields {
			if !shown[path][name] {
				t.Errorf("the example of docs/config.md lacks %s.%s", path, name)
			}
			for f.Kind() == reflect.Pointer || f.Kind() == reflect.Slice {
				f = f.Elem()
			}
			if f.Kind() == reflect.Struct && f.PkgPath() != "time" {
				walk(strings.TrimPrefix(path+"."+name, "."), f)
			}
		}
	}
	walk("", reflect.TypeOf(inventory.Declaration{}))
	for _, m := range regexp.MustCompile("(?m)^### `([^`]+)`$").FindAllStringSubmatch(doc, -1) {
		if !sections[m[1]] {
			t.Errorf("docs/config.md describes %s, which cannot be declared", m[1])
		}
	}
	if len(sections) < 10 {
		t.Errorf("walked only %v", sections)
	}
}

// gather notes which keys stand at which path.
func gather(n *yaml.Node, path string, shown map[string]map[string]bool) {
	switch n.Kind {
	case yaml.SequenceNode:
		for _, c := range n.Content {
			gather(c, path, shown)
		}
	case yaml.MappingNode:
		if shown[path] == nil {
			shown[path] = map[string]bool{}
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i].Value
			shown[path][key] = true
			gather(n.Content[i+1], strings.TrimPrefix(path+"."+key, "."), shown)
		}
	}
}

// TestDocumentedExampleWorks: the example is valid to `config validate`, and a
// server that was given nothing else answers a call with it.
func TestDocumentedExampleWorks(t *testing.T) {
	doc, dir := configDoc(t), t.TempDir()
	env := map[string]string{"PLUMBLINE_DATA_DIR": filepath.Join(dir, "data"), "DESK_KEY": "a-secret-of-the-example-1", "OLD_KEY": "a-secret-of-the-example-2", "OPENAI_API_KEY": "sk-example", "OPENAI_SECOND_API_KEY": "sk-example-2"}
	declarations := filepath.Join(dir, "declarations.yaml")
	prices := filepath.Join(dir, "prices.yaml")
	for path, text := range map[string]string{declarations: block(t, doc, "yaml declarations"), filepath.Join(dir, "residency.rego"): block(t, doc, "rego residency.rego"),
		prices: block(t, doc, "yaml prices"), filepath.Join(dir, "plumbline.yaml"): "declarations: " + declarations + "\nprices: " + prices + "\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "plumbline.yaml")
	if code, out, errs := plumbline(t, env, "config", "validate", "--config", file); code != exitOK || !strings.Contains(out, "1 organisations declared") || errs != "" {
		t.Fatalf("config validate: %d %s%s", code, out, errs)
	}
	whole, err := os.ReadFile(declarations)
	if err != nil {
		t.Fatal(err)
	}
	misspelt := strings.Replace(string(whole), "vendor: openai", "vendor: opnai", 1)
	if err := os.WriteFile(declarations, []byte(misspelt), 0o600); err != nil {
		t.Fatal(err)
	}
	remark := regexp.MustCompile(`declarations\.yaml, line \d+: route \\?"gpt-4o-mini\\?" leads to the model \\?"gpt-4o-mini\\?" of the vendor \\?"opnai\\?", which has no price`)
	if code, out, errs := plumbline(t, env, "config", "validate", "--config", file); code != exitOK || !strings.Contains(out, "1 organisations declared") || !remark.MatchString(errs) {
		t.Errorf("a vendor without prices: %d %s%s", code, out, errs)
	}
	if code, out, _ := plumbline(t, env, "config", "validate", "--json", "--config", file); code != exitOK || !remark.MatchString(out) {
		t.Errorf("a vendor without prices, as JSON: %d %s", code, out)
	}
	if err := os.WriteFile(declarations, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(env["PLUMBLINE_DATA_DIR"]); err == nil {
		t.Error("config validate left a data directory")
	}
	delete(env, "DESK_KEY")
	if code, _, errs := plumbline(t, env, "config", "validate", "--config", file); code != exitUsage || !regexp.MustCompile(`declarations\.yaml, line \d+: .*DESK_KEY`).MatchString(errs) {
		t.Errorf("without its secret: %d %s", code, errs)
	}
	env["DESK_KEY"] = "a-secret-of-the-example-1"

	getenv := func(name string) string { return env[name] }
	c, err := config.Load(file, getenv)
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(t.Context(), server.Options{Config: c, Env: getenv})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	own, err := price.Parse([]byte(block(t, doc, "yaml prices")), "prices.yaml")
	if err != nil || s.Prices.Hash() != own.Hash() {
		t.Errorf("the file of prices is not in force: %v", err)
	}
	ask := func(key string) (int, string) {
		req := httptest.NewRequest("POST", "/v1/chat/completions", strings.NewReader(`{"model":"assistant","max_tokens":32,"messages":[{"role":"user","content":"Hello"}]}`))
		req.Header.Set("Authorization", "Bearer "+key)
		req.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, req)
		return w.Code, w.Body.String()
	}
	if status, text := ask("pk-desk-a-secret-of-the-example-1"); status != http.StatusOK || !strings.Contains(text, `"choices"`) {
		t.Errorf("the declared key: %d %s", status, text)
	}
	if status, text := ask("pk-desk2025-a-secret-of-the-example-2"); status != http.StatusUnauthorized || !strings.Contains(text, "key_revoked") {
		t.Errorf("the declared revoked key: %d %s", status, text)
	}
}
