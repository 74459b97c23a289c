package web

import (
	"crypto/sha256"
	"encoding/hex"
	"html/template"
	"time"

	"plumbline/app/money"
)

// recordFuncs are what templates of exchanges and of the ledger need beside the
// rest.
func recordFuncs() template.FuncMap {
	return template.FuncMap{
		"cash": cash, "instant": instant, "second": second, "hourOf": hourOf, "pseudonym": pseudonym, "given32": given32, "holdBar": holdBar,
		"usageWord": usageWord, "effect": effectName, "endWord": endWord, "findingWord": findingWord, "runState": runState,
		"sha256": fingerprint, "keyHash": func(s string) string { return fingerprint(s)[:8] },
		"plural": plural, "exchanges": exchangesHref, "dayList": dayHref, "window": windowHref,
	}
}

// second is a time to the second.
func second(at any) template.HTML {
	t := clock(at)
	return template.HTML(`<time datetime="` + t.Format(time.RFC3339Nano) + `">` + t.Format("2 Jan 2006 15:04:05") + `</time>`)
}

// instant is a time to the microsecond, as records hold it.
func instant(at any) template.HTML {
	t := clock(at)
	return template.HTML(`<time datetime="` + t.Format(time.RFC3339Nano) + `">` + t.Format("2 Jan 2006 15:04:05.000000") + ` UTC</time>`)
}

func hourOf(at int64) string { return clock(at).Format("15:04") }

// cash is an amount in a list of exchanges: unrounded, and short when it is none.
func cash(n money.Nano) string {
	if n == 0 {
		return "$0"
	}
	return n.Ledger()
}

// given32 is a hash in hex, or nothing when there is none.
func given32(b [32]byte) string {
	if b == ([32]byte{}) {
		return ""
	}
	return hex32(b)
}

// pseudonym is a caller's user as the organisation sees him: a keyed hash.
func pseudonym(b [16]byte) string {
	if b == ([16]byte{}) {
		return ""
	}
	return hex.EncodeToString(b[:])
}

// fingerprint is the SHA-256 of a text, in hex.
func fingerprint(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// runState is how a run's state is drawn; a failed run looks unlike a failed
// exchange.
func runState(state string) string {
	if state == "failed" {
		return "run_failed"
	}
	return state
}
