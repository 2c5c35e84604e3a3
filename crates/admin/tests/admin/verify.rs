use std::fs;

use serde_json::Value;

use crate::fixture::{CommandResult, Fixture, KraSimulator, PIN, device_add, set_flag};

const CMC_KEY: &str = "0123456789abcdef0123456789abcdef";

async fn device(fixture: &Fixture, kra: &KraSimulator) -> String {
    kra.register("00", Some(CMC_KEY)).await;
    let file = fixture.file("cmc", CMC_KEY);
    let done = fixture
        .add_device(&kra.url, "00", &["--cmc-key-file", &file])
        .await;
    done.ok()["device_id"].as_str().expect("an id").to_owned()
}

/// Each step and its result.
fn results(done: &CommandResult) -> Vec<(String, String)> {
    let text = |step: &Value, key: &str| step[key].as_str().expect("text").to_owned();
    let object = done.object();
    let steps = object["steps"].as_array().expect("steps").clone();
    steps
        .iter()
        .map(|step| (text(step, "step"), text(step, "result")))
        .collect()
}

fn verdicts(done: &CommandResult) -> Vec<String> {
    results(done)
        .into_iter()
        .map(|(_, result)| result)
        .collect()
}

#[tokio::test]
async fn legacy_device_passes_and_its_numbers_are_recorded() {
    let fixture = Fixture::with_merchant().await;
    let kra = KraSimulator::start("legacy").await;
    let device = device(&fixture, &kra).await;
    let out = fixture.folder.path().join("captures");
    let done = fixture
        .run(&["device", "verify", &device, "--out", out.to_str().unwrap()])
        .await;
    assert_eq!(done.ok()["passed"], true, "{done:?}");
    assert_eq!(
        verdicts(&done),
        ["skip", "pass", "pass", "pass", "pass", "pass"]
    );

    assert_eq!(
        fixture.run(&["device", "show", &device]).await.ok()["next_invoice_no"],
        3
    );
    let foreign =
        "SELECT string_agg(invoice_no || ' ' || operator || ' ' || reason, ',' ORDER BY invoice_no)
        FROM foreign_invoice_numbers";
    assert_eq!(
        fixture.value(foreign).await.unwrap(),
        "1 wanjiru device verify,2 wanjiru device verify"
    );
    assert_eq!(
        fixture
            .value("SELECT count(*) FROM lane_leases")
            .await
            .unwrap(),
        "0"
    );

    let files: Vec<_> = fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 6);
    for file in files {
        assert!(!fs::read_to_string(file).unwrap().contains(CMC_KEY));
    }
    let sale: Value =
        serde_json::from_str(&fs::read_to_string(out.join("3-sale.json")).unwrap()).unwrap();
    assert_eq!(sale["exchanges"][0]["request"]["invcNo"], 1, "{sale}");
    assert_eq!(
        sale["exchanges"][0]["answer"]["data"]["curRcptNo"]
            .to_string()
            .trim_matches('"'),
        "1",
        "{sale}"
    );
    let sales = kra.get("/_sim/sales").await.to_string();
    assert!(
        sales.contains("VERIFY-1") && sales.contains("VERIFY-2"),
        "{sales}"
    );

    // A second run uses the next numbers.
    let again = fixture.run(&["device", "verify", &device]).await;
    assert_eq!(again.ok()["passed"], true, "{again:?}");
    assert_eq!(
        fixture.run(&["device", "show", &device]).await.ok()["next_invoice_no"],
        5
    );
}

