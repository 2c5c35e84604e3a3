//! Invoice numbers: only the next one is accepted, and a taken one is refused.

use etims_sim::{Config, Dialect};
use serde_json::{Value, json};

use crate::fixture::{KEY, PIN, Sim, json_fixture, sale, shape, with_changes};

#[tokio::test]
async fn taken_number_is_refused_in_each_dialect() {
    let fixtures = json_fixture!("05_duplicate_responses");
    for (dialect, case) in [(Dialect::Legacy, "legacy_994"), (Dialect::Vscu, "vscu_899")] {
        let sim = Sim::start(dialect).await;
        sim.sell(&sale(1)).await;
        let answer = sim.sell(&sale(1)).await;
        let expected = &fixtures[case];
        assert_eq!(answer.status, expected["http_status"]);
        assert_eq!(shape(&answer.body), shape(&expected["body"]), "{case}");
        assert_eq!((answer.code(), answer.text()), {
            let body = &expected["body"];
            (
                body["resultCd"].as_str().unwrap(),
                body["resultMsg"].as_str().unwrap(),
            )
        });
        assert_eq!(sim.accepted_sales().await.len(), 1);
    }
}

#[tokio::test]
async fn gateway_names_expected_number_in_either_wording() {
    let sim = Sim::start(Dialect::Gateway).await;
    let mut wordings = [0, 0];
    for number in 1..=20 {
        assert_eq!(sim.sell(&sale(number)).await.code(), "000");
        let answer = sim.sell(&sale(number)).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.body["responseBody"], Value::Null);
        assert_eq!(
            answer.body["responseHeader"]["customerMessage"],
            "Validation failed"
        );
        let next = number + 1;
        let texts = [
            format!("Invc No: {number} is invalid, use the expected value: {next}"),
            format!("Invalid invcNo sequence, expected: {next} but found: {number}"),
        ];
        let which = texts.iter().position(|text| text == answer.text());
        wordings[which.unwrap_or_else(|| panic!("{answer:?}"))] += 1;
    }
    assert!(wordings.iter().all(|count| *count > 0), "{wordings:?}");
}

#[tokio::test]
async fn number_ahead_is_refused_and_changes_nothing() {
    let sim = Sim::start(Dialect::Gateway).await;
    let answer = sim.sell(&sale(7)).await;
    assert!(
        answer.text().contains('1') && answer.text().contains('7'),
        "{answer:?}"
    );
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
    let stats = sim.stats().await;
    assert_eq!(stats["refusals"]["sequence"], 1);
    assert_eq!(stats["protocol_errors"], 1);
}

#[tokio::test]
async fn refused_sale_leaves_its_number_free() {
    let sim = Sim::start(Dialect::Gateway).await;
    let wrong = with_changes(sale(1), &[("/itemList/0/pkg", json!(2))]);
    assert_eq!(sim.sell(&wrong).await.status, 400);
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
}

#[tokio::test]
async fn gaps_pass_without_strict_sequence() {
    let config = Config {
        strict_sequence: false,
        ..Config::local(Dialect::Legacy)
    };
    let sim = Sim::start_with(config).await;
    assert_eq!(sim.sell(&sale(5)).await.code(), "000");
    assert_eq!(sim.sell(&sale(3)).await.code(), "994");
    assert_eq!(sim.sell(&sale(6)).await.code(), "000");
}

#[tokio::test]
async fn each_branch_has_its_own_numbering() {
    let sim = Sim::start(Dialect::Legacy).await;
    sim.register("01").await;
    let elsewhere = with_changes(sale(1), &[("/bhfId", json!("01"))]);
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
    assert_eq!(sim.sell(&elsewhere).await.code(), "000");
}

#[tokio::test]
async fn numbering_starts_where_it_was_registered() {
    let sim = Sim::without_device(Config::local(Dialect::Legacy)).await;
    let device = json!({
        "tin": PIN,
        "bhfId": "00",
        "dvcSrlNo": "S",
        "cmcKey": KEY,
        "next_invoice_no": 41,
        "next_receipt_no": 7,
    });
    assert_eq!(sim.post_control("/_sim/devices", &device).await.status, 201);
    let answer = sim.sell(&sale(41)).await;
    assert_eq!(answer.code(), "000");
    assert_eq!(answer.data()["curRcptNo"], "7");
}

#[tokio::test]
async fn invoice_number_may_be_quoted() {
    let sim = Sim::start(Dialect::Gateway).await;
    let quoted = with_changes(sale(1), &[("/invcNo", json!("1"))]);
    assert_eq!(sim.sell(&quoted).await.code(), "000");
    assert_eq!(sim.look_up(1).await.data()["salesList"][0]["invcNo"], 1);
}

#[tokio::test]
async fn other_sale_under_a_taken_number_is_a_clash() {
    let sim = Sim::start(Dialect::Legacy).await;
    sim.sell(&sale(1)).await;
    let other = with_changes(sale(1), &[("/remark", json!("another"))]);
    assert_eq!(sim.sell(&other).await.code(), "994");
    assert_eq!(sim.sell(&sale(1)).await.code(), "994");
    let stats = sim.stats().await;
    assert_eq!(stats["refusals"]["clash"], 1);
    assert_eq!(stats["refusals"]["resend"], 1);
    assert_eq!(stats["protocol_errors"], 1);
    let clash = &stats["protocol_error_log"][0]["clash"];
    assert_eq!(clash["invoice_no"], 1);
    assert_eq!(clash["refused"], "another");
    assert_eq!(clash["filed"], sale(1)["remark"]);
    assert_eq!(
        clash["filed_at"],
        sim.accepted_sales().await[0]["accepted_at"]
    );
}
