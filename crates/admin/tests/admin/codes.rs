//! The tax rates of KRA's code list: `codes sync`, `device add`, `device show`.

use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::fixture::{CommandResult, Fixture, KEY, KraSimulator, device_add, run_to_end};

const CMC_KEY: &str = "0123456789abcdef0123456789abcdef";

async fn add(fixture: &Fixture, base_url: &str) -> CommandResult {
    let file = fixture.file("cmc", CMC_KEY);
    fixture
        .add_device(base_url, "00", &["--cmc-key-file", &file])
        .await
}

fn id(added: &CommandResult) -> String {
    added.ok()["device_id"].as_str().expect("an id").to_owned()
}

async fn rate_e(fixture: &Fixture, device: &str) -> Value {
    let shown = fixture.run(&["device", "show", device]).await.ok();
    shown["tax_rates"]["E"].clone()
}

#[tokio::test]
async fn a_new_device_has_the_rates_of_kras_list() {
    let fixture = Fixture::with_merchant().await;
    let kra = KraSimulator::start_with("legacy", &["--rate-e", "0"]).await;
    kra.register("00", Some(CMC_KEY)).await;
    let added = add(&fixture, &kra.url).await;
    assert!(added.stderr.contains("E was 8 %."), "{added:?}");

    let rate = rate_e(&fixture, &id(&added)).await;
    assert_eq!(
        (&rate["percent"], &rate["source"]),
        (&json!("0"), &json!("code_list"))
    );
    assert!(rate["read_at"].is_string(), "{rate}");
}

#[tokio::test]
async fn a_device_is_added_although_kra_does_not_answer() {
    let fixture = Fixture::with_merchant().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base_url = format!("http://{}", silent.local_addr().expect("an address"));
    let file = fixture.file("cmc", CMC_KEY);
    let args = [&device_add(&base_url, "00")[..], &["--cmc-key-file", &file]].concat();
    let added = run_to_end(
        fixture
            .program(&args)
            .env("RISITI_CREDENTIALS_KEY", KEY)
            .env("RISITI_ETIMS_TIMEOUT", "300ms"),
    )
    .await;
    assert!(
        added.stderr.contains("tax rates were not read"),
        "{added:?}"
    );

    let device = id(&added);
    assert!(
        added.stderr.contains(&format!("codes sync {device}")),
        "{added:?}"
    );
    let specification = json!({"percent": "8", "source": "specification", "read_at": null});
    assert_eq!(rate_e(&fixture, &device).await, specification);
}

#[tokio::test]
async fn rates_are_read_anew_and_what_was_set_comes_first() {
    let fixture = Fixture::with_merchant().await;
    let added = add(&fixture, "http://127.0.0.1:1").await;
    let device = id(&added);
    let failed = fixture.run(&["codes", "sync", &device]).await;
    failed.refused(1, "error: ");

    let kra = KraSimulator::start_with("legacy", &["--rate-e", "0"]).await;
    kra.register("00", Some(CMC_KEY)).await;
    let update = ["device", "update", &device, "--reason", "moved"];
    let update = async |more: &[&str]| fixture.run(&[&update[..], more].concat()).await.ok();
    update(&["--base-url", &kra.url]).await;
    let synced = fixture.run(&["codes", "sync", &device]).await.ok();
    assert_eq!(
        synced["tax_rates"]["E"],
        json!({"before": "8", "listed": "0", "in_force": "0", "source": "code_list"})
    );
    assert_eq!(synced["tax_rates"]["B"]["in_force"], "16");

    update(&["--tax-rate", "E=8"]).await;
    let synced = fixture.run(&["codes", "sync", &device]).await.ok();
    assert_eq!(
        synced["tax_rates"]["E"],
        json!({"before": "8", "listed": "0", "in_force": "8", "source": "set"})
    );
    let set = json!({"percent": "8", "source": "set", "read_at": null});
    assert_eq!(rate_e(&fixture, &device).await, set);

    let told = fixture.run(&["audit"]).await.lines();
    let changes: Vec<&Value> = told
        .iter()
        .filter(|entry| entry["command"] == "codes sync")
        .map(|entry| &entry["changes"])
        .collect();
    let list = json!({"A": "0", "B": "16", "C": "0", "D": "0", "E": "0"});
    assert_eq!(changes.len(), 2, "{told:?}");
    assert_eq!(changes[0]["listed_tax_rates"], json!([null, list]));
    assert!(changes[1]["listed_tax_rates"].is_null(), "{changes:?}");
    assert!(changes[1]["tax_rates_listed_at"].is_array(), "{changes:?}");
}

#[tokio::test]
async fn a_device_that_is_not_there_has_no_rates_to_read() {
    let fixture = Fixture::with_merchant().await;
    let nobody = "01890a5d-ac96-774b-bcce-b302099a8057";
    fixture
        .run(&["codes", "sync", nobody])
        .await
        .refused(1, "no device");
}
