//! From a gateway's HTTP request to the tax authority's receipt, through the real programs.
#![expect(
    clippy::unwrap_used,
    reason = "a stack that cannot be set up fails its test"
)]

mod backlog;
mod outage;
mod silence;
mod stack;

use serde_json::json;
use stack::{PATIENCE, Stack, c2b, stk};

const FILED: &str =
    "SELECT count(*) FROM report_invoices WHERE state = 'success' AND kind = 'sale'";

#[tokio::test]
async fn a_callback_becomes_one_receipt() {
    let stack = Stack::new().await;
    let mut ingress = stack.start("risiti-ingress").await;
    let (ledger, etims) = (
        stack.start("risiti-ledger-worker").await,
        stack.start("risiti-etims-worker").await,
    );
    let webhooks = ingress.webhooks().await;

    assert_eq!(stack.post(webhooks, "stk", &stk(1, "1160.00")).await.0, 200);
    assert_eq!(stack.post(webhooks, "stk", &stk(1, "1160.00")).await.0, 200);
    assert_eq!(
        stack
            .post(webhooks, "c2b/confirmation", &c2b(1, "1160.0"))
            .await
            .0,
        200
    );
    stack.becomes(FILED, 1).await;
    stack.becomes("SELECT count(*) FROM report_events", 2).await;

    let row = stack.database.connect().await;
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
    let sales = stack.sim_get("/_sim/sales").await;
    let sale = &sales["sales"].as_array().or(sales.as_array()).unwrap()[0];
    assert_eq!(sale["rcptSign"].as_str(), row.get::<_, Option<&str>>(2));
    assert_eq!(sale["trdInvcNo"], "UIS4000001");
    assert_eq!(row.get::<_, Option<&str>>(3), Some("KRACU0400000001"));
    assert!(
        row.get::<_, &str>(4)
            .contains("indexEtimsReceiptData?Data=P051234567X00")
    );

    ingress.ends_well().await;
    ledger.ends_well().await;
    etims.ends_well().await;
}

#[tokio::test]
async fn programs_ended_in_the_middle_lose_and_double_nothing() {
    let stack = Stack::new().await;
    stack
        .sim_post(
            "/_sim/faults",
            &json!({"match": {"call": "sale", "every_nth": 4}, "fault": "accept_then_drop"}),
        )
        .await;
    let (mut acknowledged, mut next) = (0, 1);
    for round in 0..3 {
        let mut ingress = stack.start("risiti-ingress").await;
        let (ledger, etims) = (
            stack.start("risiti-ledger-worker").await,
            stack.start("risiti-etims-worker").await,
        );
        let webhooks = ingress.webhooks().await;
        for _ in 0..15 {
            if stack.post(webhooks, "stk", &stk(next, "250.00")).await.0 == 200 {
                acknowledged += 1;
            }
            next += 1;
        }
        let started = format!(
            "SELECT count(*) FROM report_invoices WHERE state = 'success' HAVING count(*) > {}",
            round * 3
        );
        risiti_testkit::eventually("some are filed", PATIENCE, async || {
            stack
                .database
                .connect()
                .await
                .query_opt(&started, &[])
                .await
                .unwrap()
                .map(drop)
        })
        .await;
        ingress.ends_well().await;
        ledger.ends_well().await;
        etims.ends_well().await;
    }
    let (ledger, etims) = (
        stack.start("risiti-ledger-worker").await,
        stack.start("risiti-etims-worker").await,
    );
    stack.becomes(FILED, acknowledged).await;
    assert_eq!(
        stack
            .count("SELECT count(*) FROM report_payments WHERE state = 'success'")
            .await,
        acknowledged
    );
    let stats = stack.sim_get("/_sim/stats").await;
    assert_eq!(stats["protocol_errors"], 0, "{stats}");
    assert_eq!(
        stats["doubled"]
            .as_array()
            .map_or(stats["doubled"].as_u64().unwrap_or(0), |d| d.len() as u64),
        0
    );
    ledger.ends_well().await;
    etims.ends_well().await;
}

#[tokio::test]
async fn a_reversal_becomes_a_credit_note_after_its_sale() {
    let stack = Stack::new().await;
    let mut ingress = stack.start("risiti-ingress").await;
    let (_ledger, _etims) = (
        stack.start("risiti-ledger-worker").await,
        stack.start("risiti-etims-worker").await,
    );
    let webhooks = ingress.webhooks().await;
    let reversal = r#"{"Result":{"ResultType":0,"ResultCode":0,"ResultDesc":"ok","OriginatorConversationID":"71840-1","ConversationID":"AG_1","TransactionID":"UIS7000001","ResultParameters":{"ResultParameter":[{"Key":"Amount","Value":580.00},{"Key":"TransCompletedTime","Value":20260928132711},{"Key":"OriginalTransactionID","Value":"UIS4000001"}]}}}"#;
    assert_eq!(stack.post(webhooks, "result", reversal).await.0, 200);
    stack.becomes("SELECT count(*) FROM report_events", 1).await;
    assert_eq!(stack.post(webhooks, "stk", &stk(1, "580.00")).await.0, 200);
    stack
        .becomes(
            "SELECT count(*) FROM report_invoices WHERE state = 'success' AND kind = 'credit_note'",
            1,
        )
        .await;
    let sales = stack.sim_get("/_sim/sales").await;
    let sales = sales["sales"].as_array().or(sales.as_array()).unwrap();
    assert_eq!(
        (sales[0]["rcptTyCd"].as_str(), sales[1]["rcptTyCd"].as_str()),
        (Some("S"), Some("R"))
    );
    assert_eq!(sales[1]["orgInvcNo"].as_i64(), Some(1));
    assert_eq!(
        stack
            .count("SELECT count(*) FROM report_payments WHERE state = 'reversed'")
            .await,
        1
    );
}
