//! Real bodies, read by the real parser: what several of them together come to.

use bytes::Bytes;
use jiff::Timestamp;
use risiti_domain::{AuthenticatedBy, EventId};
use risiti_ledger::IncomingEvent;
use risiti_providers::{Account, BodyFormat, Channel, parse};
use uuid::Uuid;

use crate::kit::{Kit, Merchant};

fn fixture(merchant: &Merchant, channel: Channel, file: &str) -> IncomingEvent {
    let path = format!(
        "{}/../providers/fixtures/{}/{file}",
        env!("CARGO_MANIFEST_DIR"),
        channel.provider()
    );
    let body = Bytes::from(std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}")));
    let format = if file.ends_with(".txt") {
        BodyFormat::Form
    } else {
        BodyFormat::Json
    };
    IncomingEvent {
        id: EventId::from_uuid(Uuid::now_v7()),
        merchant: merchant.id,
        provider: channel.provider(),
        authenticated_by: AuthenticatedBy::Path,
        trace_id: None,
        received_at: Timestamp::now(),
        event: parse(channel, format, &body, &Account::default()).unwrap(),
        body,
    }
}

#[tokio::test]
async fn stk_and_c2b_are_one_payment_and_the_reversal_undoes_it() {
    let kit = Kit::new().await;
    let merchant = kit.merchant().await;
    let device = kit.device(&merchant, true).await;
    kit.short_code(&merchant, "600000", Some(device)).await;
    let (stk, c2b) = (Channel::DarajaStk, Channel::DarajaC2bConfirmation);
    kit.tell(&[
        fixture(
            &merchant,
            Channel::DarajaResult,
            "reversal_result_success.json",
        ),
        fixture(&merchant, stk, "stk_success_int_amount.json"),
        fixture(&merchant, c2b, "c2b_confirmation_same_receipt_as_stk.json"),
    ])
    .await;
    let payments = kit.payments(&merchant).await;
    assert!(
        payments.len() == 1 && payments[0].starts_with("reversed UIS4000001 "),
        "{payments:?}"
    );
    assert!(!payments[0].contains("flagged"), "{payments:?}");
    assert_eq!(
        kit.invoices(&merchant).await,
        ["credit_note pending 1.00", "sale pending 1.00"]
    );
}

#[tokio::test]
async fn a_gumroad_retry_is_a_duplicate_and_a_test_ping_no_money() {
    let kit = Kit::new().await;
    let merchant = kit.merchant().await;
    kit.device(&merchant, true).await;
    let files = ["test_ping.txt", "sale_ping.txt", "sale_ping_retry.txt"];
    kit.tell(&files.map(|file| fixture(&merchant, Channel::Gumroad, file)))
        .await;
    let payments = kit.payments(&merchant).await;
    assert!(
        payments.len() == 1 && payments[0].starts_with("success "),
        "{payments:?}"
    );
    assert!(payments[0].contains("USD") && kit.invoices(&merchant).await.is_empty());
    assert_eq!(
        kit.number(
            "SELECT count(*) FROM events WHERE merchant_id = $1",
            &merchant
        )
        .await,
        2
    );
    assert_eq!(
        kit.number(
            "SELECT sum(duplicates)::bigint FROM events WHERE merchant_id = $1",
            &merchant
        )
        .await,
        1
    );
}

#[tokio::test]
async fn a_pending_and_a_processed_refund_are_one_refund() {
    let kit = Kit::new().await;
    let merchant = kit.merchant().await;
    kit.device(&merchant, true).await;
    let files = [
        "refund.pending.json",
        "charge.success_kes_mobile_money.json",
        "refund.processed.json",
    ];
    kit.tell(&files.map(|file| fixture(&merchant, Channel::Paystack, file)))
        .await;
    assert_eq!(kit.payments(&merchant).await.len(), 1);
    let invoices = kit.invoices(&merchant).await;
    assert_eq!(
        invoices
            .iter()
            .filter(|line| line.starts_with("credit_note"))
            .count(),
        1,
        "{invoices:?}"
    );
}
