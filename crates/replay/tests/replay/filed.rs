//! The whole way: refused by the tax authority, replayed again and again, filed once.

use std::time::Duration;

use risiti_ledger::{Place, Vault};
use risiti_queue::Target;
use risiti_testkit::{Process, Program, eventually};
use serde_json::{Value, json};

use crate::stage::{BOUND, Stage};

/// 32 bytes of 7, in base64.
const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
const SALES: i64 = 8;

struct Authority {
    url: String,
    http: reqwest::Client,
    _sim: Process,
}

impl Authority {
    /// Knows the stage's device, and the stage knows it.
    async fn of(stage: &Stage) -> Self {
        risiti_service::tls::install_provider();
        let mut sim = Program::built("etims-sim")
            .args(["--listen", "127.0.0.1:0", "--dialect", "legacy"])
            .start();
        let url = format!("http://{}", sim.address_after("listening on http://").await);
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .build()
            .unwrap();
        let vault = Vault::new(&KEY.into(), None).unwrap();
        let place = Place {
            column: "devices.cmc_key_ciphertext",
            row: stage.device,
        };
        let sealed = vault.seal(place, &"cmc-key-1".into()).unwrap();
        let change =
            "UPDATE devices SET base_url = $1, cmc_key_ciphertext = $2, serial = 'RISITI/1',
            item_code = 'KE3NTNO0000001', item_class = '8111150100'";
        stage
            .client
            .execute(change, &[&url, &sealed])
            .await
            .unwrap();
        stage
            .client
            .execute("UPDATE lanes SET host = $1", &[&url])
            .await
            .unwrap();
        let this = Self {
            url,
            http,
            _sim: sim,
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

    async fn mend(&self) {
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
async fn refused_sales_are_replayed_again_and_again_and_filed_once() {
    let stage = Stage::new().await;
    let authority = Authority::of(&stage).await;
    let refusal = json!({ "envelope": { "code": "910", "message": "required: <itemClsCd>" } });
    authority
        .post(
            "/_sim/faults",
            &json!({ "match": { "call": "sale" }, "fault": refusal }),
        )
        .await;
    for _ in 0..SALES {
        stage.sale("pending").await;
    }
    let worker = Program::built("risiti-etims-worker").env("RISITI_CREDENTIALS_KEY", KEY);
    let worker = worker.env("RISITI_WAKE_INTERVAL", "100ms");
    let worker = stage
        .variables()
        .into_iter()
        .fold(worker, |worker, (name, value)| worker.env(name, value));
    let _worker = worker.start();
    eventually("all dead", BOUND, async || {
        (stage.invoices("dead").await == SALES).then_some(())
    })
    .await;
    stage
        .depth_becomes(Target::Dead, SALES.unsigned_abs())
        .await;

    // In vain: the cause is not mended, and what dies again is left to the next run.
    let told = stage.replay(&["run", "--yes", "--json"]).await.ended(0);
    assert_eq!(
        told.tally("replayed"),
        [SALES.unsigned_abs(), SALES.unsigned_abs(), 0, 0]
    );
    let replayed_once = "SELECT count(*) FROM dead_letters WHERE replays = 1 AND solved_at IS NULL";
    eventually("all dead again", BOUND, async || {
        (stage.number(replayed_once).await == SALES).then_some(())
    })
    .await;

    authority.mend().await;
    let killed = stage.program(&["run", "--yes", "--rate", "20/s"]).start();
    eventually("some replayed", BOUND, async || {
        (stage.invoices("dead").await < SALES - 1).then_some(())
    })
    .await;
    killed.kill();
    for _ in 0..3 {
        stage.run_once_free().await.ended(0);
    }
    eventually("all filed", BOUND, async || {
        (stage.invoices("success").await == SALES).then_some(())
    })
    .await;
    stage.depth_becomes(Target::Dead, 0).await;
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
        stage.number("SELECT next_invoice_no FROM lanes").await,
        SALES + 1
    );
}
