package credential

import (
	"bytes"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"time"
)

// Key is what one attempt is signed in with. Printed in whatever way, it shows its
// id and never the secret. The zero Key is that of a provider that needs none.
type Key struct {
	ID string // place among the provider's keys, from "1"; may be logged and counted by

	value *value
	of    *held
}

// AWS are the keys of a signature of version 4.
type AWS struct {
	AccessKey, Secret string
	Session           string // empty for keys that do not end
}

// value is one secret as it was found. It is never changed, only replaced.
type value struct {
	token   string
	bearer  []string // ready to be the value of a header
	plain   []string
	aws     AWS
	issued  bool      // by a cloud, to the gateway's own identity
	expires time.Time // zero: not known to end
}

// Token is the secret: an API key or a bearer token. It is empty when there is none
// and when the keys are AWS's own.
func (k Key) Token() string {
	if k.value == nil {
		return ""
	}
	return k.value.token
}

// Bearer is the value of an Authorization header, nil without a token. It is shared
// by all attempts: nobody may change it.
func (k Key) Bearer() []string {
	if k.value == nil {
		return nil
	}
	return k.value.bearer
}

// Plain is the token as the value of a header such as x-api-key, nil without one. It
// is shared by all attempts: nobody may change it.
func (k Key) Plain() []string {
	if k.value == nil {
		return nil
	}
	return k.value.plain
}

// Issued reports whether the token was issued to the gateway's own identity in a
// cloud. Such a token is always sent as bearer.
func (k Key) Issued() bool { return k.value != nil && k.value.issued }

// AWS are the keys to sign with, and whether there are any: from the default chain,
// or written as ACCESS_KEY:SECRET[:SESSION] where the credential is.
func (k Key) AWS() (AWS, bool) {
	if k.value == nil || k.value.aws.AccessKey == "" {
		return AWS{}, false
	}
	return k.value.aws, true
}

// Hide puts [credential] in the place of the secret where a text quotes it: what a
// provider says of a call may be the key that it was called with. Without it the text
// is given back as it is.
func (k Key) Hide(text []byte) []byte {
	if k.value == nil {
		return text
	}
	for _, secret := range []string{k.value.token, k.value.aws.Secret, k.value.aws.Session} {
		for _, written := range []string{secret, strings.ReplaceAll(secret, "/", `\/`)} {
			if len(written) >= shortest && bytes.Contains(text, []byte(written)) {
				text = bytes.ReplaceAll(text, []byte(written), []byte("[credential]"))
			}
		}
	}
	return text
}

// shortest is the shortest secret, in bytes, that Hide looks for: what is shorter is a
// word that any text may have.
const shortest = 8

func (k Key) String() string               { return "key " + k.ID }
func (k Key) GoString() string             { return "credential.Key{" + k.ID + "}" }
func (k Key) LogValue() slog.Value         { return slog.StringValue(k.String()) }
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Static is the key of a secret that is at hand, for a provider that is asked
// outside of any exchange.
func Static(secret string) (Key, error) {
	if secret == "" {
		return Key{}, nil
	}
	v, err := newToken(secret, time.Time{})
	return Key{ID: "1", value: v}, err
}

// Check says whether a text can be a secret. It quotes nothing of it.
func Check(text string) error {
	_, err := newToken(text, time.Time{})
	return err
}

// longest is the longest secret in bytes: what a header may hold.
const longest = 16 << 10

var awsKeys = regexp.MustCompile(`^A[A-Z]IA[A-Z0-9]{12,}:`)

// newIssued is a token that a cloud issued.
func newIssued(text string, expires time.Time) (*value, error) {
	v, err := newToken(text, expires)
	if err == nil {
		v.issued = true
	}
	return v, err
}

func newToken(text string, expires time.Time) (*value, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return nil, errors.New("the secret is empty")
	case len(text) > longest:
		return nil, errors.New("the secret is longer than 16 KiB")
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }):
		return nil, errors.New("the secret is not one line of plain characters, so no header can hold it")
	}
	if awsKeys.MatchString(text) {
		parts := append(strings.SplitN(text, ":", 3), "")
		return &value{aws: AWS{parts[0], parts[1], parts[2]}, expires: expires}, nil
	}
	return &value{token: text, bearer: []string{"Bearer " + text}, plain: []string{text}, expires: expires}, nil
}

// usable reports whether the value may be sent at a time.
func (v *value) usable(now time.Time) bool {
	return v != nil && (v.expires.IsZero() || now.Before(v.expires))
}
