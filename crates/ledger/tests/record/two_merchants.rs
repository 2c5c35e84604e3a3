//! Merchants share nothing, whatever their messages have in common.

use risiti_providers::ReversalOutcome;

use crate::fixture::{Fixture, again};

#[tokio::test]
async fn two_merchants_with_the_same_keys_share_nothing() {
    let fixture = Fixture::new().await;
    let (one, _) = fixture.ordinary_merchant().await;
    let (other, _) = fixture.ordinary_merchant().await;
    // The same delivery key, checkout id, receipt and money key at both. Only one of them was paid.
    let paid = one.stk("ws_CO_1", 0, Some("UIS1"), "100");
    let failed = other.stk("ws_CO_1", 1032, None, "0");
    let batch = [
        paid.clone(),
        failed,
        again(&paid),
        one.c2b("UIS1", "100", &fixture.code_of(&one).await),
    ];
    fixture.ledger.record_batch(&batch).await.unwrap();
    assert_eq!(
        fixture.payments(&one).await,
        ["success UIS1 ws_CO_1 100.00 KES"]
    );
    assert_eq!(
        fixture.payments(&other).await,
        ["failed - ws_CO_1 - (result 1032)"]
    );
    assert_eq!(fixture.invoices(&one).await, ["sale pending 100.00"]);
    assert!(fixture.invoices(&other).await.is_empty());

    // A reversal at the other one finds no payment there, and waits.
    fixture
        .record(&[other.reversal("R1", "UIS1", None, ReversalOutcome::Done)])
        .await;
    assert_eq!(
        fixture.payments(&one).await,
        ["success UIS1 ws_CO_1 100.00 KES"]
    );

    // The same receipt at both is two payments, each with an invoice in its own merchant's lane.
    fixture
        .record(&[other.c2b("UIS1", "70", &fixture.code_of(&other).await)])
        .await;
    let owners = "SELECT count(*) FROM invoices i JOIN devices d ON d.id = i.device_id
        WHERE i.merchant_id = $1 AND d.merchant_id = $1";
    let all = "SELECT count(*) FROM invoices WHERE merchant_id = $1";
    for merchant in [&one, &other] {
        assert_eq!(
            fixture.number(owners, merchant).await,
            fixture.number(all, merchant).await
        );
        assert!(fixture.number(all, merchant).await >= 1);
    }
    let duplicates = "SELECT sum(duplicates)::bigint FROM events WHERE merchant_id = $1";
    assert_eq!(
        (
            fixture.number(duplicates, &one).await,
            fixture.number(duplicates, &other).await
        ),
        (1, 0)
    );
}
