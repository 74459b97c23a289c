# Data residency: a high-risk system may only use providers in the European
# Union, and any system only the regions that the register declares for it.
package plumbline

high_risk := {"high_risk_annex_iii", "high_risk_annex_i"}

deny contains "outside_eu" if {
	input.system.risk_class in high_risk
	not startswith(input.provider.region, "eu")
}

deny contains "undeclared_region" if {
	count(input.system.regions) > 0
	not input.provider.region in input.system.regions
}
