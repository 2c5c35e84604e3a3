//! Sales that the tax authority refused, replayed several times and filed once.

use std::time::Duration;

use risiti_ledger::{Place, Vault};
use risiti_queue::Target;
use risiti_testkit::{Process, Program, eventually};
use serde_json::{Value, json};

use crate::fixture::{Fixture, WAIT_MAX};

/// 32 bytes of 7, in base64.
const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
const SALES: i64 = 8;

struct TaxAuthority {
    url: String,
    http: reqwest::Client,
    _simulator: Process,
}

impl TaxAuthority {
    /// Starts the simulated tax authority, and registers the fixture's device with it.
    async fn start(fixture: &Fixture) -> Self {
        risiti_service::tls::install_provider();
        let mut simulator = Program::built("etims-sim")
            .args(["--listen", "127.0.0.1:0", "--dialect", "legacy"])
            .start();
        let url = format!(
            "http://{}",
            simulator.address_after("listening on http://").await
        );
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .build()
            .unwrap();
        let vault = Vault::new(&KEY.into(), None).unwrap();
        let place = Place {
            column: "devices.cmc_key_ciphertext",
            row: fixture.device,
        };
        let sealed = vault.seal(place, &"cmc-key-1".into()).unwrap();
        let change =
            "UPDATE devices SET base_url = $1, cmc_key_ciphertext = $2, serial = 'RISITI/1',
            item_code = 'KE3NTNO0000001', item_class = '8111150100'";
        fixture
            .client
            .execute(change, &[&url, &sealed])
            .await
            .unwrap();
        fixture
            .client
            .execute("UPDATE lanes SET host = $1", &[&url])
            .await
            .unwrap();
        let this = Self {
            url,
            http,
            _simulator: simulator,
        };
        let keys = json!({ "tin": "P051234567X", "bhfId": "00", "dvcSrlNo": "RISITI/1", "cmcKey": "cmc-key-1" });
        this.post("/_sim/devices", &keys).await;
        this
    }

    async fn post(&self, path: &str, body: &Value) {
        let request = self
            .http
            .post(format!("{}{path}", self.url))
            .header("content-type", "application/json");
        assert!(
            request
                .body(body.to_string())
                .send()
                .await
                .unwrap()
                .status()
                .is_success(),
            "{path}"
        );
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self
            .http
            .get(format!("{}{path}", self.url))
            .send()
            .await
            .unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    async fn clear_faults(&self) {
        assert!(
            self.http
                .delete(format!("{}/_sim/faults", self.url))
                .send()
                .await
                .unwrap()
                .status()
                .is_success()
        );
    }
}

#[tokio::test]
async fn refused_sales_are_replayed_repeatedly_and_filed_once() {
    let fixture = Fixture::new().await;
    let authority = TaxAuthority::start(&fixture).await;
    let refusal = json!({ "envelope": { "code": "910", "message": "required: <itemClsCd>" } });
    authority
        .post(
            "/_sim/faults",
            &json!({ "match": { "call": "sale" }, "fault": refusal }),
        )
        .await;
    for _ in 0..SALES {
        fixture.sale("pending").await;
    }
    let worker = Program::built("risiti-etims-worker").env("RISITI_CREDENTIALS_KEY", KEY);
    let worker = worker.env("RISITI_WAKE_INTERVAL", "100ms");
    let worker = fixture
        .variables()
        .into_iter()
        .fold(worker, |worker, (name, value)| worker.env(name, value));
    let _worker = worker.start();
    eventually("all dead", WAIT_MAX, async || {
        (fixture.count_invoices("dead").await == SALES).then_some(())
    })
    .await;
    fixture
        .wait_for_depth(Target::Dead, SALES.unsigned_abs())
        .await;

    // The cause is not mended, so all are refused again. This run leaves them to the next one.
    let output = fixture
        .replay(&["run", "--yes", "--json"])
        .await
        .expect_code(0);
    assert_eq!(
        output.counts("replayed"),
        [SALES.unsigned_abs(), SALES.unsigned_abs(), 0, 0]
    );
    let replayed_once = "SELECT count(*) FROM dead_letters WHERE replays = 1 AND solved_at IS NULL";
    eventually("all dead again", WAIT_MAX, async || {
        (fixture.query_number(replayed_once).await == SALES).then_some(())
    })
    .await;

    authority.clear_faults().await;
    let killed = fixture.program(&["run", "--yes", "--rate", "20/s"]).start();
    eventually("some replayed", WAIT_MAX, async || {
        (fixture.count_invoices("dead").await < SALES - 1).then_some(())
    })
    .await;
    killed.kill();
    for _ in 0..3 {
        fixture.run_when_unlocked().await.expect_code(0);
    }
    eventually("all filed", WAIT_MAX, async || {
        (fixture.count_invoices("success").await == SALES).then_some(())
    })
    .await;
    fixture.wait_for_depth(Target::Dead, 0).await;
    let stats = authority.get("/_sim/stats").await;
    assert_eq!(
        (&stats["doubled"], &stats["protocol_errors"]),
        (&json!([]), &json!(0)),
        "{stats:#}"
    );
    let sales = authority.get("/_sim/sales").await;
    assert_eq!(
        sales["sales"].as_array().unwrap().len(),
        usize::try_from(SALES).unwrap()
    );
    assert_eq!(
        fixture
            .query_number("SELECT next_invoice_no FROM lanes")
            .await,
        SALES + 1
    );
}
