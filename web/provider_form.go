package web

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"plumbline/app/fault"
	"plumbline/inventory"
)

// ProviderKind is a kind of provider as people choose it.
type ProviderKind struct{ Name, Title string }

func (r *request) kinds() (out []option) {
	for _, k := range r.web.d.Kinds {
		out = append(out, option{Value: k.Name, Label: k.Title})
	}
	return out
}

// blankKeys is how many keys more than there are the form has room for; "More keys"
// asks for as many again.
const blankKeys = 2

// sealed reports whether a reference stands for a secret that somebody entered.
func sealed(reference string) bool { return strings.HasPrefix(reference, "sealed:") }

// providerForm has room for the provider's keys and for more, rows in all. Secrets are
// never in it.
func (r *request) providerForm(p inventory.Provider, rows int) *form {
	var streams []string
	if p.NoStreamUsage {
		streams = []string{"true"}
	}
	f := &form{Title: "Provider", Intro: "Where calls go, and with which keys. A key is named, so that the server reads it where it is kept, or entered here; what is entered is sealed and never shown again.",
		Action: "/gateway/providers", Submit: "Save", Cancel: "/gateway", Other: "More keys", OtherV: "more", Hidden: seen(p.Version), Fields: []field{
			naming(field{Name: "id", Label: "Id", Value: string(p.ID), Hint: "Small letters, digits and dashes", Mono: true}, p.Version),
			{Name: "kind", Label: "Kind", Kind: "select", Value: p.Kind, Options: r.kinds()},
			{Name: "vendor", Label: "Vendor", Value: p.Vendor, Hint: "As the price table names it, such as openai or mistral", Optional: true},
			{Name: "base_url", Label: "Base URL", Value: p.BaseURL, Hint: "Left out, it is the kind's own where the kind has one. With another host, secrets are entered again", Optional: true, Mono: true},
			{Name: "region", Label: "Region", Value: p.Region, Optional: true},
			{Name: "no_stream_usage", Label: "Streams", Kind: "checks", Values: streams, Options: []option{{Value: "true", Label: "Refuses stream_options.include_usage", Hint: "Usage of streams is then counted here and labelled so"}}},
		}}
	keys := p.Keys()
	for i := range max(rows, len(keys)) {
		k := inventory.ProviderKey{}
		if i < len(keys) {
			k = keys[i]
		}
		r.keyFields(f, i+1, k, i < len(keys))
	}
	f.Hidden["keys"] = strconv.Itoa(max(rows, len(keys)))
	f.Fields = append(f.Fields, reasonField("Kept with the change"))
	return f
}

// keyFields adds the boxes of one key.
func (r *request) keyFields(f *form, n int, k inventory.ProviderKey, there bool) {
	at := fmt.Sprintf("key%d_", n)
	ref := field{Name: at + "ref", Label: "Where it is kept", Value: k.Ref, Hint: "env:NAME, file:PATH, vault:MOUNT/PATH#FIELD, aws:, google: or azure:, as far as the server's configuration lets it be named", Optional: true, Mono: true, Reference: true, Section: fmt.Sprintf("Key %d", n)}
	secret := field{Name: at + "secret", Label: "Or the secret itself", Kind: "password", Auto: "off", Optional: true}
	if !there {
		ref.Section += ", none yet"
	}
	if sealed(k.Ref) {
		f.Hidden[at+"sealed"] = k.Ref
		ref.Value = ""
		secret.Label = "The secret, anew"
		secret.Hint = fmt.Sprintf("Entered by %s on %s. Left empty, it stays", r.person(k.Entered.By), k.Entered.At.Format("2006-01-02 15:04 UTC"))
	}
	weight := field{Name: at + "weight", Label: "Weight", Kind: "number", Hint: "Its share of the calls beside the other keys; 1 when left out, at most 1000", Optional: true}
	if k.Weight > 0 {
		weight.Value = strconv.Itoa(k.Weight)
	}
	f.Fields = append(f.Fields, ref, secret, weight)
	if there {
		f.Fields = append(f.Fields, field{Name: at + "remove", Label: "Removal", Kind: "checks", Options: []option{{Value: "true", Label: "Remove this key", Hint: "A secret that was entered is deleted"}}})
	}
}

// newProviderPage is an empty form, or that of the provider ?provider=.
func (r *request) newProviderPage() error {
	title, p := "New provider", inventory.Provider{Kind: "openai"}
	if id := r.c.QueryParam("provider"); id != "" {
		found, err := find(r.state.Providers, "provider", id, func(x *inventory.Provider) bool { return string(x.ID) == id })
		if err != nil {
			return err
		}
		if p = *found; p.Origin.FromFile() {
			return readOnly(p.Origin)
		}
		title = "Provider " + id
	}
	return r.formPage(gatewayCrumbs(title), r.providerForm(p, len(p.Keys())+blankKeys))
}

// maxKeyRows bounds what a form may ask to be drawn; a provider has at most 32 keys.
const maxKeyRows = 40

