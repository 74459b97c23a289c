package gateway

import "testing"

func TestAddressPrefix(t *testing.T) {
	for _, c := range []struct{ name, remote, want string }{
		{"version 4", "192.0.2.77:5555", "192.0.2.0/24"},
		{"version 4 without a port", "192.0.2.77", "192.0.2.0/24"},
		{"version 4 in version 6", "[::ffff:192.0.2.77]:5555", "192.0.2.0/24"},
		{"version 6", "[2001:db8:1:2::3]:5555", "2001:db8:1::/48"},
		{"a zone", "[fe80::1%eth0]:5555", "fe80::/48"},
		{"no address", "@", "unknown"},
		{"nothing", "", "unknown"},
	} {
		if got := addressPrefix(c.remote); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
