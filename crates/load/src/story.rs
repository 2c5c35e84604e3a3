//! What happens to one payment on a bad afternoon, told as messages, and what must be true afterwards.

use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::draw::Draw;
use crate::fleet::{Fleet, Merchant};
use crate::message::{Meaning, Message, Provider};

pub(crate) struct Story {
    pub(crate) expected: Expected,
    pub(crate) messages: Vec<Message>,
}

/// The payment, were all its messages to arrive.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(crate) struct Expected {
    pub(crate) story: u64,
    pub(crate) merchant: String,
    pub(crate) provider: Provider,
    pub(crate) money_key: String,
    pub(crate) checkout_id: Option<String>,
    pub(crate) receipt: String,
    #[serde(with = "rust_decimal::serde::str")]
    pub(crate) amount: Decimal,
    pub(crate) currency: String,
    /// Any of these may be stored, depending on who told first.
    pub(crate) phones: Vec<Option<String>>,
    /// Money that came owes a tax receipt.
    pub(crate) owes: bool,
    pub(crate) messages: Vec<Meaning>,
}

/// What all stories of one storm share.
pub(crate) struct Teller<'a> {
    pub(crate) fleet: &'a Fleet,
    pub(crate) seed: u64,
    /// Nothing happens after it: the tax authority files nothing dated in the future.
    pub(crate) now: Timestamp,
}

#[derive(Clone, Copy)]
pub(crate) enum Plot {
    Stk,
    StkAndTwin,
    StkFails,
    StkLate,
    StkUnclear,
    StkReturned,
    C2b,
    C2bOfNobody,
    C2bReturned,
    Payout,
    PayoutTimesOut,
    Paystack,
    PaystackAbroad,
    PaystackReturned,
    Gumroad,
    GumroadReturned,
}

const PLOTS: [(u32, Plot); 16] = [
    (32, Plot::Stk),
    (11, Plot::StkAndTwin),
    (9, Plot::StkFails),
    (6, Plot::StkLate),
    (2, Plot::StkUnclear),
    (4, Plot::StkReturned),
    (12, Plot::C2b),
    (1, Plot::C2bOfNobody),
    (2, Plot::C2bReturned),
    (1, Plot::Payout),
    (1, Plot::PayoutTimesOut),
    (10, Plot::Paystack),
    (2, Plot::PaystackAbroad),
    (3, Plot::PaystackReturned),
    (5, Plot::Gumroad),
    (1, Plot::GumroadReturned),
];

impl Teller<'_> {
    /// The same number always tells the same story.
    pub(crate) fn story(&self, number: u64) -> Story {
        let mut draw = Draw::new(self.seed, number);
        let (plot, merchant) = self.cast(&mut draw);
        let at = self.now - SignedDuration::from_secs(draw.number(120..=7200) as i64);
        let mut story = match plot {
            Plot::Paystack | Plot::PaystackAbroad | Plot::PaystackReturned => {
                self.paystack(&mut draw, number, merchant, at, plot)
            }
            Plot::Gumroad | Plot::GumroadReturned => {
                self.gumroad(&mut draw, number, merchant, at, plot)
            }
            _ => self.mpesa(&mut draw, number, merchant, at, plot),
        };
        for message in &mut story.messages {
            message.copies = draw.copies();
        }
        story.expected.messages = story
            .messages
            .iter()
            .map(|message| message.meaning.clone())
            .collect();
        story
    }

    /// A plot, and a merchant that has what it takes.
    fn cast(&self, draw: &mut Draw) -> (Plot, &Merchant) {
        loop {
            let (plot, merchant) = (draw.weighted(&PLOTS), draw.one(&self.fleet.merchants));
            let fits = match plot {
                Plot::Paystack | Plot::PaystackAbroad | Plot::PaystackReturned => {
                    !merchant.paystack_keys.is_empty()
                }
                Plot::Gumroad | Plot::GumroadReturned => merchant.gumroad_seller.is_some(),
                _ => !merchant.short_codes.is_empty(),
            };
            if fits {
                return (plot, merchant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Tells;
    use std::collections::BTreeSet;

    fn teller(fleet: &Fleet) -> Teller<'_> {
        Teller {
            fleet,
            seed: 11,
            now: "2026-11-23T12:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn the_same_number_tells_the_same_story() {
        let fleet = crate::fleet::tests::sample();
        for number in [0, 1, 99] {
            let (once, again) = (teller(&fleet).story(number), teller(&fleet).story(number));
            assert_eq!(once.expected, again.expected);
            let bodies = |story: &Story| -> Vec<Vec<u8>> {
                story
                    .messages
                    .iter()
                    .map(|message| message.request.body.clone())
                    .collect()
            };
            assert_eq!(bodies(&once), bodies(&again));
        }
    }

    #[test]
    fn no_two_messages_share_a_key() {
        let fleet = crate::fleet::tests::sample();
        let mut seen = BTreeSet::new();
        for number in 0..3000 {
            let story = teller(&fleet).story(number);
            for meaning in &story.expected.messages {
                let key = (
                    story.expected.merchant.clone(),
                    meaning.delivery_key.clone(),
                );
                assert!(
                    seen.insert(key),
                    "{meaning:?} of story {number} is not the only one"
                );
            }
        }
    }

    #[test]
    fn what_goes_back_is_never_more_than_what_came() {
        let fleet = crate::fleet::tests::sample();
        let mut whole = 0;
        for number in 0..3000 {
            let story = teller(&fleet).story(number).expected;
            let back: Decimal = story
                .messages
                .iter()
                .map(|meaning| match meaning.tells {
                    Tells::Returned(amount) => amount,
                    _ => Decimal::ZERO,
                })
                .sum();
            assert!(back <= story.amount, "{story:?}");
            whole += u32::from(back == story.amount);
        }
        assert!(whole > 50);
    }

    #[test]
    fn a_merchant_without_a_device_owes_nothing() {
        let fleet = crate::fleet::tests::sample();
        let stories = (0..500).map(|number| teller(&fleet).story(number).expected);
        let soko: Vec<Expected> = stories.filter(|story| story.merchant == "soko").collect();
        assert!(!soko.is_empty() && soko.iter().all(|story| !story.owes));
    }
}
