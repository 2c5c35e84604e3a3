//! Faults of the calls beside sales, and the lists that come late.

use etims_sim::{Config, Dialect};
use serde_json::json;

use crate::bodies::{GOODS, customer, item, look_up, movement};
use crate::fixture::{PIN, Sim, sale, wait_until};

#[tokio::test]
async fn unwired_paths_fail_as_the_gateway_does() {
    let sim = Sim::start(Dialect::Gateway).await;
    for path in [
        "/selectCustomer",
        "/saveCustomer",
        "/saveSupplier",
        "/selectInvoiceType",
    ] {
        let answer = sim.post(path, &look_up()).await;
        assert_eq!(answer.status, 500, "{path}");
        let text = &answer.body["fault"]["faultstring"];
        assert_eq!(*text, "Unresolved variable : targetPath");
    }

    // So may others, for a while.
    let rule = json!({
        "match": {"call": "taxpayer", "count": 1},
        "fault": "unwired_path",
    });
    sim.add_fault(rule).await;
    assert_eq!(
        sim.post("/selectTaxpayerInfo", &look_up()).await.status,
        500
    );
    sim.keep("/selectTaxpayerInfo", &look_up()).await;
}

#[tokio::test]
async fn faults_hit_the_new_calls_by_their_names() {
    let sim = Sim::start(Dialect::Gateway).await;
    let lost = json!({
        "match": {"call": "save_item", "count": 1},
        "fault": "accept_then_drop",
    });
    sim.add_fault(lost).await;
    let request = sim.call("/saveItem", &item(GOODS));
    request.send().await.expect_err("the connection is cut");
    // It was taken, so the product list has it and the same code is refused.
    assert_eq!(sim.list("/itemInfo", "itemList").await[0]["itemCd"], GOODS);
    sim.refuse("/saveItem", &item(GOODS), &[], "********2")
        .await;

    let never_came = json!({
        "match": {"call": "save_customer", "count": 1},
        "fault": "drop_before_accept",
    });
    sim.add_fault(never_came).await;
    let request = sim.call("/saveBhfCustomer", &customer());
    request.send().await.expect_err("the connection is cut");
    assert_eq!(sim.records().await["customers"], json!([]));
    assert_eq!(sim.stats().await["calls"]["save_customer"], 1);
}

#[tokio::test]
async fn late_lists_come_after_the_sales() {
    let sim = Sim::start_with(Config {
        late_lists_after: 2,
        ..Config::local(Dialect::Gateway)
    })
    .await;
    for number in 1..=2 {
        assert!(sim.list("/importedItemInfo", "itemList").await.is_empty());
        let purchases = "/getPurchaseTransactionInfo";
        assert!(sim.list(purchases, "saleList").await.is_empty());
        assert_eq!(sim.sell(&sale(number)).await.code(), "000");
    }

    // And one of them later still.
    let late = json!({
        "match": {"call": "imported_items", "device": format!("{PIN}/00"), "count": 2},
        "fault": {"lookup_lag": {}},
    });
    sim.add_fault(late).await;
    let purchases = sim.list("/getPurchaseTransactionInfo", "saleList").await;
    assert_eq!(purchases.len(), 5);
    for _ in 0..2 {
        assert!(sim.list("/importedItemInfo", "itemList").await.is_empty());
    }
    let imports = sim.list("/importedItemInfo", "itemList").await.len();
    assert!((1..=3).contains(&imports), "{imports}");
}

#[tokio::test]
async fn write_may_arrive_after_its_caller_was_cut_off() {
    let sim = Sim::start(Dialect::Gateway).await;
    sim.keep("/saveItem", &item(GOODS)).await;
    let late = json!({
        "match": {"call": "stock_in_out", "count": 1},
        "fault": {"deliver_late": {"ms": 50}},
    });
    sim.add_fault(late).await;
    let request = sim.call("/insertStockIO", &movement(1, "02", GOODS, 10));
    request.send().await.expect_err("the connection is cut");
    wait_until("the late movement", async || {
        sim.records().await["stock"] == json!({GOODS: "10"})
    })
    .await;
    // The expected number tells that it was taken.
    let again = movement(1, "02", GOODS, 10);
    let text = "Invalid sarNo: Expected: 2 but found: 1";
    sim.refuse("/insertStockIO", &again, &[], text).await;
}
