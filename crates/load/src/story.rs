//! What happens to one payment on a bad afternoon, told as messages, and what must be true afterwards.

use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::daraja::{self, Mpesa};
use crate::draw::Draw;
use crate::fleet::{Fleet, Merchant};
use crate::gumroad::Sale;
use crate::message::{Meaning, Message, Provider, Tells};
use crate::paystack::Charge;
use crate::spelling;

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
enum Plot {
    Stk,
    StkAndTwin,
    StkFails,
    StkLate,
    StkUnclear,
    StkReturned,
    C2b,
    C2bOfNobody,
    C2bReturned,
    Paystack,
    PaystackAbroad,
    PaystackReturned,
    Gumroad,
    GumroadReturned,
}

const PLOTS: [(u32, Plot); 14] = [
    (32, Plot::Stk),
    (11, Plot::StkAndTwin),
    (9, Plot::StkFails),
    (6, Plot::StkLate),
    (2, Plot::StkUnclear),
    (4, Plot::StkReturned),
    (12, Plot::C2b),
    (1, Plot::C2bOfNobody),
    (2, Plot::C2bReturned),
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
            Plot::Gumroad | Plot::GumroadReturned => self.gumroad(&mut draw, number, merchant, at, plot),
            _ => self.mpesa(&mut draw, number, merchant, at, plot),
        };
        for message in &mut story.messages {
            message.copies = draw.copies();
        }
        story.expected.messages = story.messages.iter().map(|message| message.meaning.clone()).collect();
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

    fn mpesa(&self, draw: &mut Draw, number: u64, merchant: &Merchant, at: Timestamp, plot: Plot) -> Story {
        let phone = spelling::phone_number(draw);
        let payment = Mpesa {
            merchant,
            checkout_id: daraja::checkout_id(draw, number, at, &phone),
            receipt: daraja::receipt(self.seed, number),
            amount: spelling::shillings(draw),
            at,
            phone,
        };
        let (stk, c2b) =
            (spelling::stk_phone(draw, &payment.phone), spelling::c2b_phone(draw, &payment.phone));
        let short_code = draw.one(&merchant.short_codes).clone();
        let messages = match plot {
            Plot::Stk => vec![payment.stk_success(draw, &stk)],
            Plot::StkAndTwin => vec![
                payment.stk_success(draw, &stk),
                payment.c2b_confirmation(draw, &short_code, &c2b, Tells::Confirmed),
            ],
            Plot::StkFails => vec![payment.stk_failure(draw)],
            Plot::StkLate => {
                let mut messages = vec![payment.stk_timeout(), payment.stk_success(draw, &stk)];
                if draw.percent(40) {
                    messages.push(payment.c2b_confirmation(draw, &short_code, &c2b, Tells::Confirmed));
                }
                messages
            }
            Plot::StkUnclear if draw.percent(50) => vec![payment.stk_system_error()],
            Plot::StkUnclear => vec![payment.stk_without_metadata()],
            Plot::StkReturned => {
                let back = whole_or_part(draw, payment.amount);
                vec![payment.stk_success(draw, &stk), payment.reversal(draw, back)]
            }
            Plot::C2bOfNobody => vec![payment.c2b_confirmation(draw, "999999", &c2b, Tells::Unclear)],
            _ => {
                let mut messages = vec![
                    payment.c2b_validation(draw, &short_code, &c2b),
                    payment.c2b_confirmation(draw, &short_code, &c2b, Tells::Confirmed),
                ];
                if matches!(plot, Plot::C2bReturned) {
                    let back = whole_or_part(draw, payment.amount);
                    messages.push(payment.reversal(draw, back));
                }
                messages
            }
        };
        let has_checkout = messages.iter().any(|message| message.meaning.kind == "stk");
        let mut phones = Vec::new();
        for message in &messages {
            match message.meaning.kind.as_str() {
                "stk" if message.meaning.tells == Tells::Paid => phones.push(stk.stored.clone()),
                "c2b_confirmation" => phones.push(c2b.stored.clone()),
                _ => {}
            }
        }
        let expected = Expected {
            checkout_id: has_checkout.then_some(payment.checkout_id),
            phones,
            ..expected(number, merchant, Provider::Daraja, payment.receipt, payment.amount)
        };
        Story { expected, messages }
    }

    fn paystack(
        &self,
        draw: &mut Draw,
        number: u64,
        merchant: &Merchant,
        at: Timestamp,
        plot: Plot,
    ) -> Story {
        let charge = Charge {
            merchant,
            reference: format!("order-{:04}-{number:08}", self.seed % 10_000),
            amount: spelling::shillings(draw),
            currency: if matches!(plot, Plot::PaystackAbroad) {
                draw.one::<&str>(&["NGN", "USD"])
            } else {
                "KES"
            },
            at,
            phone: spelling::phone_number(draw),
        };
        let mut messages = vec![charge.success(draw)];
        if matches!(plot, Plot::PaystackReturned) {
            messages.extend(refunds(draw, &charge));
        }
        if draw.percent(5) {
            messages.push(charge.test_mode(draw));
        }
        let mut expected =
            expected(number, merchant, Provider::Paystack, charge.reference.clone(), charge.amount);
        expected.currency = charge.currency.to_owned();
        expected.owes &= charge.currency == "KES";
        expected.phones = vec![Some(charge.phone)];
        Story { expected, messages }
    }

    fn gumroad(&self, draw: &mut Draw, number: u64, merchant: &Merchant, at: Timestamp, plot: Plot) -> Story {
        let sale = Sale {
            merchant,
            sale_id: format!("{}-{:04}-{number:08}==", draw.hex(8), self.seed % 10_000),
            order_number: format!("{}", 500_000_000 + number),
            amount: Decimal::new(draw.number(99..=49_900) as i64, 2),
            at,
        };
        let mut messages = vec![sale.sale(draw)];
        if matches!(plot, Plot::GumroadReturned) {
            messages.push(sale.refund(draw));
        }
        if draw.percent(10) {
            messages.push(sale.test_ping(draw));
        }
        if draw.percent(5) {
            messages.push(sale.foreign(draw));
        }
        let mut expected = expected(number, merchant, Provider::Gumroad, sale.sale_id, sale.amount);
        expected.receipt = sale.order_number;
        expected.currency = "USD".to_owned();
        expected.owes = false;
        expected.phones = vec![None];
        Story { expected, messages }
    }
}

