package web_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// renewal is an organisation with one system that ada registers and edits and ben
// decides on.
type renewal struct {
	*testing.T
	ada, ben *reader
}

const ofDesk = "/systems/SYS-001"

func newRenewal(t *testing.T) *renewal {
	base, token := emptyServer(t, "")
	r := &renewal{T: t, ada: begin(t, base, token)}
	r.ben = r.ada.join(t, "Ben Okafor", "approver")
	r.do(r.ada, "/systems", "name", "Desk", "purpose", "Answers questions.", "owner", "Service", "roles", "deployer", "risk_class", "minimal", "risk_reason", "no use of Annex III", "lifecycle", "in_use", "reason", "first")
	return r
}

func (r *renewal) do(who *reader, path string, pairs ...string) {
	r.Helper()
	if a := who.post(r, path, pairs...); a.status != http.StatusSeeOther {
		r.Fatalf("%s: %d %.600s", path, a.status, plainText(a.body))
	}
}

func (r *renewal) ask() { r.Helper(); r.do(r.ada, ofDesk+"/request", "reason", "it ends soon") }

func (r *renewal) decide(decision, until string) {
	r.Helper()
	r.do(r.ben, ofDesk+"/decide", "decision", decision, "until", until, "reason", "looked at it")
}

// says holds a page to what it must say and what it must not, which begins with "!".
func (r *renewal) says(who *reader, path string, says ...string) {
	r.Helper()
	a := who.get(r, path)
	text := plainText(a.body)
	for _, s := range says {
		if not, found := strings.CutPrefix(s, "!"); found == strings.Contains(text, not) {
			r.Errorf("%s: %d, says %q: %v\n%s", path, a.status, not, !found, text)
		}
	}
}

// day is a date ahead, as a form takes it and as pages say it.
func day(ahead int) (entered, said string) {
	at := time.Now().UTC().AddDate(0, 0, ahead)
	return at.Format("2006-01-02"), at.Format("2 Jan 2006")
}

