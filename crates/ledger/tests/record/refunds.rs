//! Reversals that come before and after their sale, of parts of it and of all of it.

use risiti_domain::InvoiceId;
use risiti_ledger::{IncomingEvent, OperatorAction};
use risiti_providers::ReversalOutcome::{Done, Failed, Pending, Undone};

use crate::fixture::{Fixture, Merchant};

const ALL_STATES: &str = "SELECT concat_ws(' ', reversal_key, state, credited::text) FROM reversals WHERE merchant_id = $1 ORDER BY 1";

fn paid(merchant: &Merchant) -> IncomingEvent {
    merchant.stk("ws_CO_1", 0, Some("UIS1"), "100")
}

#[tokio::test]
async fn a_refund_finds_its_sale_in_either_order_and_in_one_batch() {
    let fixture = Fixture::new().await;
    for order in ["sale first", "refund first", "one batch"] {
        let (merchant, _) = fixture.ordinary_merchant().await;
        let sale = paid(&merchant);
        let refund = merchant.reversal("r1", "UIS1", None, Done);
        match order {
            "sale first" => drop(fixture.record(&[sale, refund]).await),
            "refund first" => drop(fixture.record(&[refund, sale]).await),
            _ => drop(fixture.ledger.record_batch(&[refund, sale]).await.unwrap()),
        }
        assert_eq!(
            fixture.payments(&merchant).await,
            ["reversed UIS1 ws_CO_1 100.00 KES"],
            "{order}"
        );
        assert_eq!(
            fixture.invoices(&merchant).await,
            ["credit_note pending 100.00", "sale pending 100.00"]
        );
        let linked =
            "SELECT count(*) FROM events WHERE merchant_id = $1 AND payment_id IS NOT NULL";
        assert_eq!(fixture.number(linked, &merchant).await, 2, "{order}");
    }
}

#[tokio::test]
async fn waiting_refund_follows_a_folded_payment() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    let code = fixture.code_of(&merchant).await;
    fixture
        .record(&[
            merchant.reversal("r1", "UIS1", Some("40"), Done),
            merchant.stk("ws_CO_1", 1037, None, ""),
            merchant.c2b("UIS1", "100", &code),
            paid(&merchant),
        ])
        .await;
    assert_eq!(
        fixture.payments(&merchant).await,
        ["success UIS1 ws_CO_1 100.00 KES"]
    );
    assert_eq!(
        fixture.invoices(&merchant).await,
        ["credit_note pending 40.00", "sale pending 100.00"]
    );
}

#[tokio::test]
async fn parts_add_up_and_the_last_one_reverses_the_sale() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    fixture
        .record(&[
            paid(&merchant),
            merchant.reversal("r1", "UIS1", Some("30"), Done),
        ])
        .await;
    assert_eq!(
        fixture.payments(&merchant).await,
        ["success UIS1 ws_CO_1 100.00 KES"]
    );
    fixture
        .record(&[merchant.reversal("r2", "UIS1", Some("70"), Done)])
        .await;
    assert_eq!(
        fixture.payments(&merchant).await,
        ["reversed UIS1 ws_CO_1 100.00 KES"]
    );
    assert_eq!(
        fixture.invoices(&merchant).await,
        [
            "credit_note pending 30.00",
            "credit_note pending 70.00",
            "sale pending 100.00"
        ]
    );
}

#[tokio::test]
async fn credit_notes_never_exceed_the_sale() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    let events = [
        paid(&merchant),
        merchant.reversal("r1", "UIS1", Some("60"), Done),
        merchant.reversal("r2", "UIS1", Some("60"), Done),
    ];
    let recorded = fixture.record(&events).await;
    assert!(recorded[2].flagged);
    assert_eq!(
        fixture.payments(&merchant).await,
        ["success UIS1 ws_CO_1 100.00 KES flagged (more money went back than the sale was)"]
    );
    assert_eq!(
        fixture.lines(ALL_STATES, &merchant).await,
        ["r1 applied 60.00", "r2 excess"]
    );
    assert_eq!(
        fixture.invoices(&merchant).await,
        ["credit_note pending 60.00", "sale pending 100.00"]
    );
}

