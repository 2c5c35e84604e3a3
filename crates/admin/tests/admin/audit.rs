//! The command `audit`.

use risiti_testkit::Program;
use serde_json::{Value, json};

use crate::fixture::{Fixture, run_to_end};

async fn audit(fixture: &Fixture, more: &[&str]) -> Vec<Value> {
    fixture.run(&[&["audit"], more].concat()).await.lines()
}

#[tokio::test]
async fn every_change_is_told_with_old_and_new_values() {
    let fixture = Fixture::with_merchant().await;
    let key = fixture.file("key", "sk_test_hunter2_0123456789abcdef");
    let device = fixture
        .add_device("http://127.0.0.1:1", "00", &["--cmc-key-file", &key])
        .await
        .ok();
    let device = device["device_id"].as_str().expect("an id");
    let provider = ["provider", "add", "--merchant", "acme", "--provider"];
    for command in [
        [&provider[..], &["daraja", "--shortcode", "600984"]].concat(),
        [&provider[..], &["paystack", "--secret-key-file", &key]].concat(),
        vec!["merchant", "rotate-secret", "--slug", "acme"],
        vec![
            "device", "update", device, "--serial", "SN2", "--reason", "new till",
        ],
        vec![
            "device",
            "update",
            device,
            "--cmc-key-file",
            &fixture.file("k2", "other"),
            "--reason",
            "rolled",
        ],
        vec!["keys", "reencrypt"],
    ] {
        fixture.run(&command).await.ok();
    }

    let told = audit(&fixture, &[]).await;
    let commands: Vec<&str> = told
        .iter()
        .filter_map(|entry| entry["command"].as_str())
        .collect();
    assert_eq!(
        commands,
        [
            "merchant create",
            "provider add",
            "device add",
            "provider add",
            "provider add",
            "merchant rotate-secret",
            "device update",
            "device update",
            "keys reencrypt",
        ]
    );
    assert!(
        told.iter().all(|entry| entry["operator"] == "wanjiru"),
        "{told:?}"
    );
    assert_eq!(told[0]["changes"]["name"], json!([null, "Acme Ltd"]));
    assert_eq!(
        told[3]["changes"]["short_codes"],
        json!([["174379"], ["174379", "600984"]])
    );
    assert_eq!(told[5]["changes"]["webhook_secret"], "changed");
    assert_eq!(told[6]["changes"], json!({"serial": ["RISITI/1", "SN2"]}));
    assert_eq!(told[6]["reason"], "new till");
    assert_eq!(told[7]["changes"], json!({"cmc_key": "changed"}));
    let all = json!(told).to_string();
    assert!(!all.contains("hunter2") && !all.contains("\\\\x"), "{all}");
}

#[tokio::test]
async fn audit_narrows_by_time_and_operator() {
    let fixture = Fixture::with_merchant().await;
    assert_eq!(audit(&fixture, &["--since", "1h"]).await.len(), 2);
    assert_eq!(
        audit(&fixture, &["--since", "2099-01-01T00:00:00Z"])
            .await
            .len(),
        0
    );
    assert_eq!(audit(&fixture, &["--operator", "wanjiru"]).await.len(), 2);
    assert_eq!(audit(&fixture, &["--operator=nobody"]).await.len(), 0);
}

#[tokio::test]
async fn operator_comes_from_the_operating_system() {
    let fixture = Fixture::new().await;
    let create = Program::built("risiti-admin")
        .args(["merchant", "create", "--slug", "acme", "--name", "Acme"])
        .env("DATABASE_URL", fixture.database.url())
        .env("USER", "somebody-else");
    assert_eq!(run_to_end(create).await.code, 0);
    let operator = fixture.value("SELECT operator FROM operator_actions").await;
    assert_eq!(operator, Some(risiti_service::operator_name()));
}
