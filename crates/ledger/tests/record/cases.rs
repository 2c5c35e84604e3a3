//! What comes of webhooks in which money goes back, or is none. The bodies follow bugs that people
//! in this trade reported in public.

use bytes::Bytes;
use risiti_ledger::{IncomingEvent, Recorded};
use risiti_providers::{Account, Channel};

use crate::fixture::{Fixture, Merchant};
use crate::provider_bodies::{fixture_body, incoming};

const CHANNEL: Channel = Channel::Paystack;

fn read(merchant: &Merchant, channel: Channel, body: Bytes) -> IncomingEvent {
    let account = Account {
        gumroad_seller_id: Some("SELLER".to_owned()),
        paystack_live: Some(false),
    };
    incoming(merchant, channel, body, &account)
}

fn case(merchant: &Merchant, channel: Channel, file: &str) -> IncomingEvent {
    read(
        merchant,
        channel,
        fixture_body(&format!("cases/{}/{file}", channel.provider())),
    )
}

async fn record(
    fixture: &Fixture,
    merchant: &Merchant,
    channel: Channel,
    files: &[&str],
) -> Vec<Recorded> {
    let mut recorded = Vec::new();
    for file in files {
        let event = case(merchant, channel, file);
        recorded.extend(fixture.record(&[event]).await);
    }
    recorded
}

/// Marks all invoices as filed.
async fn file_invoices(fixture: &Fixture) {
    fixture
        .client
        .batch_execute(
            "UPDATE invoices SET state = 'success', receipt_no = 1, first_sent_at = now(), moved_by = 'test',
                invoice_no = (SELECT count(*) FROM invoices o WHERE o.id <= invoices.id)
             WHERE state = 'pending'",
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn equal_partial_refunds_without_reference_are_two() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    let files = [
        "01a-paystack-charge.json",
        "01b-paystack-refund-first-300.json",
        "01c-paystack-refund-second-300.json",
        "01c-paystack-refund-second-300.json",
    ];
    record(&fixture, &merchant, CHANNEL, &files).await;
    assert_eq!(
        fixture.payments(&merchant).await,
        ["success bug01-order - 1000.00 KES"]
    );
    assert_eq!(
        fixture.invoices(&merchant).await,
        [
            "credit_note pending 300.00",
            "credit_note pending 300.00",
            "sale pending 1000.00"
        ]
    );
    let events = "SELECT count(*) FROM events WHERE merchant_id = $1";
    assert_eq!(fixture.number(events, &merchant).await, 3);
}

#[tokio::test]
async fn dispute_that_is_also_told_as_refund_counts_once() {
    let fixture = Fixture::new().await;
    for refund_first in [false, true] {
        let (merchant, _) = fixture.ordinary_merchant().await;
        let mut files = [
            "08b-paystack-dispute-resolved-300.json",
            "08c-paystack-refund-of-that-dispute-300.json",
        ];
        if refund_first {
            files.reverse();
        }
        record(&fixture, &merchant, CHANNEL, &["08a-paystack-charge.json"]).await;
        let recorded = record(&fixture, &merchant, CHANNEL, &files).await;
        assert!(!recorded[1].flagged);
        assert_eq!(
            fixture.payments(&merchant).await,
            ["success bug08-order - 1000.00 KES"]
        );
        assert_eq!(
            fixture.invoices(&merchant).await,
            ["credit_note pending 300.00", "sale pending 1000.00"]
        );
    }
}

/// Nothing links the refund to the dispute, so a person has to say whether they are one.
#[tokio::test]
async fn dispute_and_unlinked_equal_refund_are_flagged() {
    let fixture = Fixture::new().await;
    for refund_first in [false, true] {
        let (merchant, _) = fixture.ordinary_merchant().await;
        let refund = fixture_body("cases/paystack/08c-paystack-refund-of-that-dispute-300.json");
        let refund = String::from_utf8(refund.to_vec()).unwrap();
        let unlinked = refund.replace(r#","dispute":9200001"#, "");
        assert_ne!(unlinked, refund);
        let mut events = [
            case(&merchant, CHANNEL, "08b-paystack-dispute-resolved-300.json"),
            read(&merchant, CHANNEL, unlinked.into()),
        ];
        if refund_first {
            events.reverse();
        }
        record(&fixture, &merchant, CHANNEL, &["08a-paystack-charge.json"]).await;
        let recorded = fixture.record(&events).await;
        assert!(!recorded[0].flagged && recorded[1].flagged);
        assert_eq!(
            fixture.payments(&merchant).await,
            ["success bug08-order - 1000.00 KES flagged \
                 (a dispute and a refund of one amount may be the same money)"]
        );
        assert_eq!(
            fixture.invoices(&merchant).await,
            ["credit_note pending 300.00", "sale pending 1000.00"]
        );
    }
}

#[tokio::test]
async fn refund_that_fails_after_all_withdraws_its_note() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    let files = [
        "15a-paystack-charge.json",
        "15b-paystack-refund-processed.json",
        "15c-paystack-refund-failed-later.json",
    ];
    let recorded = record(&fixture, &merchant, CHANNEL, &files).await;
    assert!(!recorded[2].flagged);
    assert_eq!(
        fixture.payments(&merchant).await,
        ["success bug15-order - 1000.00 KES"]
    );
    assert_eq!(
        fixture.invoices(&merchant).await,
        ["credit_note discarded 400.00", "sale pending 1000.00"]
    );
}

#[tokio::test]
async fn refund_that_fails_after_its_note_was_filed_is_flagged() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    let files = [
        "15a-paystack-charge.json",
        "15b-paystack-refund-processed.json",
    ];
    record(&fixture, &merchant, CHANNEL, &files).await;
    file_invoices(&fixture).await;
    let failed = "15c-paystack-refund-failed-later.json";
    let recorded = record(&fixture, &merchant, CHANNEL, &[failed]).await;
    assert!(recorded[0].flagged);
    assert_eq!(
        fixture.payments(&merchant).await,
        ["success bug15-order - 1000.00 KES flagged \
             (money that had gone back came back after it was credited)"]
    );
    assert_eq!(
        fixture.invoices(&merchant).await,
        ["credit_note success 400.00", "sale success 1000.00"]
    );
}

