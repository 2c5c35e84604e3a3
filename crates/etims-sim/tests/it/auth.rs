//! Who may call: headers, keys, access tokens and initialisation.

use std::time::Duration;

use etims_sim::{Config, Dialect};
use serde_json::{Value, json};

use crate::fixture::{KEY, PIN, Sim, json_fixture, sale, send, shape};

#[tokio::test]
async fn legacy_reads_credentials_from_headers_or_body() {
    let sim = Sim::start(Dialect::Legacy).await;
    let bare = |body: &Value| {
        let request = sim
            .client
            .post(sim.url(sim.sale_path()))
            .header("Content-Type", "application/json");
        request.body(body.to_string())
    };
    let mut body = sale(1);
    let answer = send(bare(&body)).await;
    assert_eq!(answer.code(), "900", "there is no cmcKey");
    body["cmcKey"] = json!("wrong");
    assert_eq!(send(bare(&body)).await.code(), "901");
    body["cmcKey"] = json!(KEY);
    assert_eq!(send(bare(&body)).await.code(), "000");
    assert_eq!(sim.stats().await["refusals"]["auth"], 2);
}

#[tokio::test]
async fn unknown_branch_is_refused() {
    let sim = Sim::start(Dialect::Legacy).await;
    let mut elsewhere = sale(1);
    elsewhere["bhfId"] = json!("09");
    let answer = sim.sell(&elsewhere).await;
    let expected = &json_fixture!("06_error_responses")["legacy_device_not_valid"];
    assert_eq!(shape(&answer.body), shape(&expected["body"]));
    assert_eq!(answer.code(), "901");
    assert_eq!(answer.text(), "It is not valid device");

    let sim = Sim::start(Dialect::Gateway).await;
    assert_eq!(sim.sell(&elsewhere).await.text(), "Please try again later");
}

#[tokio::test]
async fn gateway_requires_token_headers_and_app() {
    let sim = Sim::start(Dialect::Gateway).await;
    let request = |token: &str, app: Option<&str>, key: Option<&str>| {
        let request = sim
            .client
            .post(sim.url(sim.sale_path()))
            .header("Content-Type", "application/json");
        let request = request
            .bearer_auth(token)
            .header("tin", PIN)
            .header("bhfId", "00")
            .body(sale(1).to_string());
        let request = app
            .into_iter()
            .fold(request, |request, app| request.header("apigee_app_id", app));
        key.into_iter()
            .fold(request, |request, key| request.header("cmcKey", key))
    };
    let token = sim.fetch_access_token().await;
    let wrong = send(request("nonsense", Some("app-id"), Some(KEY))).await;
    let expected = &json_fixture!("06_error_responses")["gateway_token_invalid"];
    assert_eq!(wrong.status, 401);
    assert_eq!(shape(&wrong.body), shape(&expected["body"]));

    let no_app = send(request(&token, None, Some(KEY))).await;
    assert_eq!(no_app.status, 400);
    assert_eq!(no_app.text(), "apigee_app_id cannot be Null");
    let no_key = send(request(&token, Some("app-id"), None)).await;
    assert_eq!(no_key.text(), "cmcKey cannot be Null");
    let other_key = send(request(&token, Some("app-id"), Some("x"))).await;
    assert_eq!(other_key.code(), "901");

    let right = send(request(&token, Some("app-id"), Some(KEY))).await;
    assert_eq!(right.code(), "000");
}

#[tokio::test]
async fn access_token_is_issued_to_get_with_basic_auth() {
    let sim = Sim::start(Dialect::Gateway).await;
    let url = sim.url("/v1/token/generate?grant_type=client_credentials");
    let right = send(sim.client.get(&url).basic_auth("app", Some("secret"))).await;
    assert_eq!(right.body["expires_in"], "3599", "a string, as seen live");

    let wrong = send(sim.client.get(&url).basic_auth("app", Some("other"))).await;
    assert_eq!(wrong.status, 401);

    let posted = sim
        .client
        .post(&url)
        .basic_auth("app", Some("secret"))
        .send()
        .await
        .unwrap();
    assert_eq!(posted.status().as_u16(), 200);
    assert_eq!(posted.bytes().await.unwrap().len(), 0);

    let without_grant_type = send(sim.client.get(sim.url("/v1/token/generate"))).await;
    assert_eq!(without_grant_type.status, 401);
}

