//! Filing without any fault.

use serde_json::json;

use crate::fixture::{Fixture, terminate};

#[tokio::test]
async fn sales_are_filed_in_order_then_their_credit_note() {
    for dialect in ["legacy", "gateway", "vscu"] {
        let fixture = Fixture::with(dialect, &[]).await;
        let device = fixture.add_device(1).await;
        let sales = fixture.add_sales(&device, 3).await;
        let note = fixture.add_credit_note(sales[1], 100).await;
        let worker = fixture.worker().start();
        fixture.until_filed(4).await;
        for (number, invoice) in sales.iter().chain([&note]).enumerate() {
            assert_eq!(
                fixture.invoice_number(*invoice).await,
                i64::try_from(number).unwrap() + 1,
                "{dialect}"
            );
        }
        let original = fixture.simulator.get("/_sim/sales").await["sales"][3]["orgInvcNo"].clone();
        assert_eq!(original, json!(2), "{dialect}");
        fixture.assert_ledger_matches_kra().await;
        terminate(worker).await;
    }
}
