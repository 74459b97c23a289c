package web

import (
	"slices"
	"strings"

	"plumbline/app/authz"
	"plumbline/app/fault"
	"plumbline/inventory"
)

func (r *request) accountForm() *form {
	f := &form{Title: "Password", Action: "/account/password", Submit: "Set password"}
	if r.account.HasPassword {
		f.Fields = append(f.Fields, field{Name: "old", Label: "Present password", Kind: "password", Auto: "current-password"})
	}
	f.Fields = append(f.Fields, field{Name: "password", Label: "New password", Kind: "password", Hint: "At least 12 characters. Your other sessions end.", Auto: "new-password"})
	return f
}

type accountData struct {
	Email       string
	Memberships []inventory.Person
	Form        *form
	Display     *form
}

func (r *request) accountPage() error {
	return r.ok("account", page{Title: "Your account", Crumbs: []crumb{{Title: "Your account"}}},
		accountData{r.account.Email, r.web.d.Register.Memberships(r.account.ID), r.accountForm(), r.displayForm()})
}

func (r *request) setPassword() error {
	err := r.changePassword()
	if err != nil {
		return r.again(page{Title: "Password", Crumbs: []crumb{{"Your account", "/account"}, {Title: "Password"}}}, r.accountForm(), err)
	}
	return r.done("/account", "The password is set. Other sessions of yours have ended.")
}

func (r *request) changePassword() error {
	reg, prefix := r.web.d.Register, addressPrefix(r.c.Request())
	if r.account.HasPassword {
		if !r.web.attempts.allowed(r.account.Email, prefix) {
			return fault.New(fault.RateLimited, "too_many_attempts", "Too many attempts. Wait a quarter of an hour.")
		}
		if _, err := reg.Authenticate(r.ctx(), r.account.Email, r.c.FormValue("old")); err != nil {
			if !fault.Is(err, fault.Unauthenticated) {
				return err
			}
			r.web.attempts.failed(r.account.Email, prefix)
			return fault.Field("old", "this is not your present password")
		}
	}
	if err := reg.SetPassword(r.ctx(), r.account.ID, r.c.FormValue("password")); err != nil {
		return err
	}
	account, err := reg.Account(r.ctx(), r.account.ID)
	if err != nil {
		return err
	}
	return r.begin(account, r.actor.Org)
}

func peopleCrumbs(title string) page {
	return page{Title: title, Nav: "people", Crumbs: []crumb{{"People", "/people"}, {Title: title}}}
}

type peopleData struct{ Members []inventory.Person }

func (r *request) peoplePage() error {
	return r.ok("people", page{Title: "People", Nav: "people", Crumbs: []crumb{{Title: "People"}}}, peopleData{r.state.Members})
}

var roleHints = []option{
	{"admin", "Admin", "everything, and who may do what"},
	{"compliance_officer", "Compliance officer", "register, controls, evidence, documents, budgets"},
	{"system_owner", "System owner", "registers systems and asks for approvals"},
	{"approver", "Approver", "decides on approvals, change requests and evidence"},
	{"auditor", "Auditor", "reads everything but people"},
	{"developer", "Developer", "reads systems; of keys, exchanges and budgets the own"},
}

func personForm() *form {
	return &form{Title: "Add a person", Intro: "The person gets a one-time sign-in link, good for 24 hours, that you hand over yourself. Nothing is mailed.", Action: "/people", Submit: "Add and make a link", Cancel: "/people",
		Fields: []field{{Name: "name", Label: "Name"}, {Name: "email", Label: "E-mail address", Kind: "email"}, {Name: "roles", Label: "Roles", Kind: "checks", Options: roleHints}}}
}

func (r *request) newPersonPage() error {
	return r.formPage(peopleCrumbs("Add a person"), personForm())
}

func (r *request) addPerson() error {
	p := inventory.Person{Name: r.value("name"), Email: r.value("email")}
	p.Roles = r.givenRoles()
	made, err := r.web.d.Register.AddAccount(r.ctx(), r.actor, p)
	if err != nil {
		return r.again(peopleCrumbs("Add a person"), personForm(), err)
	}
	return r.showLink(made)
}

// member finds a person of this organisation.
func (r *request) member() (inventory.Person, error) {
	i := slices.IndexFunc(r.state.Members, func(m inventory.Person) bool { return m.ID == r.c.Param("id") })
	if i < 0 {
		return inventory.Person{}, fault.New(fault.NotFound, "not_found", "There is no such person in this organisation.")
	}
	return r.state.Members[i], nil
}

func (r *request) personLink() error {
	p, err := r.member()
	if err != nil {
		return err
	}
	return r.showLink(p)
}

