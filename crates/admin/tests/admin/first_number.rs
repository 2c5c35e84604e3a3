//! The number that `device add` is given, beside the one that KRA expects.

use crate::fixture::{Fixture, KraSimulator};

const CMC_KEY: &str = "0123456789abcdef0123456789abcdef";

/// A simulated KRA whose branch 00 has filed two sales.
async fn branch_that_has_filed() -> KraSimulator {
    let before = Fixture::with_merchant().await;
    let kra = KraSimulator::start("legacy").await;
    kra.register("00", Some(CMC_KEY)).await;
    let key = before.file("cmc", CMC_KEY);
    before
        .add_device(&kra.url, "00", &["--cmc-key-file", &key])
        .await
        .ok();
    let verified = before.run(&["device", "verify", "acme"]).await.ok();
    assert_eq!(verified["passed"], true);
    kra
}

#[tokio::test]
async fn wrong_first_number_is_told_and_the_device_added() {
    let kra = branch_that_has_filed().await;
    for (given, told) in [("1", true), ("3", false), ("403", true)] {
        let fixture = Fixture::with_merchant().await;
        let key = fixture.file("cmc", CMC_KEY);
        let more = ["--cmc-key-file", &key, "--next-invoice-no", given];
        let added = fixture.add_device(&kra.url, "00", &more).await;
        assert_eq!(added.ok()["expected_invoice_no"], 3, "{added:?}");
        let device = added.ok()["device_id"].as_str().expect("an id").to_owned();
        let mend = format!("device update {device} --next-invoice-no 3");
        assert_eq!(added.stderr.contains(&mend), told, "{added:?}");
    }
}

#[tokio::test]
async fn silent_kra_costs_a_note_and_no_device() {
    let fixture = Fixture::with_merchant().await;
    let key = fixture.file("cmc", CMC_KEY);
    let more = ["--cmc-key-file", &key[..]];
    let added = fixture.add_device("http://127.0.0.1:1", "00", &more).await;
    assert!(added.ok()["expected_invoice_no"].is_null());
    assert!(added.stderr.contains("is not checked"), "{added:?}");
    let devices = fixture.run(&["device", "list"]).await.lines();
    assert_eq!(devices.len(), 1);
}

#[tokio::test]
async fn vscu_is_not_asked() {
    let fixture = Fixture::with_merchant().await;
    let mut add = crate::fixture::device_add("http://127.0.0.1:1", "00");
    crate::fixture::set_flag(&mut add, "--dialect", "vscu");
    let added = fixture.run(&add).await;
    assert!(added.ok()["expected_invoice_no"].is_null());
    assert!(added.stderr.contains("a VSCU cannot be asked"), "{added:?}");
}
