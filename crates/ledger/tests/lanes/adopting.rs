use risiti_domain::{DeadCause, InvoiceId};
use risiti_ledger::{Adoption, LaneWork, Tally};
use uuid::Uuid;

use crate::kit::{Kit, receipt};

async fn refund(kit: &Kit, sale: InvoiceId) -> String {
    let (event, reversal, note) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    kit.sql(&format!(
        "INSERT INTO events (id, merchant_id, provider, kind, delivery_key, facts_sha256, authenticated_by, received_at, body)
         SELECT '{event}', merchant_id, 'daraja', 'reversal_result', '{event}', '\\x00', 'path', now(), '\\x00' FROM invoices
         WHERE id = '{sale}';
         INSERT INTO reversals (id, merchant_id, provider, reversal_key, of_money_key, state, credited, payment_id, event_id)
         SELECT '{reversal}', merchant_id, 'daraja', '{reversal}', 'x', 'applied', 50, payment_id, '{event}' FROM invoices
         WHERE id = '{sale}';
         INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, sale_id, reversal_id, moved_by)
         SELECT '{note}', payment_id, merchant_id, device_id, 'credit_note', 50, id, '{reversal}', 'test' FROM invoices
         WHERE id = '{sale}'"
    ))
    .await;
    note.to_string()
}

/// Sent once, never answered, looked up as absent, then dead.
async fn dead(kit: &Kit) -> InvoiceId {
    let sale = kit.owe().await;
    let claim = kit.claim().await;
    kit.send(&claim).await;
    let tally = Tally {
        strikes: 5,
        rounds: 0,
        mark: jiff::Timestamp::now(),
    };
    assert!(
        kit.ledger
            .looked_up_absent(&claim, sale, tally)
            .await
            .unwrap()
    );
    assert!(
        kit.ledger
            .invoice_dead(&claim, sale, DeadCause::Exhausted, 5, Some("999"), "no")
            .await
            .unwrap()
    );
    assert_eq!(
        (kit.state(sale).await, kit.next_no().await),
        ("dead".to_owned(), "1".to_owned())
    );
    kit.ledger.release_lane(&claim).await.unwrap();
    sale
}

#[tokio::test]
async fn the_owner_adopts_from_any_state_and_brings_its_credit_notes_back() {
    for (state, solved) in [
        ("dead", "adopted"),
        ("pending", "replayed"),
        ("discarded", "adopted"),
    ] {
        let kit = Kit::new().await;
        let sale = dead(&kit).await;
        let note = refund(&kit, sale).await;
        match state {
            "pending" => {
                kit.sql(
                    "UPDATE invoices SET state = 'pending' WHERE kind = 'sale'; UPDATE dead_letters
                         SET solved_at = now(), solved_as = 'replayed'",
                )
                .await;
            }
            "discarded" => {
                kit.sql("UPDATE invoices SET state = 'discarded', moved_because = 'its sale was discarded'")
                    .await;
            }
            _ => {}
        }
        let claim = kit.claim().await;
        let adopted = kit.ledger.adopt(&claim, sale, 1, &receipt()).await.unwrap();
        assert_eq!(adopted, Adoption::Adopted, "{state}");
        assert_eq!(
            (kit.state(sale).await, kit.next_no().await),
            ("success 1".to_owned(), "2".to_owned())
        );
        assert_eq!(kit.text("SELECT solved_as FROM dead_letters").await, solved);
        assert_eq!(
            kit.text(&format!("SELECT state FROM invoices WHERE id = '{note}'"))
                .await,
            "pending"
        );
        let again = kit.ledger.adopt(&claim, sale, 1, &receipt()).await.unwrap();
        assert_eq!(again, Adoption::Known);
    }
}

#[tokio::test]
async fn whoever_holds_the_number_gives_way() {
    let kit = Kit::new().await;
    let owner = dead(&kit).await;
    let holder = kit.owe().await;
    let claim = kit.claim().await;
    kit.send(&claim).await;
    assert_eq!(kit.state(holder).await, "submitting 1");
    assert_eq!(
        kit.ledger
            .adopt(&claim, owner, 1, &receipt())
            .await
            .unwrap(),
        Adoption::Adopted
    );
    assert_eq!(
        (kit.state(owner).await, kit.state(holder).await),
        ("success 1".to_owned(), "pending".to_owned())
    );
    let (again, _) = kit.send(&claim).await;
    assert_eq!((again.id, again.invoice_no), (holder, 2));
}

