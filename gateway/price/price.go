// Package price is the dated, hashed table of what models cost. It is embedded;
// nothing calls home for a newer one. An operator can put a file in its place.
package price

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"
	"sort"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"plumbline/app/money"
	"plumbline/gateway/event"
)

//go:embed prices.yaml
var embedded []byte

// Table is immutable once loaded.
type Table struct {
	hash   string
	dated  string
	models map[string]map[string][]entry // vendor -> model -> by date
}

type entry struct {
	from time.Time
	rate Rate
}

// Rate is a model's price in nano-dollars per million tokens.
type Rate struct {
	Input, Output         money.Nano
	CacheRead, CacheWrite money.Nano // the input price when the vendor names none
	MaxOutput             int64      // most output tokens of one answer; 0 when unknown
}

type file struct {
	Dated   string           `yaml:"dated"`
	Vendors map[string][]row `yaml:"vendors"`
}

type row struct {
	Model      string `yaml:"model"`
	From       string `yaml:"from"`
	Input      string `yaml:"input"`
	Output     string `yaml:"output"`
	CacheRead  string `yaml:"cache_read"`
	CacheWrite string `yaml:"cache_write"`
	MaxOutput  int64  `yaml:"max_output"`
}

// Load reads the embedded table.
func Load() (*Table, error) { return Parse(embedded) }

// Parse reads a table in the form of prices.yaml. Unknown keys are errors.
func Parse(text []byte) (*Table, error) {
	var f file
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&f); err != nil {
		return nil, fmt.Errorf("price table: %w", err)
	}
	sum := sha256.Sum256(text)
	t := &Table{hash: hex.EncodeToString(sum[:8]), dated: f.Dated, models: map[string]map[string][]entry{}}
	for vendor, rows := range f.Vendors {
		t.models[vendor] = map[string][]entry{}
		for _, r := range rows {
			e, err := r.entry()
			if err != nil {
				return nil, fmt.Errorf("price table: %s %s: %w", vendor, r.Model, err)
			}
			t.models[vendor][r.Model] = append(t.models[vendor][r.Model], e)
		}
		for _, entries := range t.models[vendor] {
			sort.Slice(entries, func(i, j int) bool { return entries[i].from.Before(entries[j].from) })
		}
	}
	return t, nil
}

func (r row) entry() (e entry, err error) {
	if r.Model == "" {
		return e, errors.New("an entry without a model")
	}
	if e.from, err = time.Parse(time.DateOnly, r.From); err != nil {
		return e, fmt.Errorf("from: %w", err)
	}
	for _, f := range []struct {
		text  string
		into  *money.Nano
		empty string
	}{{r.Input, &e.rate.Input, ""}, {r.Output, &e.rate.Output, ""}, {r.CacheRead, &e.rate.CacheRead, r.Input}, {r.CacheWrite, &e.rate.CacheWrite, r.Input}} {
		text := f.text
		if text == "" {
			text = f.empty
		}
		if *f.into, err = money.Parse(text); err != nil {
			return e, err
		}
		if *f.into < 0 {
			return e, errors.New("a price below zero")
		}
	}
	if e.rate.Output > 0 && r.MaxOutput <= 0 {
		return e, errors.New("max_output is missing, so that an answer without a limit could not be held")
	}
	e.rate.MaxOutput = r.MaxOutput
	return e, nil
}

// Hash is the prefix of the table's SHA-256 that records carry.
func (t *Table) Hash() string { return t.hash }

// Dated is the day on which the table was last checked.
func (t *Table) Dated() string { return t.dated }

// Models counts the models with a price.
func (t *Table) Models() (n int) {
	for _, m := range t.models {
		n += len(m)
	}
	return n
}

// Rate is what a vendor's model costs at a time. A dated snapshot
// (name-2025-08-07, name-20250807) that has no entry of its own costs what its
// model does; no other likeness counts.
func (t *Table) Rate(vendor, model string, at time.Time) (Rate, bool) {
	models := t.models[vendor]
	entries, ok := models[model]
	if !ok {
		entries = models[undated(model)]
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
	for _, form := range []string{"-dddd-dd-dd", "-dddddddd"} {
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

// Cost of a usage, rounded up to a whole nano-dollar. Input includes what was
// read from or written to a cache, as providers count it. Counts that are not
// known cost nothing.
func (r Rate) Cost(u event.Usage) money.Nano {
	read, write := max(u.CacheRead, 0), max(u.CacheWrite, 0)
	plain := max(max(u.Input, 0)-read-write, 0)
	var sum wide
	sum.add(plain, r.Input)
	sum.add(read, r.CacheRead)
	sum.add(write, r.CacheWrite)
	sum.add(max(u.Output, 0), r.Output)
	return sum.perMillion()
}

// Ceiling is the most that a call can cost: all input at the dearest input
// price, and output to the limit.
func (r Rate) Ceiling(input, output int64) money.Nano {
	var sum wide
	sum.add(max(input, 0), max(r.Input, r.CacheRead, r.CacheWrite))
	sum.add(max(output, 0), r.Output)
	return sum.perMillion()
}

// wide is a 128-bit sum of tokens times price.
type wide struct{ hi, lo uint64 }

func (w *wide) add(tokens int64, price money.Nano) {
	hi, lo := bits.Mul64(uint64(tokens), uint64(price))
	var carry uint64
	w.lo, carry = bits.Add64(w.lo, lo, 0)
	w.hi, _ = bits.Add64(w.hi, hi, carry)
}

const (
	million = 1_000_000
	most    = 1<<63 - 1
)

// perMillion divides, rounding up, and stays at the largest amount when the sum
// is beyond it.
func (w wide) perMillion() money.Nano {
	if w.hi >= million {
		return most
	}
	q, rest := bits.Div64(w.hi, w.lo, million)
	if rest > 0 {
		q++
	}
	if q > most {
		return most
	}
	return money.Nano(q)
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
