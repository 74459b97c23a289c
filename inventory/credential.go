package inventory

import (
	"time"

	"plumbline/app/config"
	"plumbline/app/fault"
)

// ProviderKey is one of several keys of a provider.
type ProviderKey struct {
	Ref     string  `json:"ref" yaml:"ref"`
	Weight  int     `json:"weight,omitempty" yaml:"weight,omitempty"` // share of the calls beside the others; 0 is 1
	Entered Entered `json:"entered,omitzero" yaml:"-"`
	Secret  Secret  `json:"-" yaml:"-"` // entered now, in place of Ref; never kept
}

// Entered says who entered a sealed secret, and when. Of a reference that is not
// sealed it is zero.
type Entered struct {
	By string    `json:"by,omitempty"`
	At time.Time `json:"at,omitzero"`
}

// IsZero reports that nobody entered anything.
func (e Entered) IsZero() bool { return e == Entered{} }

// maxKeys is how many keys a provider may have; metrics are counted by each.
const maxKeys = 32

// maxShare bounds the shares, so that their sum cannot overflow.
const maxShare = 1000

// Keys are a provider's keys: that of credential first.
func (p *Provider) Keys() []ProviderKey {
	if p.CredentialRef == "" && p.Secret == "" {
		return p.Credentials
	}
	return append([]ProviderKey{{Ref: p.CredentialRef, Weight: 1, Entered: p.Entered, Secret: p.Secret}}, p.Credentials...)
}

// checkCredentials says what is wrong with how a provider names its keys. Of those whose
// secret was entered, seal says it.
func (r *Register) checkCredentials(p *Provider) error {
	var wrong fault.Fields
	if len(p.Keys()) > maxKeys {
		wrong.Add("credentials", "a provider has at most %d keys", maxKeys)
	}
	seen := map[string]bool{}
	for i, k := range p.Keys() {
		field := p.KeyField(i)
		if k.Weight < 0 || k.Weight > maxShare {
			wrong.Add(field+".weight", "a weight is between 1 and %d", maxShare)
		}
		if k.Secret.text() != "" {
			continue
		}
		if err := r.checkReference(k.Ref); err != nil {
			wrong.Add(field, "%v", err)
		} else if seen[k.Ref] {
			wrong.Add(field, "this key is named already; give it one weight")
		}
		seen[k.Ref] = true
	}
	return wrong.Err()
}

func (r *Register) checkReference(reference string) error {
	if _, err := config.ParseReference(reference); err != nil {
		return err
	}
	if r.d.Check != nil {
		return r.d.Check.Credential(reference)
	}
	return nil
}

// declaredCredentials holds what a file names in the environment or in another file
// to being there: a declaration that names what is not set is refused, not half
// obeyed. What lies elsewhere may be away for a while.
func (r *Register) declaredCredentials(p *Provider) error {
	var wrong fault.Fields
	for i, k := range p.Keys() {
		field := p.KeyField(i)
		named, err := config.ParseReference(k.Ref)
		if err == nil && named.Kind == "sealed" {
			wrong.Add(field, "a sealed secret is entered in the console or through the API; a file names where the secret is")
		}
		if err == nil && (named.Kind == "env" || named.Kind == "file") {
			_, err = r.d.Resolve(k.Ref)
		}
		if err != nil {
			wrong.Add(field, "%v", err)
		}
	}
	return wrong.Err()
}