// TestPagesSayWhatARenewalDoes follows a renewal through the pages that advise it, ask
// for it and decide on it: each says whether calls go on, and until when.
func TestPagesSayWhatARenewalDoes(t *testing.T) {
	r := newRenewal(t)
	entered, end := day(10)

	// The first request: nothing stands beside it.
	r.says(r.ada, ofDesk+"/request", "Until then the gateway refuses its calls", "!stands beside")
	r.ask()
	r.says(r.ada, ofDesk, "Waits for a decision.", "its calls are refused until a second person decides", "!Withdraw")
	r.says(r.ada, "/", "Approve or reject SYS-001 Desk", "its calls are refused until decided")
	r.says(r.ben, ofDesk+"/decide", "Approved, its keys work within two seconds", "!In force")
	r.decide("accept", entered)

	// The advice to renew, and the form that it leads to.
	r.says(r.ada, "/", "Approval ends within 30 days: have it renewed", "it stays in force beside the request", end)
	r.says(r.ada, ofDesk, "Its approval ends on "+end, "It stays in force beside a request for its renewal.", "Ask for renewal", "Withdraw it")
	r.says(r.ada, ofDesk+"/edit", "Changing one of them ends it, and calls are refused", "!request for its renewal")
	r.says(r.ada, ofDesk+"/request", "Ask for the renewal of the approval of Desk", "stands beside the request, until it ends on "+end+", and calls go on", "rejected, it stays", "!Until then the gateway refuses")
	r.ask()

	// While it is open.
	r.says(r.ada, ofDesk, "Approved, renewal requested", "Its renewal waits for a decision.", "the approval in force stands to "+end+", and its calls go on; a rejection leaves it", "You asked, so you cannot decide.",
		"renewal asked for", "decided by Ben Okafor on", "renewal asked by Ada Wong", "!calls are refused")
	r.says(r.ada, "/", "Approve or reject its renewal", "its calls go on: the approval in force stands to "+end, "!refused until decided")
	r.says(r.ada, "/systems", "Approved, renewal requested to "+end)
	for state, there := range map[string]string{"approved": "!Nothing matches", "renewal": "!Nothing matches", "requested": "!Nothing matches", "rejected": "Nothing matches"} {
		r.says(r.ada, "/systems?state="+state, there)
	}
	r.says(r.ada, ofDesk+"/edit", "Changing one of them ends it and the request for its renewal")
	r.says(r.ben, ofDesk+"/decide", "Decide on the renewal of Desk", "takes the place of the one in force", "Rejected, that one stays, until it ends on "+end, "withdrawing it is an act of its own",
		"approved by Ben Okafor on", "Given because looked at it", "Asked because it ends soon")
	r.decide("reject", "")

	// Rejected: it stays, and the pages say how to stop it.
	r.says(r.ben, ofDesk, "Ben Okafor rejected its renewal. looked at it.", "The approval in force stands to "+end+", and its calls go on; to stop them, withdraw it.", "renewal rejected", "renewal asked by Ada Wong, rejected by Ben Okafor", "!calls are refused", "!Ask again")
	r.says(r.ada, ofDesk, "Ask again")
	r.says(r.ada, "/", "Renewal rejected: ask again, or withdraw the approval", "stands to "+end)
	r.says(r.ada, "/systems", "its renewal was rejected")
	r.says(r.ben, ofDesk+"/withdraw", "Withdraw the approval of Desk?", "within two seconds", "To stop it for a time and lose no approval, suspend it.")
	if a := r.ben.post(t, ofDesk+"/withdraw", "reason", " "); a.status != http.StatusBadRequest || !strings.Contains(plainText(a.body), "say why") {
		t.Errorf("withdrawn without a reason: %d", a.status)
	}
	r.do(r.ben, ofDesk+"/withdraw", "reason", "complaints")
	r.says(r.ada, ofDesk, "Approval withdrawn", "No approval is in force. Its calls are refused. Last decision: complaints.", "withdrawn by Ben Okafor on", "!Withdraw it", "System approval withdrawn")
	r.says(r.ada, "/", "Ask for an approval")
	r.says(r.ada, "/systems?state=withdrawn", "!Nothing matches")

	// One without an end, and one that ended while its renewal was open.
	r.ask()
	r.decide("accept", "")
	r.says(r.ada, ofDesk+"/request", "stands beside the request, which has no end, and calls go on")
	r.ask()
	r.says(r.ada, ofDesk, "the approval in force stands without an end")
	r.says(r.ben, ofDesk+"/decide", "Rejected, that one stays, which has no end", "without an end")
	if a := r.ben.send(t, http.MethodPost, "/api/v1/systems/SYS-001/approval", fmt.Sprintf(`{"decision":"approve","until":%q,"reason":"briefly"}`, time.Now().Add(2*time.Second).Format(time.RFC3339Nano))); a.status != http.StatusOK {
		t.Fatal(a.body)
	}
	r.ask()
	r.says(r.ada, ofDesk, "renewal requested")
	time.Sleep(2 * time.Second)
	r.says(r.ada, ofDesk, "Approval requested", "the approval before ended on "+time.Now().UTC().Format("2 Jan 2006"), "its calls are refused until a second person decides", "!go on")
	r.says(r.ada, "/", "Approve or reject its renewal: the approval ended", "its calls are refused until decided")
	r.says(r.ada, ofDesk+"/request", "Until then the gateway refuses its calls")
}

// TestKeysOfARenewal: keys of a system whose renewal is open are not said to be refused.
func TestKeysOfARenewal(t *testing.T) {
	r := newRenewal(t)
	if a := r.ada.post(t, "/keys", "name", "desk key", "system", "SYS-001"); a.status != http.StatusOK {
		t.Fatalf("key: %d %.300s", a.status, plainText(a.body))
	}
	page := func() string { return plainText(r.ada.get(t, "/keys").body) }
	r.ask()
	if text := page(); !strings.Contains(text, "calls refused: approval requested") {
		t.Errorf("before the first approval:\n%s", text)
	}
	r.decide("accept", "")
	r.ask()
	if text := page(); strings.Contains(text, "calls refused") {
		t.Errorf("while a renewal is open:\n%s", text)
	}
}
