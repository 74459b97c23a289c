package web

import (
	"slices"
	"strconv"
	"strings"

	"plumbline/app/fault"
	"plumbline/assessments/projection"
	"plumbline/inventory"
)

type keyRow struct {
	inventory.Key
	Status     string
	SystemName string
	OwnerName  string
	Unrouted   []string          // models that it may ask for, and that no route has
	Held       string            // where the system stands whose calls are refused; empty when they are not
	Use        projection.KeyUse // in useDays, of whoever sees only the own keys
}

type keysData struct {
	Keys   []keyRow // of this page
	Pager  pager
	All    int
	Query  string
	System inventory.SystemID
	Own    bool // only the reader's own, with their use
	Days   int  // of the use
}

// useDays is the period over which the use of a key is told.
const useDays = 30

// keyUse is what was called with the actor's own keys.
func (r *request) keyUse() (map[string]projection.KeyUse, error) {
	return r.index().use(r.ctx(), projection.Filter{From: r.web.d.Now().AddDate(0, 0, -useDays).UnixMicro()})
}

func (r *request) keysPage() error {
	data := keysData{All: len(r.state.Keys), Query: r.query("q"), System: inventory.SystemID(r.query("system")), Own: r.own(), Days: useDays}
	matching := slices.DeleteFunc(r.keysByName(), func(k inventory.Key) bool {
		text := strings.ToLower(strings.Join([]string{string(k.ID), k.Name, string(k.System), r.systemName(string(k.System)), r.person(k.Owner)}, " "))
		return data.System != "" && k.System != data.System || !strings.Contains(text, strings.ToLower(data.Query))
	})
	var first, last int
	first, last, data.Pager = r.pageOf(len(matching))
	for _, k := range matching[first:last] {
		data.Keys = append(data.Keys, r.keyRow(k))
	}
	if data.Own {
		use, err := r.keyUse()
		if err != nil {
			return err
		}
		for i := range data.Keys {
			data.Keys[i].Use = use[string(data.Keys[i].ID)]
		}
	}
	return r.ok("keys", page{Title: "Keys", Nav: "keys", Crumbs: []crumb{{Title: "Keys"}}}, data)
}

// keysByName is a list of its own of the keys that the reader sees.
func (r *request) keysByName() []inventory.Key {
	return slices.SortedStableFunc(slices.Values(r.state.Keys), func(a, b inventory.Key) int { return naturally(a.Name, b.Name) })
}

func (r *request) keyRow(k inventory.Key) keyRow {
	row := keyRow{Key: k, Status: "active"}
	switch {
	case !k.RevokedAt.IsZero():
		row.Status = "revoked"
	case !k.ExpiresAt.IsZero() && !k.ExpiresAt.After(r.web.d.Now()):
		row.Status = "expired"
	case k.System == "":
		row.Status = "unbound"
	}
	if s, err := r.state.System(k.System); err == nil {
		row.SystemName = s.Name
		if at := systemStatus(s, r.web.d.Now()); !calls(at) && row.Status == "active" {
			row.Held = strings.ToLower(lookOf(at).word)
		}
	}
	for _, m := range k.Models {
		if !slices.ContainsFunc(r.state.Routes, func(v inventory.Route) bool { return v.Model == m || slices.Contains(v.Aliases, m) }) {
			row.Unrouted = append(row.Unrouted, m)
		}
	}
	row.OwnerName = k.Owner
	for _, m := range r.state.Members {
		if k.OwnedBy(m.ID, m.Email) {
			row.OwnerName = m.Name
		}
	}
	return row
}

// ownerOptions are the members; two of one name are told apart by address to
// whoever may read the list of people.
func (r *request) ownerOptions() []option {
	out := []option{{Label: "Nobody"}}
	for _, m := range r.state.Members {
		label := m.Name
		if r.can("account", "read") {
			label += " (" + m.Email + ")"
		}
		out = append(out, option{Value: m.ID, Label: label})
	}
	return out
}