#[tokio::test]
async fn gateway_device_passes_with_its_token() {
    let fixture = Fixture::with_merchant().await;
    let kra = KraSimulator::start("gateway").await;
    let keys = kra.register("00", Some(CMC_KEY)).await;
    let text = |key: &str| {
        keys[key]
            .as_str()
            .unwrap_or_else(|| panic!("{keys}"))
            .to_owned()
    };
    let consumer_key = text("consumer_key");
    let app_id = text("app_id");
    let consumer_secret = fixture.file("consumer", &text("consumer_secret"));
    let cmc_key = fixture.file("cmc", CMC_KEY);
    let token_url = format!(
        "{}/v1/token/generate?grant_type=client_credentials",
        kra.url
    );
    let mut args = device_add(&kra.url, "00");
    set_flag(&mut args, "--dialect", "gateway");
    args.extend([
        "--cmc-key-file",
        &cmc_key,
        "--token-url",
        &token_url,
        "--consumer-key",
        &consumer_key,
    ]);
    args.extend([
        "--consumer-secret-file",
        &consumer_secret,
        "--app-id",
        &app_id,
    ]);
    let device = fixture.run(&args).await.ok()["device_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let done = fixture.run(&["device", "verify", &device]).await;
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(verdicts(&done), ["pass"; 6]);
}

#[tokio::test]
async fn vscu_device_passes_without_a_look_up() {
    let fixture = Fixture::with_merchant().await;
    let kra = KraSimulator::start("vscu").await;
    kra.register("00", Some(CMC_KEY)).await;
    let mut args = device_add(&kra.url, "00");
    set_flag(&mut args, "--dialect", "vscu");
    let device = fixture.run(&args).await.ok()["device_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let done = fixture.run(&["device", "verify", &device]).await;
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(
        verdicts(&done),
        ["skip", "pass", "pass", "skip", "pass", "pass"]
    );
}

#[tokio::test]
async fn lost_answer_is_looked_up_and_its_number_recorded() {
    let fixture = Fixture::with_merchant().await;
    let kra = KraSimulator::start("legacy").await;
    let device = device(&fixture, &kra).await;
    kra.post(
        "/_sim/faults",
        r#"{"match":{"call":"sale","count":1},"fault":"accept_then_drop"}"#,
    )
    .await;
    let done = fixture.run(&["device", "verify", &device]).await;
    assert_eq!(done.ok()["passed"], true, "{done:?}");
    assert_eq!(
        fixture.run(&["device", "show", &device]).await.ok()["next_invoice_no"],
        3
    );
}

#[tokio::test]
async fn refused_sale_fails_and_uses_up_no_number() {
    let fixture = Fixture::with_merchant().await;
    let kra = KraSimulator::start("legacy").await;
    let device = device(&fixture, &kra).await;
    fixture
        .run(&[
            "device",
            "update",
            &device,
            "--next-invoice-no",
            "7",
            "--reason",
            "drifted",
        ])
        .await
        .ok();
    let done = fixture.run(&["device", "verify", &device]).await;
    assert_eq!(done.code, 1, "{done:?}");
    assert_eq!(
        results(&done).last().unwrap(),
        &("sale".to_owned(), "fail".to_owned())
    );
    assert_eq!(
        fixture.run(&["device", "show", &device]).await.ok()["next_invoice_no"],
        7
    );
    assert_eq!(
        fixture
            .value("SELECT count(*) FROM lane_leases")
            .await
            .unwrap(),
        "0"
    );
}

#[tokio::test]
async fn production_devices_and_halted_or_busy_lanes_are_refused() {
    let fixture = Fixture::with_merchant().await;
    let kra = KraSimulator::start("legacy").await;
    let sandbox = device(&fixture, &kra).await;
    let mut args = device_add(&kra.url, "00");
    set_flag(&mut args, "--environment", "production");
    fixture.run(&args).await.refused(2, "--allow-test-address");
    args.push("--allow-test-address");
    let production = fixture.run(&args).await.ok()["device_id"]
        .as_str()
        .unwrap()
        .to_owned();
    fixture
        .run(&["device", "verify", &production])
        .await
        .refused(1, "production");

    fixture.sql("INSERT INTO lane_leases SELECT id, gen_random_uuid(), gen_random_uuid(), now() + interval '1 hour' FROM devices")
        .await;
    fixture
        .run(&["device", "verify", &sandbox])
        .await
        .refused(1, "a worker holds it");
    fixture
        .sql("DELETE FROM lane_leases; UPDATE lanes SET halted_at = now(), halt_reason = 'x'")
        .await;
    fixture
        .run(&["device", "verify", &sandbox])
        .await
        .refused(1, "halted");
    let sales = kra.get("/_sim/sales").await.to_string();
    assert!(!sales.contains(PIN) || !sales.contains("VERIFY"), "{sales}");
}
