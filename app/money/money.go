// Package money counts US dollars in integer nano-dollars.
package money

import (
	"errors"
	"math"
	"math/big"
	"strconv"
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
	var room [48]byte
	text := append(append(room[:0], sign...), '$')
	text = append(appendGrouped(text, v/uint64(Dollar)), '.')
	text = appendNine(text, v%uint64(Dollar))
	for least := len(text) - 7; len(text) > least && text[len(text)-1] == '0'; {
		text = text[:len(text)-1]
	}
	return string(text)
}

// Plain prints what String does for programs to read: 1200.50, without a sign of the
// currency and without commas.
func (n Nano) Plain() string {
	sign, v := "", uint64(n)
	if n < 0 {
		sign, v = "-", uint64(-(n+1))+1
	}
	var room [32]byte
	text := append(strconv.AppendUint(append(room[:0], sign...), v/uint64(Dollar), 10), '.')
	text = appendNine(text, v%uint64(Dollar))
	for least := len(text) - 7; len(text) > least && text[len(text)-1] == '0'; {
		text = text[:len(text)-1]
	}
	return string(text)
}

// Ledger prints all nine decimals grouped by three, the form of ledger views:
// $0.018 734 500.
func (n Nano) Ledger() string {
	sign, v := "", uint64(n)
	if n < 0 {
		sign, v = "-", uint64(-(n+1))+1
	}
	f := string(appendNine(nil, v%uint64(Dollar)))
	return sign + "$" + string(appendGrouped(nil, v/uint64(Dollar))) + "." + f[:3] + " " + f[3:6] + " " + f[6:]
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

// appendGrouped writes v with a comma before each three digits.
func appendGrouped(dst []byte, v uint64) []byte {
	var room [20]byte
	digits := strconv.AppendUint(room[:0], v, 10)
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, d)
	}
	return dst
}

// appendNine writes v, which is below 1e9, with nine digits.
func appendNine(dst []byte, v uint64) []byte {
	var nine [9]byte
	for i := len(nine) - 1; i >= 0; i-- {
		nine[i], v = '0'+byte(v%10), v/10
	}
	return append(dst, nine[:]...)
}
