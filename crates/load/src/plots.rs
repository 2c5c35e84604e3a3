//! How each plot goes: the messages of one payment.

use jiff::Timestamp;
use rust_decimal::Decimal;

use crate::daraja::{self, Mpesa};
use crate::draw::Draw;
use crate::fleet::Merchant;
use crate::gumroad::Sale;
use crate::message::{Message, Provider, Tells};
use crate::paystack::Charge;
use crate::spelling::{self, Phone};
use crate::story::{Expected, Plot, Story, Teller};

impl Teller<'_> {
    pub(crate) fn mpesa(
        &self,
        draw: &mut Draw,
        number: u64,
        merchant: &Merchant,
        at: Timestamp,
        plot: Plot,
    ) -> Story {
        let phone = spelling::phone_number(draw);
        let payment = Mpesa {
            merchant,
            checkout_id: daraja::checkout_id(draw, number, at, &phone),
            receipt: daraja::receipt(self.seed, number),
            amount: spelling::shillings(draw),
            at,
            phone,
        };
        let (stk, c2b) = (
            spelling::stk_phone(draw, &payment.phone),
            spelling::c2b_phone(draw, &payment.phone),
        );
        let messages = mpesa_messages(draw, &payment, (&stk, &c2b), plot);
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
            ..expected(
                number,
                merchant,
                Provider::Daraja,
                payment.receipt,
                payment.amount,
            )
        };
        Story { expected, messages }
    }

    pub(crate) fn paystack(
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
        let mut expected = expected(
            number,
            merchant,
            Provider::Paystack,
            charge.reference.clone(),
            charge.amount,
        );
        expected.currency = charge.currency.to_owned();
        expected.owes &= charge.currency == "KES";
        expected.phones = vec![Some(charge.phone)];
        Story { expected, messages }
    }

    pub(crate) fn gumroad(
        &self,
        draw: &mut Draw,
        number: u64,
        merchant: &Merchant,
        at: Timestamp,
        plot: Plot,
    ) -> Story {
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
        let mut expected = expected(
            number,
            merchant,
            Provider::Gumroad,
            sale.sale_id,
            sale.amount,
        );
        expected.receipt = sale.order_number;
        expected.currency = "USD".to_owned();
        expected.owes = false;
        expected.phones = vec![None];
        Story { expected, messages }
    }
}

/// `phones` are the payer's, as a callback and as a confirmation spell them.
fn mpesa_messages(
    draw: &mut Draw,
    payment: &Mpesa<'_>,
    phones: (&Phone, &Phone),
    plot: Plot,
) -> Vec<Message> {
    let (stk, c2b) = phones;
    let short_code = draw.one(&payment.merchant.short_codes).clone();
    match plot {
        Plot::StkAndTwin => vec![
            payment.stk_success(draw, stk),
            payment.c2b_confirmation(draw, &short_code, c2b, Tells::Confirmed),
        ],
        Plot::StkFails => vec![payment.stk_failure(draw)],
        Plot::StkLate => {
            let mut messages = vec![payment.stk_timeout(), payment.stk_success(draw, stk)];
            if draw.percent(40) {
                messages.push(payment.c2b_confirmation(draw, &short_code, c2b, Tells::Confirmed));
            }
            messages
        }
        Plot::StkUnclear if draw.percent(50) => vec![payment.stk_system_error()],
        Plot::StkUnclear => vec![payment.stk_without_metadata()],
        Plot::StkReturned => {
            let back = whole_or_part(draw, payment.amount);
            vec![payment.stk_success(draw, stk), payment.reversal(draw, back)]
        }
        Plot::C2b => vec![
            payment.c2b_validation(draw, &short_code, c2b),
            payment.c2b_confirmation(draw, &short_code, c2b, Tells::Confirmed),
        ],
        Plot::C2bReturned => {
            let back = whole_or_part(draw, payment.amount);
            vec![
                payment.c2b_confirmation(draw, &short_code, c2b, Tells::Confirmed),
                payment.reversal(draw, back),
            ]
        }
        Plot::C2bOfNobody => vec![payment.c2b_confirmation(draw, "999999", c2b, Tells::Unclear)],
        Plot::Payout => vec![payment.payout(draw)],
        Plot::PayoutTimesOut => vec![payment.payout_timeout(draw), payment.payout_failure()],
        _ => vec![payment.stk_success(draw, stk)],
    }
}

/// A payment in shillings whose receipt is its key.
fn expected(
    story: u64,
    merchant: &Merchant,
    provider: Provider,
    key: String,
    amount: Decimal,
) -> Expected {
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
    if draw.percent(60) {
        total
    } else {
        third(total)
    }
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
