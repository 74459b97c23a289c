package web

import (
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"plumbline/app/config"
	"plumbline/app/fault"
	"plumbline/inventory"
)

// priceBoxes are the parts of a price that have a box of their own.
func priceBoxes(p *inventory.PriceRow) []struct {
	name, label, hint string
	at                *string
} {
	return []struct {
		name, label, hint string
		at                *string
	}{
		{"input", "Input", "Dollars per million tokens", &p.Input},
		{"output", "Output", "", &p.Output},
		{"cache_read", "Input read from the cache", "Left out, it costs what input costs", &p.CacheRead},
		{"cache_write", "Input written to the cache", "Left out, it costs what input costs", &p.CacheWrite},
		{"reasoning", "Reasoning", "Left out, it costs what output costs", &p.Reasoning},
		{"request", "Each request", "Dollars", &p.Request},
		{"batch_factor", "Factor in batches", "Such as 0.5", &p.BatchFactor},
	}
}

func (r *request) priceForm(p inventory.Price) *form {
	f := &form{Title: "Own price", Intro: "What a model costs you, from a day on. It wins over the price table, and a model without any price is refused.", Action: "/gateway/prices", Submit: "Save", Cancel: "/gateway", Hidden: seen(p.Version), Fields: []field{
		naming(field{Name: "vendor", Label: "Vendor", Value: p.Vendor, Hint: "As the provider names it", Mono: true}, p.Version),
		naming(field{Name: "model", Label: "Model", Value: p.Model, Hint: "Its name at the vendor; * for every other model of the vendor", Mono: true}, p.Version),
		naming(field{Name: "from", Label: "From", Kind: "date", Value: p.From, Hint: "The first day, in UTC. Calls of earlier days keep their price"}, p.Version),
	}}
	row, output := p.PriceRow, ""
	for i, b := range priceBoxes(&row) {
		x := field{Name: b.name, Label: b.label, Kind: "money", Value: *b.at, Hint: b.hint, Optional: true}
		if i == 0 {
			x.Section = "US dollars per million tokens"
			x.Hint = ""
		}
		if b.name == "request" {
			x.Section = "Beside tokens"
		}
		if b.name == "batch_factor" {
			x.Kind = "number"
		}
		f.Fields = append(f.Fields, x)
	}
	if p.MaxOutput > 0 {
		output = strconv.FormatInt(p.MaxOutput, 10)
	}
	f.Fields = append(f.Fields,
		field{Name: "max_output", Label: "Most tokens of one answer", Kind: "number", Value: output, Hint: "Needed where output has a price: a call without a limit of its own is held at it", Optional: true},
		field{Name: "further", Label: "Further parts", Kind: "textarea", Value: furtherLines(p.PriceRow), Hint: "As the declaration file has them: tiers, forms, audio_hour, image, search and others, such as tiers: [{above: 200000, input: 2.5, output: 15}]", Optional: true, Mono: true},
		reasonField("Kept with the change"))
	return f
}

// furtherLines writes what of a price has no box.
func furtherLines(p inventory.PriceRow) string {
	for _, b := range priceBoxes(&p) {
		*b.at = ""
	}
	p.MaxOutput = 0
	var doc yaml.Node
	if err := doc.Encode(p); err != nil {
		return "" // a price has nothing that YAML lacks
	}
	var kept []*yaml.Node
	for i := 0; i+1 < len(doc.Content); i += 2 {
		if name := doc.Content[i].Value; name != "model" && name != "from" {
			kept = append(kept, doc.Content[i:i+2]...)
		}
	}
	if doc.Content = kept; len(kept) == 0 {
		return ""
	}
	text, err := yaml.Marshal(&doc)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// readFurther reads it. A part that has a box belongs there.
func readFurther(text string) (p inventory.PriceRow, err error) {
	if _, err = config.Strict([]byte(text), "further parts", &p); err != nil {
		var f *fault.Error
		if errors.As(err, &f) {
			return p, fault.Field("further", "%s", strings.TrimPrefix(f.Message, "further parts: "))
		}
		return p, err
	}
	twice := ""
	for _, b := range priceBoxes(&p) {
		if *b.at != "" {
			twice = b.name
		}
	}
	switch {
	case p.Model != "":
		twice = "model"
	case p.From != "":
		twice = "from"
	case p.MaxOutput != 0:
		twice = "max_output"
	}
	if twice != "" {
		return p, fault.Field("further", "%s has a box of its own above; write it there", twice)
	}
	return p, nil
}

// newPricePage is an empty form, or that of the price ?price=.
func (r *request) newPricePage() error {
	title, p := "New price", inventory.Price{}
	p.From = r.web.d.Now().UTC().Format("2006-01-02")
	if id := r.c.QueryParam("price"); id != "" {
		found, err := find(r.state.Prices, "price", id, func(x *inventory.Price) bool { return x.ID() == id })
		if err != nil {
			return err
		}
		if p = *found; p.Origin.FromFile() {
			return readOnly(p.Origin)
		}
		title = "Price of " + p.Model
	}
	return r.formPage(gatewayCrumbs(title), r.priceForm(p))
}

// priceEntered reads the form.
func (r *request) priceEntered() (p inventory.Price, err error) {
	var (
		wrong         fault.Fields
		unread, clash error
	)
	p.PriceRow, unread = readFurther(r.value("further"))
	p.Vendor, p.Model, p.From = r.value("vendor"), r.value("model"), r.value("from")
	for _, b := range priceBoxes(&p.PriceRow) {
		*b.at = r.value(b.name)
	}
	if text := r.value("max_output"); text != "" {
		if p.MaxOutput, err = strconv.ParseInt(text, 10, 64); err != nil || p.MaxOutput < 1 {
			wrong.Add("max_output", "write a whole number of tokens")
		}
	}
	p.Version, clash = r.version("model", "price", p.ID(), deletable["price"].has(r.state, p.ID()))
	return p, wrong.Join(unread, clash)
}

func (r *request) putPrice() error {
	p, err := r.priceEntered()
	if err == nil {
		err = r.web.d.Register.PutPrice(r.ctx(), r.actor, p, r.value("reason"))
	}
	if err != nil {
		return r.again(gatewayCrumbs("Price"), r.priceForm(p), atBox(err))
	}
	return r.done("/gateway", fmt.Sprintf("The price of %s holds from %s.", p.Model, p.From))
}

// atBox puts what is wrong with a price, which begins with the name of the part, to the
// box of that part.
func atBox(err error) error {
	var f *fault.Error
	if !errors.As(err, &f) || f.Fields["prices"] == "" {
		return err
	}
	text := f.Fields["prices"]
	name := text[:strings.IndexAny(text+":", ": ")]
	var row inventory.PriceRow
	has := name == "model" || name == "from" || name == "max_output"
	for _, b := range priceBoxes(&row) {
		has = has || b.name == name
	}
	out := *f
	out.Fields = maps.Clone(f.Fields)
	delete(out.Fields, "prices")
	if has {
		out.Fields[name] = strings.TrimPrefix(strings.TrimPrefix(text, name), ": ")
	} else {
		out.Fields["further"] = text
	}
	return &out
}