func (r *request) systemOptions(none string) []option {
	var out []option
	if none != "" {
		out = append(out, option{Label: none})
	}
	for _, s := range r.state.Systems {
		if s.Lifecycle != inventory.Retired {
			out = append(out, option{Value: string(s.ID), Label: string(s.ID) + " " + s.Name})
		}
	}
	return out
}

// keyForm is the form of a new key, or of one that is there: that keeps its system.
func (r *request) keyForm(k inventory.Key) *form {
	number := func(n int) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n)
	}
	owner, expires := k.Owner, ""
	for _, m := range r.state.Members {
		if k.OwnedBy(m.ID, m.Email) {
			owner = m.ID
		}
	}
	if !k.ExpiresAt.IsZero() {
		expires = k.ExpiresAt.UTC().Format("2006-01-02")
	}
	f := &form{Title: "Make a key", Intro: "An app sends this key instead of a provider's. Whatever it calls is on record under its AI system.", Action: "/keys", Submit: "Make the key", Cancel: "/keys", Fields: []field{
		{Name: "name", Label: "Name", Value: k.Name, Hint: "Whose it is, and where it runs"},
		{Name: "system", Label: "AI system", Kind: "select", Value: r.query("system"), Options: r.systemOptions("None: every call is unregistered use")},
		{Name: "owner", Label: "Owner", Kind: "select", Value: owner, Hint: "Who answers for it. A developer sees own keys, and what was called with them.", Options: r.ownerOptions()},
		{Name: "models", Label: "Models it may ask for", Value: strings.Join(k.Models, ", "), Hint: "As routes name them, with commas between. Empty: every route.", Optional: true, Mono: true},
		{Name: "requests_per_minute", Label: "Requests a minute", Kind: "number", Value: number(k.PerMinute), Hint: "Empty: no limit", Optional: true},
		{Name: "concurrency", Label: "Requests at once", Kind: "number", Value: number(k.Concurrency), Hint: "Empty: no limit", Optional: true},
		{Name: "expires_at", Label: "Expires on", Kind: "date", Value: expires, Hint: "With the end of that day, in UTC", Optional: true},
	}}
	if k.ID == "" {
		return f
	}
	f.Title, f.Intro, f.Action, f.Submit, f.Hidden = "Change "+k.Name, "What narrows it is in force at once. Its text stays as it is.", "/keys/"+string(k.ID), "Save", seen(k.Version)
	f.Facts = [][2]string{{"Key", "pk-" + string(k.ID) + "-…"}, {"AI system", "none: unregistered use"}}
	if k.System != "" {
		f.Facts[1][1] = string(k.System)
	}
	f.Fields = append(slices.Delete(f.Fields, 1, 2), reasonField("Kept with the change"))
	return f
}

func keyCrumbs(title string) page {
	return page{Title: title, Nav: "keys", Crumbs: []crumb{{"Keys", "/keys"}, {Title: title}}}
}

func (r *request) newKeyPage() error {
	return r.formPage(keyCrumbs("Make a key"), r.keyForm(inventory.Key{}))
}

func (r *request) number(name string) (int, error) {
	text := r.value(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fault.Field(name, "write a whole number, or nothing")
	}
	return n, nil
}

