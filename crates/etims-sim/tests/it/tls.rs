//! The simulator over HTTPS.

use std::fs;

use etims_sim::{Config, Dialect, start};
use reqwest::Certificate;
use serde_json::{Value, json};

use crate::fixture::{KEY, PIN, client_builder, sale};

#[tokio::test]
async fn https_counts_and_cuts_connections() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let cert = folder.path().join("cert.pem");
    let key = folder.path().join("key.pem");
    fs::write(&cert, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let config = Config {
        tls_cert: Some(cert),
        tls_key: Some(key),
        ..Config::local(Dialect::Legacy)
    };
    let running = start(config).await.unwrap();
    let url = running.url();
    assert!(url.starts_with("https://"));

    let root = Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    let client = client_builder().add_root_certificate(root).build().unwrap();
    let post = |path: &str, body: Value| {
        client
            .post(format!("{url}{path}"))
            .header("Content-Type", "application/json")
            .header("tin", PIN)
            .header("bhfId", "00")
            .header("cmcKey", KEY)
            .body(body.to_string())
            .send()
    };
    let device = json!({"tin": PIN, "bhfId": "00", "dvcSrlNo": "S", "cmcKey": KEY});
    post("/_sim/devices", device).await.unwrap();
    for number in 1..=3 {
        let answer = post("/saveTrnsSalesOsdc", sale(number)).await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    let rule = json!({"match": {"count": 1}, "fault": "accept_then_drop"});
    post("/_sim/faults", rule).await.unwrap();
    let error = post("/saveTrnsSalesOsdc", sale(4))
        .await
        .expect_err("the connection is cut");
    assert!(error.is_request() && !error.is_timeout(), "{error:?}");

    let stats = client.get(format!("{url}/_sim/stats")).send().await;
    let stats = stats.unwrap().bytes().await.unwrap();
    let stats: Value = serde_json::from_slice(&stats).unwrap();
    assert_eq!(stats["sales_accepted"], 4);
    assert_eq!(stats["connections"], 1);
    running.stop().await.unwrap();
}
