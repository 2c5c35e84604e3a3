//! What a single damaged byte costs: the name it stands in, and never the money.
//!
//! Daraja never sends a message again. The other two send again, but the same bytes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use risiti_providers::{Account, BodyFormat, Channel, Event, EventBody, Outcome, parse};

/// Bytes that break a JSON string: of Latin-1, of a character that is cut off, and raw controls.
const DAMAGES: &[&[u8]] = &[
    b"Jos\xe9",
    b"\xc3",
    b"\xff\xfe",
    b"a\tb",
    b"a\nb",
    b"\0",
    b"\x1b",
];

/// A fixture of a payment, the text in it that moves no money, and the channel.
const PAYMENTS: &[(&str, &str, Channel, BodyFormat)] = &[
    (
        "daraja/c2b_confirmation_v1.json",
        "PAYER",
        Channel::DarajaC2bConfirmation,
        BodyFormat::Json,
    ),
    (
        "daraja/stk_success_int_amount.json",
        "The service request is processed successfully.",
        Channel::DarajaStk,
        BodyFormat::Json,
    ),
    (
        "daraja/transaction_status_result.json",
        "Pay Bill Online",
        Channel::DarajaResult,
        BodyFormat::Json,
    ),
    (
        "paystack/charge.success_kes_mobile_money.json",
        "Approved",
        Channel::Paystack,
        BodyFormat::Json,
    ),
    (
        "gumroad/sale_ping.txt",
        "examplecourse",
        Channel::Gumroad,
        BodyFormat::Form,
    ),
];

fn fixture(name: &str) -> Vec<u8> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    std::fs::read(fixtures.join(name)).unwrap()
}

/// The body with the first `text` in it replaced.
fn replace(body: &[u8], text: &str, by: &[u8]) -> Vec<u8> {
    let at = body
        .windows(text.len())
        .position(|part| part == text.as_bytes())
        .unwrap_or_else(|| panic!("{text} is not in the fixture"));
    [&body[..at], by, &body[at + text.len()..]].concat()
}

fn read(channel: Channel, format: BodyFormat, body: &[u8]) -> Option<Event> {
    parse(channel, format, body, &Account::default()).ok()
}

fn is_paid(event: &Event) -> bool {
    matches!(&event.body, EventBody::Payment(report) if report.outcome == Outcome::Succeeded)
}

#[test]
fn damaged_byte_in_a_name_costs_the_name_and_not_the_money() {
    for &(name, text, channel, format) in PAYMENTS {
        let body = fixture(name);
        let whole = read(channel, format, &body).unwrap();
        assert!(is_paid(&whole), "{name}");

        for damage in DAMAGES {
            let damaged = read(channel, format, &replace(&body, text, damage));
            let damaged = damaged.unwrap_or_else(|| panic!("{name} with {damage:?} is lost"));
            assert_eq!(damaged.facts, whole.facts, "{name} {damage:?}");
            assert!(
                damaged.delivery_key == whole.delivery_key,
                "{name} {damage:?}"
            );
        }
    }
}

#[test]
fn byte_order_mark_in_front_is_forgiven() {
    for &(name, _, channel, format) in PAYMENTS {
        if format == BodyFormat::Json {
            let marked = [b"\xef\xbb\xbf", &fixture(name)[..]].concat();
            assert!(
                read(channel, format, &marked).is_some_and(|event| is_paid(&event)),
                "{name}"
            );
        }
    }
}

/// A damaged identifier could be another one. A damaged amount could be more or less.
#[test]
fn damaged_byte_in_a_money_fact_is_unreadable() {
    let body = fixture("daraja/c2b_confirmation_v1.json");
    for text in ["UIS5000001", "500.00", "600000"] {
        for damage in DAMAGES {
            let damaged = replace(&body, text, &[text.as_bytes(), damage].concat());
            let event = read(Channel::DarajaC2bConfirmation, BodyFormat::Json, &damaged);
            assert!(event.is_none(), "{text} {damage:?}");
        }
    }
}
