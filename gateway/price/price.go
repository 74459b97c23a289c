// Package price is the dated, hashed table of what models cost. It is embedded;
// nothing calls home for a newer one. An operator can put a file in its place, and
// an organisation its own prices on top.
package price

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sort"
	"strings"
	"time"

	"plumbline/app/config"
	"plumbline/inventory"
)

// One file a vendor, all in the same form.
//
//go:embed vendors/*.yaml
var embedded embed.FS

// Any is the model that stands for every one of a vendor that has no entry.
const Any = "*"

// Table is immutable once loaded.
type Table struct {
	hash   string
	dated  string
	models map[string]map[string][]entry // vendor -> model -> by date
}

type entry struct {
	from  time.Time
	rate  Rate
	alias bool // under a further name
}

type file struct {
	Dated   string                          `yaml:"dated"`
	Vendors map[string][]inventory.PriceRow `yaml:"vendors"`
}

// Load reads the embedded table. Its hash is over every file's name and text.
func Load() (*Table, error) {
	names, err := fs.Glob(embedded, "vendors/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("price table: %w", err)
	}
	t, sum := &Table{models: map[string]map[string][]entry{}}, sha256.New()
	for _, name := range names {
		text, err := embedded.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("price table: %w", err)
		}
		fmt.Fprintf(sum, "%s %d\n%s", path.Base(name), len(text), text)
		if err := t.read(text, path.Base(name)); err != nil {
			return nil, err
		}
	}
	t.hash = hex.EncodeToString(sum.Sum(nil)[:8])
	return t, nil
}

// Parse reads a table in the form of the embedded files. An unknown key, a price
// that cannot be read or two of one model and day are errors that name file and
// line.
func Parse(text []byte, name string) (*Table, error) {
	t := &Table{models: map[string]map[string][]entry{}}
	if err := t.read(text, name); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	t.hash = hex.EncodeToString(sum[:8])
	return t, nil
}

func (t *Table) read(text []byte, name string) error {
	var f file
	doc, err := config.Strict(text, name, &f)
	if err != nil {
		return fmt.Errorf("price table: %w", err)
	}
	t.dated = max(t.dated, f.Dated)
	for vendor, rows := range f.Vendors {
		for i := range rows {
			if err := t.add(vendor, &rows[i]); err != nil {
				return fmt.Errorf("price table: %s, line %d: %s %s: %w", name, config.LineOf(doc, "vendors", vendor, i), vendor, rows[i].Model, err)
			}
		}
	}
	return nil
}

// add takes a row in under all its names.
func (t *Table) add(vendor string, r *inventory.PriceRow) error {
	e, err := entryOf(r)
	if err != nil {
		return err
	}
	models := t.models[vendor]
	if models == nil {
		models = map[string][]entry{}
		t.models[vendor] = models
	}
	for i, name := range append([]string{r.Model}, r.Also...) {
		e.alias = i > 0
		at, found := slices.BinarySearchFunc(models[name], e.from, func(x entry, day time.Time) int { return x.from.Compare(day) })
		if found {
			return fmt.Errorf("%s has two prices from %s on", name, r.From)
		}
		models[name] = slices.Insert(models[name], at, e)
	}
	return nil
}

// With is the table with an organisation's own prices on top: from its day on an
// own price stands in place of every other of that model. The hash covers both.
// Without own prices it is the table itself.
func (t *Table) With(own []inventory.Price) (*Table, error) {
	if len(own) == 0 {
		return t, nil
	}
	rows := make([]inventory.Price, len(own))
	for i, p := range own {
		rows[i] = inventory.Price{Vendor: p.Vendor, PriceRow: p.PriceRow} // what a price is, not where it stands
	}
	sort.Slice(rows, func(i, j int) bool { return rows[i].ID() < rows[j].ID() })
	over := &Table{models: map[string]map[string][]entry{}}
	for i := range rows {
		if err := over.add(rows[i].Vendor, &rows[i].PriceRow); err != nil {
			return nil, fmt.Errorf("price of %s %s: %w", rows[i].Vendor, rows[i].Model, err)
		}
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return nil, fmt.Errorf("price table: %w", err)
	}
	sum := sha256.Sum256(append([]byte(t.hash+"\n"), text...))
	out := &Table{hash: hex.EncodeToString(sum[:8]), dated: t.dated, models: make(map[string]map[string][]entry, len(t.models))}
	for vendor, models := range t.models {
		out.models[vendor] = models
	}
	for vendor, models := range over.models {
		merged := make(map[string][]entry, len(t.models[vendor])+len(models))
		for name, entries := range t.models[vendor] {
			merged[name] = entries
		}
		for name, entries := range models {
			before := merged[name]
			end := len(before)
			for end > 0 && !before[end-1].from.Before(entries[0].from) {
				end--
			}
			merged[name] = append(slices.Clone(before[:end]), entries...)
		}
		out.models[vendor] = merged
	}
	return out, nil
}

// Hash is the prefix of the table's SHA-256 that records carry.
func (t *Table) Hash() string { return t.hash }

// Dated is the day on which the table was last checked.
func (t *Table) Dated() string { return t.dated }

// Models counts the models with a price; further names of one do not count.
func (t *Table) Models() (n int) {
	for _, models := range t.models {
		for name, entries := range models {
			if name != Any && !entries[len(entries)-1].alias {
				n++
			}
		}
	}
	return n
}

// Rate is what a vendor's model costs at a time. A dated snapshot
// (name-2025-08-07, name-20250807, name@20250807) that has no entry of its own
// costs what its model does, and what has none either what the vendor's * does; no
// other likeness counts.
func (t *Table) Rate(vendor, model string, at time.Time) (Rate, bool) {
	models := t.models[vendor]
	entries, ok := models[model]
	if !ok {
		entries, ok = models[undated(model)]
	}
	if !ok {
		entries = models[Any]
	}
	for i := len(entries) - 1; i >= 0; i-- {
		if !at.Before(entries[i].from) {
			return entries[i].rate, true
		}
	}
	return Rate{}, false
}

// undated cuts a date from the end of a model's name; "" when there is none.
func undated(model string) string {
	for _, form := range []string{"-dddd-dd-dd", "-dddddddd", "@dddddddd"} {
		cut := len(model) - len(form)
		if cut > 0 && fits(model[cut:], form) {
			return model[:cut]
		}
	}
	return ""
}

func fits(text, form string) bool {
	for i := range len(form) {
		if digit := text[i] >= '0' && text[i] <= '9'; form[i] == 'd' != digit || form[i] != 'd' && text[i] != form[i] {
			return false
		}
	}
	return true
}

// Vendors lists the vendors of the table.
func (t *Table) Vendors() []string {
	var out []string
	for v := range t.models {
		out = append(out, v)
	}
	sort.Strings(out)
	return out
}

// Has reports whether a name is a vendor of the table, in any case.
func (t *Table) Has(vendor string) bool { _, ok := t.models[strings.ToLower(vendor)]; return ok }