type onceData struct {
	Title, Intro, Secret, Back, BackTitle string
	Curl                                  string
}

func (r *request) showLink(p inventory.Person) error {
	link, err := r.signInLink(p)
	if err != nil {
		return err
	}
	if link == "" {
		return r.done("/people", p.Name+" is a member now, and signs in as in the other organisation.")
	}
	return r.ok("once", peopleCrumbs("Sign-in link"), onceData{Title: "Sign-in link for " + p.Name, Intro: "Hand it over yourself: whoever opens it acts as " + p.Name + ". It works once, for 24 hours, and is not shown again. That you made it is on record.",
		Secret: link, Back: "/people", BackTitle: "Back to people"})
}

// signInLink makes a person's one-time link. It is empty, and none is made, when the
// person is a member of an organisation too whose people the actor does not administer:
// a link signs in to every organisation of the account.
func (r *request) signInLink(p inventory.Person) (string, error) {
	for _, m := range r.web.d.Register.Memberships(p.ID) {
		if m.Org == r.actor.Org {
			continue
		}
		if a, err := r.web.d.Register.Actor(m.Org, r.account.ID); err != nil || !r.web.d.Enforcer.Can(a, "account", "write") {
			return "", nil
		}
	}
	token, err := r.web.d.Register.LinkFor(r.ctx(), r.actor, p.ID)
	if err != nil {
		return "", err
	}
	return r.base() + "/signin/link/" + token, nil
}

// base is where people reach the console.
func (r *request) base() string {
	if r.web.d.PublicURL != "" {
		return strings.TrimSuffix(r.web.d.PublicURL, "/")
	}
	return r.c.Scheme() + "://" + r.c.Request().Host
}

func rolesForm(p inventory.Person) *form {
	chosen := field{Name: "roles", Label: "Roles", Kind: "checks", Options: roleHints}
	for _, role := range p.Roles {
		chosen.Values = append(chosen.Values, string(role))
	}
	return &form{Title: "Roles of " + p.Name, Intro: "They count from the person's next request on. The change, and who made it, go on record.", Action: "/people/" + p.ID + "/roles", Submit: "Change the roles", Cancel: "/people",
		Facts: [][2]string{{"E-mail address", p.Email}}, Fields: []field{chosen, {Name: "reason", Label: "Reason", Kind: "textarea", Hint: "Kept with the change", Optional: true}}}
}

func (r *request) rolesPage() error {
	p, err := r.member()
	if err != nil {
		return err
	}
	return r.formPage(peopleCrumbs("Change roles"), rolesForm(p))
}

func (r *request) changeRoles() error {
	p, err := r.member()
	if err != nil {
		return err
	}
	if err := r.web.d.Register.SetRoles(r.ctx(), r.actor, p.ID, r.givenRoles(), r.value("reason")); err != nil {
		return r.again(peopleCrumbs("Change roles"), rolesForm(p), err)
	}
	if p.ID == r.account.ID {
		return r.done("/", "Your roles are changed.") // which may not list people any more
	}
	return r.done("/people", "The roles of "+p.Name+" are changed.")
}

func (r *request) givenRoles() (out []authz.Role) {
	for _, role := range r.c.Request().Form["roles"] {
		out = append(out, authz.Role(role))
	}
	return out
}

func (r *request) removePersonForm(p inventory.Person) *form {
	return &form{Title: "Remove " + p.Name + "?", Intro: "The person's session in this organisation ends with the next request. What was done under this account stays on record.", Action: "/people/" + p.ID + "/remove",
		Submit: "Remove", Danger: true, Cancel: "/people", Fields: []field{reasonField("Kept with the change")}}
}

func (r *request) removePersonPage() error {
	p, err := r.member()
	if err != nil {
		return err
	}
	return r.formPage(peopleCrumbs("Remove a person"), r.removePersonForm(p))
}

func (r *request) removePerson() error {
	p, err := r.member()
	if err != nil {
		return err
	}
	if err := r.removeMember(p, r.value("reason")); err != nil {
		return r.again(peopleCrumbs("Remove a person"), r.removePersonForm(p), err)
	}
	return r.done("/people", p.Name+" is no member any more.")
}

// removeMember ends a person's membership; nobody ends the own.
func (r *request) removeMember(p inventory.Person, reason string) error {
	if p.ID == r.account.ID {
		return fault.New(fault.Conflict, "yourself", "You cannot remove yourself; another administrator can.")
	}
	return r.web.d.Register.RemoveAccount(r.ctx(), r.actor, p.ID, reason)
}
