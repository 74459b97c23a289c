package config

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// Reference names where a secret is. It is never the secret.
type Reference struct {
	Kind string // env, file, vault, aws, google, azure, sealed
	Name string // what stands behind the first colon

	Mount, Path, Field string // of vault: MOUNT/PATH#FIELD
}

// referenceForms are the kinds of references with their forms, as errors say them.
// sealed is not among them: it is written by the register alone.
var referenceForms = []string{"env:NAME", "file:PATH", "vault:MOUNT/PATH#FIELD", "aws: or aws:PROFILE", "google:", "azure:"}

var (
	envName   = regexp.MustCompile(`^[^\s=]+$`)
	vaultName = regexp.MustCompile(`^[A-Za-z0-9_.\-]+$`)
)

// ParseReference reads a reference. Its errors name what is wrong with the form and
// quote nothing of it: whoever pastes a secret in the place of a reference must not
// find it in a log.
func ParseReference(text string) (Reference, error) {
	kind, name, ok := strings.Cut(text, ":")
	r := Reference{Kind: kind, Name: name}
	switch {
	case !ok:
	case kind == "env":
		if !envName.MatchString(name) {
			return r, errors.New("env: is followed by the name of a variable of the environment")
		}
		return r, nil
	case kind == "file":
		if name == "" || filepath.Clean(name) != name {
			return r, errors.New("file: is followed by a path without . or .. in it")
		}
		return r, nil
	case kind == "vault":
		return r.vault()
	case kind == "aws":
		if name != "" && !vaultName.MatchString(name) {
			return r, errors.New("aws: is followed by nothing or by the name of a profile")
		}
		return r, nil
	case kind == "google" || kind == "azure":
		if name != "" {
			return r, fmt.Errorf("%s: is followed by nothing: the server's own identity there is used", kind)
		}
		return r, nil
	case kind == "sealed":
		if !vaultName.MatchString(name) {
			return r, errors.New("sealed: is followed by the id that the register gave")
		}
		return r, nil
	}
	return Reference{}, fmt.Errorf("name where the credential is: %s", strings.Join(referenceForms, ", "))
}

func (r Reference) vault() (Reference, error) {
	place, field, ok := strings.Cut(r.Name, "#")
	mount, secret, deep := strings.Cut(place, "/")
	bad := !ok || !deep || !vaultName.MatchString(field) || path.Clean(place) != place
	for _, part := range strings.Split(place, "/") {
		bad = bad || part == ".." || part == "." || !vaultName.MatchString(part)
	}
	if bad {
		return r, errors.New("vault: is followed by MOUNT/PATH#FIELD of a KV store in version 2; letters, digits, dots, dashes and underscores")
	}
	r.Mount, r.Path, r.Field = mount, secret, field
	return r, nil
}

// Resolver finds secrets that a file only names and that are there without asking
// anybody: env:NAME or file:PATH.
func Resolver(env func(string) string) func(string) (string, error) {
	return func(reference string) (string, error) {
		kind, name, _ := strings.Cut(reference, ":")
		switch kind {
		case "env":
			if v := env(name); v != "" {
				return v, nil
			}
			return "", fmt.Errorf("the environment variable %s is not set", name)
		case "file":
			text, err := os.ReadFile(name)
			if err != nil {
				return "", errors.New("the file of a secret could not be read: " + name)
			}
			return strings.TrimSpace(string(text)), nil
		}
		return "", errors.New("a secret is named as env:NAME or file:PATH")
	}
}
