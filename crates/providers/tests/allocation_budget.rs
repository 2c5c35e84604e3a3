//! How many allocations one webhook costs on its pure path: verify, parse, digest of the money
//! facts, envelope. Each has a budget. Counts are the same on a busy machine and on an idle one.
//!
//! A change that allocates more fails here. One that allocates less lowers the budget.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::hint::black_box;

use allocation_counter::measure;
use risiti_domain::AuthenticatedBy;
use risiti_providers::{Account, BodyFormat, Channel, Envelope, parse, paystack, redact};

/// A usual webhook of each provider, and the most allocations it may cost.
const BUDGETS: &[(&str, Channel, BodyFormat, u64)] = &[
    (
        "daraja/stk_success_int_amount.json",
        Channel::DarajaStk,
        BodyFormat::Json,
        27,
    ),
    (
        "daraja/stk_cancelled_1032.json",
        Channel::DarajaStk,
        BodyFormat::Json,
        14,
    ),
    (
        "daraja/c2b_confirmation_v1.json",
        Channel::DarajaC2bConfirmation,
        BodyFormat::Json,
        18,
    ),
    (
        "paystack/charge.success_kes_mobile_money.json",
        Channel::Paystack,
        BodyFormat::Json,
        26,
    ),
    (
        "gumroad/sale_ping.txt",
        Channel::Gumroad,
        BodyFormat::Form,
        67,
    ),
];

/// The key that the Paystack fixtures are signed with, and the signature of the one above.
const PAYSTACK_KEY: &[u8] = b"sk_test_0000000000000000000000000000000000000000";
const SIGNATURE: &str = "d21fea24486bf72a34edcfa0167ca2bb749a57c40b8b44703b738e06f3df6e0b06591b7dd803d941078160d1b5d874dae28562981cb6faf11a686a5bb0f93940";

fn fixture(name: &str) -> Vec<u8> {
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    std::fs::read(fixtures.join(name)).unwrap()
}

/// What ingress computes between the last byte of a body and the publish.
fn pure_path(channel: Channel, format: BodyFormat, body: &[u8], account: Account) {
    if channel == Channel::Paystack {
        assert!(paystack::verify(body, SIGNATURE, PAYSTACK_KEY));
    }
    let body = redact(channel, body);
    let event = parse(channel, format, &body, &account).unwrap();
    black_box(event.facts.digest());
    let envelope = Envelope {
        event_id: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
        merchant_id: "01890a5d-ac96-774b-bcce-b302099a8058".parse().unwrap(),
        channel,
        format,
        kind: Some(event.kind),
        delivery_key: Some(event.delivery_key),
        authenticated_by: AuthenticatedBy::Path,
        credential: None,
        received_at: "2026-09-28T07:15:31.123456789Z".parse().unwrap(),
        traceparent: None,
        account,
        unreadable: None,
    };
    black_box(envelope.to_headers());
}

#[test]
fn pure_path_of_a_webhook_keeps_its_allocation_budget() {
    let mut report = String::new();
    let mut is_over_budget = false;
    for &(name, channel, format, budget) in BUDGETS {
        let body = fixture(name);
        // What is set up once in a process is not part of a webhook's cost.
        pure_path(channel, format, &body, Account::default());

        let cost = measure(|| pure_path(channel, format, &body, Account::default()));
        report += &format!(
            "{name}: {} allocations of {budget}, {} bytes\n",
            cost.count_total, cost.bytes_total
        );
        is_over_budget |= cost.count_total > budget;
    }
    eprintln!("{report}");
    assert!(!is_over_budget, "over budget:\n{report}");
}
