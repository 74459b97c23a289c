package price

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"plumbline/app/money"
	"plumbline/inventory"
)

// Check reports whether a row says what a model costs; the error is for whoever
// wrote it.
func Check(r *inventory.PriceRow) error {
	_, err := entryOf(r)
	return err
}

// entryOf reads a row.
func entryOf(r *inventory.PriceRow) (e entry, err error) {
	if r.Model == "" {
		return e, errors.New("model: name the model, or * for every other one of the vendor")
	}
	if e.from, err = time.Parse(time.DateOnly, r.From); err != nil {
		return e, fmt.Errorf("from: %q is no day such as 2026-01-31", r.From)
	}
	if e.rate.standard, err = tiersOf(r); err != nil {
		return e, err
	}
	if e.rate.batch, err = apart(r, "batch", r.Batch, r.BatchFactor, e.rate.standard); err != nil {
		return e, err
	}
	if e.rate.flex, err = apart(r, "flex", r.Flex, r.FlexFactor, e.rate.standard); err != nil {
		return e, err
	}
	if e.rate.priority, err = apart(r, "priority", r.Priority, "", e.rate.standard); err != nil {
		return e, err
	}
	for _, f := range []struct {
		name, text string
		into       *money.Nano
	}{{"characters", r.Characters, &e.rate.characters}, {"audio_hour", r.AudioHour, &e.rate.hour}, {"image", r.Image, &e.rate.image}, {"request", r.Request, &e.rate.request}, {"search", r.Search, &e.rate.search}} {
		if err := amount(f.name, f.text, 0, f.into); err != nil {
			return e, err
		}
	}
	if err := e.rate.readForms(r.Forms); err != nil {
		return e, err
	}
	e.rate.MaxOutput = r.MaxOutput
	for _, t := range slices.Concat(e.rate.standard, e.rate.priority) {
		if r.MaxOutput <= 0 && max(t.output, t.reasoning, t.audioOut, t.imageOut) > 0 {
			return e, errors.New("max_output is missing, so that an answer without a limit could not be held")
		}
	}
	return e, nil
}

// tiersOf reads what tokens cost, without a tier and in each.
func tiersOf(r *inventory.PriceRow) ([]tier, error) {
	if r.Input == "" && r.Output == "" && r.Characters == "" && r.AudioHour == "" && r.Image == "" && len(r.Forms) == 0 && r.Request == "" {
		return nil, errors.New("input: a price is missing; write \"0\" for what costs nothing")
	}
	base, err := tierOf(r.TokenPrices)
	base.above = -1
	if err != nil {
		return nil, err
	}
	tiers := []tier{base}
	for _, w := range r.Tiers {
		t, err := tierOf(below(w.TokenPrices, r.TokenPrices))
		if err != nil {
			return nil, fmt.Errorf("tiers: %w", err)
		}
		if t.above = w.Above; w.Above <= tiers[len(tiers)-1].above || w.Above == 0 {
			return nil, fmt.Errorf("tiers: above %d tokens does not come after the tier before it", w.Above)
		}
		tiers = append(tiers, t)
	}
	return tiers, nil
}

// below fills what a tier leaves out with what stands without it.
func below(t, base inventory.TokenPrices) inventory.TokenPrices {
	for _, f := range []struct {
		to   *string
		base string
	}{{&t.Input, base.Input}, {&t.Output, base.Output}, {&t.CacheRead, base.CacheRead}, {&t.CacheWrite, base.CacheWrite}, {&t.CacheWrite1h, base.CacheWrite1h}, {&t.Reasoning, base.Reasoning},
		{&t.AudioInput, base.AudioInput}, {&t.AudioOutput, base.AudioOutput}, {&t.CachedAudio, base.CachedAudio}, {&t.ImageInput, base.ImageInput}, {&t.ImageOutput, base.ImageOutput}} {
		if *f.to == "" {
			*f.to = f.base
		}
	}
	return t
}

// tierOf reads token prices; one that is left out is the one that it is a kind of.
func tierOf(p inventory.TokenPrices) (t tier, err error) {
	for _, f := range []struct {
		name, text string
		into       *money.Nano
		absent     *money.Nano
	}{
		{"input", p.Input, &t.input, new(money.Nano)}, {"output", p.Output, &t.output, new(money.Nano)},
		{"cache_read", p.CacheRead, &t.cacheRead, &t.input}, {"cache_write", p.CacheWrite, &t.cacheWrite, &t.input},
		{"cache_write_1h", p.CacheWrite1h, &t.cacheWrite1h, &t.cacheWrite}, {"reasoning", p.Reasoning, &t.reasoning, &t.output},
		{"audio_input", p.AudioInput, &t.audioIn, &t.input}, {"audio_output", p.AudioOutput, &t.audioOut, &t.output},
		{"cached_audio", p.CachedAudio, &t.cachedAudio, &t.cacheRead}, {"image_input", p.ImageInput, &t.imageIn, &t.input}, {"image_output", p.ImageOutput, &t.imageOut, &t.output},
	} {
		if err := amount(f.name, f.text, *f.absent, f.into); err != nil {
			return t, err
		}
	}
	return t, nil
}

// apart reads what tokens cost in a batch or in a service tier: a factor of each price,
// prices of their own, or the standard ones.
func apart(r *inventory.PriceRow, name string, own *inventory.TokenPrices, by string, standard []tier) ([]tier, error) {
	switch {
	case own != nil && (by != "" || len(r.Tiers) > 0):
		return nil, fmt.Errorf("%s: prices of its own stand neither beside %[1]s_factor nor beside tiers", name)
	case own != nil:
		t, err := tierOf(*own)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		t.above = -1
		return []tier{t}, nil
	case by == "":
		return standard, nil
	}
	var factor money.Nano
	if err := amount(name, by, 0, &factor); err != nil || factor == 0 || factor > money.Dollar {
		return nil, fmt.Errorf("%s_factor: %q is no factor above 0 and up to 1", name, by)
	}
	out := make([]tier, len(standard))
	for i, t := range standard {
		for _, p := range []*money.Nano{&t.input, &t.cacheRead, &t.cacheWrite, &t.cacheWrite1h, &t.audioIn, &t.cachedAudio, &t.imageIn, &t.output, &t.reasoning, &t.audioOut, &t.imageOut} {
			var w wide
			w.add(int64(*p), factor)
			*p = w.over(uint64(money.Dollar))
		}
		out[i] = t
	}
	return out, nil
}

// readForms takes the forms in; what one leaves out costs what it does without.
func (r *Rate) readForms(forms []inventory.PriceForm) error {
	image, request := r.image, r.request
	for _, f := range forms {
		v := form{name: f.Form, words: strings.Fields(strings.ToLower(f.Form))}
		if len(v.words) == 0 {
			return errors.New("forms: name the form, such as 1024x1024 hd")
		}
		if err := errors.Join(amount("image", f.Image, image, &v.image), amount("request", f.Request, request, &v.request)); err != nil {
			return fmt.Errorf("forms: %s: %w", f.Form, err)
		}
		r.image, r.request = max(r.image, v.image), max(r.request, v.request)
		r.forms = append(r.forms, v)
	}
	return nil
}

func amount(name, text string, absent money.Nano, into *money.Nano) error {
	*into = absent
	if text == "" {
		return nil
	}
	v, err := money.Parse(text)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if v < 0 {
		return fmt.Errorf("%s: a price below zero", name)
	}
	*into = v
	return nil
}
