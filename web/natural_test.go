package web

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNamesAreInNaturalOrder(t *testing.T) {
	want := []string{"", "2", "010", "10b", "key", "Key-1", "key-02", "key-2", "key-10", "key-10-1", "key-10-a", "key-99999999999999999998", "key-99999999999999999999", "kéy", "schlüssel"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, naturally)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
