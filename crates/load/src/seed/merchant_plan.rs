//! Which providers and devices each merchant of the fleet has.

use std::collections::BTreeSet;

const NAMES: [&str; 12] = [
    "duka", "hoteli", "soko", "shamba", "kahawa", "dawa", "vitabu", "samaki", "boda", "mkate",
    "nguo", "maziwa",
];

/// What the merchant with this number has.
#[derive(Debug, PartialEq)]
pub(crate) struct MerchantPlan {
    pub(crate) number: u32,
    pub(crate) slug: String,
    /// How many short codes there are. Each has its own device, if the merchant has devices.
    pub(crate) short_codes: u32,
    pub(crate) has_devices: bool,
    pub(crate) paystack_keys: u32,
    pub(crate) has_gumroad: bool,
    /// Whether the merchant files at the gateway simulator, if there is one.
    pub(crate) prefers_gateway: bool,
}

impl MerchantPlan {
    pub(crate) fn of(number: u32) -> Self {
        let name = NAMES[number as usize % NAMES.len()];
        let round = number as usize / NAMES.len();
        Self {
            number,
            slug: if round == 0 {
                name.to_owned()
            } else {
                format!("{name}-{}", round + 1)
            },
            short_codes: if number == 1 { 2 } else { 1 },
            has_devices: number != 2,
            paystack_keys: match number {
                3 => 2,
                number => u32::from(number % 2 == 0),
            },
            has_gumroad: number.is_multiple_of(3) || number == 2,
            prefers_gateway: number % 4 == 1,
        }
    }

    /// The first plans of merchants that do not exist yet. The number decides short codes and PINs
    /// too, so a second seed beside the first clashes with none of them.
    pub(crate) fn beside(existing: &BTreeSet<String>, count: u32) -> Vec<Self> {
        (0..)
            .map(Self::of)
            .filter(|plan| !existing.contains(&plan.slug))
            .take(count as usize)
            .collect()
    }

    pub(crate) fn short_code(&self, at: u32) -> String {
        format!("{}", 600_000 + self.number * 10 + at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_seed_goes_on_after_the_first() {
        let first = MerchantPlan::beside(&BTreeSet::new(), 13);
        let existing = first.iter().map(|plan| plan.slug.clone()).collect();
        let second = MerchantPlan::beside(&existing, 2);
        let numbers: Vec<u32> = second.iter().map(|plan| plan.number).collect();
        assert_eq!(numbers, [13, 14]);
    }

    #[test]
    fn plans_are_unique_and_all_kinds_occur() {
        let plans: Vec<MerchantPlan> = (0..90).map(MerchantPlan::of).collect();
        let slugs: BTreeSet<&str> = plans.iter().map(|plan| plan.slug.as_str()).collect();
        assert_eq!(slugs.len(), 90);
        let codes: BTreeSet<String> = plans
            .iter()
            .flat_map(|plan| (0..plan.short_codes).map(|at| plan.short_code(at)))
            .collect();
        assert_eq!(codes.len(), 91);
        let first = &plans[..4];
        assert!(
            first
                .iter()
                .any(|plan| !plan.has_devices && plan.has_gumroad && plan.paystack_keys > 0)
        );
        assert!(first.iter().any(|plan| plan.short_codes == 2));
        assert!(first.iter().any(|plan| plan.paystack_keys == 2));
    }
}
