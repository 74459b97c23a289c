package inventory

import (
	"context"

	"plumbline/app/authz"
	"plumbline/app/fault"
)

// TokenPrices are dollars per million tokens, as text with at most nine decimals.
// What is left out costs what stands beside it.
type TokenPrices struct {
	Input        string `json:"input,omitempty" yaml:"input,omitempty"`
	Output       string `json:"output,omitempty" yaml:"output,omitempty"`
	CacheRead    string `json:"cache_read,omitempty" yaml:"cache_read,omitempty"`         // left out: input
	CacheWrite   string `json:"cache_write,omitempty" yaml:"cache_write,omitempty"`       // left out: input
	CacheWrite1h string `json:"cache_write_1h,omitempty" yaml:"cache_write_1h,omitempty"` // left out: cache_write
	Reasoning    string `json:"reasoning,omitempty" yaml:"reasoning,omitempty"`           // left out: output
	AudioInput   string `json:"audio_input,omitempty" yaml:"audio_input,omitempty"`       // left out: input
	AudioOutput  string `json:"audio_output,omitempty" yaml:"audio_output,omitempty"`     // left out: output
	CachedAudio  string `json:"cached_audio,omitempty" yaml:"cached_audio,omitempty"`     // audio read from the cache; left out: cache_read
	ImageInput   string `json:"image_input,omitempty" yaml:"image_input,omitempty"`       // left out: input
	ImageOutput  string `json:"image_output,omitempty" yaml:"image_output,omitempty"`     // left out: output
}

// PriceTier is what a call costs whose input has more tokens than Above: the whole
// call, as every vendor with such prices bills it. What it leaves out costs what it
// does without the tier.
type PriceTier struct {
	Above       int64 `json:"above" yaml:"above"`
	TokenPrices `yaml:",inline"`
}

// PriceForm is what one form of a call costs, such as an image of a size and
// quality: "1024x1024 hd".
type PriceForm struct {
	Form    string `json:"form" yaml:"form"`
	Image   string `json:"image,omitempty" yaml:"image,omitempty"`     // dollars for each
	Request string `json:"request,omitempty" yaml:"request,omitempty"` // dollars for each
}

// PriceRow is a model's price from a day on, in the form in which tables and
// declarations write it. gateway/price reads it.
type PriceRow struct {
	Model       string   `json:"model" yaml:"model"`                   // name at the vendor; * for every other model of the vendor
	Also        []string `json:"also,omitempty" yaml:"also,omitempty"` // further names at the same price
	From        string   `json:"from" yaml:"from"`                     // first day, UTC
	TokenPrices `yaml:",inline"`

	Tiers       []PriceTier  `json:"tiers,omitempty" yaml:"tiers,omitempty"`
	BatchFactor string       `json:"batch_factor,omitempty" yaml:"batch_factor,omitempty"` // of tokens that are billed in a batch: 0.5
	Batch       *TokenPrices `json:"batch,omitempty" yaml:"batch,omitempty"`               // in place of a factor
	FlexFactor  string       `json:"flex_factor,omitempty" yaml:"flex_factor,omitempty"`   // of tokens in the service tier flex
	Flex        *TokenPrices `json:"flex,omitempty" yaml:"flex,omitempty"`                 // in place of a factor
	Priority    *TokenPrices `json:"priority,omitempty" yaml:"priority,omitempty"`         // of tokens in the service tier priority
	Characters  string       `json:"characters,omitempty" yaml:"characters,omitempty"`     // dollars per million
	AudioHour   string       `json:"audio_hour,omitempty" yaml:"audio_hour,omitempty"`     // dollars per hour of sound
	Image       string       `json:"image,omitempty" yaml:"image,omitempty"`               // dollars for each
	Request     string       `json:"request,omitempty" yaml:"request,omitempty"`           // dollars for each
	Search      string       `json:"search,omitempty" yaml:"search,omitempty"`             // dollars for each
	Forms       []PriceForm  `json:"forms,omitempty" yaml:"forms,omitempty"`
	MaxOutput   int64        `json:"max_output,omitempty" yaml:"max_output,omitempty"` // most tokens of one answer
}

// Price is a price of an organisation's own. It wins over the table from its day on.
type Price struct {
	Org      OrgID  `json:"org" yaml:"-"`
	Vendor   string `json:"vendor" yaml:"vendor"` // as a provider's vendor names it
	PriceRow `yaml:",inline"`
	Stamp    `yaml:"-"`
	Origin   Origin `json:"origin,omitzero" yaml:"-"`
}

// ID names a price in the register.
func (p *Price) ID() string { return p.Vendor + "/" + p.Model + "@" + p.From }

// PutPrice adds or changes a price of an organisation's own.
func (r *Register) PutPrice(ctx context.Context, actor authz.Actor, p Price, reason string) error {
	if err := r.checkPrice(&p); err != nil {
		return err
	}
	expect := p.Version
	p.Stamp, p.Origin, p.Org = Stamp{}, Origin{}, ""
	return r.put(ctx, actor, kindPrice, p.ID(), reason, expect, p)
}

// checkPrice holds a price to what the gateway can compute with.
func (r *Register) checkPrice(p *Price) error {
	var wrong fault.Fields
	if p.Vendor == "" {
		wrong.Add("vendor", "name the vendor as its provider does")
	}
	if r.d.Check != nil {
		if err := r.d.Check.Price(p); err != nil {
			wrong.Add("prices", "%v", err)
		}
	}
	return wrong.Err()
}