func list(text string) []string {
	var out []string
	for _, part := range strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == '\n' || c == '\r' }) {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

func (r *request) createKey() error {
	k, secret, err := r.makeKey()
	if err != nil {
		return r.again(keyCrumbs("Make a key"), r.keyForm(inventory.Key{}), err)
	}
	model := "MODEL"
	if len(k.Models) > 0 {
		model = k.Models[0]
	} else if len(r.state.Routes) > 0 {
		model = r.state.Routes[0].Model
	}
	return r.ok("once", keyCrumbs("New key"), onceData{Title: "Key " + k.Name, Intro: "Copy it now. It is shown this once and kept nowhere; only its keyed hash is.", Secret: secret, Back: "/keys", BackTitle: "Back to keys", Curl: r.curl(model)})
}

func (r *request) makeKey() (inventory.Key, string, error) {
	k, err := r.keyEntered()
	k.System = inventory.SystemID(r.value("system"))
	secret := ""
	err = gathered(err, func() error { return r.web.d.Register.CheckKey(r.actor, k) }, func() (err error) {
		k, secret, err = r.web.d.Register.CreateKey(r.ctx(), r.actor, k, r.value("reason"))
		return err
	})
	return k, secret, err
}

// keyEntered reads what both forms of a key have; its error names every field that
// cannot be read.
func (r *request) keyEntered() (inventory.Key, error) {
	k := inventory.Key{Name: r.value("name"), Owner: r.value("owner"), Models: list(r.value("models"))}
	var rate, atOnce, ends error
	k.PerMinute, rate = r.number("requests_per_minute")
	k.Concurrency, atOnce = r.number("concurrency")
	k.ExpiresAt, ends = throughDay("expires_at", r.value("expires_at"))
	var wrong fault.Fields
	return k, wrong.Join(rate, atOnce, ends)
}

// changeable is the key of the path, if people may change it here.
func (r *request) changeable() (*inventory.Key, error) {
	k, err := r.key()
	switch {
	case err != nil:
		return nil, err
	case k.Origin.FromFile():
		return nil, readOnly(k.Origin)
	case !k.RevokedAt.IsZero():
		return nil, fault.New(fault.Conflict, "revoked", "The key %s is revoked and stays so; make another.", k.Name)
	}
	return k, nil
}

func (r *request) editKeyPage() error {
	k, err := r.changeable()
	if err != nil {
		return err
	}
	return r.formPage(keyCrumbs("Change a key"), r.keyForm(*k))
}

func (r *request) updateKey() error {
	old, err := r.changeable()
	if err != nil {
		return err
	}
	var wrong fault.Fields
	k, unread := r.keyEntered()
	k.ID = old.ID
	version, unsaid := r.version("", "", "", false)
	k.Version = version
	if until := old.ExpiresAt; !until.IsZero() && k.ExpiresAt.Format("2006-01-02") == until.UTC().Format("2006-01-02") {
		k.ExpiresAt = until // the form has its day alone
	}
	err = gathered(wrong.Join(unread, unsaid), func() error {
		if k.Owner == old.Owner {
			k.Owner = "" // who stays may have left
		}
		return r.web.d.Register.CheckKey(r.actor, k)
	}, func() error { return r.web.d.Register.UpdateKey(r.ctx(), r.actor, k, r.value("reason")) })
	if err != nil {
		return r.again(keyCrumbs("Change a key"), r.keyForm(*old), err)
	}
	return r.done("/keys", "Key "+k.Name+" is changed.")
}

func (r *request) key() (*inventory.Key, error) {
	i := slices.IndexFunc(r.state.Keys, func(k inventory.Key) bool { return k.ID == inventory.KeyID(r.c.Param("id")) })
	if i < 0 {
		return nil, fault.New(fault.NotFound, "not_found", "There is no such key.")
	}
	return &r.state.Keys[i], nil
}

func revokeForm(k *inventory.Key) *form {
	return &form{Title: "Revoke " + k.Name + "?", Intro: "The gateway refuses the key within two seconds, also while the ledger cannot write. It does not come back; make another.", Action: "/keys/" + string(k.ID) + "/revoke",
		Submit: "Revoke", Danger: true, Cancel: "/keys", Fields: []field{reasonField("Kept with the change")}}
}

func (r *request) revokeKeyPage() error {
	k, err := r.key()
	if err != nil {
		return err
	}
	return r.formPage(keyCrumbs("Revoke a key"), revokeForm(k))
}

func (r *request) revokeKey() error {
	k, err := r.key()
	if err != nil {
		return err
	}
	if err := r.web.d.Register.RevokeKey(r.ctx(), r.actor, k.ID, r.value("reason")); err != nil {
		return r.again(keyCrumbs("Revoke a key"), revokeForm(k), err)
	}
	return r.done("/keys", "Key "+k.Name+" is revoked.")
}
