//! Money going back, before and after it came, in parts and whole.

use risiti_domain::InvoiceId;
use risiti_ledger::OperatorAction;
use risiti_providers::ReversalOutcome::{Done, Failed, Pending, Undone};

use crate::kit::{Kit, Merchant};

const ALL_STATES: &str = "SELECT concat_ws(' ', reversal_key, state, credited::text) FROM reversals WHERE merchant_id = $1 ORDER BY 1";

fn paid(merchant: &Merchant) -> risiti_ledger::IncomingEvent {
    merchant.stk("ws_CO_1", 0, Some("UIS1"), "100")
}

#[tokio::test]
async fn a_refund_finds_its_sale_in_either_order_and_in_one_batch() {
    let kit = Kit::new().await;
    for order in ["sale first", "refund first", "one batch"] {
        let (merchant, _) = kit.ordinary_merchant().await;
        let (sale, refund) = (paid(&merchant), merchant.reversal("r1", "UIS1", None, Done));
        match order {
            "sale first" => drop(kit.tell(&[sale, refund]).await),
            "refund first" => drop(kit.tell(&[refund, sale]).await),
            _ => drop(kit.ledger.record_batch(&[refund, sale]).await.unwrap()),
        }
        assert_eq!(
            kit.payments(&merchant).await,
            ["reversed UIS1 ws_CO_1 100.00 KES"],
            "{order}"
        );
        assert_eq!(
            kit.invoices(&merchant).await,
            ["credit_note pending 100.00", "sale pending 100.00"]
        );
        let linked =
            "SELECT count(*) FROM events WHERE merchant_id = $1 AND payment_id IS NOT NULL";
        assert_eq!(kit.number(linked, &merchant).await, 2, "{order}");
    }
}

#[tokio::test]
async fn a_refund_that_waits_follows_the_payment_that_others_are_folded_into() {
    let kit = Kit::new().await;
    let (merchant, _) = kit.ordinary_merchant().await;
    let code = kit.code_of(&merchant).await;
    kit.tell(&[
        merchant.reversal("r1", "UIS1", Some("40"), Done),
        merchant.stk("ws_CO_1", 1037, None, ""),
        merchant.c2b("UIS1", "100", &code),
        paid(&merchant),
    ])
    .await;
    assert_eq!(
        kit.payments(&merchant).await,
        ["success UIS1 ws_CO_1 100.00 KES"]
    );
    assert_eq!(
        kit.invoices(&merchant).await,
        ["credit_note pending 40.00", "sale pending 100.00"]
    );
}

#[tokio::test]
async fn parts_add_up_and_the_last_one_reverses_the_sale() {
    let kit = Kit::new().await;
    let (merchant, _) = kit.ordinary_merchant().await;
    kit.tell(&[
        paid(&merchant),
        merchant.reversal("r1", "UIS1", Some("30"), Done),
    ])
    .await;
    assert_eq!(
        kit.payments(&merchant).await,
        ["success UIS1 ws_CO_1 100.00 KES"]
    );
    kit.tell(&[merchant.reversal("r2", "UIS1", Some("70"), Done)])
        .await;
    assert_eq!(
        kit.payments(&merchant).await,
        ["reversed UIS1 ws_CO_1 100.00 KES"]
    );
    assert_eq!(
        kit.invoices(&merchant).await,
        [
            "credit_note pending 30.00",
            "credit_note pending 70.00",
            "sale pending 100.00"
        ]
    );
}

#[tokio::test]
async fn credit_notes_never_exceed_the_sale() {
    let kit = Kit::new().await;
    let (merchant, _) = kit.ordinary_merchant().await;
    let events = [
        paid(&merchant),
        merchant.reversal("r1", "UIS1", Some("60"), Done),
        merchant.reversal("r2", "UIS1", Some("60"), Done),
    ];
    let recorded = kit.tell(&events).await;
    assert!(recorded[2].flagged);
    assert_eq!(
        kit.payments(&merchant).await,
        ["success UIS1 ws_CO_1 100.00 KES flagged (more money went back than the sale was)"]
    );
    assert_eq!(
        kit.lines(ALL_STATES, &merchant).await,
        ["r1 applied 60.00", "r2 excess"]
    );
    assert_eq!(
        kit.invoices(&merchant).await,
        ["credit_note pending 60.00", "sale pending 100.00"]
    );
}

#[tokio::test]
async fn a_whole_reversal_beside_a_part_takes_what_is_left() {
    let kit = Kit::new().await;
    for whole_first in [false, true] {
        let (merchant, _) = kit.ordinary_merchant().await;
        let part = merchant.reversal("r1", "UIS1", Some("30"), Done);
        let whole = merchant.reversal("r2", "UIS1", None, Done);
        let refunds = if whole_first {
            [whole, part]
        } else {
            [part, whole]
        };
        kit.tell(&[paid(&merchant)]).await;
        kit.tell(&refunds).await;
        assert_eq!(
            kit.payments(&merchant).await,
            ["reversed UIS1 ws_CO_1 100.00 KES"]
        );
        let credited = "SELECT sum(amount)::bigint FROM invoices WHERE merchant_id = $1 AND kind = 'credit_note'";
        assert_eq!(kit.number(credited, &merchant).await, 100);
    }
}

#[tokio::test]
async fn what_was_only_asked_for_or_failed_moves_nothing() {
    let kit = Kit::new().await;
    let (merchant, _) = kit.ordinary_merchant().await;
    let refund = |outcome| merchant.reversal("r1", "UIS1", Some("30"), outcome);
    kit.tell(&[
        paid(&merchant),
        refund(Pending),
        refund(Failed),
        refund(Pending),
    ])
    .await;
    assert_eq!(
        kit.payments(&merchant).await,
        ["success UIS1 ws_CO_1 100.00 KES"]
    );
    assert_eq!(kit.lines(ALL_STATES, &merchant).await, ["r1 failed"]);
    assert_eq!(kit.invoices(&merchant).await, ["sale pending 100.00"]);
}

