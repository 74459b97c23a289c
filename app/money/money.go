// Package money counts US dollars in integer nano-dollars.
package money

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
)

// Nano is an amount in nano-dollars: 1 USD is 1,000,000,000.
type Nano int64

// Dollar is one US dollar.
const Dollar Nano = 1_000_000_000

// ErrMalformed is returned for a text that is no amount in US dollars, has
// more than nine decimals, or does not fit.
var ErrMalformed = errors.New("malformed amount: write dollars with at most nine decimals, such as 25 or 0.002")

// Parse reads an amount in dollars such as "25", "$1,200.50" or "0.000000125".
func Parse(text string) (Nano, error) {
	plain := strings.ReplaceAll(strings.TrimPrefix(strings.TrimSpace(text), "$"), ",", "")
	if plain == "" || strings.ContainsAny(plain, "eE/_") {
		return 0, ErrMalformed
	}
	amount, ok := new(big.Rat).SetString(plain)
	if !ok {
		return 0, ErrMalformed
	}
	amount.Mul(amount, new(big.Rat).SetInt64(int64(Dollar)))
	if !amount.IsInt() || !amount.Num().IsInt64() {
		return 0, ErrMalformed
	}
	return Nano(amount.Num().Int64()), nil
}

// String prints the exact amount, at least two decimals and no more than are
// needed: $12.50, $0.018734500 prints as $0.0187345.
func (n Nano) String() string {
	sign, v := "", uint64(n)
	if n < 0 {
		sign, v = "-", uint64(-(n+1))+1
	}
	fraction := fmt.Sprintf("%09d", v%uint64(Dollar))
	for len(fraction) > 2 && fraction[len(fraction)-1] == '0' {
		fraction = fraction[:len(fraction)-1]
	}
	return sign + "$" + group(v/uint64(Dollar)) + "." + fraction
}

// Ledger prints all nine decimals grouped by three, the form of ledger views:
// $0.018 734 500.
func (n Nano) Ledger() string {
	sign, v := "", uint64(n)
	if n < 0 {
		sign, v = "-", uint64(-(n+1))+1
	}
	f := fmt.Sprintf("%09d", v%uint64(Dollar))
	return sign + "$" + group(v/uint64(Dollar)) + "." + f[:3] + " " + f[3:6] + " " + f[6:]
}

// Add is n+m, held at the largest or smallest amount instead of wrapping.
func (n Nano) Add(m Nano) Nano {
	sum := n + m
	switch {
	case n > 0 && m > 0 && sum < 0:
		return math.MaxInt64
	case n < 0 && m < 0 && sum >= 0:
		return math.MinInt64
	}
	return sum
}

func group(v uint64) string {
	digits := fmt.Sprint(v)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
