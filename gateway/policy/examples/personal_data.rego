# Personal data: payment data never leaves, and personal data of any kind goes to
# named vendors only. Run it in shadow mode first: the decisions that it would
# have made are on record.
package plumbline

vendors_with_agreement := {"mistral", "simulated"}

deny contains "payment_data" if {
	input.phase == "after"
	some class in input.found
	class in {"card", "iban"}
}

deny contains "no_processing_agreement" if {
	input.phase == "after"
	count(input.found) > 0
	not input.provider.vendor in vendors_with_agreement
}
