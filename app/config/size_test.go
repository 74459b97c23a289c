package config

import (
	"strings"
	"testing"
)

func TestSizes(t *testing.T) {
	for _, c := range []struct {
		name, text string
		bad        bool
		want       Size
	}{
		{"mebibytes", "max_body: 8MiB", false, 8 << 20},
		{"with a space", "max_body: 512 KiB", false, 512 << 10},
		{"bytes", "max_body: 12345", false, 12345},
		{"another unit", "max_body: 8MB", true, 0},
		{"below zero", "max_body: -1", true, 0},
		{"a fraction", "max_body: 1.5MiB", true, 0},
		{"a list", "max_body: [1]", true, 0},
		{"too much to count", "max_body: 99999999999GiB", true, 0},
	} {
		var got Config
		_, err := Strict([]byte(c.text), "plumbline.yaml", &got)
		if (err != nil) != c.bad || got.MaxBody != c.want || err != nil && !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%s: %v, %v, want %v", c.name, got.MaxBody, err, c.want)
		}
	}
}

func TestLimitsThatDoNotFit(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*Config)
		want string
	}{
		{"fits", func(c *Config) { c.MaxBody, c.BodyMemory = 8<<20, 32<<20 }, ""},
		{"no room for one body", func(c *Config) { c.MaxBody, c.BodyMemory = 8<<20, 16<<20 }, "body_memory: 16MiB is less than four times max_body (8MiB)"},
		{"a number that was meant in mebibytes", func(c *Config) { c.MaxBody = 32 }, "max_body: 32 is less than 64KiB"},
		{"huge", func(c *Config) { c.MaxBody, c.BodyMemory = 2<<30, 8<<30 }, "max_body: 2GiB is more than 1GiB"},
		{"a certificate without its key", func(c *Config) { c.TLSCert = "cert.pem" }, "tls_cert and tls_key are given together"},
	} {
		conf := &Config{}
		c.set(conf)
		conf.defaults()
		if err := conf.check(); c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