#[tokio::test]
async fn a_whole_reversal_beside_a_part_takes_what_is_left() {
    let fixture = Fixture::new().await;
    for whole_first in [false, true] {
        let (merchant, _) = fixture.ordinary_merchant().await;
        let part = merchant.reversal("r1", "UIS1", Some("30"), Done);
        let whole = merchant.reversal("r2", "UIS1", None, Done);
        let refunds = if whole_first {
            [whole, part]
        } else {
            [part, whole]
        };
        fixture.record(&[paid(&merchant)]).await;
        fixture.record(&refunds).await;
        assert_eq!(
            fixture.payments(&merchant).await,
            ["reversed UIS1 ws_CO_1 100.00 KES"]
        );
        let credited = "SELECT sum(amount)::bigint FROM invoices WHERE merchant_id = $1 AND kind = 'credit_note'";
        assert_eq!(fixture.number(credited, &merchant).await, 100);
    }
}

#[tokio::test]
async fn pending_or_failed_refund_moves_nothing() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    let refund = |outcome| merchant.reversal("r1", "UIS1", Some("30"), outcome);
    fixture
        .record(&[
            paid(&merchant),
            refund(Pending),
            refund(Failed),
            refund(Pending),
        ])
        .await;
    assert_eq!(
        fixture.payments(&merchant).await,
        ["success UIS1 ws_CO_1 100.00 KES"]
    );
    assert_eq!(fixture.lines(ALL_STATES, &merchant).await, ["r1 failed"]);
    assert_eq!(fixture.invoices(&merchant).await, ["sale pending 100.00"]);
}

#[tokio::test]
async fn announced_and_done_refund_is_one_refund() {
    let fixture = Fixture::new().await;
    for done_first in [false, true] {
        let (merchant, _) = fixture.ordinary_merchant().await;
        let mut refund =
            [Pending, Done].map(|outcome| merchant.reversal("r1", "UIS1", Some("30"), outcome));
        if done_first {
            refund.reverse();
        }
        fixture.record(&[paid(&merchant)]).await;
        fixture.record(&refund).await;
        assert_eq!(
            fixture.lines(ALL_STATES, &merchant).await,
            ["r1 applied 30.00"],
            "{done_first}"
        );
        assert_eq!(
            fixture.invoices(&merchant).await,
            ["credit_note pending 30.00", "sale pending 100.00"]
        );
    }
}

#[tokio::test]
async fn dispute_won_withdraws_an_unsent_credit_note() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    let dispute = |outcome| merchant.reversal("d1", "UIS1", Some("30"), outcome);
    fixture
        .record(&[
            paid(&merchant),
            dispute(Done),
            dispute(Undone),
            dispute(Done),
        ])
        .await;
    assert_eq!(
        fixture.payments(&merchant).await,
        ["success UIS1 ws_CO_1 100.00 KES"]
    );
    assert_eq!(fixture.lines(ALL_STATES, &merchant).await, ["d1 undone"]);
    assert_eq!(
        fixture.invoices(&merchant).await,
        ["credit_note discarded 30.00", "sale pending 100.00"]
    );
}

#[tokio::test]
async fn dispute_won_after_full_credit_is_flagged() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    let dispute = |outcome| merchant.reversal("d1", "UIS1", None, outcome);
    let recorded = fixture
        .record(&[paid(&merchant), dispute(Done), dispute(Undone)])
        .await;
    assert!(recorded[2].flagged);
    assert_eq!(
        fixture.payments(&merchant).await,
        [
            "reversed UIS1 ws_CO_1 100.00 KES flagged (money that had gone back came back after it was credited)"
        ]
    );
}

#[tokio::test]
async fn dispute_won_before_it_is_reported_undoes_it() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    let dispute = |outcome| merchant.reversal("d1", "UIS1", None, outcome);
    fixture
        .record(&[dispute(Undone), paid(&merchant), dispute(Done)])
        .await;
    assert_eq!(
        fixture.payments(&merchant).await,
        ["success UIS1 ws_CO_1 100.00 KES"]
    );
    assert_eq!(fixture.invoices(&merchant).await, ["sale pending 100.00"]);
}

