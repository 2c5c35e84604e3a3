//! The messages of one payment, by its scenario.

use jiff::Timestamp;
use rust_decimal::Decimal;

use super::daraja::{self, Mpesa};
use super::formats::{self, Phone};
use super::gumroad::Sale;
use super::message::{Message, Provider, Report};
use super::payment::{ExpectedPayment, GeneratedPayment};
use super::paystack::Charge;
use super::scenario::Scenario;
use crate::draw::Draw;
use crate::fleet::Merchant;

/// What is decided of a payment before its messages are made.
pub(crate) struct Blueprint<'a> {
    pub(crate) seed: u64,
    pub(crate) number: u64,
    pub(crate) merchant: &'a Merchant,
    pub(crate) at: Timestamp,
    pub(crate) scenario: Scenario,
}

pub(crate) fn mpesa(draw: &mut Draw, blueprint: &Blueprint<'_>) -> GeneratedPayment {
    let Blueprint { number, at, .. } = *blueprint;
    let phone = formats::phone_number(draw);
    let payment = Mpesa {
        merchant: blueprint.merchant,
        checkout_id: daraja::checkout_id(draw, number, at, &phone),
        receipt: daraja::receipt(blueprint.seed, number),
        amount: formats::shillings(draw),
        at,
        phone,
    };

    let stk_phone = formats::stk_phone(draw, &payment.phone);
    let c2b_phone = formats::c2b_phone(draw, &payment.phone);
    let messages = mpesa_messages(draw, &payment, &stk_phone, &c2b_phone, blueprint.scenario);

    let has_checkout = messages.iter().any(|message| message.meaning.kind == "stk");
    let mut phones = Vec::new();
    for message in &messages {
        match message.meaning.kind.as_str() {
            "stk" if message.meaning.reports == Report::Paid => {
                phones.push(stk_phone.stored.clone());
            }
            "c2b_confirmation" => phones.push(c2b_phone.stored.clone()),
            _ => {}
        }
    }

    let expected = ExpectedPayment {
        checkout_id: has_checkout.then_some(payment.checkout_id),
        phones,
        ..expected(blueprint, Provider::Daraja, payment.receipt, payment.amount)
    };
    GeneratedPayment { expected, messages }
}

pub(crate) fn paystack(draw: &mut Draw, blueprint: &Blueprint<'_>) -> GeneratedPayment {
    let Blueprint { seed, number, .. } = *blueprint;
    let charge = Charge {
        merchant: blueprint.merchant,
        reference: format!("order-{:04}-{number:08}", seed % 10_000),
        amount: formats::shillings(draw),
        currency: if matches!(blueprint.scenario, Scenario::PaystackForeign) {
            draw.choose::<&str>(&["NGN", "USD"])
        } else {
            "KES"
        },
        at: blueprint.at,
        phone: formats::phone_number(draw),
    };

    let mut messages = vec![charge.success(draw)];
    if matches!(blueprint.scenario, Scenario::PaystackReturned) {
        messages.extend(refunds(draw, &charge));
    }
    if draw.percent(5) {
        messages.push(charge.test_mode(draw));
    }

    let mut expected = expected(
        blueprint,
        Provider::Paystack,
        charge.reference.clone(),
        charge.amount,
    );
    expected.currency = charge.currency.to_owned();
    expected.owes &= charge.currency == "KES";
    expected.phones = vec![Some(charge.phone)];
    GeneratedPayment { expected, messages }
}

pub(crate) fn gumroad(draw: &mut Draw, blueprint: &Blueprint<'_>) -> GeneratedPayment {
    let Blueprint { seed, number, .. } = *blueprint;
    let sale = Sale {
        merchant: blueprint.merchant,
        sale_id: format!("{}-{:04}-{number:08}==", draw.hex(8), seed % 10_000),
        order_number: format!("{}", 500_000_000 + number),
        amount: Decimal::new(draw.number(99..=49_900) as i64, 2),
        at: blueprint.at,
    };

    let mut messages = vec![sale.sale(draw)];
    if matches!(blueprint.scenario, Scenario::GumroadReturned) {
        messages.push(sale.refund(draw));
    }
    if draw.percent(10) {
        messages.push(sale.test_ping(draw));
    }
    if draw.percent(5) {
        messages.push(sale.other_seller(draw));
    }

    let mut expected = expected(blueprint, Provider::Gumroad, sale.sale_id, sale.amount);
    expected.receipt = sale.order_number;
    expected.currency = "USD".to_owned();
    expected.owes = false;
    expected.phones = vec![None];
    GeneratedPayment { expected, messages }
}

/// `stk_phone` and `c2b_phone` are the payer's phone, as a callback and as a confirmation write it.
fn mpesa_messages(
    draw: &mut Draw,
    payment: &Mpesa<'_>,
    stk_phone: &Phone,
    c2b_phone: &Phone,
    scenario: Scenario,
) -> Vec<Message> {
    let short_code = draw.choose(&payment.merchant.short_codes).clone();
    let confirmation =
        |draw: &mut Draw| payment.c2b_confirmation(draw, &short_code, c2b_phone, Report::Confirmed);

    match scenario {
        Scenario::StkConfirmed => {
            vec![payment.stk_success(draw, stk_phone), confirmation(draw)]
        }
        Scenario::StkFailed => vec![payment.stk_failure(draw)],
        Scenario::StkPaidLate => {
            let mut messages = vec![payment.stk_timeout(), payment.stk_success(draw, stk_phone)];
            if draw.percent(40) {
                messages.push(confirmation(draw));
            }
            messages
        }
        Scenario::StkUnclear if draw.percent(50) => vec![payment.stk_system_error()],
        Scenario::StkUnclear => vec![payment.stk_without_metadata()],
        Scenario::StkReturned => {
            let returned = whole_or_part(draw, payment.amount);
            vec![
                payment.stk_success(draw, stk_phone),
                payment.reversal(draw, returned),
            ]
        }
        Scenario::C2b => vec![
            payment.c2b_validation(draw, &short_code, c2b_phone),
            confirmation(draw),
        ],
        Scenario::C2bReturned => {
            let returned = whole_or_part(draw, payment.amount);
            vec![confirmation(draw), payment.reversal(draw, returned)]
        }
        Scenario::C2bUnknownShortCode => {
            vec![payment.c2b_confirmation(draw, "999999", c2b_phone, Report::Unclear)]
        }
        Scenario::Payout => vec![payment.payout(draw)],
        Scenario::PayoutTimedOut => vec![payment.payout_timeout(draw), payment.payout_failure()],
        _ => vec![payment.stk_success(draw, stk_phone)],
    }
}

/// A payment in shillings whose receipt is its money key.
fn expected(
    blueprint: &Blueprint<'_>,
    provider: Provider,
    money_key: String,
    amount: Decimal,
) -> ExpectedPayment {
    ExpectedPayment {
        number: blueprint.number,
        merchant: blueprint.merchant.slug.clone(),
        provider,
        checkout_id: None,
        receipt: money_key.clone(),
        money_key,
        amount,
        currency: "KES".to_owned(),
        phones: Vec::new(),
        owes: !blueprint.merchant.devices.is_empty(),
        messages: Vec::new(),
    }
}

fn whole_or_part(draw: &mut Draw, total: Decimal) -> Decimal {
    if draw.percent(60) {
        total
    } else {
        third(total)
    }
}

/// A part that is not half. Two pending refunds of one amount have the same delivery key.
fn third(total: Decimal) -> Decimal {
    (total / Decimal::from(3)).round_dp(2)
}

/// One refund, or two that return the whole amount. M-Pesa has no second part, because it reverses
/// a transaction once.
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