#[tokio::test]
async fn access_token_of_another_app_is_refused() {
    let sim = Sim::start(Dialect::Gateway).await;
    let other = json!({
        "tin": PIN,
        "bhfId": "01",
        "dvcSrlNo": "S",
        "cmcKey": KEY,
        "app_id": "app-id",
        "consumer_key": "other",
        "consumer_secret": "s",
    });
    sim.post_control("/_sim/devices", &other).await;
    let mut body = sale(1);
    body["bhfId"] = json!("01");
    assert!(sim.sell(&body).await.text().contains("apigee_app_id"));
}

#[tokio::test]
async fn access_token_expires() {
    let sim = Sim::start_with(Config {
        token_ttl: Duration::ZERO,
        ..Config::local(Dialect::Gateway)
    })
    .await;
    assert_eq!(sim.sell(&sale(1)).await.status, 401);
    let stats = sim.stats().await;
    assert_eq!(stats["unauthorised"], 1);
    assert_eq!(stats["protocol_errors"], 0);
}

#[tokio::test]
async fn device_is_initialised_once() {
    for (dialect, path) in [
        (Dialect::Legacy, "/selectInitOsdcInfo"),
        (Dialect::Gateway, "/initialize"),
        (Dialect::Vscu, "/initializer/selectInitInfo"),
    ] {
        let sim = Sim::start(dialect).await;
        let device = json!({
            "tin": PIN,
            "bhfId": "02",
            "dvcSrlNo": "RISITI/2",
            "consumer_key": "app",
            "consumer_secret": "secret",
            "app_id": "app-id",
        });
        let registered = sim.post_control("/_sim/devices", &device).await;
        assert_eq!(registered.body["cmcKey"], Value::Null);
        let ask = |serial: &str| json!({"tin": PIN, "bhfId": "02", "dvcSrlNo": serial});
        assert_eq!(sim.post(path, &ask("another")).await.code(), "901");
        let first = sim.post(path, &ask("RISITI/2")).await;
        let expected = json_fixture!("01_init_response");
        assert_eq!(first.code(), "000", "{first:?}");
        assert_eq!(shape(first.data()), shape(&expected["data"]));
        let again = sim.post(path, &ask("RISITI/2")).await;
        assert_eq!(again.code(), "902");
        assert_eq!(again.data(), &Value::Null);
        let devices = sim.get("/_sim/devices").await;
        assert_eq!(
            devices["devices"][1]["cmcKey"],
            first.data()["info"]["cmcKey"]
        );
    }
}

#[tokio::test]
async fn initialisation_reads_the_body_only() {
    let sim = Sim::start(Dialect::Gateway).await;
    let answer = sim
        .post(
            "/initialize",
            &json!({"bhfId": "00", "dvcSrlNo": "RISITI/00"}),
        )
        .await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.text(), "Missing Tin");
}

#[tokio::test]
async fn uninitialised_device_cannot_sell() {
    let sim = Sim::without_device(Config::local(Dialect::Vscu)).await;
    sim.post_control(
        "/_sim/devices",
        &json!({"tin": PIN, "bhfId": "00", "dvcSrlNo": "S"}),
    )
    .await;
    assert_eq!(sim.sell(&sale(1)).await.code(), "901");
    let mut elsewhere = sale(1);
    elsewhere["bhfId"] = json!("05");
    assert_eq!(sim.sell(&elsewhere).await.code(), "E04");
}

#[tokio::test]
async fn wrong_paths_methods_and_types_have_their_status() {
    let sim = Sim::start(Dialect::Legacy).await;
    assert_eq!(sim.post("/saveVscu", &sale(1)).await.status, 404);

    let sale_url = sim.url(sim.sale_path());
    assert_eq!(send(sim.client.get(&sale_url)).await.status, 405);
    let form = send(sim.client.post(&sale_url).body("a=b")).await;
    assert_eq!(form.status, 415);

    assert_eq!(sim.stats().await["refusals"]["protocol"], 3);
}

#[tokio::test]
async fn registering_again_must_have_the_same_values() {
    let sim = Sim::start(Dialect::Legacy).await;
    let same = json!({"tin": PIN, "bhfId": "00", "dvcSrlNo": "RISITI/00"});
    let again = sim.post_control("/_sim/devices", &same).await;
    assert_eq!(again.status, 200);
    assert_eq!(again.body["cmcKey"], json!(KEY));
    let other = json!({"tin": PIN, "bhfId": "00", "dvcSrlNo": "another"});
    assert_eq!(sim.post_control("/_sim/devices", &other).await.status, 409);
    for wrong in [
        json!({}),
        json!({"tin": "P", "bhfId": "00", "dvcSrlNo": "S"}),
        json!({"unknown": 1}),
    ] {
        assert_eq!(
            sim.post_control("/_sim/devices", &wrong).await.status,
            400,
            "{wrong}"
        );
    }
}
