//! Which calls the rules of the fault script hit.

use etims_sim::Dialect;
use serde_json::json;

use crate::fixture::{KEY, PIN, Sim, json_fixture, sale, with_changes};

#[tokio::test]
async fn rules_can_match_single_invoices() {
    let sim = Sim::start(Dialect::Legacy).await;
    let fault = json!({"envelope": {"code": "910"}});
    for picked in [
        json!({"remark": "invoice-2"}),
        json!({"trader_number": "T-3"}),
        json!({"amount": "580.00"}),
    ] {
        sim.add_fault(json!({"match": picked, "fault": fault}))
            .await;
    }
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
    assert_eq!(sim.sell(&sale(2)).await.code(), "910");
    let third = with_changes(
        sale(2),
        &[("/trdInvcNo", json!("T-3")), ("/remark", json!("x"))],
    );
    assert_eq!(sim.sell(&third).await.code(), "910");
    let note = json_fixture!("08_credit_note_request");
    assert_eq!(sim.sell(&note).await.code(), "910");
    assert_eq!(
        sim.look_up(1).await.code(),
        "000",
        "these rules match sales only"
    );
}

#[tokio::test]
async fn skip_every_nth_and_count_select_calls() {
    let sim = Sim::start(Dialect::Legacy).await;
    let matching = json!({"call": "lookup", "skip": 1, "every_nth": 2, "count": 2});
    sim.add_fault(json!({"match": matching, "fault": {"status": {"code": 502}}}))
        .await;
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(sim.look_up(1).await.status);
    }
    assert_eq!(statuses, [200, 200, 502, 200, 502, 200, 200, 200]);
    let rule = &sim.get("/_sim/faults").await["faults"][0];
    assert_eq!(rule["hits"], 2);
    assert_eq!(rule["match"]["every_nth"], 2);
}

#[tokio::test]
async fn same_seed_hits_the_same_calls() {
    let mut runs = Vec::new();
    for seed in [7, 7, 8] {
        let sim = Sim::start(Dialect::Legacy).await;
        let matching = json!({"call": "lookup", "probability": 0.5, "seed": seed});
        sim.add_fault(json!({"match": matching, "fault": {"status": {"code": 502}}}))
            .await;
        let mut statuses = Vec::new();
        for _ in 0..24 {
            statuses.push(sim.look_up(1).await.status);
        }
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
    assert!(runs[0].contains(&502) && runs[0].contains(&200));
}

#[tokio::test]
async fn rule_for_one_device_spares_the_others() {
    let sim = Sim::start(Dialect::Legacy).await;
    sim.post_control(
        "/_sim/devices",
        &json!({"tin": PIN, "bhfId": "01", "dvcSrlNo": "S", "cmcKey": KEY}),
    )
    .await;
    sim.add_fault(
        json!({"match": {"device": format!("{PIN}/01")}, "fault": {"status": {"code": 502}}}),
    )
    .await;
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
    assert_eq!(
        sim.sell(&with_changes(sale(1), &[("/bhfId", json!("01"))]))
            .await
            .status,
        502
    );
}

#[tokio::test]
async fn senseless_rules_are_refused() {
    let sim = Sim::start(Dialect::Legacy).await;
    for rule in [
        json!({}),
        json!({"fault": "no_such_fault"}),
        json!({"fault": "expired_token"}),
        json!({"fault": {"lookup_lag": {}}}),
        json!({"fault": {"status": {"code": 99}}}),
        json!({"fault": {"slow": {"seconds": 1}}}),
        json!({"match": {"probability": 2}, "fault": "accept_then_drop"}),
        json!({"match": {"every_nth": 0}, "fault": "accept_then_drop"}),
        json!({"match": {"call": "no_such_call"}, "fault": "accept_then_drop"}),
        json!({"match": {"nonsense": 1}, "fault": "accept_then_drop"}),
    ] {
        assert_eq!(
            sim.post_control("/_sim/faults", &rule).await.status,
            400,
            "{rule}"
        );
    }
    assert_eq!(sim.get("/_sim/faults").await["faults"], json!([]));
}
