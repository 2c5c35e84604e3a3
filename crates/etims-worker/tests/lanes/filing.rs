//! The straight path.

use serde_json::json;

use crate::stage::{Stage, end};

#[tokio::test]
async fn sales_are_filed_in_order_and_the_credit_note_after_its_sale() {
    for dialect in ["legacy", "gateway", "vscu"] {
        let stage = Stage::with(dialect, &[]).await;
        let device = stage.device(1).await;
        let sales = stage.owe(&device, 3).await;
        let note = stage.refund(sales[1], 100).await;
        let worker = stage.worker().start();
        stage.until_filed(4).await;
        for (number, invoice) in sales.iter().chain([&note]).enumerate() {
            let no = format!("SELECT invoice_no FROM invoices WHERE id = '{invoice}'");
            assert_eq!(
                stage.count(&no).await,
                i64::try_from(number).unwrap() + 1,
                "{dialect}"
            );
        }
        let original = stage.get("/_sim/sales").await["sales"][3]["orgInvcNo"].clone();
        assert_eq!(original, json!(2), "{dialect}");
        stage.books_balance().await;
        end(worker).await;
    }
}