#[tokio::test]
async fn what_contradicts_the_books_changes_nothing() {
    let kit = Kit::new().await;
    let owner = dead(&kit).await;
    let filed = kit.owe().await;
    let claim = kit.claim().await;
    kit.send(&claim).await;
    kit.ledger
        .invoice_accepted(&claim, filed, 1, None, &receipt())
        .await
        .unwrap();

    let other = InvoiceId::from_uuid(Uuid::now_v7());
    assert_eq!(
        kit.ledger
            .adopt(&claim, other, 2, &receipt())
            .await
            .unwrap(),
        Adoption::NotOurs
    );
    let conflict = Adoption::Conflict { accepted_as: None };
    assert_eq!(
        kit.ledger
            .adopt(&claim, owner, 1, &receipt())
            .await
            .unwrap(),
        conflict
    );
    let conflict = Adoption::Conflict {
        accepted_as: Some(1),
    };
    assert_eq!(
        kit.ledger
            .adopt(&claim, filed, 2, &receipt())
            .await
            .unwrap(),
        conflict
    );
    assert_eq!(
        (kit.state(owner).await, kit.state(filed).await),
        ("dead".to_owned(), "success 1".to_owned())
    );
    assert_eq!(kit.next_no().await, "2");
}

#[tokio::test]
async fn the_dead_are_looked_up_twice_and_no_more() {
    let kit = Kit::new().await;
    let sale = dead(&kit).await;
    let due = async || {
        kit.text("SELECT date_trunc('hour', look_up_due_at - s.sent_at)::text FROM invoices, submissions s")
            .await
    };
    let late = async || {
        kit.sql("UPDATE invoices SET look_up_due_at = now()").await;
        let claim = kit.claim().await;
        let LaneWork::LookUp(late) = kit.ledger.lane_work(&claim).await.unwrap() else {
            panic!("no look-up")
        };
        assert_eq!(
            (late.invoice, late.invoice_no, late.discard),
            (sale, 1, false)
        );
        assert!(kit.ledger.late_look_up_absent(&claim, &late).await.unwrap());
        kit.ledger.release_lane(&claim).await.unwrap();
    };
    assert_eq!(due().await, "00:00:00");
    late().await;
    assert_eq!(due().await, "1 day");
    kit.sql("UPDATE submissions SET sent_at = sent_at - interval '24 hours'")
        .await;
    late().await;
    assert_eq!(
        kit.text("SELECT look_up_due_at::text FROM invoices").await,
        ""
    );
}

#[tokio::test]
async fn the_discarded_are_looked_up_to_the_last_and_adopted() {
    let kit = Kit::new().await;
    let sale = dead(&kit).await;
    kit.sql("UPDATE invoices SET look_up_due_at = now(), discard_wish = 'jane: paid back in cash'")
        .await;
    let claim = kit.claim().await;
    let LaneWork::LookUp(late) = kit.ledger.lane_work(&claim).await.unwrap() else {
        panic!("no look-up")
    };
    assert!(late.discard && kit.ledger.late_look_up_absent(&claim, &late).await.unwrap());
    assert_eq!(kit.state(sale).await, "discarded");

    kit.sql("UPDATE invoices SET look_up_due_at = now()").await;
    let LaneWork::LookUp(late) = kit.ledger.lane_work(&claim).await.unwrap() else {
        panic!("no second look-up")
    };
    assert!(!late.discard);
    assert_eq!(
        kit.ledger
            .adopt(&claim, sale, late.invoice_no, &receipt())
            .await
            .unwrap(),
        Adoption::Adopted
    );
    assert_eq!(kit.state(sale).await, "success 1");
    assert_eq!(
        kit.text("SELECT solved_as FROM dead_letters").await,
        "adopted"
    );
}