// providerEntered reads the form. rows are its rows of keys, and which of them each of
// the provider's keys is from.
func (r *request) providerEntered() (p inventory.Provider, rows int, from []int, err error) {
	p = inventory.Provider{ID: inventory.ProviderID(r.value("id")), Kind: r.value("kind"), Vendor: r.value("vendor"), BaseURL: r.value("base_url"), Region: r.value("region"), NoStreamUsage: r.value("no_stream_usage") != ""}
	var wrong fault.Fields
	var clash error
	p.Version, clash = r.version("id", "provider", string(p.ID), deletable["provider"].has(r.state, string(p.ID)))
	rows, _ = strconv.Atoi(r.value("keys"))
	rows = min(max(rows, 1), maxKeyRows)
	for n := 1; n <= rows; n++ {
		at := fmt.Sprintf("key%d_", n)
		k := inventory.ProviderKey{Ref: r.value(at + "ref"), Secret: inventory.Secret(r.value(at + "secret"))}
		if k.Ref == "" {
			k.Ref = r.value(at + "sealed")
		}
		if k.Ref == "" && k.Secret == "" || r.value(at+"remove") != "" {
			continue
		}
		if text := r.value(at + "weight"); text != "" {
			if k.Weight, err = strconv.Atoi(text); err != nil {
				wrong.Add(at+"weight", "write a whole number")
			}
		}
		p.Credentials, from = append(p.Credentials, k), append(from, n)
	}
	if len(p.Credentials) > 0 && p.Credentials[0].Weight <= 1 && p.Credentials[0].Weight >= 0 {
		p.CredentialRef, p.Secret, p.Credentials = p.Credentials[0].Ref, p.Credentials[0].Secret, p.Credentials[1:]
	}
	return p, rows, from, wrong.Join(clash)
}

// atKeys puts errors about a provider's keys to their boxes. first is whether credential
// is the first of them.
func atKeys(err error, first bool, from []int) error {
	var f *fault.Error
	if !errors.As(err, &f) || f.Fields == nil {
		return err
	}
	out := *f
	out.Fields = map[string]string{}
	for name, text := range f.Fields {
		if n, part, ok := keyOf(name, first); ok && n < len(from) {
			if f.Code == "credential_reentry_required" {
				part = "secret"
			}
			name = fmt.Sprintf("key%d_%s", from[n], part)
		}
		out.Fields[name] = text
	}
	return &out
}

// keyOf reads the name of a field of a provider's key: which key, and what of it.
func keyOf(name string, first bool) (n int, part string, ok bool) {
	switch name {
	case "credential":
		return 0, "ref", true
	case "credential_secret":
		return 0, "secret", true
	}
	rest, further := strings.CutPrefix(name, "credentials[")
	index, part, _ := strings.Cut(rest, "]")
	n, err := strconv.Atoi(index)
	if !further || err != nil {
		return 0, "", false
	}
	if first {
		n++
	}
	if part = strings.TrimPrefix(part, "."); part == "" {
		part = "ref"
	}
	return n, part, true
}

func (r *request) putProvider() error {
	p, rows, from, err := r.providerEntered()
	first := p.CredentialRef != "" || p.Secret != ""
	shown := r.asKnown(p)
	if r.value("decision") == "more" {
		return r.moreKeys(shown, rows+blankKeys)
	}
	var wrong fault.Fields
	err = gathered(wrong.Join(err, atKeys(r.mayName(p), first, from)), func() error { return atKeys(r.web.d.Register.CheckProvider(r.actor, p), first, from) },
		func() error {
			return atKeys(r.web.d.Register.PutProvider(r.ctx(), r.actor, p, r.value("reason")), first, from)
		})
	if err != nil {
		return r.again(gatewayCrumbs("Provider"), r.providerForm(shown, rows), err)
	}
	return r.done("/gateway", "Provider "+string(p.ID)+" is in force.")
}

// asKnown gives the provider that a form drawn again shows: with the keys that are in
// force, whatever was entered for them stands in the boxes.
func (r *request) asKnown(p inventory.Provider) inventory.Provider {
	p.CredentialRef, p.Secret, p.Entered, p.Credentials = "", "", inventory.Entered{}, nil
	for _, old := range r.state.Providers {
		if old.ID == p.ID && r.value("version") != "0" { // a new one of that name has none of its keys
			p.CredentialRef, p.Entered, p.Credentials = old.CredentialRef, old.Entered, old.Credentials
		}
	}
	return p
}

// moreKeys draws the form again with room for more keys, and with what was entered but
// for secrets.
func (r *request) moreKeys(p inventory.Provider, rows int) error {
	f := r.providerForm(p, min(rows, maxKeyRows))
	for i := range f.Fields {
		r.refill(&f.Fields[i])
	}
	f.Intro += " Secrets are not kept while the form is drawn again: enter them last."
	return r.formPage(gatewayCrumbs("Provider"), f)
}

// providerKeyRow is one key of a provider with how it is.
type providerKeyRow struct {
	Named inventory.ProviderKey
	inventory.KeyHealth
}

// Sealed reports whether somebody entered the key.
func (k providerKeyRow) Sealed() bool { return sealed(k.Named.Ref) }

// keyRows joins what the register says of keys with how they are.
func (r *request) keyRows() (out []providerKeyRow) {
	health := map[string]inventory.KeyHealth{}
	for _, h := range r.keyHealth() {
		health[string(h.Provider)+" "+h.Key] = h
	}
	for _, p := range r.state.Providers {
		for i, k := range p.Keys() {
			n := strconv.Itoa(i + 1)
			h, ok := health[string(p.ID)+" "+n]
			if !ok || h.Reference != k.Ref {
				h = inventory.KeyHealth{Provider: p.ID, Key: n}
			}
			out = append(out, providerKeyRow{k, h})
		}
	}
	return out
}
