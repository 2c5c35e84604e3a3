//! Real bodies, read by the real parser, and what several of them together become.

use bytes::Bytes;
use jiff::Timestamp;
use risiti_domain::{AuthenticatedBy, EventId};
use risiti_ledger::IncomingEvent;
use risiti_providers::{Account, BodyFormat, Channel, parse};
use uuid::Uuid;

use crate::fixture::{Fixture, Merchant};

fn provider_body(merchant: &Merchant, channel: Channel, file: &str) -> IncomingEvent {
    let body = fixture_body(&format!("{}/{file}", channel.provider()));
    incoming(merchant, channel, body, &Account::default())
}

/// The bytes of a file in the fixtures of `risiti-providers`.
pub(crate) fn fixture_body(file: &str) -> Bytes {
    let path = format!(
        "{}/../providers/fixtures/{file}",
        env!("CARGO_MANIFEST_DIR")
    );
    Bytes::from(std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}")))
}

/// The event that a body is read as.
pub(crate) fn incoming(
    merchant: &Merchant,
    channel: Channel,
    body: Bytes,
    account: &Account,
) -> IncomingEvent {
    let format = if channel == Channel::Gumroad {
        BodyFormat::Form
    } else {
        BodyFormat::Json
    };
    let id = EventId::from_uuid(Uuid::now_v7());
    let event = parse(channel, format, &body, account).unwrap();
    IncomingEvent {
        id,
        merchant: merchant.id,
        provider: channel.provider(),
        authenticated_by: AuthenticatedBy::Path,
        credential: None,
        trace_id: None,
        received_at: Timestamp::now(),
        event: event.delivered_as(id),
        body,
    }
}

#[tokio::test]
async fn stk_and_c2b_are_one_payment_and_the_reversal_undoes_it() {
    let fixture = Fixture::new().await;
    let merchant = fixture.merchant().await;
    let device = fixture.device(&merchant, true).await;
    fixture.short_code(&merchant, "600000", Some(device)).await;
    let (stk, c2b) = (Channel::DarajaStk, Channel::DarajaC2bConfirmation);
    fixture
        .record(&[
            provider_body(
                &merchant,
                Channel::DarajaResult,
                "reversal_result_success.json",
            ),
            provider_body(&merchant, stk, "stk_success_int_amount.json"),
            provider_body(&merchant, c2b, "c2b_confirmation_same_receipt_as_stk.json"),
        ])
        .await;
    let payments = fixture.payments(&merchant).await;
    assert!(
        payments.len() == 1 && payments[0].starts_with("reversed UIS4000001 "),
        "{payments:?}"
    );
    assert!(!payments[0].contains("flagged"), "{payments:?}");
    assert_eq!(
        fixture.invoices(&merchant).await,
        ["credit_note pending 1.00", "sale pending 1.00"]
    );
}

#[tokio::test]
async fn a_gumroad_retry_is_a_duplicate_and_a_test_ping_no_money() {
    let fixture = Fixture::new().await;
    let merchant = fixture.merchant().await;
    fixture.device(&merchant, true).await;
    let files = ["test_ping.txt", "sale_ping.txt", "sale_ping_retry.txt"];
    fixture
        .record(&files.map(|file| provider_body(&merchant, Channel::Gumroad, file)))
        .await;
    let payments = fixture.payments(&merchant).await;
    assert!(
        payments.len() == 1 && payments[0].starts_with("success "),
        "{payments:?}"
    );
    assert!(payments[0].contains("USD") && fixture.invoices(&merchant).await.is_empty());
    assert_eq!(
        fixture
            .number(
                "SELECT count(*) FROM events WHERE merchant_id = $1",
                &merchant
            )
            .await,
        2
    );
    assert_eq!(
        fixture
            .number(
                "SELECT sum(duplicates)::bigint FROM events WHERE merchant_id = $1",
                &merchant
            )
            .await,
        1
    );
}

#[tokio::test]
async fn a_pending_and_a_processed_refund_are_one_refund() {
    let fixture = Fixture::new().await;
    let merchant = fixture.merchant().await;
    fixture.device(&merchant, true).await;
    let files = [
        "refund.pending.json",
        "charge.success_kes_mobile_money.json",
        "refund.processed.json",
    ];
    fixture
        .record(&files.map(|file| provider_body(&merchant, Channel::Paystack, file)))
        .await;
    assert_eq!(fixture.payments(&merchant).await.len(), 1);
    let invoices = fixture.invoices(&merchant).await;
    assert_eq!(
        invoices
            .iter()
            .filter(|line| line.starts_with("credit_note"))
            .count(),
        1,
        "{invoices:?}"
    );
}
