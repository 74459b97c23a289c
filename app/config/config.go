// Package config is the server's one Config: read once from a YAML file and the
// environment, and passed down in parts.
package config

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"plumbline/app/fault"
)

// Config is the server's configuration. Every zero value works. docs/config.md
// describes each key; a test holds the two together.
type Config struct {
	Listen       string        `yaml:"listen" env:"PLUMBLINE_LISTEN"`             // host:port of the gateway, the web UI and the API
	PublicURL    string        `yaml:"public_url" env:"PLUMBLINE_PUBLIC_URL"`     // as people reach it; begins links
	DataDir      string        `yaml:"data_dir" env:"PLUMBLINE_DATA_DIR"`         // databases, key, documents
	Postgres     string        `yaml:"postgres" env:"PLUMBLINE_POSTGRES"`         // DSN for state and ledger; SQLite in data_dir when empty
	Instance     string        `yaml:"instance" env:"PLUMBLINE_INSTANCE"`         // first part of every log's origin; never changes
	KeyFile      string        `yaml:"key_file" env:"PLUMBLINE_KEY_FILE"`         // the instance key; instance.key in data_dir when empty
	Declarations string        `yaml:"declarations" env:"PLUMBLINE_DECLARATIONS"` // YAML file with what the gateway needs
	Prices       string        `yaml:"prices" env:"PLUMBLINE_PRICES"`             // price table in place of the embedded one
	LogLevel     string        `yaml:"log_level" env:"PLUMBLINE_LOG_LEVEL"`       // debug, info, warn, error
	Credentials  []string      `yaml:"credentials"`                               // what people may name as a provider's credential
	TLSCert      string        `yaml:"tls_cert" env:"PLUMBLINE_TLS_CERT"`         // PEM file of the certificate and its chain; plain HTTP when empty
	TLSKey       string        `yaml:"tls_key" env:"PLUMBLINE_TLS_KEY"`           // PEM file of its key
	MaxBody      Size          `yaml:"max_body"`                                  // of a request to the gateway, inflated
	BodyMemory   Size          `yaml:"body_memory"`                               // what large bodies may take of it together
	BodyTimeout  time.Duration `yaml:"body_timeout"`                              // how long a request may take to arrive
	Vault        *Vault        `yaml:"vault"`                                     // HashiCorp Vault or OpenBao; nil: none
	Timeout      time.Duration `yaml:"exchange_timeout"`                          // of one exchange
	DrainTimeout time.Duration `yaml:"drain_timeout"`                             // for what runs at shutdown
	CommitPause  time.Duration `yaml:"commit_pause"`                              // between two commits of the ledger
	SessionLife  time.Duration `yaml:"session_life"`                              // of a sign-in
}

// Load reads a file, when one is named, then the environment, then fills in
// defaults and checks the whole.
func Load(path string, env func(string) string) (*Config, error) {
	c := &Config{}
	if path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, "config", err, "the configuration could not be read")
		}
		if _, err := Strict(text, path, c); err != nil {
			return nil, err
		}
	}
	v := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		if name := v.Type().Field(i).Tag.Get("env"); name != "" {
			if text := env(name); text != "" {
				v.Field(i).SetString(text)
			}
		}
	}
	c.defaults()
	return c, c.check()
}

func (c *Config) defaults() {
	set := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	set(&c.Listen, "127.0.0.1:8080")
	set(&c.DataDir, "./plumbline-data")
	set(&c.Instance, "plumbline")
	set(&c.LogLevel, "info")
	set(&c.KeyFile, filepath.Join(c.DataDir, "instance.key"))
	set(&c.PublicURL, "http://"+dialable(c.Listen))
	if c.Credentials == nil {
		c.Credentials = []string{"env:*_API_KEY"}
	}
	if c.Vault != nil {
		c.Vault.defaults()
	}
	duration := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	if c.MaxBody == 0 {
		c.MaxBody = 32 << 20
	}
	if c.BodyMemory == 0 {
		c.BodyMemory = max(256<<20, 4*c.MaxBody)
	}
	duration(&c.BodyTimeout, 2*time.Minute)
	duration(&c.Timeout, 10*time.Minute)
	duration(&c.DrainTimeout, 30*time.Second)
	duration(&c.CommitPause, time.Millisecond)
	duration(&c.SessionLife, 12*time.Hour)
}

// hostForm: a * stands where only whoever has the domain can put something.
var hostForm = regexp.MustCompile(`^(https?://)?(\*\.)?[A-Za-z0-9\[][A-Za-z0-9.:\[\]-]*/?$`)

