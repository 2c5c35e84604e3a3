//! Initialisation: its row of the test page, and `--strict-initialise`, with which every further one
//! damages the record of the device.

use etims_sim::{Config, Dialect};
use serde_json::{Value, json};

use crate::bodies::{GOODS, item, look_up};
use crate::fixture::{Answer, PIN, Sim, sale, send};

async fn initialise(sim: &Sim) -> Answer {
    let body = json!({"tin": PIN, "bhfId": "00", "dvcSrlNo": "RISITI/00"});
    sim.post("/initialize", &body).await
}

#[tokio::test]
async fn further_initialisations_damage_the_device() {
    let sim = Sim::start_with(Config {
        strict_initialise: true,
        ..Config::local(Dialect::Gateway)
    })
    .await;
    for _ in 0..2 {
        assert_eq!(initialise(&sim).await.code(), "902");
    }
    let text =
        |results| format!("Query did not return a unique result: {results} results were returned");
    sim.keep("/saveItem", &item(GOODS)).await;
    for results in 2..=3 {
        let answer = initialise(&sim).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.text(), text(results));
    }

    // Items fail as well now. Sales and look-ups go on.
    let second = item("KE2NTNO0000002");
    sim.refuse("/saveItem", &second, &[], &text(4)).await;
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
    sim.keep("/itemInfo", &look_up()).await;

    // A new app of the portal cures it.
    let app = json!({
        "tin": PIN,
        "bhfId": "00",
        "consumer_key": "app",
        "consumer_secret": "secret",
        "app_id": "app-id",
    });
    let url = sim.url("/_sim/devices/app");
    let answer = send(sim.client.put(url).body(app.to_string())).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["app_id"], "app-id");
    sim.keep("/saveItem", &second).await;
    assert_eq!(initialise(&sim).await.code(), "902");
}

#[tokio::test]
async fn without_the_switch_the_answer_stays_902() {
    let sim = Sim::start(Dialect::Gateway).await;
    for _ in 0..4 {
        let answer = initialise(&sim).await;
        assert_eq!(answer.code(), "902");
        assert_eq!(answer.data(), &Value::Null);
    }
}

#[tokio::test]
async fn initialisation_is_the_first_row_of_the_test_page() {
    let sim = Sim::without_device(Config::local(Dialect::Gateway)).await;
    let device = json!({
        "tin": PIN,
        "bhfId": "00",
        "dvcSrlNo": "RISITI/00",
        "consumer_key": "app",
        "consumer_secret": "secret",
        "app_id": "app-id",
    });
    assert_eq!(sim.post_control("/_sim/devices", &device).await.status, 201);
    let sim = sim.with_access_token().await;
    for (code, state) in [("000", "passed"), ("902", "failed")] {
        assert_eq!(initialise(&sim).await.code(), code);
        let pages = sim.get("/_sim/certification").await;
        let row = &pages["devices"][0]["rows"][0];
        assert_eq!(
            (&row["state"], &row["resultCd"]),
            (&json!(state), &json!(code))
        );
    }
}