/// A failure is final, so a refund that is told as done afterwards is credited by nobody's guess.
#[tokio::test]
async fn refund_told_as_failed_and_then_as_done_is_flagged() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    let files = [
        "15a-paystack-charge.json",
        "15c-paystack-refund-failed-later.json",
        "15b-paystack-refund-processed.json",
    ];
    let recorded = record(&fixture, &merchant, CHANNEL, &files).await;
    assert!(!recorded[1].flagged && recorded[2].flagged);
    assert_eq!(
        fixture.payments(&merchant).await,
        ["success bug15-order - 1000.00 KES flagged (a refund was told as failed and as done)"]
    );
    assert_eq!(fixture.invoices(&merchant).await, ["sale pending 1000.00"]);
}

#[tokio::test]
async fn start_of_a_free_trial_is_flagged_and_no_money() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    let files = [
        "02a-gumroad-free-trial-start.txt",
        "02b-gumroad-first-real-charge.txt",
    ];
    let recorded = record(&fixture, &merchant, Channel::Gumroad, &files).await;
    assert!(recorded[0].flagged && !recorded[1].flagged);
    assert_eq!(
        fixture.payments(&merchant).await,
        [
            "pending Trial0-start== - 10.00 USD flagged \
             (the first sale of a subscription may be the start of a free trial)",
            "success Trial1-charge== - 10.00 USD (owes no receipt: not in KES)"
        ]
    );
}

#[tokio::test]
async fn checkout_question_called_refunded_hides_no_refund() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    let files = [
        "03a-gumroad-sale.txt",
        "03b-gumroad-refund-custom-field-named-refunded.txt",
    ];
    record(&fixture, &merchant, Channel::Gumroad, &files).await;
    assert_eq!(
        fixture.payments(&merchant).await,
        ["reversed Custom-sale== - 25.00 USD (owes no receipt: not in KES)"]
    );
}

