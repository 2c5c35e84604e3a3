//! What every recorded or documented body in `fixtures/` is read as.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};

use risiti_providers::{
    Account, BodyFormat, Channel, Event, EventBody, Outcome, PaymentReport, ReversalReport,
    Unreadable, parse,
};

const SELLER: &str = "kL0psVL2admJSYRNs-OCMg==";

/// File and channel, then "kind | delivery key | what the event reports".
const EXPECTED: &[(&str, Channel, &str)] = &[
    (
        "daraja/stk_success_int_amount.json",
        Channel::DarajaStk,
        "stk | ws_CO_28092026101502118708374149:0 | succeeded UIS4000001 KES 1.00 254708374149 2026-09-28T07:15:29Z mobile_money",
    ),
    (
        "daraja/stk_success_float_amount.json",
        Channel::DarajaStk,
        "stk | ws_CO_280920261020192887:0 | succeeded UIS4000002 KES 1.00 254708374149 2026-09-28T07:20:41Z mobile_money",
    ),
    (
        "daraja/stk_success_float_one_decimal.json",
        Channel::DarajaStk,
        "stk | ws_CO_28092026102511904708374149:0 | succeeded UIS4000003 KES 1500.00 254708374149 2026-09-28T07:25:33Z mobile_money",
    ),
    (
        "daraja/stk_success_phone_float.json",
        Channel::DarajaStk,
        "stk | ws_CO_28092026103000001708374149:0 | succeeded UIS4000004 KES 250.00 254708374149 2026-09-28T07:30:22Z mobile_money",
    ),
    (
        "daraja/stk_success_missing_phone.json",
        Channel::DarajaStk,
        "stk | ws_CO_28092026103500002708374149:0 | succeeded UIS4000005 KES 99.00 - 2026-09-28T07:35:18Z mobile_money",
    ),
    (
        "daraja/stk_success_strings.json",
        Channel::DarajaStk,
        "stk | ws_CO_28092026103600003708374149:0 | succeeded UIS4000006 KES 99.00 0722XXXX89 2026-09-28T07:36:18Z mobile_money",
    ),
    (
        "daraja/stk_success_no_metadata.json",
        Channel::DarajaStk,
        "stk | ws_CO_28092026103700004708374149:0 | unknown (paid, but the message has no receipt) - - - - mobile_money",
    ),
    (
        "daraja/stk_cancelled_1032.json",
        Channel::DarajaStk,
        "stk | ws_CO_28092026104010111708374149:1032 | failed (1032: cancelled by the payer) - - - - mobile_money",
    ),
    (
        "daraja/stk_timeout_1037.json",
        Channel::DarajaStk,
        "stk | ws_CO_28092026104510112708374149:1037 | failed (1037: the phone was not reachable or did not answer) - - - - mobile_money",
    ),
    (
        "daraja/stk_insufficient_funds_1.json",
        Channel::DarajaStk,
        "stk | ws_CO_28092026105010113708374149:1 | failed (1: the payer's balance is too low) - - - - mobile_money",
    ),
    (
        "daraja/stk_expired_1019.json",
        Channel::DarajaStk,
        "stk | ws_CO_28092026105510114708374149:1019 | failed (1019: expired) - - - - mobile_money",
    ),
    (
        "daraja/stk_push_error_1025.json",
        Channel::DarajaStk,
        "stk | ws_CO_28092026105610115708374149:1025 | failed (1025: the prompt could not be sent) - - - - mobile_money",
    ),
    (
        "daraja/stk_wrong_pin_2001.json",
        Channel::DarajaStk,
        "stk | ws_CO_28092026110010116708374149:2001 | failed (2001: wrong PIN, or invalid initiator credentials) - - - - mobile_money",
    ),
    (
        "daraja/stk_system_error_9999.json",
        Channel::DarajaStk,
        "stk | ws_CO_28092026110110117708374149:9999 | unknown (9999: the prompt could not be sent, or its outcome is not known) - - - - mobile_money",
    ),
    (
        "daraja/stk_string_code_sfc_ic0003.json",
        Channel::DarajaStk,
        "stk | ws_CO_28092026110210118708374149:SFC_IC0003 | failed (SFC_IC0003: the receiver does not exist) - - - - mobile_money",
    ),
    (
        "daraja/stk_malformed_null_fields.json",
        Channel::DarajaStk,
        "Body.stkCallback.CheckoutRequestID: is missing, null or blank",
    ),
    // Answers of the query APIs are not webhooks.
    (
        "daraja/stk_query_success.json",
        Channel::DarajaStk,
        "Body: is missing, null or blank",
    ),
    (
        "daraja/stk_query_processing_4999.json",
        Channel::DarajaStk,
        "Body: is missing, null or blank",
    ),
    (
        "daraja/stk_query_cancelled_1032.json",
        Channel::DarajaStk,
        "Body: is missing, null or blank",
    ),
    (
        "daraja/stk_query_http500_no_answer.json",
        Channel::DarajaStk,
        "Body: is missing, null or blank",
    ),
    (
        "daraja/pull_query_response.json",
        Channel::DarajaC2bConfirmation,
        "TransID: is missing, null or blank",
    ),
    (
        "daraja/c2b_confirmation_v1.json",
        Channel::DarajaC2bConfirmation,
        "c2b_confirmation | confirmation:UIS5000001 | succeeded UIS5000001 KES 500.00 254708374149 2026-09-28T08:30:15Z mobile_money to 600000",
    ),
    (
        "daraja/c2b_confirmation_hashed_msisdn.json",
        Channel::DarajaC2bConfirmation,
        "c2b_confirmation | confirmation:UIS5000002 | succeeded UIS5000002 KES 500.00 bbff37cea44ac0b2d964ee0dfb8d2df8513dc7ba1b36129a929fc3fbd6dd4af4 2026-09-28T08:35:20Z mobile_money to 600000",
    ),
    (
        "daraja/c2b_confirmation_v2_masked.json",
        Channel::DarajaC2bConfirmation,
        "c2b_confirmation | confirmation:UIS5000003 | succeeded UIS5000003 KES 1250.00 2547 ***** 149 2026-09-28T08:40:01Z mobile_money to 600000",
    ),
    (
        "daraja/c2b_confirmation_till_masked_hash.json",
        Channel::DarajaC2bConfirmation,
        "c2b_confirmation | confirmation:UIS5000004 | succeeded UIS5000004 KES 80.00 bbff37cea44ac0b2d964ee0dfb8d2df851 ***** a1b36129a929fc3fbd6dd4af4 2026-09-28T08:45:12Z mobile_money to 600000",
    ),
    (
        "daraja/c2b_confirmation_org_to_org.json",
        Channel::DarajaC2bConfirmation,
        "c2b_confirmation | confirmation:UIS5000006 | succeeded UIS5000006 KES 100.00 - 2026-09-28T08:50:05Z mobile_money to 600000",
    ),
    (
        "daraja/c2b_confirmation_same_receipt_as_stk.json",
        Channel::DarajaC2bConfirmation,
        "c2b_confirmation | confirmation:UIS4000001 | succeeded UIS4000001 KES 1.00 bbff37cea44ac0b2d964ee0dfb8d2df8513dc7ba1b36129a929fc3fbd6dd4af4 2026-09-28T07:15:30Z mobile_money to 600000",
    ),
    (
        "daraja/c2b_validation.json",
        Channel::DarajaC2bValidation,
        "c2b_validation | validation:UIS5000003 | other (a question before the payment; no money has moved)",
    ),
    (
        "daraja/b2c_result_success.json",
        Channel::DarajaResult,
        "b2c_result | b2c_result:AG_20260928_2010000000000000a001 | other (a payout, not a sale)",
    ),
    (
        "daraja/b2c_result_failed_2001.json",
        Channel::DarajaResult,
        "other_result | other_result:AG_20260928_2010000000000000a002 | other (a result that moves no payment)",
    ),
    (
        "daraja/b2c_result_failed_insufficient_1.json",
        Channel::DarajaResult,
        "other_result | other_result:AG_20260928_2010000000000000a003 | other (a result that moves no payment)",
    ),
    (
        "daraja/reversal_result_success.json",
        Channel::DarajaResult,
        "reversal_result | reversal_result:AG_20260928_2010000000000000b001 | Done reversal:UIS4000001 of UIS4000001 KES 1.00 2026-09-28T10:27:11Z",
    ),
    (
        "daraja/reversal_result_failed_r000002.json",
        Channel::DarajaResult,
        "other_result | other_result:AG_20260928_2010000000000000b002 | other (a result that moves no payment)",
    ),
    (
        "daraja/transaction_status_result.json",
        Channel::DarajaResult,
        "status_result | status_result:AG_20260928_2010000000000000c001 | succeeded UIS4000001 KES 1.00 254708374149 2026-09-28T07:15:29Z mobile_money to 600000",
    ),
    (
        "daraja/account_balance_result_string_code.json",
        Channel::DarajaResult,
        "other_result | other_result:AG_20260928_2010000000000000d001 | other (a result that moves no payment)",
    ),
    (
        "daraja/queue_timeout_echo.json",
        Channel::DarajaTimeout,
        "queue_timeout | timeout:feb5e3f2-fbbc-4745-844c-ee37b546f627 | other (a request timed out; its outcome has to be queried)",
    ),
    (
        "paystack/charge.success_kes_mobile_money.json",
        Channel::Paystack,
        "charge.success | paystack:charge.success:order-000123-a1 | succeeded order-000123-a1 KES 1500.00 254710000000 2026-09-28T07:15:31Z mobile_money",
    ),
    (
        "paystack/charge.success_ngn_card.json",
        Channel::Paystack,
        "charge.success | paystack:charge.success:qTPrJoy9Bx01 | succeeded qTPrJoy9Bx01 NGN 10000.00 - 2026-09-28T09:00:05Z card",
    ),
    (
        "paystack/charge.success_utf8_metadata.json",
        Channel::Paystack,
        "charge.success | paystack:charge.success:ref-with=odd.chars-01 | succeeded ref-with=odd.chars-01 KES 50.00 254708374149 2026-09-28T09:10:05Z mobile_money",
    ),
    (
        "paystack/charge.failed.json",
        Channel::Paystack,
        "charge.failed | paystack:charge.failed:order-000124-a1 | failed (the charge failed) order-000124-a1 KES 1500.00 - 2026-09-28T07:20:02Z mobile_money",
    ),
    (
        "paystack/refund.pending.json",
        Channel::Paystack,
        "refund.pending | paystack:refund.pending:order-000123-a1::1500.00 | Pending refund:order-000123-a1::1500.00 of order-000123-a1 KES 1500.00 -",
    ),
    (
        "paystack/refund.processed.json",
        Channel::Paystack,
        "refund.processed | paystack:refund.processed:order-000123-a1:132013318360:1500.00 | Done refund:order-000123-a1:132013318360 of order-000123-a1 KES 1500.00 -",
    ),
    (
        "paystack/refund.failed.json",
        Channel::Paystack,
        "refund.failed | paystack:refund.failed:order-000123-a1:TRF_test000000099:1500.00 | Failed refund:order-000123-a1:TRF_test000000099 of order-000123-a1 KES 1500.00 -",
    ),
    (
        "paystack/charge.dispute.create.json",
        Channel::Paystack,
        "charge.dispute.create | paystack:charge.dispute.create:358950:awaiting-merchant-feedback | other (a dispute holds money and moves none)",
    ),
    (
        "paystack/charge.dispute.resolve.json",
        Channel::Paystack,
        "charge.dispute.resolve | paystack:charge.dispute.resolve:358950:resolved | Done dispute:358950 of qTPrJoy9Bx01 NGN 10000.00 2026-10-01T18:00:02Z",
    ),
    (
        "paystack/transfer.success.json",
        Channel::Paystack,
        "transfer.success | paystack:transfer.success:TRF_test000000001 | other (a payout, not a sale)",
    ),
    (
        "paystack/transfer.failed.json",
        Channel::Paystack,
        "transfer.failed | paystack:transfer.failed:TRF_test000000001 | other (a payout, not a sale)",
    ),
    (
        "paystack/transfer.reversed.json",
        Channel::Paystack,
        "transfer.reversed | paystack:transfer.reversed:TRF_test000000001 | other (a payout, not a sale)",
    ),
    (
        "gumroad/sale_ping.txt",
        Channel::Gumroad,
        "sale | sale:FO8TXN-dbxYaBdahG97Y-Q== | succeeded FO8TXN-dbxYaBdahG97Y-Q== USD 25.00 - 2026-09-28T08:14:05Z card",
    ),
    (
        "gumroad/sale_ping_retry.txt",
        Channel::Gumroad,
        "sale | sale:FO8TXN-dbxYaBdahG97Y-Q== | succeeded FO8TXN-dbxYaBdahG97Y-Q== USD 25.00 - 2026-09-28T08:14:05Z card",
    ),
    (
        "gumroad/sale_ping_raw_brackets.txt",
        Channel::Gumroad,
        "sale | sale:AbCdEf0123456789abcdef== | succeeded AbCdEf0123456789abcdef== USD 19.99 - 2026-09-28T08:14:05Z card",
    ),
    (
        "gumroad/test_ping.txt",
        Channel::Gumroad,
        "ping | ping:FO8TXN-dbxYaBdahG97Y-Q==:test | other (a test moves no money)",
    ),
    (
        "gumroad/refund_ping.txt",
        Channel::Gumroad,
        "refund | refund:FO8TXN-dbxYaBdahG97Y-Q==:refunded | Done refund:FO8TXN-dbxYaBdahG97Y-Q== of FO8TXN-dbxYaBdahG97Y-Q== whole sale -",
    ),
    (
        "gumroad/dispute_ping.txt",
        Channel::Gumroad,
        "dispute | dispute:FO8TXN-dbxYaBdahG97Y-Q==:disputed | Done dispute:FO8TXN-dbxYaBdahG97Y-Q== of FO8TXN-dbxYaBdahG97Y-Q== whole sale -",
    ),
    (
        "gumroad/subscription_ended_ping.txt",
        Channel::Gumroad,
        "subscription_ended | subscription_ended:H1nk6FcvKEUF6VQJxTtRgQ==:2026-09-28T08%3A20%3A00Z | other (an event that moves no payment)",
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn account(live: bool) -> Account {
    Account {
        gumroad_seller_id: Some(SELLER.to_owned()),
        paystack_live: Some(live),
    }
}

fn read_as(file: &str, account: &Account) -> Result<Event, Unreadable> {
    let (_, channel, _) = EXPECTED.iter().find(|(known, ..)| *known == file).unwrap();
    let format = if file.ends_with(".txt") {
        BodyFormat::Form
    } else {
        BodyFormat::Json
    };
    parse(
        *channel,
        format,
        &std::fs::read(root().join(file)).unwrap(),
        account,
    )
}

fn read(file: &str) -> Event {
    read_as(file, &account(false)).unwrap()
}

fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn describe_payment(report: &PaymentReport) -> String {
    let outcome = match &report.outcome {
        Outcome::Succeeded => "succeeded".to_owned(),
        Outcome::Failed { reason } => format!("failed ({reason})"),
        Outcome::Unknown { reason } => format!("unknown ({reason})"),
        Outcome::Unconfirmed { reason } => format!("unconfirmed ({reason})"),
    };
    let key = or_dash(report.money_key.as_ref());
    let amount = or_dash(report.amount);
    let phone = or_dash(report.phone.as_ref().map(|phone| phone.as_str()));
    let to = report
        .short_code
        .as_ref()
        .map(|code| format!(" to {code}"))
        .unwrap_or_default();
    format!(
        "{outcome} {key} {amount} {phone} {} {}{to}",
        or_dash(report.occurred_at),
        report.method
    )
}

fn describe_reversal(report: &ReversalReport) -> String {
    let amount = report
        .amount
        .map_or_else(|| "whole sale".to_owned(), |amount| amount.to_string());
    format!(
        "{:?} {} of {} {amount} {}",
        report.outcome,
        report.reversal_key,
        report.of_money_key,
        or_dash(report.occurred_at)
    )
}

fn describe(read: &Result<Event, Unreadable>) -> String {
    let event = match read {
        Ok(event) => event,
        Err(why) => return why.to_string(),
    };
    let report = match &event.body {
        EventBody::Payment(report) => describe_payment(report),
        EventBody::Reversal(report) => describe_reversal(report),
        EventBody::PaidAndReversed(paid, reversed) => {
            format!(
                "{}, {}",
                describe_payment(paid),
                describe_reversal(reversed)
            )
        }
        EventBody::Other { reason } => format!("other ({reason})"),
    };
    format!("{} | {} | {report}", event.kind, event.delivery_key)
}

#[test]
fn every_fixture_is_read_as_expected() {
    for (file, _, expected) in EXPECTED {
        assert_eq!(
            describe(&read_as(file, &account(false))),
            *expected,
            "{file}"
        );
    }
}

#[test]
fn every_fixture_has_an_expectation() {
    let mut found = 0;
    for provider in ["daraja", "paystack", "gumroad"] {
        for entry in std::fs::read_dir(root().join(provider)).unwrap() {
            let file = format!(
                "{provider}/{}",
                entry.unwrap().file_name().into_string().unwrap()
            );
            assert!(
                EXPECTED.iter().any(|(known, ..)| *known == file),
                "{file} has no expectation"
            );
            found += 1;
        }
    }
    assert_eq!(found, EXPECTED.len());
}

#[test]
fn every_provider_has_its_own_kind_of_receipt() {
    for (file, receipt) in [
        ("daraja/stk_success_int_amount.json", "UIS4000001"),
        ("daraja/c2b_confirmation_v1.json", "UIS5000001"),
        (
            "paystack/charge.success_kes_mobile_money.json",
            "order-000123-a1",
        ),
        ("gumroad/sale_ping.txt", "524459935"),
    ] {
        let EventBody::Payment(report) = read(file).body else {
            panic!("{file} is a payment")
        };
        assert_eq!(report.receipt.as_deref(), Some(receipt), "{file}");
    }
}

#[test]
fn stk_c2b_status_and_reversal_name_the_same_money() {
    // One payment is reported on three channels and then reversed.
    let stk = read("daraja/stk_success_int_amount.json");
    let c2b = read("daraja/c2b_confirmation_same_receipt_as_stk.json");
    let status = read("daraja/transaction_status_result.json");
    let reversal = read("daraja/reversal_result_success.json");
    let (
        EventBody::Payment(a),
        EventBody::Payment(b),
        EventBody::Payment(c),
        EventBody::Reversal(undo),
    ) = (&stk.body, &c2b.body, &status.body, &reversal.body)
    else {
        panic!("three payments and a reversal");
    };
    assert_eq!((&a.money_key, a.amount), (&b.money_key, b.amount));
    assert_eq!((&a.money_key, a.amount), (&c.money_key, c.amount));
    assert_eq!(a.money_key.as_ref(), Some(&undo.of_money_key));
    let mut keys = [&stk, &c2b, &status, &reversal].map(|event| &event.delivery_key);
    keys.sort_unstable();
    assert!(keys.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn gumroad_retry_has_the_same_key_and_facts() {
    let sale = read("gumroad/sale_ping.txt");
    let retry = read("gumroad/sale_ping_retry.txt");
    assert!(sale.delivery_key == retry.delivery_key);
    assert_eq!(sale.facts.digest(), retry.facts.digest());
    assert!(sale.delivery_key != read("gumroad/test_ping.txt").delivery_key);
}

#[test]
fn pending_and_processed_refund_name_the_same_money() {
    let pending = read("paystack/refund.pending.json");
    let processed = read("paystack/refund.processed.json");
    assert!(pending.delivery_key != processed.delivery_key);
    let (EventBody::Reversal(pending), EventBody::Reversal(processed)) =
        (pending.body, processed.body)
    else {
        panic!("two reversals");
    };
    assert_eq!(pending.of_money_key, processed.of_money_key);
    assert_eq!(pending.amount, processed.amount);
}

#[test]
fn test_charge_under_a_live_key_moves_no_money() {
    let file = "paystack/charge.success_ngn_card.json";
    let test = read_as(file, &account(true)).unwrap();
    assert_eq!(
        test.body,
        EventBody::Other {
            reason: "a test under a live key moves no money"
        }
    );
    assert!(test.delivery_key != read(file).delivery_key);
    let live = read_as(
        "paystack/charge.success_kes_mobile_money.json",
        &account(true),
    )
    .unwrap();
    assert!(matches!(live.body, EventBody::Payment(_)));
}

#[test]
fn sale_of_another_seller_moves_no_money() {
    let other = Account {
        gumroad_seller_id: Some("somebody".to_owned()),
        paystack_live: None,
    };
    for file in ["gumroad/sale_ping.txt", "gumroad/refund_ping.txt"] {
        let foreign = read_as(file, &other).unwrap();
        assert_eq!(
            foreign.body,
            EventBody::Other {
                reason: "a sale of another seller"
            }
        );
        assert!(foreign.delivery_key != read(file).delivery_key);
    }
}
