use std::time::Duration;

use crate::kit::{Kit, Kra, PIN, device_add, folder_is_empty};
use risiti_testkit::eventually;

async fn calls(kra: &Kra) -> u64 {
    let stats = kra.get("/_sim/stats").await;
    assert!(stats["calls"].is_object(), "{stats}");
    stats["calls"]["initialise"].as_u64().unwrap_or(0)
}

#[tokio::test]
async fn the_key_is_fetched_once_and_goes_to_the_database_sealed() {
    let (kit, kra) = (Kit::with_merchant().await, Kra::start("legacy").await);
    kra.register("00", None).await;
    let added = kit.add_device(&kra.url, "00", &["--initialise"]).await.ok();
    assert!(
        added["sdc_id"].as_str().unwrap().starts_with("KRACU"),
        "{added}"
    );
    let known = kra.get("/_sim/devices").await.to_string();
    let sealed = kit
        .value("SELECT encode(cmc_key_ciphertext, 'escape') FROM devices")
        .await
        .unwrap();
    assert!(known.contains("cmcKey"), "{known}");
    assert!(!sealed.is_empty());
    assert!(folder_is_empty(&kit.state_folder(), ".sealed"));
    kit.add_device(&kra.url, "00", &["--initialise"])
        .await
        .refused(1, PIN);
    assert_eq!(calls(&kra).await, 1);
}

#[tokio::test]
async fn what_the_database_would_refuse_comes_out_before_kra_is_called() {
    let (kit, kra) = (Kit::with_merchant().await, Kra::start("legacy").await);
    kra.register("00", None).await;
    kit.add_device(&kra.url, "00", &["--initialise", "--shortcode", "999999"])
        .await
        .refused(1, "999999");
    let mut args = device_add(&kra.url, "00");
    args[3] = "nobody";
    args.push("--initialise");
    kit.run(&args).await.refused(1, "nobody");
    assert_eq!(
        kit.value("SELECT count(*) FROM devices").await.unwrap(),
        "0"
    );
    kra.register("00", None).await;
    kit.add_device(&kra.url, "00", &["--initialise"]).await.ok();
}

/// The database goes away between KRA's answer and the row: the answer stays on disk, and a rerun takes it.
#[tokio::test]
async fn an_answer_that_did_not_reach_the_database_is_taken_up_by_a_rerun() {
    let (kit, kra) = (Kit::with_merchant().await, Kra::start("legacy").await);
    kra.register("00", None).await;
    kra.post(
        "/_sim/faults",
        r#"{"match":{"call":"initialise","count":1},"fault":{"slow":{"ms":2000}}}"#,
    )
    .await;
    let args = [&device_add(&kra.url, "00")[..], &["--initialise"]].concat();
    let mut process = kit
        .program(&args)
        .env("RISITI_CREDENTIALS_KEY", crate::kit::KEY)
        .start();
    eventually("the call to KRA", Duration::from_secs(30), async || {
        (calls(&kra).await == 1).then_some(())
    })
    .await;
    // Once KRA is being asked, nothing but the insertion is left to do in the database.
    kit.sql("ALTER TABLE devices RENAME TO devices_away").await;
    let status = process.exit(Duration::from_secs(60)).await;
    assert_eq!(status.code(), Some(1), "{}", process.log());
    assert!(!folder_is_empty(&kit.state_folder(), ".sealed"));

    kit.sql("ALTER TABLE devices_away RENAME TO devices").await;
    let done = kit.run(&args).await;
    assert!(done.stderr.contains("not called again"), "{done:?}");
    assert!(done.ok()["sdc_id"].is_string());
    assert_eq!(calls(&kra).await, 1);
    assert!(folder_is_empty(&kit.state_folder(), ".sealed"));
}

#[tokio::test]
async fn a_device_that_is_installed_already_is_told_what_to_do() {
    let (kit, kra) = (Kit::with_merchant().await, Kra::start("legacy").await);
    kra.register("00", Some("known-key")).await;
    kit.add_device(&kra.url, "00", &["--initialise"])
        .await
        .refused(1, "--cmc-key-file");
    kit.add_device("http://127.0.0.1:1", "00", &["--initialise"])
        .await
        .refused(1, "nothing reached KRA");
    assert_eq!(
        kit.value("SELECT count(*) FROM devices").await.unwrap(),
        "0"
    );
}
