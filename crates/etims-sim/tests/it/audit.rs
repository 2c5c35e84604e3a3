//! What audits rely on: doubled sales, calls in flight, connections, and clearing the state.

use etims_sim::{Config, Dialect};
use serde_json::{Value, json};

use crate::fixture::{Sim, sale, wait_until, with_changes};

#[tokio::test]
async fn remark_under_two_numbers_is_reported_as_doubled() {
    let sim = Sim::start(Dialect::Legacy).await;
    sim.sell(&sale(1)).await;
    assert_eq!(sim.stats().await["doubled"], json!([]));
    sim.sell(&with_changes(sale(2), &[("/remark", json!("invoice-1"))]))
        .await;
    let device = "P000000001A/00";
    let accepted = json!([{"device": device, "invcNo": 1}, {"device": device, "invcNo": 2}]);
    assert_eq!(
        sim.stats().await["doubled"],
        json!([{"remark": "invoice-1", "accepted": accepted}])
    );
}

#[tokio::test]
async fn trader_number_shows_doubles_without_remark() {
    let sim = Sim::start(Dialect::Legacy).await;
    for number in 1..=2 {
        sim.sell(&with_changes(sale(number), &[("/remark", Value::Null)]))
            .await;
    }
    let stats = sim.stats().await;
    assert_eq!(stats["doubled"][0]["trdInvcNo"], "TILL1-000001");
    assert_eq!(stats["doubled_trader_numbers"][0]["invcNo"], json!([1, 2]));
}

#[tokio::test]
async fn calls_in_flight_are_counted_overall_and_per_device() {
    let sim = Sim::start(Dialect::Legacy).await;
    sim.register("01").await;
    sim.add_fault(json!({"match": {"count": 3}, "fault": {"slow": {"ms": 600_000}}}))
        .await;
    let look_up = |branch: &str| {
        sim.call(
            "/selectInvoiceDetails",
            &json!({"bhfId": branch, "invcNo": 1}),
        )
    };
    let calls = [look_up("00"), look_up("00"), look_up("01")].map(|call| tokio::spawn(call.send()));
    wait_until("three calls at once", || async {
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
}

/// KRA does not know that nobody waits any more. A client that counts such a call as over makes
/// more calls at once than it may.
#[tokio::test]
async fn caller_that_hung_up_is_in_flight_until_the_latency_is_over() {
    let sim = Sim::start(Dialect::Legacy).await;
    sim.add_fault(json!({"match": {"count": 2}, "fault": {"slow": {"ms": 600_000}}}))
        .await;
    sim.add_fault(json!({"match": {"call": "sale"}, "fault": {"slow": {"ms": 2_000}}}))
        .await;
    hang_up(&sim, 1).await;
    hang_up(&sim, 2).await;
    let stats = sim.stats().await;
    assert_eq!(
        (&stats["in_flight"], &stats["hung_up"]),
        (&json!(2), &json!(0))
    );

    hang_up(&sim, 3).await;
    wait_until("the end of the third call", || async {
        sim.stats().await["hung_up"] == 1
    })
    .await;
    let stats = sim.stats().await;
    assert_eq!(
        (&stats["in_flight"], &stats["in_flight_max"]),
        (&json!(2), &json!(3))
    );
}

/// A client may look up what it gave up, so that the device has one call whose caller waits.
#[tokio::test]
async fn caller_that_hung_up_does_not_count_for_its_device() {
    let sim = Sim::start(Dialect::Legacy).await;
    sim.add_fault(json!({"match": {"call": "sale"}, "fault": {"slow": {"ms": 600_000}}}))
        .await;
    for calls in 1..=20 {
        hang_up(&sim, calls).await;
        sim.look_up(1).await;
        let stats = sim.stats().await;
        assert_eq!(stats["in_flight_max"], calls + 1);
        assert_eq!(
            stats["in_flight_max_per_device"],
            json!({"P000000001A/00": 1})
        );
    }
}

/// Goes away once the simulator has the call.
async fn hang_up(sim: &Sim, calls: u64) {
    let call = tokio::spawn(sim.call(sim.sale_path(), &sale(1)).send());
    wait_until("the call is in flight", || async {
        sim.stats().await["calls"]["sale"] == calls
    })
    .await;
    call.abort();
    assert!(call.await.expect_err("it was slow").is_cancelled());
}

#[tokio::test]
async fn reused_connection_is_counted_once() {
    let sim = Sim::start(Dialect::Legacy).await;
    for number in 1..=5 {
        sim.sell(&sale(number)).await;
    }
    let stats = sim.stats().await;
    assert_eq!(stats["connections"], 1);
    assert_eq!(stats["calls"]["sale"], 5);
    assert_eq!(stats["paths"], json!({"/etims-api/saveTrnsSalesOsdc": 5}));
}

#[tokio::test]
async fn resend_without_look_up_is_counted() {
    let sim = Sim::start(Dialect::Legacy).await;
    sim.add_fault(json!({"match": {"call": "sale", "count": 2}, "fault": "drop_before_accept"}))
        .await;
    sim.add_fault(json!({"match": {"call": "lookup", "count": 1}, "fault": {"lookup_lag": {}}}))
        .await;
    sim.sell_without_answer(&sale(1)).await;
    assert_eq!(sim.look_up(1).await.code(), "001");
    sim.sell_without_answer(&sale(1)).await;
    assert_eq!(sim.stats().await["resends_without_look_up"], 0);
    sim.sell(&sale(1)).await;
    assert_eq!(sim.stats().await["resends_without_look_up"], 1);
}

#[tokio::test]
async fn clearing_state_keeps_devices_and_restarts_numbering() {
    let sim = Sim::start(Dialect::Gateway).await;
    sim.sell(&sale(1)).await;
    sim.add_fault(json!({"fault": "drop_before_accept"})).await;
    sim.delete("/_sim/state").await;
    assert_eq!(sim.accepted_sales().await, Vec::<Value>::new());
    let stats = sim.stats().await;
    assert_eq!(stats["calls"], json!({}));
    assert_eq!(stats["sales_accepted"], 0);
    let answer = sim.sell(&sale(1)).await;
    assert_eq!(answer.code(), "000");
    assert_eq!(answer.data()["curRcptNo"], "1");
    assert_eq!(sim.stats().await["doubled"], json!([]));
}

#[tokio::test]
async fn sales_are_listed_by_device_and_in_pages() {
    let sim = Sim::start(Dialect::Legacy).await;
    sim.register("01").await;
    for number in 1..=3 {
        sim.sell(&sale(number)).await;
    }
    sim.sell(&with_changes(
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
async fn sale_above_the_maximum_is_answered_503() {
    let sim = Sim::start_with(Config {
        max_sales: 1,
        ..Config::local(Dialect::Legacy)
    })
    .await;
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
    assert_eq!(sim.sell(&sale(2)).await.status, 503);
    assert_eq!(sim.accepted_sales().await.len(), 1);
}