/// A payment in shillings whose receipt is its key.
fn expected(story: u64, merchant: &Merchant, provider: Provider, key: String, amount: Decimal) -> Expected {
    Expected {
        story,
        merchant: merchant.slug.clone(),
        provider,
        checkout_id: None,
        receipt: key.clone(),
        money_key: key,
        amount,
        currency: "KES".to_owned(),
        phones: Vec::new(),
        owes: !merchant.devices.is_empty(),
        messages: Vec::new(),
    }
}

/// All of it, or a part.
fn whole_or_part(draw: &mut Draw, total: Decimal) -> Decimal {
    if draw.percent(60) { total } else { third(total) }
}

/// Not half: two pending refunds of one amount are one message to whoever reads them.
fn third(total: Decimal) -> Decimal {
    (total / Decimal::from(3)).round_dp(2)
}

/// At once, or in two parts. M-Pesa knows no second part: it reverses a transaction once.
fn refunds(draw: &mut Draw, charge: &Charge<'_>) -> Vec<Message> {
    if draw.percent(60) {
        let amount = whole_or_part(draw, charge.amount);
        return charge.refund(draw, 1, amount).into();
    }
    let first = third(charge.amount);
    let mut messages: Vec<Message> = charge.refund(draw, 1, first).into();
    messages.extend(charge.refund(draw, 2, charge.amount - first));
    messages
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn teller(fleet: &Fleet) -> Teller<'_> {
        Teller { fleet, seed: 11, now: "2026-11-23T12:00:00Z".parse().unwrap() }
    }

    #[test]
    fn the_same_number_tells_the_same_story() {
        let fleet = crate::fleet::tests::sample();
        for number in [0, 1, 99] {
            let (once, again) = (teller(&fleet).story(number), teller(&fleet).story(number));
            assert_eq!(once.expected, again.expected);
            let bodies = |story: &Story| -> Vec<Vec<u8>> {
                story.messages.iter().map(|message| message.request.body.clone()).collect()
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
                let key = (story.expected.merchant.clone(), meaning.delivery_key.clone());
                assert!(seen.insert(key), "{meaning:?} of story {number} is not the only one");
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
