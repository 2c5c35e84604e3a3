use std::time::Duration;

use risiti_testkit::eventually;

use crate::fixture::{Fixture, KEY, KraSimulator, PIN, device_add, has_file, set_flag};

/// How often KRA was called to install a device.
async fn calls(kra: &KraSimulator) -> u64 {
    let stats = kra.get("/_sim/stats").await;
    assert!(stats["calls"].is_object(), "{stats}");
    stats["calls"]["initialise"].as_u64().unwrap_or(0)
}

#[tokio::test]
async fn key_is_fetched_once_and_stored_encrypted() {
    let fixture = Fixture::with_merchant().await;
    let kra = KraSimulator::start("legacy").await;
    kra.register("00", None).await;
    let added = fixture
        .add_device(&kra.url, "00", &["--initialise"])
        .await
        .ok();
    assert!(
        added["sdc_id"].as_str().unwrap().starts_with("KRACU"),
        "{added}"
    );
    let known = kra.get("/_sim/devices").await.to_string();
    let sealed = fixture
        .value("SELECT encode(cmc_key_ciphertext, 'escape') FROM devices")
        .await
        .unwrap();
    assert!(known.contains("cmcKey"), "{known}");
    assert!(!sealed.is_empty());
    assert!(!has_file(&fixture.state_folder(), ".sealed"));
    fixture
        .add_device(&kra.url, "00", &["--initialise"])
        .await
        .refused(1, PIN);
    assert_eq!(calls(&kra).await, 1);
}

#[tokio::test]
async fn database_refusal_comes_before_the_call_to_kra() {
    let fixture = Fixture::with_merchant().await;
    let kra = KraSimulator::start("legacy").await;
    kra.register("00", None).await;
    fixture
        .add_device(&kra.url, "00", &["--initialise", "--shortcode", "999999"])
        .await
        .refused(1, "999999");
    let mut args = device_add(&kra.url, "00");
    set_flag(&mut args, "--merchant", "nobody");
    args.push("--initialise");
    fixture.run(&args).await.refused(1, "nobody");
    assert_eq!(
        fixture.value("SELECT count(*) FROM devices").await.unwrap(),
        "0"
    );
    kra.register("00", None).await;
    fixture
        .add_device(&kra.url, "00", &["--initialise"])
        .await
        .ok();
}

#[tokio::test]
async fn answer_that_was_not_stored_is_used_by_a_rerun() {
    let fixture = Fixture::with_merchant().await;
    let kra = KraSimulator::start("legacy").await;
    kra.register("00", None).await;
    kra.post(
        "/_sim/faults",
        r#"{"match":{"call":"initialise","count":1},"fault":{"slow":{"ms":2000}}}"#,
    )
    .await;
    let args = [&device_add(&kra.url, "00")[..], &["--initialise"]].concat();
    let mut process = fixture
        .program(&args)
        .env("RISITI_CREDENTIALS_KEY", KEY)
        .start();
    eventually("the call to KRA", Duration::from_secs(30), async || {
        (calls(&kra).await == 1).then_some(())
    })
    .await;

    // When KRA is called, only the insertion is left to do in the database. It fails, because the
    // table is away.
    fixture
        .sql("ALTER TABLE devices RENAME TO devices_away")
        .await;
    let status = process.exit(Duration::from_secs(60)).await;
    assert_eq!(status.code(), Some(1), "{}", process.log());
    assert!(has_file(&fixture.state_folder(), ".sealed"));

    fixture
        .sql("ALTER TABLE devices_away RENAME TO devices")
        .await;
    let done = fixture.run(&args).await;
    assert!(done.stderr.contains("not called again"), "{done:?}");
    assert!(done.ok()["sdc_id"].is_string());
    assert_eq!(calls(&kra).await, 1);
    assert!(!has_file(&fixture.state_folder(), ".sealed"));
}

#[tokio::test]
async fn device_that_is_installed_already_is_refused_with_advice() {
    let fixture = Fixture::with_merchant().await;
    let kra = KraSimulator::start("legacy").await;
    kra.register("00", Some("known-key")).await;
    fixture
        .add_device(&kra.url, "00", &["--initialise"])
        .await
        .refused(1, "--cmc-key-file");
    fixture
        .add_device("http://127.0.0.1:1", "00", &["--initialise"])
        .await
        .refused(1, "nothing reached KRA");
    assert_eq!(
        fixture.value("SELECT count(*) FROM devices").await.unwrap(),
        "0"
    );
}