#[tokio::test]
async fn an_announced_refund_that_is_then_done_is_one_refund() {
    let kit = Kit::new().await;
    for done_first in [false, true] {
        let (merchant, _) = kit.ordinary_merchant().await;
        let mut refund =
            [Pending, Done].map(|outcome| merchant.reversal("r1", "UIS1", Some("30"), outcome));
        if done_first {
            refund.reverse();
        }
        kit.tell(&[paid(&merchant)]).await;
        kit.tell(&refund).await;
        assert_eq!(
            kit.lines(ALL_STATES, &merchant).await,
            ["r1 applied 30.00"],
            "{done_first}"
        );
        assert_eq!(
            kit.invoices(&merchant).await,
            ["credit_note pending 30.00", "sale pending 100.00"]
        );
    }
}

#[tokio::test]
async fn a_dispute_won_withdraws_a_credit_note_that_was_not_sent() {
    let kit = Kit::new().await;
    let (merchant, _) = kit.ordinary_merchant().await;
    let dispute = |outcome| merchant.reversal("d1", "UIS1", Some("30"), outcome);
    kit.tell(&[
        paid(&merchant),
        dispute(Done),
        dispute(Undone),
        dispute(Done),
    ])
    .await;
    assert_eq!(
        kit.payments(&merchant).await,
        ["success UIS1 ws_CO_1 100.00 KES"]
    );
    assert_eq!(kit.lines(ALL_STATES, &merchant).await, ["d1 undone"]);
    assert_eq!(
        kit.invoices(&merchant).await,
        ["credit_note discarded 30.00", "sale pending 100.00"]
    );
}

#[tokio::test]
async fn a_dispute_won_after_all_of_it_was_credited_needs_a_person() {
    let kit = Kit::new().await;
    let (merchant, _) = kit.ordinary_merchant().await;
    let dispute = |outcome| merchant.reversal("d1", "UIS1", None, outcome);
    let recorded = kit
        .tell(&[paid(&merchant), dispute(Done), dispute(Undone)])
        .await;
    assert!(recorded[2].flagged);
    assert_eq!(
        kit.payments(&merchant).await,
        [
            "reversed UIS1 ws_CO_1 100.00 KES flagged (money that had gone back came back after it was credited)"
        ]
    );
}

#[tokio::test]
async fn a_dispute_won_before_anybody_told_of_the_dispute_undoes_it() {
    let kit = Kit::new().await;
    let (merchant, _) = kit.ordinary_merchant().await;
    let dispute = |outcome| merchant.reversal("d1", "UIS1", None, outcome);
    kit.tell(&[dispute(Undone), paid(&merchant), dispute(Done)])
        .await;
    assert_eq!(
        kit.payments(&merchant).await,
        ["success UIS1 ws_CO_1 100.00 KES"]
    );
    assert_eq!(kit.invoices(&merchant).await, ["sale pending 100.00"]);
}

#[tokio::test]
async fn a_discarded_sales_credit_note_starts_discarded() {
    let kit = Kit::new().await;
    let (merchant, _) = kit.ordinary_merchant().await;
    kit.tell(&[paid(&merchant)]).await;
    kit.client
        .execute(
            "UPDATE invoices SET state = 'discarded', moved_by = 'test'",
            &[],
        )
        .await
        .unwrap();
    let recorded = kit
        .tell(&[merchant.reversal("r1", "UIS1", None, Done)])
        .await;
    assert!(recorded[0].wake.is_empty());
    assert_eq!(
        kit.invoices(&merchant).await,
        ["credit_note discarded 100.00", "sale discarded 100.00"]
    );
}

#[tokio::test]
async fn a_credit_note_that_went_with_its_sale_stays_gone_once_the_money_came_back() {
    let kit = Kit::new().await;
    let (merchant, _) = kit.ordinary_merchant().await;
    let dispute = |outcome| merchant.reversal("d1", "UIS1", Some("30"), outcome);
    kit.tell(&[paid(&merchant)]).await;
    kit.client
        .execute(
            "UPDATE invoices SET state = 'discarded', moved_by = 'test'",
            &[],
        )
        .await
        .unwrap();
    kit.tell(&[dispute(Done), dispute(Undone)]).await;
    let sale = kit
        .client
        .query_one("SELECT id FROM invoices WHERE kind = 'sale'", &[])
        .await
        .unwrap()
        .get(0);
    let by = OperatorAction {
        operator: "test".to_owned(),
        reason: "it was right".to_owned(),
    };
    kit.ledger
        .replay_invoice(InvoiceId::from_uuid(sale), &by)
        .await
        .unwrap();
    assert_eq!(
        kit.invoices(&merchant).await,
        ["credit_note discarded 30.00", "sale pending 100.00"]
    );
}

#[tokio::test]
async fn a_filed_sales_credit_note_wakes_the_lane() {
    let kit = Kit::new().await;
    let (merchant, device) = kit.ordinary_merchant().await;
    kit.tell(&[paid(&merchant)]).await;
    kit.client
        .execute(
            "UPDATE invoices SET state = 'success', invoice_no = 1, receipt_no = 1, moved_by = 'test'",
            &[],
        )
        .await
        .unwrap();
    let recorded = kit
        .tell(&[merchant.reversal("r1", "UIS1", None, Done)])
        .await;
    assert_eq!(recorded[0].wake, [device]);
}