#[tokio::test]
async fn part_refunds_told_in_the_same_bytes_are_both_kept() {
    let fixture = Fixture::new().await;
    for sale_first in [true, false] {
        let (merchant, _) = fixture.ordinary_merchant().await;
        let mut files = [
            "17a-gumroad-sale.txt",
            "17b-gumroad-refund-part-1.txt",
            "17c-gumroad-refund-part-2-same-bytes.txt",
        ];
        if !sale_first {
            files.reverse();
        }
        record(&fixture, &merchant, Channel::Gumroad, &files).await;
        assert_eq!(
            fixture.payments(&merchant).await,
            ["success Part-sale== - 50.00 USD flagged \
                 (part of it went back, and the message does not say how much)"]
        );
        let flagged = "SELECT count(*) FROM events
            WHERE merchant_id = $1 AND kind = 'refund' AND conflict AND payment_id IS NOT NULL";
        assert_eq!(fixture.number(flagged, &merchant).await, 2, "{sale_first}");
    }
}

#[tokio::test]
async fn part_refund_that_the_queue_delivers_twice_is_one() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    let refund = case(&merchant, Channel::Gumroad, "17b-gumroad-refund-part-1.txt");
    fixture.record(&[refund.clone(), refund]).await;
    let events = "SELECT count(*) FROM events WHERE merchant_id = $1";
    assert_eq!(fixture.number(events, &merchant).await, 1);
}

#[tokio::test]
async fn resent_sale_that_was_reversed_is_no_fresh_money() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    let files = [
        "18a-gumroad-resent-sale-already-refunded.txt",
        "18b-gumroad-resent-sale-charged-back.txt",
    ];
    record(&fixture, &merchant, Channel::Gumroad, &files).await;
    let reason = "(owes no receipt: not in KES)";
    assert_eq!(
        fixture.payments(&merchant).await,
        [
            format!("reversed Resent-sale2== - 25.00 USD {reason}"),
            format!("reversed Resent-sale== - 25.00 USD {reason}")
        ]
    );
    let history = "SELECT string_agg(to_state, ' ' ORDER BY t.id) FROM transitions t
        JOIN payments p ON p.id = t.subject_id WHERE p.merchant_id = $1 AND money_key = 'Resent-sale=='";
    assert_eq!(
        fixture.lines(history, &merchant).await,
        ["pending success reversed"]
    );
}

#[tokio::test]
async fn amount_of_a_failed_attempt_binds_nobody() {
    let fixture = Fixture::new().await;
    for failed_first in [true, false] {
        let (merchant, _) = fixture.ordinary_merchant().await;
        let mut files = [
            "09a-paystack-charge-failed-1015.json",
            "09b-paystack-charge-success-1000.json",
        ];
        if !failed_first {
            files.reverse();
        }
        let recorded = record(&fixture, &merchant, CHANNEL, &files).await;
        assert!(recorded.iter().all(|recorded| !recorded.flagged));
        assert_eq!(
            fixture.payments(&merchant).await,
            ["success bug09-order - 1000.00 KES"]
        );
        assert_eq!(fixture.invoices(&merchant).await, ["sale pending 1000.00"]);
        let method = "SELECT method FROM payments WHERE merchant_id = $1";
        assert_eq!(fixture.lines(method, &merchant).await, ["mobile_money"]);
    }
}

#[tokio::test]
async fn failed_attempts_over_two_amounts_do_not_contradict() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    let failed = fixture_body("cases/paystack/09a-paystack-charge-failed-1015.json");
    let failed = String::from_utf8(failed.to_vec()).unwrap();
    let other = failed.replace("101500", "99900");
    assert_ne!(failed, other);
    let events = [failed, other].map(|body| read(&merchant, CHANNEL, body.into()));
    let recorded = fixture.record(&events).await;
    assert!(recorded.iter().all(|recorded| !recorded.flagged));
    assert_eq!(
        fixture.payments(&merchant).await,
        ["failed bug09-order - - (the charge failed)"]
    );
}
