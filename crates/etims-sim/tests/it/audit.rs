//! What audits rely on: doubles, calls at once, connections, starting again.

use crate::support::{Sim, changed, sale, until};
use etims_sim::{Config, Dialect};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn one_remark_under_two_numbers_is_a_double() {
    let sim = Sim::of(Dialect::Legacy).await;
    sim.sell(&sale(1)).await;
    assert_eq!(sim.stats().await["doubled"], json!([]));
    sim.sell(&changed(sale(2), &[("/remark", json!("invoice-1"))]))
        .await;
    let device = "P000000001A/00";
    let accepted = json!([{"device": device, "invcNo": 1}, {"device": device, "invcNo": 2}]);
    assert_eq!(
        sim.stats().await["doubled"],
        json!([{"remark": "invoice-1", "accepted": accepted}])
    );
}

#[tokio::test]
async fn without_a_remark_the_trader_number_tells() {
    let sim = Sim::of(Dialect::Legacy).await;
    for number in 1..=2 {
        sim.sell(&changed(sale(number), &[("/remark", Value::Null)]))
            .await;
    }
    let stats = sim.stats().await;
    assert_eq!(stats["doubled"][0]["trdInvcNo"], "TILL1-000001");
    assert_eq!(stats["doubled_trader_numbers"][0]["invcNo"], json!([1, 2]));
}

#[tokio::test]
async fn calls_at_once_are_counted_overall_and_per_device() {
    let sim = Sim::of(Dialect::Legacy).await;
    sim.register("01").await;
    sim.fault(json!({"match": {"count": 3}, "fault": {"slow": {"ms": 600_000}}}))
        .await;
    let look_up = |branch: &str| {
        sim.call(
            "/selectInvoiceDetails",
            &json!({"bhfId": branch, "invcNo": 1}),
        )
    };
    let calls = [look_up("00"), look_up("00"), look_up("01")].map(|call| tokio::spawn(call.send()));
    until("three calls", || async {
        sim.stats().await["in_flight"] == 3
    })
    .await;
    let stats = sim.stats().await;
    assert_eq!(stats["in_flight_max"], 3);
    assert_eq!(
        stats["in_flight_max_per_device"],
        json!({"P000000001A/00": 2, "P000000001A/01": 1})
    );
    calls.iter().for_each(|call| call.abort());
    until("their end", || async {
        sim.stats().await["in_flight"] == 0
    })
    .await;
}

#[tokio::test]
async fn a_caller_that_gave_up_is_not_in_flight() {
    let sim = Sim::of(Dialect::Legacy).await;
    sim.fault(json!({"match": {"call": "sale"}, "fault": {"slow": {"ms": 600_000}}}))
        .await;
    for _ in 0..20 {
        let patience = Duration::from_millis(20);
        let call = sim.call(sim.sale_path(), &sale(1)).timeout(patience).send();
        assert!(call.await.expect_err("too slow").is_timeout());
        sim.look_up(1).await;
    }
    assert_eq!(sim.stats().await["in_flight_max"], 1);
}

#[tokio::test]
async fn connections_are_counted_once_however_often_used() {
    let sim = Sim::of(Dialect::Legacy).await;
    for number in 1..=5 {
        sim.sell(&sale(number)).await;
    }
    let stats = sim.stats().await;
    assert_eq!(
        (&stats["connections"], &stats["calls"]["sale"]),
        (&json!(1), &json!(5))
    );
    assert_eq!(stats["paths"], json!({"/etims-api/saveTrnsSalesOsdc": 5}));
}

#[tokio::test]
async fn a_resend_that_asked_nobody_first_is_noticed() {
    let sim = Sim::of(Dialect::Legacy).await;
    sim.fault(json!({"match": {"call": "sale", "count": 2}, "fault": "drop_before_accept"}))
        .await;
    sim.fault(json!({"match": {"call": "lookup", "count": 1}, "fault": {"lookup_lag": {}}}))
        .await;
    sim.sell_in_vain(&sale(1)).await;
    assert_eq!(sim.look_up(1).await.code(), "001");
    sim.sell_in_vain(&sale(1)).await;
    assert_eq!(sim.stats().await["resends_without_look_up"], 0);
    sim.sell(&sale(1)).await;
    assert_eq!(sim.stats().await["resends_without_look_up"], 1);
}

#[tokio::test]
async fn clearing_keeps_devices_and_starts_numbering_again() {
    let sim = Sim::of(Dialect::Gateway).await;
    sim.sell(&sale(1)).await;
    sim.fault(json!({"fault": "drop_before_accept"})).await;
    sim.delete("/_sim/state").await;
    assert_eq!(sim.accepted().await, Vec::<Value>::new());
    let stats = sim.stats().await;
    assert_eq!(
        (&stats["calls"], &stats["sales_accepted"]),
        (&json!({}), &json!(0))
    );
    let answer = sim.sell(&sale(1)).await;
    assert_eq!(
        (answer.code(), &answer.data()["curRcptNo"]),
        ("000", &json!("1"))
    );
    assert_eq!(sim.stats().await["doubled"], json!([]));
}

#[tokio::test]
async fn sales_are_listed_by_device_and_in_pages() {
    let sim = Sim::of(Dialect::Legacy).await;
    sim.register("01").await;
    for number in 1..=3 {
        sim.sell(&sale(number)).await;
    }
    sim.sell(&changed(
        sale(1),
        &[("/bhfId", json!("01")), ("/remark", json!("other"))],
    ))
    .await;
    let listed = async |query: &str| {
        let sales = sim.get(&format!("/_sim/sales{query}")).await["sales"].take();
        sales
            .as_array()
            .unwrap()
            .iter()
            .map(|sale| sale["remark"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        listed("").await,
        ["invoice-1", "invoice-2", "invoice-3", "other"]
    );
    assert_eq!(listed("?device=P000000001A/01").await, ["other"]);
    assert_eq!(
        listed("?device=P000000001A&offset=1&limit=2").await,
        ["invoice-2", "invoice-3"]
    );
}

#[tokio::test]
async fn full_books_answer_503_and_keep_what_they_have() {
    let sim = Sim::with(Config {
        max_sales: 1,
        ..Config::local(Dialect::Legacy)
    })
    .await;
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
    assert_eq!(sim.sell(&sale(2)).await.status, 503);
    assert_eq!(sim.accepted().await.len(), 1);
}
