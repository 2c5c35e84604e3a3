//! Generates the payments of a storm: a seed and a number become one payment and its messages.

use jiff::{SignedDuration, Timestamp};

use super::payment::GeneratedPayment;
use super::payment_messages::{self, Blueprint};
use super::scenario::{Scenario, WEIGHTED_SCENARIOS};
use crate::draw::Draw;
use crate::fleet::{Fleet, Merchant};

/// What all payments of one storm share.
pub(crate) struct PaymentGenerator<'a> {
    pub(crate) fleet: &'a Fleet,
    pub(crate) seed: u64,
    /// All payments are earlier, because the tax authority takes nothing dated in the future.
    pub(crate) now: Timestamp,
}

impl PaymentGenerator<'_> {
    /// Generates the same payment for the same number, apart from its time.
    pub(crate) fn payment(&self, number: u64) -> GeneratedPayment {
        let mut draw = Draw::new(self.seed, number);
        let (scenario, merchant) = self.draw_scenario(&mut draw);
        let at = self.now - SignedDuration::from_secs(draw.number(120..=7200) as i64);
        let blueprint = Blueprint {
            seed: self.seed,
            number,
            merchant,
            at,
            scenario,
        };

        let mut payment = match scenario {
            Scenario::Paystack | Scenario::PaystackForeign | Scenario::PaystackReturned => {
                payment_messages::paystack(&mut draw, &blueprint)
            }
            Scenario::Gumroad | Scenario::GumroadReturned => {
                payment_messages::gumroad(&mut draw, &blueprint)
            }
            _ => payment_messages::mpesa(&mut draw, &blueprint),
        };

        for message in &mut payment.messages {
            message.copies = draw.copies();
        }
        payment.expected.messages = payment
            .messages
            .iter()
            .map(|message| message.meaning.clone())
            .collect();
        payment
    }

    /// Draws until the merchant has what the scenario needs.
    fn draw_scenario(&self, draw: &mut Draw) -> (Scenario, &Merchant) {
        loop {
            let scenario = draw.weighted(&WEIGHTED_SCENARIOS);
            let merchant = draw.choose(&self.fleet.merchants);
            let fits = match scenario {
                Scenario::Paystack | Scenario::PaystackForeign | Scenario::PaystackReturned => {
                    !merchant.paystack_keys.is_empty()
                }
                Scenario::Gumroad | Scenario::GumroadReturned => merchant.gumroad_seller.is_some(),
                _ => !merchant.short_codes.is_empty(),
            };
            if fits {
                return (scenario, merchant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rust_decimal::Decimal;

    use super::*;
    use crate::fleet::tests::sample;
    use crate::traffic::message::Report;
    use crate::traffic::payment::ExpectedPayment;

    fn generator(fleet: &Fleet) -> PaymentGenerator<'_> {
        PaymentGenerator {
            fleet,
            seed: 11,
            now: "2026-11-23T12:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn same_number_makes_the_same_payment() {
        let fleet = sample();
        let bodies = |payment: &GeneratedPayment| -> Vec<Vec<u8>> {
            payment
                .messages
                .iter()
                .map(|message| message.request.body.clone())
                .collect()
        };
        for number in [0, 1, 99] {
            let once = generator(&fleet).payment(number);
            let again = generator(&fleet).payment(number);
            assert_eq!(once.expected, again.expected);
            assert_eq!(bodies(&once), bodies(&again));
        }
    }

    #[test]
    fn delivery_keys_are_unique() {
        let fleet = sample();
        let mut seen = BTreeSet::new();
        for number in 0..3000 {
            let payment = generator(&fleet).payment(number).expected;
            for meaning in &payment.messages {
                let key = (payment.merchant.clone(), meaning.delivery_key.clone());
                assert!(
                    seen.insert(key),
                    "{meaning:?} of payment {number} is not the only one"
                );
            }
        }
    }

    #[test]
    fn returned_money_never_exceeds_the_payment() {
        let fleet = sample();
        let mut returned_whole = 0;
        for number in 0..3000 {
            let payment = generator(&fleet).payment(number).expected;
            let returned: Decimal = payment
                .messages
                .iter()
                .map(|meaning| match meaning.reports {
                    Report::Returned(amount) => amount,
                    _ => Decimal::ZERO,
                })
                .sum();
            assert!(returned <= payment.amount, "{payment:?}");
            returned_whole += u32::from(returned == payment.amount);
        }
        assert!(returned_whole > 50);
    }

    #[test]
    fn merchant_without_a_device_owes_nothing() {
        let fleet = sample();
        let soko: Vec<ExpectedPayment> = (0..500)
            .map(|number| generator(&fleet).payment(number).expected)
            .filter(|payment| payment.merchant == "soko")
            .collect();
        assert!(!soko.is_empty() && soko.iter().all(|payment| !payment.owes));
    }
}
