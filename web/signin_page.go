package web

import (
	"fmt"
	"strings"

	"plumbline/app/authz"
	"plumbline/app/fault"
	"plumbline/inventory"
)

type signInData struct {
	Email, Next, Error string
	First              bool // nobody has an account yet
}

func (r *request) signInPage() error {
	if r.account.ID != "" {
		return r.redirect(local(r.query("next"), "/"))
	}
	first, err := r.web.d.Register.FirstRun(r.ctx())
	if err != nil {
		return err
	}
	return r.ok("signin", page{Title: "Sign in", Bare: true}, signInData{Next: local(r.query("next"), ""), First: first})
}

func (r *request) signIn() error {
	account, err := r.authenticate(r.value("email"), r.c.FormValue("password"))
	if err == nil {
		err = r.enter(account)
	}
	if err == nil {
		return r.redirect(local(r.value("next"), "/"))
	}
	f := r.plain(err)
	if f.Kind == fault.Internal {
		return err
	}
	return r.render(f.Kind.Status(), "signin", page{Title: "Error: Sign in", Bare: true}, signInData{Email: r.value("email"), Next: local(r.value("next"), ""), Error: f.Message})
}

// authenticate finds the account of an address and its password. Failures are
// counted by account and by network, and passwords are hashed two at a time.
func (r *request) authenticate(email, password string) (inventory.Account, error) {
	email = strings.ToLower(strings.TrimSpace(email))
	prefix := addressPrefix(r.c.Request())
	if !r.web.attempts.allowed(email, prefix) {
		r.c.Response().Header().Set("Retry-After", fmt.Sprint(int(attemptWindow.Seconds())))
		return inventory.Account{}, fault.New(fault.RateLimited, "too_many_attempts", "Too many attempts. Wait a quarter of an hour, or ask an administrator for a sign-in link.")
	}
	select {
	case r.web.attempts.hashing <- struct{}{}:
		defer func() { <-r.web.attempts.hashing }()
	case <-r.ctx().Done():
		return inventory.Account{}, r.ctx().Err()
	}
	account, err := r.web.d.Register.Authenticate(r.ctx(), email, password)
	if fault.Is(err, fault.Unauthenticated) {
		r.web.attempts.failed(email, prefix)
		err = fault.New(fault.Unauthenticated, "wrong_sign_in", "The e-mail address or the password is not right.")
	}
	return account, err
}

// enter begins a session in the first organisation of an account.
func (r *request) enter(account inventory.Account) error {
	memberships := r.web.d.Register.Memberships(account.ID)
	if len(memberships) == 0 {
		return fault.New(fault.Forbidden, "no_organisation", "This account belongs to no organisation any more. An administrator can change that.")
	}
	return r.begin(account, memberships[0].Org)
}

type linkData struct {
	Token string
	First bool
	Name  string
}

// linkPage only shows a button: mail scanners and previews fetch links, and must
// not use them up.
func (r *request) linkPage() error {
	id, err := r.web.d.Register.CheckLink(r.ctx(), r.c.Param("token"))
	if err != nil {
		return linkFault(err)
	}
	data := linkData{Token: r.c.Param("token"), First: id == ""}
	if id != "" {
		account, err := r.web.d.Register.Account(r.ctx(), id)
		if err != nil {
			return err
		}
		data.Name = account.Name
	}
	return r.ok("link", page{Title: "Sign in with a link", Bare: true}, data)
}

// linkFault keeps an old link from looking like a page that needs a sign-in.
func linkFault(err error) error {
	if fault.Is(err, fault.Unauthenticated) {
		return fault.Wrap(fault.Forbidden, "link_used", err, "This link was used already or has expired. An administrator can make a new one.")
	}
	return err
}

func (r *request) redeemLink() error {
	id, err := r.web.d.Register.Redeem(r.ctx(), r.c.Param("token"))
	if err != nil {
		return linkFault(err)
	}
	if id == "" {
		if err := r.web.sessions.RenewToken(r.ctx()); err != nil {
			return err
		}
		r.web.sessions.Put(r.ctx(), keyFirstRun, true)
		return r.redirect("/first-run")
	}
	account, err := r.web.d.Register.Account(r.ctx(), id)
	if err != nil {
		return err
	}
	if err := r.enter(account); err != nil {
		return err
	}
	if !account.HasPassword {
		return r.done("/account", "You are signed in. Set a password now: the link works once.")
	}
	return r.redirect("/")
}

func (r *request) signOut() error {
	if err := r.web.sessions.Destroy(r.ctx()); err != nil {
		return err
	}
	return r.redirect("/signin")
}

func (r *request) switchOrg() error {
	org := inventory.OrgID(r.value("organisation"))
	if _, err := r.web.d.Register.Actor(org, r.account.ID); err != nil {
		return err
	}
	if err := r.begin(r.account, org); err != nil {
		return err
	}
	return r.redirect("/")
}

