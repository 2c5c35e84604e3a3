//! Merchants are strangers to each other, whatever their messages have in common.

use risiti_providers::ReversalOutcome;

use crate::kit::{Kit, again};

#[tokio::test]
async fn two_merchants_with_the_same_keys_share_nothing() {
    let kit = Kit::new().await;
    let (one, _) = kit.ordinary_merchant().await;
    let (other, _) = kit.ordinary_merchant().await;
    // The same delivery key, checkout id, receipt and money key at both; only one of them was paid.
    let (paid, failed) = (
        one.stk("ws_CO_1", 0, Some("UIS1"), "100"),
        other.stk("ws_CO_1", 1032, None, "0"),
    );
    let batch = [
        paid.clone(),
        failed,
        again(&paid),
        one.c2b("UIS1", "100", &kit.code_of(&one).await),
    ];
    kit.ledger.record_batch(&batch).await.unwrap();
    assert_eq!(
        kit.payments(&one).await,
        ["success UIS1 ws_CO_1 100.00 KES"]
    );
    assert_eq!(
        kit.payments(&other).await,
        ["failed - ws_CO_1 - (result 1032)"]
    );
    assert_eq!(kit.invoices(&one).await, ["sale pending 100.00"]);
    assert!(kit.invoices(&other).await.is_empty());

    // A reversal at the other one finds no payment there, and waits.
    kit.tell(&[other.reversal("R1", "UIS1", None, ReversalOutcome::Done)])
        .await;
    assert_eq!(
        kit.payments(&one).await,
        ["success UIS1 ws_CO_1 100.00 KES"]
    );

    // The same receipt at both is two payments, each with an invoice in its own merchant's lane.
    kit.tell(&[other.c2b("UIS1", "70", &kit.code_of(&other).await)])
        .await;
    let owners = "SELECT count(*) FROM invoices i JOIN devices d ON d.id = i.device_id
        WHERE i.merchant_id = $1 AND d.merchant_id = $1";
    let all = "SELECT count(*) FROM invoices WHERE merchant_id = $1";
    for merchant in [&one, &other] {
        assert_eq!(
            kit.number(owners, merchant).await,
            kit.number(all, merchant).await
        );
        assert!(kit.number(all, merchant).await >= 1);
    }
    let duplicates = "SELECT sum(duplicates)::bigint FROM events WHERE merchant_id = $1";
    assert_eq!(
        (
            kit.number(duplicates, &one).await,
            kit.number(duplicates, &other).await
        ),
        (1, 0)
    );
}
