# The policy of an organisation that enforces none of its own. What the register
# demands (registration, approval, suspension) is enforced before policy is
# asked; this adds what the AI Act forbids outright, and keeps secrets from
# leaving.
package plumbline

# Art. 5 of the EU AI Act: a prohibited practice gets no model.
deny contains "prohibited_practice" if input.system.risk_class == "prohibited"

# A key of any kind in a prompt stays here.
deny contains "secret_in_prompt" if {
	input.phase == "after"
	some class in input.found
	secret(class)
}

secret(class) if endswith(class, "_key")

secret(class) if endswith(class, "_token")

secret("jwt")
