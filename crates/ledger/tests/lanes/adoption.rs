use risiti_domain::{DeadCause, InvoiceId};
use risiti_ledger::{Adoption, Claim, LaneWork, LateLookUp};
use uuid::Uuid;

use crate::fixture::{Fixture, failures, last_word, receipt};

/// Adds a sale that was sent once and never answered, was absent at KRA, and is now a dead letter.
async fn dead_sale(fixture: &Fixture) -> InvoiceId {
    let sale = fixture.add_sale().await;
    let claim = fixture.claim().await;
    fixture.begin_send(&claim).await;
    fixture
        .ledger
        .looked_up_absent(&claim, sale, failures(5, 0))
        .await
        .unwrap();
    fixture
        .ledger
        .invoice_dead(&claim, sale, &last_word(DeadCause::Exhausted, Some("999")))
        .await
        .unwrap();
    assert_eq!(
        (
            fixture.invoice_state(sale).await,
            fixture.next_number().await
        ),
        ("dead".to_owned(), "1".to_owned())
    );
    fixture.ledger.release_lane(&claim).await.unwrap();
    sale
}

async fn due_look_up(fixture: &Fixture, claim: &Claim) -> LateLookUp {
    match fixture.ledger.lane_work(claim).await.unwrap() {
        LaneWork::Due {
            look_up: Some(late),
            ..
        } => late,
        other => panic!("no look-up: {other:?}"),
    }
}

#[tokio::test]
async fn an_owner_in_any_state_adopts_and_revives_credit_notes() {
    for (state, solved) in [
        ("dead", "adopted"),
        ("pending", "replayed"),
        ("discarded", "adopted"),
    ] {
        let fixture = Fixture::new().await;
        let sale = dead_sale(&fixture).await;
        let note = fixture.add_credit_note(sale).await;
        match state {
            "pending" => {
                fixture.sql(
                    "UPDATE invoices SET state = 'pending' WHERE kind = 'sale'; UPDATE dead_letters
                         SET solved_at = now(), solved_as = 'replayed'",
                )
                .await;
            }
            "discarded" => {
                fixture.sql("UPDATE invoices SET state = 'discarded', moved_because = 'its sale was discarded'")
                    .await;
            }
            _ => {}
        }
        let claim = fixture.claim().await;
        let adopted = fixture
            .ledger
            .adopt(&claim, sale, 1, &receipt())
            .await
            .unwrap();
        assert_eq!(adopted, Adoption::Adopted, "{state}");
        assert_eq!(
            (
                fixture.invoice_state(sale).await,
                fixture.next_number().await
            ),
            ("success 1".to_owned(), "2".to_owned())
        );
        assert_eq!(
            fixture.text("SELECT solved_as FROM dead_letters").await,
            solved
        );
        assert_eq!(
            fixture
                .text(&format!("SELECT state FROM invoices WHERE id = '{note}'"))
                .await,
            "pending"
        );
        let again = fixture
            .ledger
            .adopt(&claim, sale, 1, &receipt())
            .await
            .unwrap();
        assert_eq!(again, Adoption::Known);
    }
}

#[tokio::test]
async fn the_holder_of_an_adopted_number_gives_it_up() {
    let fixture = Fixture::new().await;
    let owner = dead_sale(&fixture).await;
    let holder = fixture.add_sale().await;
    let claim = fixture.claim().await;
    fixture.begin_send(&claim).await;
    assert_eq!(fixture.invoice_state(holder).await, "submitting 1");
    assert_eq!(
        fixture
            .ledger
            .adopt(&claim, owner, 1, &receipt())
            .await
            .unwrap(),
        Adoption::Adopted
    );
    assert_eq!(
        (
            fixture.invoice_state(owner).await,
            fixture.invoice_state(holder).await
        ),
        ("success 1".to_owned(), "pending".to_owned())
    );
    let (again, _) = fixture.begin_send(&claim).await;
    assert_eq!((again.id, again.invoice_no), (holder, 2));
}

