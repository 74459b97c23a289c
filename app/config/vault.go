package config

import (
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Vault is how the server reaches HashiCorp Vault or OpenBao, for references of the
// form vault:MOUNT/PATH#FIELD.
type Vault struct {
	Address   string        `yaml:"address"`   // such as https://vault.example.com:8200
	Namespace string        `yaml:"namespace"` // sent as X-Vault-Namespace; none when empty
	CAFile    string        `yaml:"ca_file"`   // PEM; the system's authorities when empty
	Auth      string        `yaml:"auth"`      // token, approle or kubernetes
	AuthMount string        `yaml:"auth_mount"`
	Token     string        `yaml:"token"`     // env:NAME or file:PATH
	RoleID    string        `yaml:"role_id"`   // of approle; env:NAME or file:PATH
	SecretID  string        `yaml:"secret_id"` // of approle; env:NAME or file:PATH
	Role      string        `yaml:"role"`      // of kubernetes
	JWT       string        `yaml:"jwt"`       // of kubernetes; the service account's own when empty
	Refresh   time.Duration `yaml:"refresh"`   // how often a secret is read again
}

const serviceAccountToken = "file:/var/run/secrets/kubernetes.io/serviceaccount/token"

func (v *Vault) defaults() {
	if v.Auth == "" {
		v.Auth = "token"
	}
	if v.AuthMount == "" {
		v.AuthMount = v.Auth
	}
	if v.JWT == "" && v.Auth == "kubernetes" {
		v.JWT = serviceAccountToken
	}
	if v.Refresh == 0 {
		v.Refresh = 5 * time.Minute
	}
	v.Address = strings.TrimRight(v.Address, "/")
}

// check names the first key that is wrong, without the word vault before it.
func (v *Vault) check() (key string, err error) {
	if u, err := url.Parse(v.Address); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return "address", fmt.Errorf("write it as https://vault.example.com:8200")
	}
	needed := map[string][]string{"token": {"token"}, "approle": {"role_id", "secret_id"}, "kubernetes": {"role", "jwt"}}[v.Auth]
	if needed == nil {
		return "auth", fmt.Errorf("%q is none of token, approle, kubernetes", v.Auth)
	}
	given := map[string]string{"token": v.Token, "role_id": v.RoleID, "secret_id": v.SecretID, "role": v.Role, "jwt": v.JWT}
	for _, key := range needed {
		if given[key] == "" {
			return key, fmt.Errorf("is needed with auth: %s", v.Auth)
		}
	}
	for _, key := range []string{"token", "role_id", "secret_id", "jwt"} {
		if given[key] == "" {
			continue
		}
		if r, err := ParseReference(given[key]); err != nil || r.Kind != "env" && r.Kind != "file" {
			return key, fmt.Errorf("is named as env:NAME or file:PATH, never written here")
		}
	}
	if v.Refresh < time.Second {
		return "refresh", fmt.Errorf("%v is below one second", v.Refresh)
	}
	return "", nil
}
