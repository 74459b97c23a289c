package main

import (
	"os"
	"runtime/debug"
	"strings"
	"testing"
)

// TestNoticeNamesEveryModule: whoever is given the binary is told whose work is
// in it. The test binary links what the program links.
func TestNoticeNamesEveryModule(t *testing.T) {
	notice, err := os.ReadFile("../NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || len(info.Deps) < 20 {
		t.Fatalf("the binary says nothing of its modules: %v", info)
	}
	for _, m := range info.Deps {
		if !strings.Contains(string(notice), "\n"+m.Path+"  [") {
			t.Errorf("NOTICE does not name %s: add it with its licence and copyright line", m.Path)
		}
	}
}