#[tokio::test]
async fn a_sale_that_contradicts_the_ledger_changes_nothing() {
    let fixture = Fixture::new().await;
    let owner = dead_sale(&fixture).await;
    let filed = fixture.add_sale().await;
    let claim = fixture.claim().await;
    fixture.begin_send(&claim).await;
    fixture
        .ledger
        .invoice_accepted(&claim, filed, 1, None, &receipt())
        .await
        .unwrap();

    let other = InvoiceId::from_uuid(Uuid::now_v7());
    assert_eq!(
        fixture
            .ledger
            .adopt(&claim, other, 2, &receipt())
            .await
            .unwrap(),
        Adoption::NotOurs
    );
    let conflict = Adoption::Conflict { accepted_as: None };
    assert_eq!(
        fixture
            .ledger
            .adopt(&claim, owner, 1, &receipt())
            .await
            .unwrap(),
        conflict
    );
    let conflict = Adoption::Conflict {
        accepted_as: Some(1),
    };
    assert_eq!(
        fixture
            .ledger
            .adopt(&claim, filed, 2, &receipt())
            .await
            .unwrap(),
        conflict
    );
    assert_eq!(
        (
            fixture.invoice_state(owner).await,
            fixture.invoice_state(filed).await
        ),
        ("dead".to_owned(), "success 1".to_owned())
    );
    assert_eq!(fixture.next_number().await, "2");
}

#[tokio::test]
async fn a_dead_invoice_is_looked_up_twice() {
    let fixture = Fixture::new().await;
    let sale = dead_sale(&fixture).await;
    let due = async || {
        fixture.text("SELECT date_trunc('hour', look_up_due_at - s.sent_at)::text FROM invoices, submissions s")
            .await
    };
    let look_up = async || {
        fixture
            .sql("UPDATE invoices SET look_up_due_at = now()")
            .await;
        let claim = fixture.claim().await;
        let late = due_look_up(&fixture, &claim).await;
        assert_eq!(
            (late.invoice, late.invoice_no, late.discard),
            (sale, 1, false)
        );
        fixture
            .ledger
            .late_look_up_absent(&claim, &late)
            .await
            .unwrap();
        fixture.ledger.release_lane(&claim).await.unwrap();
    };
    assert_eq!(due().await, "00:00:00");
    look_up().await;
    assert_eq!(due().await, "1 day");
    fixture
        .sql("UPDATE submissions SET sent_at = sent_at - interval '24 hours'")
        .await;
    look_up().await;
    assert_eq!(
        fixture
            .text("SELECT look_up_due_at::text FROM invoices")
            .await,
        ""
    );
}

#[tokio::test]
async fn a_discarded_invoice_is_still_looked_up_and_adopted() {
    let fixture = Fixture::new().await;
    let sale = dead_sale(&fixture).await;
    fixture
        .sql("UPDATE invoices SET look_up_due_at = now(), discard_wish = 'jane: paid back in cash'")
        .await;
    let claim = fixture.claim().await;
    let late = due_look_up(&fixture, &claim).await;
    assert!(late.discard);
    fixture
        .ledger
        .late_look_up_absent(&claim, &late)
        .await
        .unwrap();
    assert_eq!(fixture.invoice_state(sale).await, "discarded");

    fixture
        .sql("UPDATE invoices SET look_up_due_at = now()")
        .await;
    let late = due_look_up(&fixture, &claim).await;
    assert!(!late.discard);
    assert_eq!(
        fixture
            .ledger
            .adopt(&claim, sale, late.invoice_no, &receipt())
            .await
            .unwrap(),
        Adoption::Adopted
    );
    assert_eq!(fixture.invoice_state(sale).await, "success 1");
    assert_eq!(
        fixture.text("SELECT solved_as FROM dead_letters").await,
        "adopted"
    );
}