func dialable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err == nil && (host == "" || host == "0.0.0.0" || host == "::") {
		return net.JoinHostPort("localhost", port)
	}
	return listen
}

func (c *Config) check() error {
	bad := func(key, format string, args ...any) error {
		return fault.New(fault.Invalid, "config", "%s: %s", key, fmt.Sprintf(format, args...))
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return bad("listen", "%q is not host:port", c.Listen)
	}
	if strings.ContainsAny(c.Instance, "/+ \n") {
		return bad("instance", "%q must not contain a slash, a plus or a space", c.Instance)
	}
	switch c.LogLevel {
	case "debug", "info", "warn", "error":
	default:
		return bad("log_level", "%q is none of debug, info, warn, error", c.LogLevel)
	}
	if !strings.HasPrefix(c.PublicURL, "http://") && !strings.HasPrefix(c.PublicURL, "https://") {
		return bad("public_url", "%q must begin with http:// or https://", c.PublicURL)
	}
	for _, reference := range c.Credentials {
		kind, _, ok := strings.Cut(reference, ":")
		if !ok || !slices.Contains([]string{"env", "file", "vault", "aws", "google", "azure"}, kind) {
			return bad("credentials", "a credential is named as %s", strings.Join(referenceForms, ", "))
		}
		if _, host, bound := strings.Cut(reference, hostArrow); bound && !hostForm.MatchString(strings.TrimSpace(host)) {
			return bad("credentials", "behind -> stands a host such as api.openai.com, *.openai.azure.com or http://10.0.0.5:8000")
		}
	}
	if c.Vault != nil {
		if key, err := c.Vault.check(); err != nil {
			return bad("vault."+key, "%v", err)
		}
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return bad("tls_cert", "tls_cert and tls_key are given together")
	}
	if c.MaxBody < 64<<10 {
		return bad("max_body", "%v is less than 64KiB, which no call fits in; write it with a unit, such as 32MiB", c.MaxBody)
	}
	if c.MaxBody > 1<<30 {
		return bad("max_body", "%v is more than 1GiB", c.MaxBody)
	}
	if c.BodyMemory/4 < c.MaxBody {
		return bad("body_memory", "%v is less than four times max_body (%v): one body, what goes out, and what stands between them", c.BodyMemory, c.MaxBody)
	}
	for key, d := range map[string]time.Duration{"body_timeout": c.BodyTimeout, "exchange_timeout": c.Timeout, "drain_timeout": c.DrainTimeout, "commit_pause": c.CommitPause, "session_life": c.SessionLife} {
		if d < 0 {
			return bad(key, "%v is below zero", d)
		}
	}
	return nil
}

// Namable reports whether people may name a credential of that reference in the UI
// and the API, for a provider at a host (scheme://host[:port]). Whoever sets a
// provider's address decides where its credential is sent, so not every secret of the
// server may be named. The declarations file is the operator's and may name any. A *
// stands for one or more characters; "REFERENCE -> HOST" lets one be named for that
// host alone.
func (c *Config) Namable(reference, host string) bool {
	return c.listed(reference, func(wanted string, bound bool) bool { return !bound || hostMatches(wanted, host) })
}

// Bound reports whether the operator lists that reference together with the host, so
// that it may go there wherever it went before.
func (c *Config) Bound(reference, host string) bool {
	return c.listed(reference, func(wanted string, bound bool) bool { return bound && hostMatches(wanted, host) })
}

const hostArrow = " -> "

func (c *Config) listed(reference string, fits func(host string, bound bool) bool) bool {
	if r, err := ParseReference(reference); err != nil || r.Kind == "sealed" {
		return false // a pattern names a folder, and .. would leave it
	}
	for _, entry := range c.Credentials {
		pattern, host, bound := strings.Cut(entry, hostArrow)
		if wildcard(pattern, reference) && fits(strings.TrimSpace(host), bound) {
			return true
		}
	}
	return false
}

// wildcard reports whether text is what a pattern with at most one * stands for.
func wildcard(pattern, text string) bool {
	before, after, wild := strings.Cut(pattern, "*")
	return text == pattern || wild && len(text) > len(before)+len(after) && strings.HasPrefix(text, before) && strings.HasSuffix(text, after)
}

// hostMatches compares a host as the operator writes it, https when it names no
// scheme, with scheme://host[:port].
func hostMatches(wanted, host string) bool {
	if !strings.Contains(wanted, "://") {
		wanted = "https://" + wanted
	}
	return wildcard(strings.ToLower(strings.TrimRight(wanted, "/")), host)
}
