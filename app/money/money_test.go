package money

import (
	"math"
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	for _, c := range []struct {
		name         string
		n            Nano
		want, ledger string
	}{
		{"nothing", 0, "$0.00", "$0.000 000 000"},
		{"the least", 1, "$0.000000001", "$0.000 000 001"},
		{"two decimals", 12*Dollar + Dollar/2, "$12.50", "$12.500 000 000"},
		{"as many as are needed", 18_734_500, "$0.0187345", "$0.018 734 500"},
		{"thousands", 1_234_567 * Dollar, "$1,234,567.00", "$1,234,567.000 000 000"},
		{"a hundred", 100 * Dollar, "$100.00", "$100.000 000 000"},
		{"below nothing", -1_000*Dollar - 1, "-$1,000.000000001", "-$1,000.000 000 001"},
		{"the least of all", math.MinInt64, "-$9,223,372,036.854775808", "-$9,223,372,036.854 775 808"},
	} {
		if c.n.String() != c.want || c.n.Ledger() != c.ledger {
			t.Errorf("%s: %s and %s, want %s and %s", c.name, c.n, c.n.Ledger(), c.want, c.ledger)
		}
		if want := strings.NewReplacer("$", "", ",", "").Replace(c.want); c.n.Plain() != want {
			t.Errorf("%s: %s, want %s", c.name, c.n.Plain(), want)
		}
	}
}