// firstRunActor is who made the first organisation and account.
const firstRunActor = "first-run"

// mayFirstRun holds the first run to a session that redeemed its link, as long as
// there is no account.
func (r *request) mayFirstRun() error {
	if !r.web.sessions.GetBool(r.ctx(), keyFirstRun) {
		return fault.New(fault.Forbidden, "first_run_link", "Open the one-time link that the server printed on its console when it started.")
	}
	first, err := r.web.d.Register.FirstRun(r.ctx())
	if err != nil {
		return err
	}
	if !first {
		return fault.New(fault.Conflict, "first_run_over", "There is an administrator already. Sign in, or ask for a link.")
	}
	return nil
}

func (r *request) firstRunForm() *form {
	f := &form{Title: "Welcome to Plumbline", Intro: "You came by the one-time link of this server. It is spent; what you set here makes you its first administrator.", Action: "/first-run", Submit: "Begin"}
	if orgs := r.web.d.Register.Orgs(); len(orgs) > 0 {
		choice := field{Name: "organisation", Label: "Organisation", Kind: "select", Hint: "As declared in the configuration file"}
		for _, o := range orgs {
			choice.Options = append(choice.Options, option{Value: string(o.ID), Label: o.Name})
		}
		f.Fields = append(f.Fields, choice)
	} else {
		f.Fields = append(f.Fields,
			field{Name: "organisation_name", Label: "Organisation", Hint: "As documents shall name it", Auto: "organization"},
			field{Name: "id", Label: "Short name of the organisation", Hint: "Small letters, digits and dashes. It names the ledger for ever.", Mono: true})
	}
	f.Fields = append(f.Fields,
		field{Name: "name", Label: "Your name", Auto: "name"},
		field{Name: "email", Label: "Your e-mail address", Kind: "email", Auto: "username"},
		field{Name: "password", Label: "Password", Kind: "password", Hint: "At least 12 characters. Length counts, signs do not.", Auto: "new-password"})
	return f
}

// firstRunPage is the form of the first account, and for whoever has one the way
// from there.
func (r *request) firstRunPage() error {
	if r.account.ID != "" {
		return r.firstStepsPage()
	}
	if err := r.mayFirstRun(); err != nil {
		return err
	}
	return r.formPage(page{Title: "First run", Bare: true}, r.firstRunForm())
}

func (r *request) firstRun() error {
	if err := r.mayFirstRun(); err != nil {
		return err
	}
	account, org, err := r.makeFirst()
	if err != nil {
		return r.again(page{Title: "First run", Bare: true}, r.firstRunForm(), err)
	}
	if err := r.begin(account, org); err != nil {
		return err
	}
	return r.done("/first-run", "You are the administrator of this organisation. The link is spent.")
}

// makeFirst makes the organisation, unless there is one, and its administrator.
func (r *request) makeFirst() (inventory.Account, inventory.OrgID, error) {
	reg, ctx := r.web.d.Register, r.ctx()
	// All that can be wrong with the entry is found before anything is made: an
	// organisation's short name is for ever.
	var wrong fault.Fields
	fresh, org := len(reg.Orgs()) == 0, inventory.Org{ID: inventory.OrgID(r.value("id")), Name: r.value("organisation_name")}
	if fresh {
		_ = wrong.Join(renamed(inventory.CheckOrg(org), "name", "organisation_name")) // what is wrong comes with the rest
	}
	if err := wrong.Join(inventory.CheckPerson(r.value("name"), r.value("email")), inventory.CheckPassword(r.c.FormValue("password"))); err != nil {
		return inventory.Account{}, "", err
	}
	actor := authz.Actor{ID: firstRunActor, Request: r.id}
	if fresh {
		actor.Org = org.ID
		if err := reg.CreateOrg(ctx, actor, org); err != nil {
			return inventory.Account{}, "", err
		}
	} else {
		actor.Org = inventory.OrgID(r.value("organisation"))
		if actor.Org == "" {
			actor.Org = reg.Orgs()[0].ID
		}
		if _, err := reg.State(actor.Org); err != nil {
			return inventory.Account{}, "", fault.Field("organisation", "choose one of the organisations")
		}
	}
	person, err := reg.AddAccount(ctx, actor, inventory.Person{Name: r.value("name"), Email: r.value("email"), Roles: []authz.Role{authz.Admin}})
	if err != nil {
		return inventory.Account{}, "", err
	}
	if err := reg.SetPassword(ctx, person.ID, r.c.FormValue("password")); err != nil {
		return inventory.Account{}, "", err
	}
	account, err := reg.Account(ctx, person.ID)
	return account, actor.Org, err
}