#[tokio::test]
async fn a_discarded_sales_credit_note_starts_discarded() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    fixture.record(&[paid(&merchant)]).await;
    fixture
        .client
        .execute(
            "UPDATE invoices SET state = 'discarded', moved_by = 'test'",
            &[],
        )
        .await
        .unwrap();
    let recorded = fixture
        .record(&[merchant.reversal("r1", "UIS1", None, Done)])
        .await;
    assert!(recorded[0].wake.is_empty());
    assert_eq!(
        fixture.invoices(&merchant).await,
        ["credit_note discarded 100.00", "sale discarded 100.00"]
    );
}

#[tokio::test]
async fn withdrawn_credit_note_stays_discarded_with_replayed_sale() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    let dispute = |outcome| merchant.reversal("d1", "UIS1", Some("30"), outcome);
    fixture.record(&[paid(&merchant)]).await;
    fixture
        .client
        .execute(
            "UPDATE invoices SET state = 'discarded', moved_by = 'test'",
            &[],
        )
        .await
        .unwrap();
    fixture.record(&[dispute(Done), dispute(Undone)]).await;
    let sale = fixture
        .client
        .query_one("SELECT id FROM invoices WHERE kind = 'sale'", &[])
        .await
        .unwrap()
        .get(0);
    let action = OperatorAction {
        operator: "test".to_owned(),
        reason: "it was right".to_owned(),
    };
    fixture
        .by_hand()
        .replay_invoice(InvoiceId::from_uuid(sale), &action)
        .await
        .unwrap();
    assert_eq!(
        fixture.invoices(&merchant).await,
        ["credit_note discarded 30.00", "sale pending 100.00"]
    );
}

#[tokio::test]
async fn a_filed_sales_credit_note_wakes_the_lane() {
    let fixture = Fixture::new().await;
    let (merchant, device) = fixture.ordinary_merchant().await;
    fixture.record(&[paid(&merchant)]).await;
    fixture.client
        .execute(
            "UPDATE invoices SET state = 'success', invoice_no = 1, receipt_no = 1, moved_by = 'test'",
            &[],
        )
        .await
        .unwrap();
    let recorded = fixture
        .record(&[merchant.reversal("r1", "UIS1", None, Done)])
        .await;
    assert_eq!(recorded[0].wake, [device]);
}

/// The credit note of a dispute that was won later was filed, so its part of the sale is taken.
#[tokio::test]
async fn filed_note_of_returned_money_still_counts() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    let dispute = |outcome| merchant.reversal("d1", "UIS1", Some("60"), outcome);
    fixture.record(&[paid(&merchant), dispute(Done)]).await;
    fixture
        .client
        .batch_execute(
            "UPDATE invoices SET state = 'success', receipt_no = 1, first_sent_at = now(), moved_by = 'test',
                invoice_no = CASE kind WHEN 'sale' THEN 1 ELSE 2 END",
        )
        .await
        .unwrap();
    let refund = merchant.reversal("r2", "UIS1", Some("60"), Done);
    let recorded = fixture.record(&[dispute(Undone), refund]).await;
    assert!(recorded[0].flagged && recorded[1].flagged);
    assert_eq!(
        fixture.lines(ALL_STATES, &merchant).await,
        ["d1 undone 60.00", "r2 excess"]
    );
    assert_eq!(
        fixture.invoices(&merchant).await,
        ["credit_note success 60.00", "sale success 100.00"]
    );

    // What fits beside it is credited, and the sale is not reversed by money that is here.
    let rest = merchant.reversal("r3", "UIS1", Some("40"), Done);
    fixture.record(&[rest]).await;
    let payments = fixture.payments(&merchant).await;
    assert!(payments[0].starts_with("success "), "{payments:?}");
    assert_eq!(
        fixture.invoices(&merchant).await,
        [
            "credit_note pending 40.00",
            "credit_note success 60.00",
            "sale success 100.00"
        ]
    );
}
