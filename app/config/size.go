package config

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Size is a number of bytes, written as 512KiB, 32MiB, 2GiB or in bytes.
type Size int64

var units = []struct {
	suffix string
	bytes  Size
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// UnmarshalYAML reads a size.
func (s *Size) UnmarshalYAML(n *yaml.Node) error {
	text, unit := n.Value, Size(1)
	for _, u := range units {
		if number, ok := strings.CutSuffix(text, u.suffix); ok {
			text, unit = strings.TrimSpace(number), u.bytes
			break
		}
	}
	number, err := strconv.ParseInt(text, 10, 32+8)
	if n.Kind != yaml.ScalarNode || err != nil || number < 0 || Size(number) > (1<<50)/unit {
		return fmt.Errorf("line %d: a size is written as 512KiB, 32MiB, 2GiB or in bytes", n.Line)
	}
	*s = Size(number) * unit
	return nil
}

// String writes a size in the largest unit that it is a multiple of.
func (s Size) String() string {
	for _, u := range units {
		if s > 0 && s%u.bytes == 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(s), 10)
}
