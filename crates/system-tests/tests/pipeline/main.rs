//! All programs together, from a provider's webhook to the tax authority's receipt.
#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be set up fails its test"
)]

mod backlog;
mod fixture;
mod outage;
mod silence;

use fixture::{DEADLINE, Fixture, c2b, stk};
use serde_json::json;

const FILED: &str =
    "SELECT count(*) FROM report_invoices WHERE state = 'success' AND kind = 'sale'";

#[tokio::test]
async fn callback_becomes_one_receipt() {
    let fixture = Fixture::new().await;
    let mut ingress = fixture.start("risiti-ingress").await;
    let ledger = fixture.start("risiti-ledger-worker").await;
    let etims = fixture.start("risiti-etims-worker").await;
    let webhooks = ingress.webhooks().await;

    assert_eq!(
        fixture.post(webhooks, "stk", &stk(1, "1160.00")).await.0,
        200
    );
    assert_eq!(
        fixture.post(webhooks, "stk", &stk(1, "1160.00")).await.0,
        200
    );
    assert_eq!(
        fixture
            .post(webhooks, "c2b/confirmation", &c2b(1, "1160.0"))
            .await
            .0,
        200
    );
    fixture.wait_for_count(FILED, 1).await;
    fixture
        .wait_for_count("SELECT count(*) FROM report_events", 2)
        .await;

    let row = fixture.database.connect().await;
    let row = row
        .query_one(
            "SELECT i.invoice_no, i.receipt_no, i.receipt_signature, i.control_unit_id, i.receipt_url, p.state
             FROM report_invoices i JOIN report_payments p USING (payment_id)",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(
        (row.get::<_, i64>(0), row.get::<_, &str>(5)),
        (1, "success")
    );
    let sales = fixture.sim_get("/_sim/sales").await;
    let sale = &sales["sales"].as_array().or(sales.as_array()).unwrap()[0];
    assert_eq!(sale["rcptSign"].as_str(), row.get::<_, Option<&str>>(2));
    assert_eq!(sale["trdInvcNo"], "UIS4000001");
    assert_eq!(row.get::<_, Option<&str>>(3), Some("KRACU0400000001"));
    assert!(
        row.get::<_, &str>(4)
            .contains("indexEtimsReceiptData?Data=P051234567X00")
    );

    ingress.terminate_cleanly().await;
    ledger.terminate_cleanly().await;
    etims.terminate_cleanly().await;
}

#[tokio::test]
async fn programs_stopped_midway_lose_and_double_nothing() {
    let fixture = Fixture::new().await;
    fixture
        .sim_post(
            "/_sim/faults",
            &json!({"match": {"call": "sale", "every_nth": 4}, "fault": "accept_then_drop"}),
        )
        .await;
    let mut acknowledged = 0;
    let mut next = 1;
    for round in 0..3 {
        let mut ingress = fixture.start("risiti-ingress").await;
        let ledger = fixture.start("risiti-ledger-worker").await;
        let etims = fixture.start("risiti-etims-worker").await;
        let webhooks = ingress.webhooks().await;
        for _ in 0..15 {
            if fixture.post(webhooks, "stk", &stk(next, "250.00")).await.0 == 200 {
                acknowledged += 1;
            }
            next += 1;
        }
        let started = format!(
            "SELECT count(*) FROM report_invoices WHERE state = 'success' HAVING count(*) > {}",
            round * 3
        );
        risiti_testkit::eventually("some are filed", DEADLINE, async || {
            fixture
                .database
                .connect()
                .await
                .query_opt(&started, &[])
                .await
                .unwrap()
                .map(drop)
        })
        .await;
        ingress.terminate_cleanly().await;
        ledger.terminate_cleanly().await;
        etims.terminate_cleanly().await;
    }
    let ledger = fixture.start("risiti-ledger-worker").await;
    let etims = fixture.start("risiti-etims-worker").await;
    fixture.wait_for_count(FILED, acknowledged).await;
    assert_eq!(
        fixture
            .count("SELECT count(*) FROM report_payments WHERE state = 'success'")
            .await,
        acknowledged
    );
    let stats = fixture.sim_get("/_sim/stats").await;
    assert_eq!(stats["protocol_errors"], 0, "{stats}");
    assert_eq!(
        stats["doubled"]
            .as_array()
            .map_or(stats["doubled"].as_u64().unwrap_or(0), |d| d.len() as u64),
        0
    );
    ledger.terminate_cleanly().await;
    etims.terminate_cleanly().await;
}

#[tokio::test]
async fn reversal_becomes_a_credit_note_after_its_sale() {
    let fixture = Fixture::new().await;
    let mut ingress = fixture.start("risiti-ingress").await;
    let _ledger = fixture.start("risiti-ledger-worker").await;
    let _etims = fixture.start("risiti-etims-worker").await;
    let webhooks = ingress.webhooks().await;
    let reversal = r#"{"Result":{"ResultType":0,"ResultCode":0,"ResultDesc":"ok","OriginatorConversationID":"71840-1","ConversationID":"AG_1","TransactionID":"UIS7000001","ResultParameters":{"ResultParameter":[{"Key":"Amount","Value":580.00},{"Key":"TransCompletedTime","Value":20260928132711},{"Key":"OriginalTransactionID","Value":"UIS4000001"}]}}}"#;
    assert_eq!(fixture.post(webhooks, "result", reversal).await.0, 200);
    fixture
        .wait_for_count("SELECT count(*) FROM report_events", 1)
        .await;
    assert_eq!(
        fixture.post(webhooks, "stk", &stk(1, "580.00")).await.0,
        200
    );
    fixture
        .wait_for_count(
            "SELECT count(*) FROM report_invoices WHERE state = 'success' AND kind = 'credit_note'",
            1,
        )
        .await;
    let sales = fixture.sim_get("/_sim/sales").await;
    let sales = sales["sales"].as_array().or(sales.as_array()).unwrap();
    assert_eq!(
        (sales[0]["rcptTyCd"].as_str(), sales[1]["rcptTyCd"].as_str()),
        (Some("S"), Some("R"))
    );
    assert_eq!(sales[1]["orgInvcNo"].as_i64(), Some(1));
    assert_eq!(
        fixture
            .count("SELECT count(*) FROM report_payments WHERE state = 'reversed'")
            .await,
        1
    );
}
