//! Calls to `etims-sim`, which has its own reading of KRA's rules. What it counts as a mistake, KRA
//! may too.

use std::net::SocketAddr;

use risiti_domain::{Buyer, Dialect, InvoiceId, InvoiceKind, PaymentMethod, Phone, TaxType};
use risiti_etims::{
    Client, DeviceProfile, InitialiseError, LookUpOutcome, Receipt, SaleDocument, SendOutcome,
    sale_body,
};
use risiti_testkit::{Process, Program};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::fixture::{profile, test_settings};

const SALE: &str = "0192f3c4-5d6e-7a8b-9c0d-000000000001";
const NOTE: &str = "0192f3c4-5d6e-7a8b-9c0d-000000000002";

struct SimulatedKra {
    _process: Process,
    address: SocketAddr,
    device: DeviceProfile,
    client: Client,
}

impl SimulatedKra {
    /// Starts a simulator and initialises one device.
    async fn start(dialect: Dialect) -> Self {
        let mut process = Program::built("etims-sim")
            .args(["--dialect", dialect.as_str()])
            .start();
        let address = process.address_after("listening on http://").await;
        let mut device = profile(dialect, &format!("http://{address}"));
        let client = Client::new(test_settings()).unwrap();
        let mut registration =
            json!({"tin": device.pin, "bhfId": device.branch, "dvcSrlNo": device.serial});
        if dialect == Dialect::Gateway {
            registration["consumer_key"] = json!("consumer-key");
            registration["consumer_secret"] = json!("consumer-secret");
            registration["app_id"] = json!("11111111-2222-4333-8444-555555555555");
        }
        control(address, "devices", Some(registration)).await;
        let initialised = client.initialise(&device).await.unwrap();
        device.cmc_key = initialised.cmc_key;
        device.sdc_id = initialised.sdc_id;
        Self {
            _process: process,
            address,
            device,
            client,
        }
    }

    async fn fault(&self, rule: Value) {
        control(self.address, "faults", Some(rule)).await;
    }

    async fn stats(&self) -> Value {
        control(self.address, "stats", None).await
    }

    async fn send(&self, document: &SaleDocument) -> SendOutcome {
        let body = sale_body(&self.device, document);
        self.client
            .send(&self.device, &body, document.invoice_no)
            .await
    }

    async fn file_sale(&self, document: &SaleDocument) -> Receipt {
        match self.send(document).await {
            SendOutcome::Ok(receipt) => receipt,
            other => panic!("{other:?}"),
        }
    }
}

