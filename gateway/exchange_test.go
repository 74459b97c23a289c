package gateway

import (
	"net/netip"
	"testing"
)

func TestAddressPrefix(t *testing.T) {
	for _, c := range []struct{ name, remote, want string }{
		{"version 4", "192.0.2.77:5555", "192.0.2.0/24"},
		{"the last octet has one digit", "10.0.255.7:1", "10.0.255.0/24"},
		{"an octet that is none", "192.0.256.7:5555", "unknown"},
		{"an octet with a zero before it", "192.0.02.7:5555", "unknown"},
		{"an octet that is missing", "192.0..7:5555", "unknown"},
		{"five octets", "192.0.2.7.8:5555", "unknown"},
		{"a port that is none", "192.0.2.7:65536", "unknown"},
		{"version 4 without a port", "192.0.2.77", "192.0.2.0/24"},
		{"version 4 in version 6", "[::ffff:192.0.2.77]:5555", "192.0.2.0/24"},
		{"version 6", "[2001:db8:1:2::3]:5555", "2001:db8:1::/48"},
		{"a zone", "[fe80::1%eth0]:5555", "fe80::/48"},
		{"no address", "@", "unknown"},
		{"nothing", "", "unknown"},
	} {
		for _, last := range []string{"", c.want, "192.0.2.0/24", "192.0.20.0/24", "192.0.2.0/48", "unknown"} {
			if got := addressPrefix(c.remote, last); got != c.want {
				t.Errorf("%s after %q: %s, want %s", c.name, last, got, c.want)
			}
		}
	}
}

// FuzzAddressPrefix holds the short way of the usual address to the long one.
func FuzzAddressPrefix(f *testing.F) {
	for _, s := range []string{"192.0.2.7:5555", "192.0.2.7", "0.0.0.0:0", "1.2.3.4:+5", "1.2.3.04:5", "1.2.3.4:05", "[::1]:5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, remote string) {
		want := "unknown"
		at, err := netip.ParseAddrPort(remote)
		if err != nil || !at.Addr().Is4() {
			return
		}
		if p, err := at.Addr().Prefix(24); err == nil {
			want = p.String()
		}
		for _, last := range []string{"", want, "192.0.2.0/24"} {
			if got := addressPrefix(remote, last); got != want {
				t.Errorf("%q after %q: %s, want %s", remote, last, got, want)
			}
		}
		if n := threeOctets(remote); n > 0 && n+2 > len(remote) {
			t.Errorf("%q: %d", remote, n)
		}
	})
}
