//! The same over HTTPS.

use crate::support::{KEY, PIN, client_builder, sale};
use etims_sim::{Config, Dialect, start};
use serde_json::{Value, json};

#[tokio::test]
async fn https_serves_counts_connections_and_cuts_them() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (cert, key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let config = Config {
        tls_cert: Some(cert),
        tls_key: Some(key),
        ..Config::local(Dialect::Legacy)
    };
    let running = start(config).await.unwrap();
    let root = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    let client = client_builder().add_root_certificate(root).build().unwrap();
    let url = running.url();
    assert!(url.starts_with("https://"));
    let post = |path: &str, body: Value| {
        let request = client
            .post(format!("{url}{path}"))
            .header("Content-Type", "application/json");
        request
            .header("tin", PIN)
            .header("bhfId", "00")
            .header("cmcKey", KEY)
            .body(body.to_string())
            .send()
    };
    post(
        "/_sim/devices",
        json!({"tin": PIN, "bhfId": "00", "dvcSrlNo": "S", "cmcKey": KEY}),
    )
    .await
    .unwrap();
    for number in 1..=3 {
        assert_eq!(
            post("/saveTrnsSalesOsdc", sale(number))
                .await
                .unwrap()
                .status(),
            200
        );
    }
    post(
        "/_sim/faults",
        json!({"match": {"count": 1}, "fault": "accept_then_drop"}),
    )
    .await
    .unwrap();
    let error = post("/saveTrnsSalesOsdc", sale(4))
        .await
        .expect_err("the connection is cut");
    assert!(error.is_request() && !error.is_timeout(), "{error:?}");
    let stats = client
        .get(format!("{url}/_sim/stats"))
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    let stats: Value = serde_json::from_slice(&stats).unwrap();
    assert_eq!(
        (&stats["sales_accepted"], &stats["connections"]),
        (&json!(4), &json!(1))
    );
    running.stop().await.unwrap();
}