async fn control(address: SocketAddr, what: &str, body: Option<Value>) -> Value {
    let url = format!("http://{address}/_sim/{what}");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = match body {
        Some(body) => http
            .post(url)
            .header("content-type", "application/json")
            .body(body.to_string()),
        None => http.get(url),
    };
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{what}: {}", answer.status());
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

fn sale(invoice_no: i64) -> SaleDocument {
    let paid = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(30);
    SaleDocument {
        invoice_id: SALE.parse().unwrap(),
        invoice_no,
        kind: InvoiceKind::Sale,
        original_invoice_no: None,
        trader_invoice_no: "SGR7XY8Z9Q".to_owned(),
        total: "100.00".parse().unwrap(),
        buyer: Buyer::default(),
        phone: Phone::parse("0708374149"),
        method: PaymentMethod::MobileMoney,
        occurred_at: paid,
        refunded_at: None,
        first_sent_at: jiff::Timestamp::now(),
    }
}

fn credit_note(invoice_no: i64, of: i64) -> SaleDocument {
    SaleDocument {
        invoice_id: NOTE.parse().unwrap(),
        kind: InvoiceKind::CreditNote,
        original_invoice_no: Some(of),
        trader_invoice_no: "SGR7XY8Z9Q-R1".to_owned(),
        total: "33.33".parse().unwrap(),
        refunded_at: Some(jiff::Timestamp::now()),
        ..sale(invoice_no)
    }
}

fn owner(outcome: &LookUpOutcome) -> Option<InvoiceId> {
    match outcome {
        LookUpOutcome::Found(sale) => sale.invoice_id(),
        _ => None,
    }
}

#[tokio::test]
async fn a_sale_and_its_credit_note_are_filed_and_found() {
    for dialect in Dialect::ALL {
        let kra = SimulatedKra::start(*dialect).await;
        let sold = kra.file_sale(&sale(1)).await;
        let returned = kra.file_sale(&credit_note(2, 1)).await;
        assert_eq!(sold.control_unit_id, kra.device.sdc_id);
        if *dialect == Dialect::Vscu {
            assert_eq!(
                kra.client.look_up(&kra.device, 1).await,
                LookUpOutcome::Unsupported
            );
        } else {
            for (number, document, receipt) in
                [(1, sale(1), sold), (2, credit_note(2, 1), returned)]
            {
                let LookUpOutcome::Found(found) = kra.client.look_up(&kra.device, number).await
                else {
                    panic!()
                };
                assert_eq!(found.invoice_id(), Some(document.invoice_id));
                assert_eq!(
                    (found.kind, found.total),
                    (Some(document.kind), Some(document.total))
                );
                let with_buyer = Receipt {
                    buyer_name: Some(document.buyer.name),
                    buyer_pin: document.buyer.pin,
                    ..receipt
                };
                assert_eq!(found.receipt, with_buyer);
            }
            let absent = kra.client.look_up(&kra.device, 3).await;
            assert!(matches!(absent, LookUpOutcome::Absent(_)), "{absent:?}");
        }
        let stats = kra.stats().await;
        assert_eq!(
            stats["protocol_errors"], 0,
            "{dialect}: {}",
            stats["protocol_error_log"]
        );
        assert_eq!(stats["sales_accepted"], 2);
    }
}

#[tokio::test]
async fn every_tax_type_splits_as_kra_checks_it() {
    for tax_type in TaxType::ALL {
        let mut kra = SimulatedKra::start(Dialect::Gateway).await;
        kra.device.item.tax_type = *tax_type;
        for (number, total) in (1..).zip(["0.01", "0.02", "99.99", "100.00", "123456789.01"]) {
            kra.file_sale(&SaleDocument {
                total: total.parse().unwrap(),
                ..sale(number)
            })
            .await;
        }
    }
}

#[tokio::test]
async fn an_accepted_number_sent_again_is_taken() {
    for dialect in Dialect::ALL {
        let kra = SimulatedKra::start(*dialect).await;
        kra.file_sale(&sale(1)).await;
        let again = kra.send(&sale(1)).await;
        assert!(
            matches!(again, SendOutcome::Taken(_)),
            "{dialect}: {again:?}"
        );
    }
}

#[tokio::test]
async fn a_number_ahead_of_kras_is_out_of_step() {
    for dialect in Dialect::ALL {
        let kra = SimulatedKra::start(*dialect).await;
        let outcome = kra.send(&sale(7)).await;
        assert!(
            matches!(
                outcome,
                SendOutcome::OutOfStep {
                    expected: Some(1),
                    ..
                }
            ),
            "{dialect}: {outcome:?}"
        );
    }
}

/// A lost request and a lost answer look the same from here.
#[tokio::test]
async fn a_look_up_tells_a_lost_request_from_a_lost_answer() {
    for dialect in [Dialect::Legacy, Dialect::Gateway] {
        let kra = SimulatedKra::start(dialect).await;
        for (number, fault, filed) in [
            (1, "accept_then_drop", true),
            (2, "drop_before_accept", false),
        ] {
            kra.fault(json!({"match": {"call": "sale", "count": 1}, "fault": fault}))
                .await;
            let outcome = kra.send(&sale(number)).await;
            assert!(
                matches!(outcome, SendOutcome::Unknown(_)),
                "{dialect} {fault}: {outcome:?}"
            );
            let found = kra.client.look_up(&kra.device, number).await;
            assert_eq!(
                owner(&found).is_some(),
                filed,
                "{dialect} {fault}: {found:?}"
            );
            assert_eq!(
                matches!(found, LookUpOutcome::Absent(_)),
                !filed,
                "{dialect} {fault}: {found:?}"
            );
        }
    }
}

#[tokio::test]
async fn each_fault_of_the_host_has_its_outcome() {
    let cases = [
        (Dialect::Legacy, json!({"status": {"code": 502}}), "unknown"),
        (
            Dialect::Legacy,
            json!({"status": {"code": 429, "retry_after": 7}}),
            "retry",
        ),
        (Dialect::Legacy, json!({"html": {"status": 200}}), "unknown"),
        (
            Dialect::Legacy,
            json!({"envelope": {"code": "999"}}),
            "unknown",
        ),
        (
            Dialect::Legacy,
            json!({"envelope": {"code": "910"}}),
            "refused",
        ),
        (
            Dialect::Legacy,
            json!({"envelope": {"code": "901"}}),
            "halt",
        ),
        (Dialect::Legacy, json!("blank_padded_keys"), "ok"),
        (Dialect::Gateway, json!("expired_token"), "ok"),
        (
            Dialect::Gateway,
            json!({"refused_under_200": {"message": "Rule taxRtB failed: Tax rate mismatch."}}),
            "refused",
        ),
        (
            Dialect::Gateway,
            json!({"envelope": {"message": "Please try again later"}}),
            "retry",
        ),
    ];
    for (dialect, fault, expected) in cases {
        let kra = SimulatedKra::start(dialect).await;
        kra.fault(json!({"match": {"call": "sale", "count": 1}, "fault": fault}))
            .await;
        let outcome = kra.send(&sale(1)).await;
        assert_eq!(outcome.as_str(), expected, "{fault}: {outcome:?}");
    }
}

#[tokio::test]
async fn kra_hands_the_key_out_once() {
    let mut kra = SimulatedKra::start(Dialect::Legacy).await;
    let again = kra.client.initialise(&kra.device).await.unwrap_err();
    assert!(
        matches!(again, InitialiseError::AlreadyInstalled(_)),
        "{again:?}"
    );
    kra.device.cmc_key = Some(SecretString::from("another-key"));
    let outcome = kra.send(&sale(1)).await;
    assert!(matches!(outcome, SendOutcome::Halt { .. }), "{outcome:?}");
}

#[tokio::test]
async fn code_lists_hold_the_rates_we_send() {
    for dialect in Dialect::ALL {
        let kra = SimulatedKra::start(*dialect).await;
        let list = kra.client.code_list(&kra.device).await.unwrap();
        assert_eq!(list.tax_rates(), Some(kra.device.tax_rates), "{dialect}");
    }
}
