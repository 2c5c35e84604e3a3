//! What a simulator knows after it was killed and started again.

use std::fs;
use std::path::Path;

use etims_sim::{Config, Dialect, start};
use serde_json::json;

use crate::bodies::{GOODS, composition, customer, import_update, item, level, movement, purchase};
use crate::fixture::{Sim, sale, with_changes};

fn kept_in(journal: &Path) -> Config {
    Config {
        journal: Some(journal.to_owned()),
        ..Config::local(Dialect::Legacy)
    }
}

#[tokio::test]
async fn restarted_simulator_goes_on_with_its_records() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    let sim = Sim::start_with(kept_in(&journal)).await;
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
    sim.add_fault(json!({"match": {"count": 1}, "fault": "accept_then_drop"}))
        .await;
    sim.sell_without_answer(&sale(2)).await;
    assert_eq!(
        sim.sell(&sale(9)).await.code(),
        "910",
        "the number is ahead"
    );
    let sales = sim.accepted_sales().await;
    let stats = sim.stats().await;
    sim.stop().await;

    let sim = Sim::without_device(kept_in(&journal)).await;
    assert_eq!(sim.accepted_sales().await, sales);
    let after = sim.stats().await;
    for same in [
        "protocol_errors",
        "protocol_error_log",
        "refusals",
        "in_flight_max_per_device",
        "devices",
    ] {
        assert_eq!(after[same], stats[same], "{same}");
    }
    assert_eq!(
        sim.look_up(2).await.code(),
        "000",
        "it was accepted although its answer was lost"
    );
    assert_eq!(sim.sell(&sale(2)).await.code(), "994");
    let third = sim.sell(&sale(3)).await;
    assert_eq!(third.code(), "000");
    assert_eq!(third.data()["curRcptNo"].as_str(), Some("3"));
}

#[tokio::test]
async fn half_written_sale_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    let sim = Sim::start_with(kept_in(&journal)).await;
    for number in 1..=2 {
        assert_eq!(sim.sell(&sale(number)).await.code(), "000");
    }
    sim.stop().await;
    let whole = fs::read(&journal).unwrap();
    fs::write(&journal, &whole[..whole.len() - 10]).unwrap();

    let sim = Sim::without_device(kept_in(&journal)).await;
    assert_eq!(sim.accepted_sales().await.len(), 1);
    let other = with_changes(sale(2), &[("/remark", json!("another"))]);
    assert_eq!(sim.sell(&other).await.code(), "000");
    sim.stop().await;
    assert_eq!(
        Sim::without_device(kept_in(&journal))
            .await
            .accepted_sales()
            .await
            .len(),
        2,
        "the new sale was written after the whole lines"
    );
}

#[tokio::test]
async fn cleared_state_stays_cleared_after_restart() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    let sim = Sim::start_with(kept_in(&journal)).await;
    sim.sell(&sale(1)).await;
    sim.delete("/_sim/state").await;
    sim.stop().await;

    let sim = Sim::without_device(kept_in(&journal)).await;
    assert!(sim.accepted_sales().await.is_empty());
    assert_eq!(
        sim.sell(&sale(1)).await.code(),
        "000",
        "the device is still there"
    );
}

#[tokio::test]
async fn unreadable_journal_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    fs::write(&journal, "{\"entry\":\"cleared\"}\nrubbish\n").unwrap();
    let Err(error) = start(kept_in(&journal)).await else {
        panic!("the simulator started")
    };
    let error = format!("{error:#}");
    assert!(error.contains("journal: line 2"), "{error}");
}

#[tokio::test]
async fn restarted_simulator_has_every_other_write() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    let sim = Sim::start_with(kept_in(&journal)).await;
    let part = "KE1NTNO0000002";
    sim.keep("/saveBhfCustomer", &customer()).await;
    sim.keep("/saveItem", &item(GOODS)).await;
    sim.keep("/saveItem", &item(part)).await;
    sim.keep("/insertStockIO", &movement(1, "02", part, 5))
        .await;
    sim.keep("/saveStockMaster", &level(part, 5)).await;
    sim.keep("/saveItemComposition", &composition(GOODS, part, 2))
        .await;
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
    let imports = sim.list("/selectImportItemList", "itemList").await;
    sim.keep("/updateImportItem", &import_update(&imports[0], GOODS))
        .await;
    let purchases = sim.list("/selectTrnsPurchaseSalesList", "saleList").await;
    sim.keep("/insertTrnsPurchase", &purchase(1, &purchases[0], GOODS))
        .await;
    let refused = sim
        .post("/insertStockIO", &movement(7, "02", part, 5))
        .await;
    assert_eq!(refused.code(), "910");
    let records = sim.get("/_sim/records").await;
    let customers = sim.list("/selectCustomerList", "custList").await;
    sim.stop().await;

    let sim = Sim::without_device(kept_in(&journal)).await;
    assert_eq!(sim.get("/_sim/records").await, records);
    assert_eq!(sim.list("/selectCustomerList", "custList").await, customers);
    // Running numbers go on.
    sim.keep("/insertStockIO", &movement(2, "11", part, 1))
        .await;
    sim.keep("/insertTrnsPurchase", &purchase(2, &purchases[0], GOODS))
        .await;
}
